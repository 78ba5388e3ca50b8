"""Regions of interest of a subject: those that its data set knows, and those of files that the response names."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.formats import regions
from boldflow.artifacts.formats.regions import RegionFile
from boldflow.core.records.runs import BetaRun, BoldRun, Mesh, SurfaceRun
from boldflow.core.responses import projection, spheres
from boldflow.stages.responses._columns import samples_of
from boldflow.stages.responses._meshes import MESHES, mesh

Run = BoldRun | SurfaceRun | BetaRun
AFFINE_MM = 1e-3  # affines that differ by less are the same grid: headers hold them in single precision
# Vertices of a hemisphere of FreeSurfer's average subjects, as labels name them.
AVERAGES = {name: n for n, name in MESHES.values()} | {"fsaverage7": MESHES["fsaverage7"][0]}
SIDES = ("lh", "rh")


@dataclass(frozen=True)
class Regions:
    """``masks`` holds a bool array (n_columns,) per region, by sorted names; the sidecar holds ``note``."""

    subject: str
    masks: dict[str, np.ndarray]
    note: dict[str, Any]

    def onto(self, places: pd.DataFrame, rois: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
        """Add a column ``roi_NAME`` per region, and tell which rows lie in any of ``rois`` (all, where there are none).

        Raises
        ------
        ValueError
            If a region has another length than ``places``.
        """
        for name, mask in self.masks.items():
            if mask.shape != (len(places),):
                raise ValueError(f"ROI {name!r} of {self.subject} has shape {mask.shape}, expected ({len(places)},)")
        masks = pd.DataFrame({f"roi_{name}": mask for name, mask in self.masks.items()}, index=places.index)
        rows = pd.concat([places, masks], axis=1)  # at once: there may be hundreds
        return rows, self.any_of(rois, len(rows))

    def any_of(self, rois: Sequence[str], n_columns: int) -> np.ndarray:
        """Tell which of the columns lie in any of ``rois`` (all, where there are none), (n_columns,) bool."""
        found: np.ndarray = np.any([self.masks[name] for name in rois], axis=0) if rois else np.ones(n_columns, bool)
        return found

    def only(self, inside: np.ndarray) -> "Regions":
        """Leave the columns out that are not ``inside``, (n_columns,) bool."""
        return Regions(self.subject, {name: mask[inside] for name, mask in self.masks.items()}, self.note)


def regions_of(
    named: Mapping[str, np.ndarray],
    runs: Iterator[Any],
    subject: str,
    entry: dict[str, Any],
    files: Mapping[str, list[dict[str, Any]]],
    mesh_folder: str | None,
) -> tuple[Regions, Iterator[Any]]:
    """Join the regions that a data set knows with those of files.

    Parameters
    ----------
    named : dict of bool arrays of shape (n_columns,)
        Regions of the data set's plug-in.
    runs : iterator of records
        Recordings of the subject; where there are files, the first is looked at for the places of its columns.
    subject : str
    entry : dict
        The response's settings.
    files : dict
        Of each region the rows of its files (``registry.region_files``).
    mesh_folder : str, optional
        Folder of FreeSurfer's subjects that holds the mesh, where it is finer than fsaverage5.

    Returns
    -------
    Regions, iterator of records
        The same records, the first one included.

    Raises
    ------
    ValueError
        If a region that is wanted is not there, one is given twice or is empty, or a file does not lie where the
        response's columns do.
    FileNotFoundError
        If a file is not there; lists those looked for and the regions there are.
    """
    _check_names(named, subject, entry, files)
    _check_files(named, subject, files)
    read = {
        name: [regions.read(_path(row), row["kind"], row["choice"]) for row in rows] for name, rows in files.items()
    }
    masks, notes = dict(named), {}
    if files:
        first = next(runs, None)
        if first is None:
            raise ValueError(f"{subject} has no run")
        runs = itertools.chain([first], runs)
        columns = _Columns.of(first, subject, entry, mesh_folder)
        for name, rows in files.items():
            placed = [columns.place(row, one) for row, one in zip(rows, read[name], strict=True)]
            masks[name] = np.any([inside for inside, _ in placed], axis=0)
            notes[name] = {
                "n_inside": int(masks[name].sum()),
                "files": [
                    {"file": _told(row), "sha256": one.sha256, "n_inside": int(inside.sum()), "how": how}
                    for row, one, (inside, how) in zip(rows, read[name], placed, strict=True)
                ],
            }
    for name, mask in masks.items():
        if not mask.any():
            pairs = zip(files.get(name, ()), read.get(name, ()), strict=True)
            held = [f"{_told(row)} holds {one.holds}" for row, one in pairs]
            said = f" ({'; '.join(held)})" if held else ""
            raise ValueError(f"ROI {name!r} of {subject} is empty{said}; there are: {_listed(masks)}")
    return Regions(subject, dict(sorted(masks.items())), {"regions": notes} if files else {}), runs


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a response lie.

    ``grid`` is shape, affine and mask of volumes in space native; ``own`` the registered spheres of BOLD on the
    subject's own surface; else None.
    """

    subject: str
    entry: dict[str, Any]
    mesh_folder: str | None
    grid: tuple[tuple[int, ...], np.ndarray, np.ndarray] | None
    own: tuple[Mesh, Mesh] | None

    @classmethod
    def of(cls, first: Run, subject: str, entry: dict[str, Any], mesh_folder: str | None) -> "_Columns":
        own = first.spheres if isinstance(first, SurfaceRun) else None
        grid = None
        if entry["space"] == "native":
            if not isinstance(first, BoldRun) or first.mask is None:
                raise ValueError(f"regions of files need a grid of voxels, and the recording of {subject} gives none")
            grid = first.bold.shape[:3], first.affine, first.mask
        return cls(subject, entry, mesh_folder, grid, own)

    def place(self, row: dict[str, Any], one: RegionFile) -> tuple[np.ndarray, str]:
        """Bring what a file holds to the columns, (n_columns,) bool, and say how."""
        if self.grid is not None:
            return self._in_voxels(row, one, *self.grid)
        n_vertices = MESHES[self.entry["space"]][0]
        if one.kind == "volume":
            halves, how = self._sampled(row, one)
        else:
            half, how = self._on_mesh(row, one, n_vertices)
            halves = [half, half]
        for k, side in enumerate(SIDES):
            if row["hemisphere"] not in ("", side):
                halves[k] = np.zeros(n_vertices, dtype=bool)
        return np.concatenate(halves), how

    def _in_voxels(
        self, row: dict[str, Any], one: RegionFile, shape: tuple[int, ...], affine: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, str]:
        if one.inside.shape != shape:
            raise ValueError(
                f"{row['path']} is {one.inside.shape} voxels, the BOLD of {self.subject} {shape}: bring the region to "
                "the grid of the BOLD"
            )
        if not np.allclose(one.affine, affine, rtol=0, atol=AFFINE_MM):
            raise ValueError(
                f"{row['path']} and the BOLD of {self.subject} lie differently: affine {_rounded(one.affine)} "
                f"and {_rounded(affine)}; bring the region to the grid of the BOLD"
            )
        return one.inside[mask], "voxels of the BOLD's grid"

    def _sampled(self, row: dict[str, Any], one: RegionFile) -> tuple[list[np.ndarray], str]:
        if self.own is not None:
            raise ValueError(
                f"{row['path']} is a volume, and the BOLD of {self.subject} lies on the subject's own surface: to "
                "sample a volume takes the white and pial surface in its space; give a label, annotation or overlay on "
                "the subject's surface or on fsaverage (FreeSurfer's mri_vol2surf makes one)"
            )
        points = [samples_of(side, self.entry) for side in mesh(self.entry["space"], self.mesh_folder)]
        halves = [projection.mostly_inside(some, one.affine, one.inside) for some in points]
        return halves, f"at least half of {points[0].shape[1]} samples of a vertex lie in it"

    def _on_mesh(self, row: dict[str, Any], one: RegionFile, n_vertices: int) -> tuple[np.ndarray, str]:
        """Bring a region of a surface to a hemisphere of the mesh."""
        side = SIDES.index(row["hemisphere"])
        own = None if self.own is None else self.own[side]
        n_own = 0 if own is None else len(own.vertices)
        n_found, is_own = self._label(row, one, n_own) if one.kind == "label" else (len(one.inside), False)
        inside = np.pad(one.inside, (0, n_found - len(one.inside)))
        if own is not None and (is_own or n_found == n_own):
            target = mesh(self.entry["space"], self.mesh_folder)[side].sphere
            matrix = spheres.resampling_matrix(target, own.vertices, own.faces, "nearest")
            return matrix @ inside > 0, f"nearest of {n_own} vertices of the subject's surface, by registered spheres"
        finer = [n for n, _ in MESHES.values() if n >= n_vertices]
        if n_found not in finer:
            fits = [*map(str, finer), *([f"{n_own} (the surface of {self.subject})"] if n_own else [])]
            raise ValueError(
                f"{row['path']} is of {n_found} vertices; for a response in {self.entry['space']} a hemisphere must "
                f"have {' or '.join(fits)}"
            )
        if n_found == n_vertices:
            return inside, "vertex by vertex"
        subset = spheres.subsampling_matrix(n_vertices, n_found) @ inside > 0
        return subset, f"first {n_vertices} of {n_found} vertices of a hemisphere: FreeSurfer's icosahedra nest"

    def _label(self, row: dict[str, Any], one: RegionFile, n_own: int) -> tuple[int, bool]:
        """Tell how many vertices the surface of a label has, which its file does not say, and if it is the own one."""
        owner, needed = one.owner, len(one.inside)
        if not owner and n_own and not row["shared"]:
            raise ValueError(
                f"{row['path']} does not say whether it is of the surface of {self.subject} or of fsaverage: write its "
                "subject into its first line, as in '#!ascii label, from subject fsaverage'"
            )
        is_own = bool(owner) and not owner.startswith("fsaverage") and n_own > 0
        if owner and owner not in AVERAGES and not is_own:
            there = ", ".join([*AVERAGES, *([self.subject] if n_own else [])])
            raise ValueError(
                f"{row['path']} is of subject {owner!r} (its first line); this response needs one of {there}"
            )
        # without a name it is of the coarsest mesh that has all its vertices
        likely = min((n for n in AVERAGES.values() if n >= needed), default=max(AVERAGES.values()))
        n_found = n_own if is_own else AVERAGES.get(owner, likely)
        if needed > n_found:
            raise ValueError(f"{row['path']} names vertex {needed - 1}, and its surface has {n_found} vertices")
        return n_found, is_own


