"""Betas of NSD, which stay on disk until they are asked for: in volumes of 1.8 mm, and on fsaverage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boldflow.artifacts.formats import volumes
from boldflow.artifacts.releases import beta_files, nsd_files, nsd_tables, nsd_tree
from boldflow.core.records.runs import BetaRun, Grid
from boldflow.vocabulary.hemispheres import HEMISPHERES

SCALE = 300.0  # of betas in volumes: whole numbers, so many a percent of signal change


@dataclass(frozen=True)
class _Columns:
    """What all sessions' betas share: places, regions and noise ceilings of their columns, (n_columns,) each."""

    places: dict[str, np.ndarray]
    rois: dict[str, np.ndarray]
    ceilings: dict[str, np.ndarray] = field(default_factory=dict)
    grid: Grid | None = None

    def record(self, session: str, names: np.ndarray, betas: beta_files.MaskedBetas) -> BetaRun:
        """Give a session's betas, of the pictures ``names`` (n_trials,)."""
        return BetaRun(session, None, names, betas, "percent", self.places, self.rois, self.ceilings, grid=self.grid)


def volume_records(
    root: Path, subject: str, names: Mapping[str, np.ndarray], sets: Sequence[str], mask: Sequence[str], ending: str
) -> Iterator[BetaRun]:
    """Yield each session's betas of the voxels in any of ``mask``.

    Parameters
    ----------
    root : Path
    subject : str
    names : mapping
        Pictures of each session's trials, by its label.
    sets, mask : sequences of str
        Sets of regions that are named, and those of them whose voxels are read.
    ending : str
        Of the files of betas.
    """
    regions = {name: nsd_files.volume(root / nsd_tree.volume_regions(subject, name)) for name in sets}
    voxel_mask = _inside(regions, subject, mask)
    betas = {}
    for session, image_ids in names.items():  # all headers before the first voxel
        path = root / nsd_tree.volume_betas(subject, int(session), ending)
        _check_file(path, voxel_mask.shape, len(image_ids))
        betas[session] = beta_files.masked([path], [voxel_mask], SCALE, len(image_ids))
    ncsnr_path = root / nsd_tree.volume_ncsnr(subject)
    ncsnr = nsd_files.volume(ncsnr_path)  # (x, y, z)
    if ncsnr.shape != voxel_mask.shape:
        raise ValueError(f"{ncsnr_path} is on a grid of {ncsnr.shape}, the regions of {subject} on {voxel_mask.shape}")
    columns = _Columns(
        places=dict(zip("ijk", np.argwhere(voxel_mask).T, strict=True)),
        rois=_regions(root, subject, {name: region_map[voxel_mask] for name, region_map in regions.items()}),
        ceilings=_ceilings(ncsnr_path, ncsnr[voxel_mask]),
        grid=Grid(ncsnr.shape, volumes.affine(ncsnr_path)),
    )
    for session, session_betas in betas.items():
        yield columns.record(session, names[session], session_betas)


def surface_records(
    root: Path, subject: str, names: Mapping[str, np.ndarray], sets: Sequence[str]
) -> Iterator[BetaRun]:
    """Yield each session's betas on fsaverage, left hemisphere first; parameters as in ``volume_records``."""
    ncsnr_paths = nsd_tree.surface_ncsnr(subject)
    ncsnr = _both_sides(root, ncsnr_paths)  # (n_vertices,)
    n_per_side = len(ncsnr) // 2
    regions = {name: _both_sides(root, nsd_tree.surface_regions(name)) for name in sets}
    for name, region_map in regions.items():
        if len(region_map) != len(ncsnr):
            raise ValueError(f"regions {name} have {len(region_map)} vertices, ncsnr of {subject} {len(ncsnr)}")
    columns = _Columns(
        places={"hemisphere": np.repeat(HEMISPHERES, n_per_side), "vertex": np.tile(np.arange(n_per_side), 2)},
        rois=_regions(root, "fsaverage", regions),
        ceilings=_ceilings(root / ncsnr_paths[0], ncsnr),
    )
    side_masks = [np.ones(n_per_side, dtype=bool)] * 2
    for session, image_ids in names.items():
        paths = [root / path for path in nsd_tree.surface_betas(subject, int(session))]
        yield columns.record(session, image_ids, beta_files.masked(paths, side_masks, 1.0, len(image_ids)))


def _inside(regions: Mapping[str, np.ndarray], subject: str, mask: Sequence[str]) -> np.ndarray:
    """Mark the voxels in any of the sets ``mask``, (x, y, z) bool."""
    shapes = {name: region_map.shape for name, region_map in regions.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"regions of {subject} lie on different grids: {shapes}; get those of func1pt8mm again")
    voxel_mask: np.ndarray = np.any([regions[name] > 0 for name in mask], axis=0)
    if not voxel_mask.any():
        raise ValueError(f"the mask of {subject} ({', '.join(mask)}) has no voxel above 0")
    return voxel_mask


def _both_sides(root: Path, paths: Sequence[str]) -> np.ndarray:
    return np.concatenate([nsd_files.surface_values(root / path) for path in paths], axis=-1)


def _regions(root: Path, owner: str, sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name the regions of sets of numbered places, each (n_columns,); those that are empty are left out."""
    masks: dict[str, np.ndarray] = {}
    for name, values in sets.items():
        unnamed = name in nsd_tree.UNNAMED
        numbers = {} if unnamed else nsd_tables.region_names(root / nsd_tree.region_names(owner, name))
        masks |= nsd_tables.named_regions(name, values, numbers)
    return {name: inside for name, inside in masks.items() if inside.any()}


def _ceilings(path: Path, ncsnr: np.ndarray) -> dict[str, np.ndarray]:
    """Ratio of signal and noise, and noise ceilings, shares of variance, of single trials and of means of three."""
    if (ncsnr < 0).any():
        raise ValueError(f"{path} holds values below 0, down to {ncsnr.min():g}; expected ratios of two spreads")
    ratios = np.nan_to_num(ncsnr, nan=0.0).astype(np.float32)
    signal = np.square(ratios, dtype=np.float64)
    shares = {f"nc_{n}": (signal / (signal + 1 / n)).astype(np.float32) for n in (1, nsd_tables.REPEATS)}
    return {"ncsnr": ratios, **shares}


def _check_file(path: Path, grid: tuple[int, ...], n_trials: int) -> None:
    beta_file = beta_files.open_betas(path)
    if beta_file.grid != grid:
        raise ValueError(
            f"{path} is on a grid of {beta_file.grid} voxels, the regions on one of {grid}: are they of another "
            "subject, or of another preparation (func1mm)?"
        )
    if beta_file.n_trials != n_trials:
        raise ValueError(
            f"{path} holds {beta_file.n_trials} betas, and the session has {n_trials} trials: get it again"
        )
    if beta_file.dtype.kind != "i":
        raise ValueError(f"{path} holds {beta_file.dtype}, expected whole numbers, {SCALE:g} a percent")
