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
from boldflow.settings import Entry, of_record, read_settings
from boldflow.stages.responses._columns import samples_of
from boldflow.stages.responses._meshes import mesh
from boldflow.vocabulary.hemispheres import FREESURFER, HEMISPHERES
from boldflow.vocabulary.meshes import FOLDERS, FSAVERAGE7, N_VERTICES, NATIVE

Run = BoldRun | SurfaceRun | BetaRun
AFFINE_MM = 1e-3  # affines that differ by less are the same grid: headers hold them in single precision
# Vertices of a hemisphere of FreeSurfer's average subjects, as labels name them.
AVERAGES = {FOLDERS[space]: n for space, n in N_VERTICES.items()} | {FSAVERAGE7: N_VERTICES[FSAVERAGE7]}


@dataclass(frozen=True)
class RegionRow:
    """A file that gives a region.

    ``kind`` is one of ``vocabulary.regions.KINDS``; ``choice`` what is chosen in it (a name or a number), or nothing;
    ``hemisphere`` "left", "right", or nothing where the file is of both; ``shared`` whether all subjects share it.
    """

    path: str
    kind: str
    choice: str
    hemisphere: str
    shared: bool

    @property
    def file(self) -> Path:
        """Where it is on this machine."""
        return Path(self.path).expanduser()

    @property
    def label(self) -> str:
        """Name the file without its folder, which is this machine's, and what is chosen in it."""
        return Path(self.path).name + (f":{self.choice}" if self.choice else "")


def read_region_files(text: str) -> dict[str, list[RegionRow]]:
    """Read the files of each region as the workflow hands them (``catalogue.region_files``), a line of JSON.

    How the files look from outside stands there too: it is a parameter, so that a file that changed is read again.
    """
    return {
        name: [
            of_record(row | {"hemisphere": FREESURFER.get(row["hemisphere"], row["hemisphere"])}, RegionRow)
            for row in rows
        ]
        for name, rows in read_settings(text).items()
    }


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
        in_rois: np.ndarray = np.any([self.masks[name] for name in rois], axis=0) if rois else np.ones(n_columns, bool)
        return in_rois

    def only(self, inside: np.ndarray) -> "Regions":
        """Leave the columns out that are not ``inside``, (n_columns,) bool."""
        return Regions(self.subject, {name: mask[inside] for name, mask in self.masks.items()}, self.note)