def _check_names(
    named: Mapping[str, Any], subject: str, entry: dict[str, Any], files: Mapping[str, list[dict[str, Any]]]
) -> None:
    for name in sorted(set(named) & set(files)):
        raise ValueError(
            f"ROI {name!r} of {subject} is given twice: by the data set, and by region_files "
            f"({', '.join(map(_told, files[name]))}); rename the one in region_files"
        )
    missing = sorted(set(entry["rois"]) - set(named) - set(files))
    if missing:
        raise ValueError(f"{subject} has no ROI {missing}; there are: {_listed({*named, *files})}")


def _check_files(named: Mapping[str, Any], subject: str, files: Mapping[str, list[dict[str, Any]]]) -> None:
    absent = {name: [row["path"] for row in rows if not _path(row).is_file()] for name, rows in files.items()}
    if any(absent.values()):
        looked = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in absent.items() if paths)
        there = {*named, *(name for name, paths in absent.items() if not paths)}
        raise FileNotFoundError(
            f"{subject} lacks files of region_files (not there, or links without content): {looked}; regions that "
            f"there are: {_listed(there)}"
        )


def _rounded(affine: np.ndarray) -> list[list[float]]:
    found: list[list[float]] = np.round(affine.astype(np.float64), 4).tolist()
    return found


def _path(row: dict[str, Any]) -> Path:
    return Path(row["path"]).expanduser()


def _told(row: dict[str, Any]) -> str:
    """Name a file without its folder, which is this machine's."""
    return Path(row["path"]).name + (f":{row['choice']}" if row["choice"] else "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
