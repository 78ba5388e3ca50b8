"""Pictures that are the same: within a data set, and between it and others, by name, label, pixels and likeness."""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import stimuli
from boldflow.core.pictures import duplicates
from boldflow.core.splits import assignment

COCO_LABEL = "label_coco_id"  # column of a pack's table
COCO_NUMBER, SAME_PIXELS, ALIKE = "COCO number", "pixels", "perceptual hash and aligned correlation"
IDENTITY, BY_PIXELS = ["image_id", COCO_NUMBER], [SAME_PIXELS, ALIKE]
LARGEST_GROUP = 20  # pictures in a duplicate group; more means that something else than copies was found

Picture = tuple[str, str]  # data set and image_id


@dataclass(frozen=True)
class Overlap:
    """Two pictures that are the same, the first of the data set that is split, and what told it."""

    dataset: str
    image_id: str
    other_dataset: str
    other_image_id: str
    found_by: str

    @property
    def pair(self) -> tuple[Picture, Picture]:
        """The two pictures."""
        return (self.dataset, self.image_id), (self.other_dataset, self.other_image_id)


@dataclass(frozen=True)
class Stimuli:
    """Pictures of data sets, the one that is split first.

    ``images`` has the image_ids of each data set; ``tables`` and ``packs`` are there where pictures are at hand.
    """

    images: Mapping[str, list[str]]
    tables: Mapping[str, pd.DataFrame]
    packs: Mapping[str, str]

    @property
    def dataset(self) -> str:
        """The data set that is split."""
        return next(iter(self.images))


@dataclass(frozen=True)
class Groups:
    """Duplicate groups of the data set that is split.

    ``of_image`` leads from an image_id to its group's name, the group's first image_id in this data set; ``several``
    lists the groups of two or more in full names (``dataset/image_id``).
    """

    of_image: dict[str, str]
    several: list[list[str]]


def overlaps_of(pictures: Stimuli, joins_alike: bool = True) -> list[Overlap]:
    """List pairs of pictures that are the same: by name, and by pixels where they are at hand.

    ``joins_alike``: pictures whose pixels differ, but which look like copies of each other, are the same too.
    """
    name_overlaps = same_names(pictures)
    return name_overlaps + (_same_looks(pictures, name_overlaps, joins_alike) if pictures.packs else [])


def tell_alike(overlaps: Iterable[Overlap], split_name: str) -> None:
    """Say in the log which pictures count as one though their pixels differ."""
    pairs = [f"{overlap.image_id} = {overlap.other_image_id}" for overlap in overlaps if overlap.found_by == ALIKE]
    if pairs:
        logging.getLogger(__name__).warning(
            "%d pairs of pictures count as one though their pixels differ, since they look like copies (%s), the first "
            "are %s; where they are different pictures set splits.%s.duplicates to identical",
            len(pairs), ALIKE, ", ".join(pairs[:5]), split_name,
        )  # fmt: skip


def group(pictures: Stimuli, overlaps: Iterable[Overlap]) -> Groups:
    """Join pictures that are the same into groups.

    Raises
    ------
    ValueError
        If a group has more than ``LARGEST_GROUP`` pictures.
    """
    all_pictures = ((name, image) for name, images in pictures.images.items() for image in images)
    pairs = (overlap.pair for overlap in overlaps)
    group_of_picture = assignment.duplicate_groups(map(_full, all_pictures), ((_full(a), _full(b)) for a, b in pairs))
    several = _several(group_of_picture)
    image_ids = pictures.images[pictures.dataset]
    # a group is named by its first picture here, whatever it is called in another data set
    first_image: dict[str, str] = {}
    for image in sorted(image_ids):
        first_image.setdefault(group_of_picture[_full((pictures.dataset, image))], image)
    return Groups(
        {image: first_image[group_of_picture[_full((pictures.dataset, image))]] for image in image_ids}, several
    )


def same_names(pictures: Stimuli) -> list[Overlap]:
    """List pairs of pictures with one COCO number, by name or by the label ``coco_id``."""
    number_of_picture: dict[Picture, int] = {}
    for name, table in pictures.tables.items():
        if COCO_LABEL in table:
            numbered_rows = table[table[COCO_LABEL].fillna("").str.fullmatch(r"\d+")]
            number_of_picture |= {
                (name, i): int(n) for i, n in zip(numbered_rows["image_id"], numbered_rows[COCO_LABEL], strict=True)
            }
    pictures_of_number: dict[int, list[Picture]] = {}
    for name, images in pictures.images.items():
        for image in images:
            number = number_of_picture.get((name, image), duplicates.coco_id(image))
            if number is not None:
                pictures_of_number.setdefault(number, []).append((name, image))
    return [
        Overlap(*picture, *other_picture, COCO_NUMBER)
        for picture, *other_pictures in pictures_of_number.values()
        if picture[0] == pictures.dataset
        for other_picture in other_pictures
    ]


