"""BOLD of BOLD5000 as fMRIPrep left it: on each subject's own surface, and in volumes aligned to the T1w image."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from boldflow.artifacts.formats import bids, bids_times, confounds, surfaces
from boldflow.core.records.runs import BoldRun, Confounds, Mesh, SliceTiming, SurfaceRun
from boldflow.datasets.bold5000.layout import MASKS, PREP, SIDECAR, SPHERES, region_name, sidecar_beside
from boldflow.provenance import is_reached


def volume_runs(root: Path, subject: str, slice_time_ref: float | None) -> Iterator[BoldRun]:
    """Yield each run in volumes; the mask is of the voxels that lie in the brain mask of every run."""
    mask = brain_mask(root, subject)
    mask_path = root / _brain_masks(root, subject)[0]
    mask_image, _ = bids.mask(mask_path)
    for path in bids.found(root, PREP.format(subject=subject, suffix="space-T1w_preproc.nii.gz")):
        image, bold = bids.bold(root / path)  # (x, y, z, n_volumes)
        bids.check_grid(root / path, image, mask_path, mask_image)
        tr_s, slice_timing = _times(root, path, slice_time_ref)
        tr_s = bids_times.header_tr(image) | tr_s
        labels = (bids.entity(path, "ses"), bids.entity(path, "run"))
        confounds_reader = _confounds(root, path, "_space-T1w_preproc.nii.gz")
        yield BoldRun(*labels, bold, np.asarray(image.affine), mask, tr_s, "native", confounds_reader, slice_timing)


def surface_runs(root: Path, subject: str, slice_time_ref: float | None) -> Iterator[SurfaceRun]:
    """Yield each run on the subject's own surface, with the registered spheres."""
    spheres = tuple(Mesh(*surfaces.triangles(root / SPHERES.format(subject=subject, side=side))) for side in "lr")
    for path in bids.found(root, PREP.format(subject=subject, suffix="space-fsnative.L.func.gii")):
        paths = [root / path, root / path.replace(".L.func.gii", ".R.func.gii")]
        (left_series, left_tr_s), (right_series, right_tr_s) = (surfaces.time_series(file) for file in paths)
        if len(left_series) != len(right_series):
            raise ValueError(
                f"{paths[0]} has {len(left_series)} volumes, {paths[1]} {len(right_series)}: get the shorter one again"
            )
        for file, series, sphere in zip(paths, (left_series, right_series), spheres, strict=True):
            if series.shape[1] != len(sphere.vertices):
                raise ValueError(
                    f"{file} has {series.shape[1]} vertices, the registered sphere of {subject} {len(sphere.vertices)}"
                )
        headers = {"left header": left_tr_s, "right header": right_tr_s}
        tr_s, slice_timing = _times(root, path, slice_time_ref)
        tr_s |= {header: tr for header, tr in headers.items() if tr is not None}
        labels = (bids.entity(path, "ses"), bids.entity(path, "run"))
        confounds_reader = _confounds(root, path, "_space-fsnative.L.func.gii")
        both_series = (left_series, right_series)
        yield SurfaceRun(*labels, both_series, (spheres[0], spheres[1]), tr_s, confounds_reader, slice_timing)


def brain_mask(root: Path, subject: str) -> np.ndarray:
    """Voxels in the brain mask of every run, (x, y, z): one set of columns for all runs."""
    first_path, *other_paths = _brain_masks(root, subject)
    first_image, mask = bids.mask(root / first_path)
    for path in other_paths:
        image, run_mask = bids.mask(root / path)
        bids.check_grid(root / path, image, root / first_path, first_image)
        mask &= run_mask
    return mask


def regions_of(root: Path, subject: str) -> dict[str, np.ndarray]:
    """Regions within the brain mask, (n_voxels,) bool: of each hemisphere, and of both."""
    mask = brain_mask(root, subject)
    mask_path = root / _brain_masks(root, subject)[0]
    mask_image, _ = bids.mask(mask_path)
    regions: dict[str, np.ndarray] = {}
    for path in bids.found(root, MASKS.format(subject=subject)):
        image, region_in_volume = bids.mask(root / path)
        bids.check_grid(root / path, image, mask_path, mask_image)
        name = Path(path).name.removesuffix(".nii.gz").split("_mask-")[1]  # such as LHPPA
        side, name = name[:2], region_name(name[2:])
        region = region_in_volume[mask]
        regions[f"{side}-{name}"] = region
        regions[name] = regions[name] | region if name in regions else region
    return regions


def _brain_masks(root: Path, subject: str) -> list[str]:
    return bids.found(root, PREP.format(subject=subject, suffix="space-T1w_brainmask.nii.gz"))


def _times(root: Path, path: str, slice_time_ref: float | None) -> tuple[dict[str, float], SliceTiming]:
    """Repetition time and slice timing that the sidecar of the raw BOLD states, or one beside the file itself."""
    paths = [root / SIDECAR, *(root / name for name in [sidecar_beside(path)] if is_reached(root, name))]
    content = bids_times.sidecar(paths)
    slice_timing = SliceTiming(*bids_times.slice_timing(content, paths[-1]), slice_time_ref)
    return bids_times.sidecar_tr(content, paths[-1]), slice_timing


def _confounds(root: Path, path: str, ending: str) -> Confounds:
    """Read the table beside a run's BOLD when it is asked for."""
    return functools.partial(confounds.read, root / path.replace(ending, "_confounds.tsv"))