def regions_of(
    dataset_regions: Mapping[str, np.ndarray],
    runs: Iterator[Any],
    subject: str,
    entry: Entry,
    files: Mapping[str, list[RegionRow]],
    mesh_folder: str | None,
) -> tuple[Regions, Iterator[Any]]:
    """Join the regions that a data set knows with those of files.

    Parameters
    ----------
    dataset_regions : dict of bool arrays of shape (n_columns,)
        Regions of the data set's plug-in.
    runs : iterator of records
        Recordings of the subject; where there are files, the first is looked at for the places of its columns.
    subject : str
    entry : Entry
        The response's settings.
    files : dict
        Of each region its files.
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
    _check_names(dataset_regions, subject, entry, files)
    _check_files(dataset_regions, subject, files)
    contents = {name: [regions.read(row.file, row.kind, row.choice) for row in rows] for name, rows in files.items()}
    placements: dict[str, list[_Placed]] = {}
    if files:
        first_run = next(runs, None)
        if first_run is None:
            raise ValueError(f"{subject} has no run")
        runs = itertools.chain([first_run], runs)
        columns = _Columns.of(first_run, subject, entry, mesh_folder)
        for name, rows in files.items():
            pairs = zip(rows, contents[name], strict=True)
            placements[name] = [_Placed(row, content, *columns.place(row, content)) for row, content in pairs]
    masks = dict(dataset_regions) | {
        name: np.any([placement.inside for placement in region_placements], axis=0)
        for name, region_placements in placements.items()
    }
    _check_filled(masks, placements, subject)
    notes = {name: _note(masks[name], region_placements) for name, region_placements in placements.items()}
    return Regions(subject, dict(sorted(masks.items())), {"regions": notes} if files else {}), runs


@dataclass(frozen=True)
class _Placed:
    """A file of a region, what it holds, and its mask on the columns, (n_columns,) bool, with how that was made."""

    row: RegionRow
    content: RegionFile
    inside: np.ndarray
    how: str


def _note(mask: np.ndarray, region_placements: Sequence[_Placed]) -> dict[str, Any]:
    """Say for the sidecar which files gave a region."""
    files = [
        {
            "file": placement.row.label,
            "sha256": placement.content.sha256,
            "n_inside": int(placement.inside.sum()),
            "how": placement.how,
        }
        for placement in region_placements
    ]
    return {"n_inside": int(mask.sum()), "files": files}


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a response lie.

    ``grid`` is shape, affine and mask of volumes in space native; ``native`` the registered spheres of BOLD on the
    subject's own surface; else None.
    """

    subject: str
    entry: Entry
    mesh_folder: str | None
    grid: tuple[tuple[int, ...], np.ndarray, np.ndarray] | None
    native: tuple[Mesh, Mesh] | None

    @classmethod
    def of(cls, first_run: Run, subject: str, entry: Entry, mesh_folder: str | None) -> "_Columns":
        native_spheres = first_run.spheres if isinstance(first_run, SurfaceRun) else None
        grid = None
        if entry["space"] == NATIVE:
            if not isinstance(first_run, BoldRun) or first_run.mask is None:
                raise ValueError(f"regions of files need a grid of voxels, and the recording of {subject} gives none")
            grid = first_run.bold.shape[:3], first_run.affine, first_run.mask
        return cls(subject, entry, mesh_folder, grid, native_spheres)

    def place(self, row: RegionRow, content: RegionFile) -> tuple[np.ndarray, str]:
        """Bring what a file holds to the columns, (n_columns,) bool, and say how."""
        if self.grid is not None:
            return self._in_voxels(row, content, *self.grid)
        n_vertices = N_VERTICES[self.entry["space"]]
        if content.kind == "volume":
            side_masks, how = self._sampled(row, content)
        else:
            side_mask, how = self._on_mesh(row, content, n_vertices)
            side_masks = [side_mask, side_mask]
        for side_index, side in enumerate(HEMISPHERES):
            if row.hemisphere not in ("", side):
                side_masks[side_index] = np.zeros(n_vertices, dtype=bool)
        return np.concatenate(side_masks), how

    def _in_voxels(
        self, row: RegionRow, content: RegionFile, shape: tuple[int, ...], affine: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, str]:
        if content.inside.shape != shape:
            raise ValueError(
                f"{row.path} is {content.inside.shape} voxels, the BOLD of {self.subject} {shape}: bring the region to "
                "the grid of the BOLD"
            )
        if not np.allclose(content.affine, affine, rtol=0, atol=AFFINE_MM):
            raise ValueError(
                f"{row.path} and the BOLD of {self.subject} lie differently: affine {_rounded(content.affine)} "
                f"and {_rounded(affine)}; bring the region to the grid of the BOLD"
            )
        return content.inside[mask], "voxels of the BOLD's grid"

    def _sampled(self, row: RegionRow, content: RegionFile) -> tuple[list[np.ndarray], str]:
        if self.native is not None:
            raise ValueError(
                f"{row.path} is a volume, and the BOLD of {self.subject} lies on the subject's own surface: to "
                "sample a volume takes the white and pial surface in its space; give a label, annotation or overlay on "
                "the subject's surface or on fsaverage (FreeSurfer's mri_vol2surf makes one)"
            )
        if content.unplaced:
            raise ValueError(f"a region on a surface needs a volume whose place is known: {content.unplaced}")
        sample_points = [samples_of(side, self.entry) for side in mesh(self.entry["space"], self.mesh_folder)]
        side_masks = [
            projection.mostly_inside(side_points, content.affine, content.inside) for side_points in sample_points
        ]  # (n_vertices,)
        return side_masks, f"at least half of {sample_points[0].shape[1]} samples of a vertex lie in it"

    def _on_mesh(self, row: RegionRow, content: RegionFile, n_vertices: int) -> tuple[np.ndarray, str]:
        """Bring a region of a surface to a hemisphere of the mesh."""
        side_index = HEMISPHERES.index(row.hemisphere)
        sphere = None if self.native is None else self.native[side_index]
        n_native = 0 if sphere is None else len(sphere.vertices)
        n_file, is_native = (
            self._label(row, content, n_native) if content.kind == "label" else (len(content.inside), False)
        )
        mask = np.pad(content.inside, (0, n_file - len(content.inside)))  # (n_file,)
        if sphere is not None and (is_native or n_file == n_native):
            target_sphere = mesh(self.entry["space"], self.mesh_folder)[side_index].sphere
            matrix = spheres.resampling_matrix(target_sphere, sphere.vertices, sphere.faces, "nearest")
            return (
                matrix @ mask > 0,
                f"nearest of {n_native} vertices of the subject's surface, by registered spheres",
            )
        n_allowed = [n for n in N_VERTICES.values() if n >= n_vertices]
        if n_file not in n_allowed:
            allowed = [*map(str, n_allowed), *([f"{n_native} (the surface of {self.subject})"] if n_native else [])]
            raise ValueError(
                f"{row.path} is of {n_file} vertices; for a response in {self.entry['space']} a hemisphere must "
                f"have {' or '.join(allowed)}"
            )
        if n_file == n_vertices:
            return mask, "vertex by vertex"
        subset_mask = spheres.subsampling_matrix(n_vertices, n_file) @ mask > 0  # (n_vertices,)
        return subset_mask, f"first {n_vertices} of {n_file} vertices of a hemisphere: FreeSurfer's icosahedra nest"

    def _label(self, row: RegionRow, content: RegionFile, n_native: int) -> tuple[int, bool]:
        """Tell how many vertices the surface of a label has, which its file does not say, and if it is a subject's."""
        owner, n_needed = content.owner, len(content.inside)
        if not owner and n_native and not row.shared:
            raise ValueError(
                f"{row.path} does not say whether it is of the surface of {self.subject} or of fsaverage: write its "
                "subject into its first line, as in '#!ascii label, from subject fsaverage'"
            )
        is_native = bool(owner) and not owner.startswith("fsaverage") and n_native > 0
        if owner and owner not in AVERAGES and not is_native:
            allowed_text = ", ".join([*AVERAGES, *([self.subject] if n_native else [])])
            raise ValueError(
                f"{row.path} is of subject {owner!r} (its first line); this response needs one of {allowed_text}"
            )
        # without a name it is of the coarsest mesh that has all its vertices
        n_likely = min((n for n in AVERAGES.values() if n >= n_needed), default=max(AVERAGES.values()))
        n_file = n_native if is_native else AVERAGES.get(owner, n_likely)
        if n_needed > n_file:
            raise ValueError(f"{row.path} names vertex {n_needed - 1}, and its surface has {n_file} vertices")
        return n_file, is_native


