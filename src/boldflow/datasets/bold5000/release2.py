"""Betas of BOLD5000's release 2.0, read from a folder of the user's own: in the brain mask, and in regions.

The affine in the headers of betas is known to be wrong: only their shape is compared with that of the brain mask.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.formats import bids, volumes
from boldflow.artifacts.store import arrays
from boldflow.core.records.runs import BetaRun
from boldflow.datasets.bold5000.layout import region_name

BETAS = "{person}_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_{part}"  # {person} is CSI1
BRAIN_MASK, IMAGE_NAMES = "{person}_brainmask.nii.gz", "{person}_imgnames.txt"
SESSION, REGION = re.compile(r"_ses-(\d\d)\.nii\.gz$"), re.compile(r"_allses_([LR]H)(\w+)\.npy$")


def paths_in_mask(root: str | Path, subject: str) -> list[str]:
    """Name the files of betas in the brain mask, below ``root``."""
    shared = [own_folder.one(root, name.format(person=_person(subject))) for name in (BRAIN_MASK, IMAGE_NAMES)]
    return [*shared, *_session_paths(root, subject).values()]


def paths_in_regions(root: str | Path, subject: str) -> list[str]:
    """Name the files of betas in regions, below ``root``."""
    names = own_folder.one(root, IMAGE_NAMES.format(person=_person(subject)))
    return [names, *_region_paths(root, subject).values()]


def in_mask(root: Path, subject: str) -> Iterator[BetaRun]:
    """Yield the betas of each session in the brain mask."""
    mask_path = root / own_folder.one(root, BRAIN_MASK.format(person=_person(subject)))
    _, mask = bids.mask(mask_path)
    if not mask.any():
        raise ValueError(f"{mask_path} has no voxel above 0")
    paths = {session: root / path for session, path in _session_paths(root, subject).items()}
    n_trials = {}
    for session, path in paths.items():  # all headers before the first voxel
        shape = volumes.shape(path)
        if len(shape) != 4 or shape[:3] != mask.shape:
            raise ValueError(f"{path} has shape {shape}, and {mask_path} {mask.shape}; expected a volume per trial")
        n_trials[session] = shape[3]
    sessions_text = f"the {len(n_trials)} sessions ({_listed(n_trials)}) of {root}"
    image_names = _image_names(root, subject, sum(n_trials.values()), sessions_text)
    places = dict(zip("ijk", np.argwhere(mask).T, strict=True))
    start = 0
    for session, path in paths.items():
        stop = start + n_trials[session]
        yield BetaRun(session, None, image_names[start:stop], volumes.in_mask(path, mask), "percent", places)
        start = stop


def in_regions(root: Path, subject: str) -> Iterator[BetaRun]:
    """Yield the betas of all sessions, the voxels of all regions side by side."""
    paths = {key: root / path for key, path in _region_paths(root, subject).items()}
    parts = {key: arrays.read(path) for key, path in paths.items()}  # (n_trials, n_voxels) each
    (first_path, first_part), *_ = zip(paths.values(), parts.values(), strict=True)
    for path, part in zip(paths.values(), parts.values(), strict=True):
        if part.ndim != 2 or part.dtype.kind != "f" or len(part) != len(first_part):
            raise ValueError(
                f"{path} is {part.dtype} of shape {part.shape}, and {first_path} of {first_part.shape}; expected real "
                "numbers of shape (n_trials, n_voxels), with the same trials"
            )
    image_names = _image_names(root, subject, len(first_part), str(first_path))
    region_number = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts.values()])  # (n_columns,)
    regions: dict[str, np.ndarray] = {}
    for number, (side, region) in enumerate(parts):
        for key in (f"{side}-{region}", region):
            regions[key] = regions.get(key, False) | (region_number == number)
    betas = np.concatenate(list(parts.values()), axis=1, dtype=np.float32)
    filled_regions = {key: region for key, region in regions.items() if region.any()}
    yield BetaRun(None, None, image_names, betas, "percent", {"column": np.arange(betas.shape[1])}, filled_regions)


def _person(subject: str) -> str:
    return subject.removeprefix("sub-")


def _session_paths(root: str | Path, subject: str) -> dict[str, str]:
    """File of each session's betas by its label, none left out before the last."""
    paths = own_folder.every(root, BETAS.format(person=_person(subject), part="ses-*.nii.gz"))
    path_by_session = {match[1]: path for path in paths if (match := SESSION.search(path))}
    expected_sessions = [f"{number:02}" for number in range(1, len(path_by_session) + 1)]
    if list(path_by_session) != expected_sessions:
        raise ValueError(
            f"{root} has betas of sessions {_listed(path_by_session)} of {subject}, expected "
            f"{_listed(expected_sessions)}"
        )
    return path_by_session


def _region_paths(root: str | Path, subject: str) -> dict[tuple[str, str], str]:
    """File of each region's betas by side and name, the name that most files use; sorted."""
    path_by_region: dict[tuple[str, str], str] = {}
    for path in own_folder.every(root, BETAS.format(person=_person(subject), part="allses_*.npy")):
        match = REGION.search(path)
        if match is None:
            raise ValueError(f"{root}: {path} names no side and region, expected such as allses_LHPPA.npy")
        key = (match[1], region_name(match[2]))
        if key in path_by_region:
            raise ValueError(
                f"{root} has two files of {'-'.join(key)} of {subject}: {path_by_region[key]} and {path}; keep one"
            )
        path_by_region[key] = path
    return dict(sorted(path_by_region.items()))


def _image_names(root: Path, subject: str, n_betas: int, where: str) -> np.ndarray:
    """Names of the pictures of all trials, in order, as many as there are betas."""
    path = root / own_folder.one(root, IMAGE_NAMES.format(person=_person(subject)))
    names = own_folder.lines(path)
    if len(names) != n_betas:
        raise ValueError(f"{path} names {len(names)} trials, and {where} have {n_betas} betas; expected as many")
    return np.array(names, dtype=object)


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(labels) or "none"
