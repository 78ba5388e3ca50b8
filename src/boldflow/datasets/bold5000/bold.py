"""BOLD of BOLD5000 as fMRIPrep left it: on each subject's own surface, and in volumes aligned to the T1w image."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from boldflow.artifacts.formats import bids, confounds, surfaces
from boldflow.core.records.runs import BoldRun, Confounds, Mesh, SurfaceRun
from boldflow.datasets.bold5000.layout import MASKS, PREP, SIDECAR, SPHERES, region_name


def volume_runs(root: Path, subject: str) -> Iterator[BoldRun]:
    """Yield each run in volumes; the mask is of the voxels that lie in the brain mask of every run."""
    mask = brain_mask(root, subject)
    mask_path = root / _brain_masks(root, subject)[0]
    mask_image, _ = bids.volume(mask_path)
    sidecar_tr_s = bids.sidecar_tr(root / SIDECAR)
    for path in bids.found(root, PREP.format(subject=subject, suffix="space-T1w_preproc.nii.gz")):
        image, bold = bids.volume(root / path)  # (x, y, z, n_volumes)
        bids.check_grid(root / path, image, mask_path, mask_image)
        tr_s = {"header": bids.header_tr(image), "sidecar": sidecar_tr_s}
        labels = (bids.entity(path, "ses"), bids.entity(path, "run"))
        confounds_reader = _confounds(root, path, "_space-T1w_preproc.nii.gz")
        yield BoldRun(*labels, bold, np.asarray(image.affine), mask, tr_s, "native", confounds_reader)


def surface_runs(root: Path, subject: str) -> Iterator[SurfaceRun]:
    """Yield each run on the subject's own surface, with the registered spheres."""
    spheres = tuple(Mesh(*surfaces.triangles(root / SPHERES.format(subject=subject, side=side))) for side in "lr")
    sidecar_tr_s = bids.sidecar_tr(root / SIDECAR)
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
        tr_s = {"sidecar": sidecar_tr_s} | {header: tr for header, tr in headers.items() if tr is not None}
        labels = (bids.entity(path, "ses"), bids.entity(path, "run"))
        confounds_reader = _confounds(root, path, "_space-fsnative.L.func.gii")
        yield SurfaceRun(*labels, (left_series, right_series), (spheres[0], spheres[1]), tr_s, confounds_reader)


def brain_mask(root: Path, subject: str) -> np.ndarray:
    """Voxels in the brain mask of every run, (x, y, z): one set of columns for all runs."""
    first_path, *other_paths = _brain_masks(root, subject)
    first_image, mask_values = bids.volume(root / first_path)
    mask = mask_values > 0
    for path in other_paths:
        image, mask_values = bids.volume(root / path)
        bids.check_grid(root / path, image, root / first_path, first_image)
        mask &= mask_values > 0
    return mask


def regions_of(root: Path, subject: str) -> dict[str, np.ndarray]:
    """Regions within the brain mask, (n_voxels,) bool: of each hemisphere, and of both."""
    mask = brain_mask(root, subject)
    mask_path = root / _brain_masks(root, subject)[0]
    mask_image, _ = bids.volume(mask_path)
    regions: dict[str, np.ndarray] = {}
    for path in bids.found(root, MASKS.format(subject=subject)):
        image, region_values = bids.volume(root / path)
        bids.check_grid(root / path, image, mask_path, mask_image)
        name = Path(path).name.removesuffix(".nii.gz").split("_mask-")[1]  # such as LHPPA
        side, name = name[:2], region_name(name[2:])
        region = region_values[mask] > 0
        regions[f"{side}-{name}"] = region
        regions[name] = regions[name] | region if name in regions else region
    return regions


def _brain_masks(root: Path, subject: str) -> list[str]:
    return bids.found(root, PREP.format(subject=subject, suffix="space-T1w_brainmask.nii.gz"))


def _confounds(root: Path, path: str, ending: str) -> Confounds:
    """Read the table beside a run's BOLD when it is asked for."""
    return functools.partial(confounds.read, root / path.replace(ending, "_confounds.tsv"))