def _check_names(
    dataset_regions: Mapping[str, Any], subject: str, entry: Entry, files: Mapping[str, list[RegionRow]]
) -> None:
    for name in sorted(set(dataset_regions) & set(files)):
        raise ValueError(
            f"ROI {name!r} of {subject} is given twice: by the data set, and by region_files "
            f"({', '.join(row.label for row in files[name])}); rename the one in region_files"
        )
    missing_rois = sorted(set(entry["rois"]) - set(dataset_regions) - set(files))
    if missing_rois:
        raise ValueError(f"{subject} has no ROI {missing_rois}; there are: {_listed({*dataset_regions, *files})}")


def _check_files(dataset_regions: Mapping[str, Any], subject: str, files: Mapping[str, list[RegionRow]]) -> None:
    absent_paths = {name: [row.path for row in rows if not row.file.is_file()] for name, rows in files.items()}
    if any(absent_paths.values()):
        absent_text = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in absent_paths.items() if paths)
        available = {*dataset_regions, *(name for name, paths in absent_paths.items() if not paths)}
        raise FileNotFoundError(
            f"{subject} lacks files of region_files (not there, or links without content): {absent_text}; regions that "
            f"there are: {_listed(available)}"
        )


def _check_filled(masks: Mapping[str, np.ndarray], placements: Mapping[str, Sequence[_Placed]], subject: str) -> None:
    """Refuse a region, (n_columns,) bool, that is empty; says what its files hold."""
    for name, mask in masks.items():
        if not mask.any():
            contents_text = [
                f"{placement.row.label} holds {placement.content.holds}" for placement in placements.get(name, ())
            ]
            reason = f" ({'; '.join(contents_text)})" if contents_text else ""
            raise ValueError(f"ROI {name!r} of {subject} is empty{reason}; there are: {_listed(masks)}")


def _rounded(affine: np.ndarray) -> list[list[float]]:
    rounded: list[list[float]] = np.round(affine.astype(np.float64), 4).tolist()
    return rounded


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
