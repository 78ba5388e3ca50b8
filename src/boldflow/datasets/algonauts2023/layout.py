"""Names of files in the challenge's folder: pictures of each subject, betas, and masks of regions."""

import re
from collections.abc import Sequence
from pathlib import Path

SIDES = ("lh", "rh")  # as files and regions are called
SPLIT = "{subject}/training_split"
NAME = re.compile(r"train-([0-9]{4,})_(nsd-[0-9]{5})\.png")
FSAVERAGE = "all-vertices_fsaverage_space"  # mask of the challenge's vertices among fsaverage's


def betas_of(subject: str) -> list[str]:
    """Name the files of betas, left hemisphere first."""
    return [f"{SPLIT.format(subject=subject)}/training_fmri/{side}_training_fmri.npy" for side in SIDES]


def mask_of(subject: str, side: str, name: str) -> str:
    """Name a map of a hemisphere's vertices."""
    return f"{subject}/roi_masks/{side}.{name}.npy"


def mapping_of(subject: str, name: str) -> str:
    """Name the table that says what a set's numbers mean."""
    return f"{subject}/roi_masks/mapping_{name}.npy"


def set_of(name: str) -> str:
    """Name the map of a set of regions."""
    return f"{name}_challenge_space"


def masks_of(subject: str, regions: Sequence[str]) -> list[str]:
    """Name all maps that a subject's sets of regions need, and the tables of their numbers."""
    sets = [FSAVERAGE, *map(set_of, regions)]
    masks = [mask_of(subject, side, name) for name in sets for side in SIDES]
    return masks + [mapping_of(subject, name) for name in regions]


def pictures_of(root: Path, subject: str) -> dict[str, str]:
    """Map the pictures of a subject to their paths below the folder, in the order of the rows of betas.

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If names are not those of the layout, numbers leave one out, or a picture comes twice.
    """
    folder = f"{SPLIT.format(subject=subject)}/training_images"
    files = sorted(path.name for path in (root / folder).glob("*.png"))
    if not files:
        raise FileNotFoundError(f"{root / folder} has no pictures; expected such as train-0001_nsd-00013.png")
    paths: dict[str, str] = {}
    for row, file in enumerate(files, 1):
        match = NAME.fullmatch(file)
        if match is None:
            raise ValueError(f"{root / folder}/{file}: expected a name such as train-0001_nsd-00013.png")
        if int(match[1]) != row:
            raise ValueError(
                f"{root / folder}/{file} is the {row}th by name: numbers must run from 1 without a gap, since they are "
                "rows of betas; is a file missing, or twice?"
            )
        if match[2] in paths:
            raise ValueError(f"{root / folder}/{file} is of the same picture as {paths[match[2]]}; expected one each")
        paths[match[2]] = f"{folder}/{file}"
    return paths