def _full(picture: Picture) -> str:
    return "/".join(picture)


def _several(groups: Mapping[str, str]) -> list[list[str]]:
    """List groups of two or more, in full names."""
    images_of_group: dict[str, list[str]] = {}
    for image, name in groups.items():
        images_of_group.setdefault(name, []).append(image)
    group_lists = [sorted(images) for images in images_of_group.values() if len(images) > 1]
    for images in group_lists:
        if len(images) > LARGEST_GROUP:
            raise ValueError(
                f"{len(images)} pictures count as one, the first are {images[:5]}; more than {LARGEST_GROUP} are no "
                "copies: look at them (a blank or broken picture?) before you split"
            )
    return sorted(group_lists)


def _same_looks(pictures: Stimuli, name_overlaps: Sequence[Overlap], joins_alike: bool) -> list[Overlap]:
    """List pairs of pictures that look the same, without those that names tell."""
    known_pairs = {overlap.pair for overlap in name_overlaps}
    packs, tables, dataset = pictures.packs, pictures.tables, pictures.dataset
    alike_pairs = _alike(pictures) if joins_alike else {}
    overlaps = []
    for other_dataset in packs:
        pairs = dict.fromkeys(
            _same_pixels(tables[dataset], tables[other_dataset], dataset == other_dataset), SAME_PIXELS
        )
        pairs = dict.fromkeys(alike_pairs.get(other_dataset, []), ALIKE) | pairs
        for (a, b), found_by in sorted(pairs.items()):
            picture = dataset, str(tables[dataset]["image_id"].iloc[a])
            other_picture = other_dataset, str(tables[other_dataset]["image_id"].iloc[b])
            if (picture, other_picture) not in known_pairs:
                overlaps.append(Overlap(*picture, *other_picture, found_by))
    return overlaps


def _alike(pictures: Stimuli) -> dict[str, list[tuple[int, int]]]:
    """Pair rows of pictures that look like copies of each other, by the second one's data set."""
    packs, tables, dataset = pictures.packs, pictures.tables, pictures.dataset
    hashes = {name: _hashes(name, pack, tables[name]) for name, pack in packs.items()}  # (whole, probes)
    readers = {name: _reader(pack, tables[name]) for name, pack in packs.items()}
    alike_pairs = {}
    for other_dataset in packs:
        near_pairs = duplicates.near_pairs(
            *hashes[dataset], *(hashes[other_dataset] if other_dataset != dataset else (None, None))
        )
        equal_pairs = set(_same_pixels(tables[dataset], tables[other_dataset], dataset == other_dataset))
        near_pairs = np.array([p for p in near_pairs if tuple(p) not in equal_pairs], dtype=int).reshape(-1, 2)
        confirmed_pairs = duplicates.confirmed_pairs(near_pairs, readers[dataset], readers[other_dataset])
        alike_pairs[other_dataset] = [(int(a), int(b)) for a, b in confirmed_pairs]
    return alike_pairs


def _hashes(name: str, pack: str, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of whole pictures (n,) and of slight crops of them (n, n_probes)."""
    with stimuli.Pack(pack, table) as reader:
        rows = [
            duplicates.probe_hashes(reader.read(image))
            for image in tqdm(table["image_id"], desc=f"hash pictures of {name}", unit="image")
        ]
    probes = np.array(rows, dtype=np.uint64)
    return probes[:, 0], probes


def _reader(pack: str, table: pd.DataFrame) -> Callable[[int], np.ndarray]:
    """Give a function from a row of the table to its picture in grey; the last ones stay in memory."""

    @functools.lru_cache(maxsize=2048)
    def read(row: int) -> np.ndarray:
        with stimuli.Pack(pack, table) as reader:
            return duplicates.grey(reader.read(table["image_id"].iloc[row]))

    return read


def _same_pixels(table: pd.DataFrame, other_table: pd.DataFrame, same_dataset: bool) -> list[tuple[int, int]]:
    """Pair rows with the same SHA-256 of size and pixels."""
    rows_a = table.reset_index()[["index", "sha256"]]
    rows_b = other_table.reset_index()[["index", "sha256"]]
    joined = rows_a[rows_a["sha256"] != ""].merge(rows_b, on="sha256")
    pairs = zip(joined["index_x"], joined["index_y"], strict=True)
    return [(int(a), int(b)) for a, b in pairs if not same_dataset or a < b]
