"""Splits: written once per data set, for all subjects together."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts import sidecars, stimuli, tables
from boldflow.core import duplicates, splits
from boldflow.stages._arrival import read_settings

LARGEST_GROUP = 20  # pictures in a duplicate group; more means that something else than copies was found


def run(
    trials: list[str],
    packs: list[str],
    tables_: list[str],
    split: str,
    sidecar: str,
    dataset: str,
    settings: str,
    facts: str,
    code: str,
) -> None:
    """Group duplicates, apply the rule, check that nothing crosses, and write table and sidecar.

    Parameters
    ----------
    trials : paths of the trial tables of all subjects
    packs, tables_ : paths of the stimulus packs and tables: the data set's own first, then those of ``against``
    split, sidecar : paths of the Parquet and the JSON to write
    dataset : name of the data set
    settings : the split's catalogue entry, JSON text
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If a duplicate group has more than ``LARGEST_GROUP`` pictures, or the rule leaves nothing to train or test on.
    """
    rule, known = read_settings(settings), read_settings(facts)
    rows = pd.concat([tables.read(path) for path in trials], ignore_index=True)
    names = [dataset, *rule["against"]]
    pictures = {name: tables.read(path) for name, path in zip(names, tables_, strict=True)}
    overlaps = _overlaps(names, packs, pictures) if known["images"] else []
    everywhere = [(name, image) for name, table in pictures.items() for image in table["image_id"]]
    joined = splits.duplicate_groups(
        (_full(*one) for one in everywhere),
        ((_full(o["dataset"], o["image_id"]), _full(o["other_dataset"], o["other_image_id"])) for o in overlaps),
    )
    members = _members(joined)
    own = {image: joined[_full(dataset, image)] for image in pictures[dataset]["image_id"]}
    # a group is named by its first picture here, whatever it is called in another data set
    first = {group: min(image for image, g in own.items() if g == group) for group in set(own.values())}
    groups = {image: first[group] for image, group in own.items()}
    table = splits.make_split(rows, groups, rule, known["split_unit"])
    note = {
        "rule": rule,
        "unit": known["split_unit"],
        "counts": splits.summary(table),
        "pictures_never_shown": len(set(own) - set(rows["image_id"])),
        "duplicate_groups": members,
        "overlaps": overlaps,
        "grouped_by": ["pixels", "perceptual hash and aligned correlation"] if known["images"] else [],
        "code": code,
        "data": [tables.sidecar(path)["data"] for path in (*sorted(trials), *tables_)],
    }
    tables.write(split, table, note)
    sidecars.write(sidecar, note)


def _full(dataset: str, image: str) -> str:
    return f"{dataset}/{image}"


def _members(groups: dict[str, str]) -> list[list[str]]:
    """List groups of two or more."""
    found: dict[str, list[str]] = {}
    for image, group in groups.items():
        found.setdefault(group, []).append(image)
    several = [sorted(names) for names in found.values() if len(names) > 1]
    for names in several:
        if len(names) > LARGEST_GROUP:
            raise ValueError(
                f"{len(names)} pictures count as one, the first are {names[:5]}; more than {LARGEST_GROUP} are no "
                "copies: look at them (a blank or broken picture?) before you split"
            )
    return sorted(several)


def _overlaps(names: list[str], packs: list[str], pictures: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """List pairs of pictures that are the same, within the data set and between it and each other one."""
    views = {
        name: _hashes(name, pack, pictures[name]) for name, pack in zip(names, packs, strict=True)
    }  # (whole, probes) of each data set
    readers = {name: _reader(pack, pictures[name]) for name, pack in zip(names, packs, strict=True)}
    own = names[0]
    found = []
    for other in names:
        pairs = {(a, b): "pixels" for a, b in _same_pixels(pictures[own], pictures[other], own == other)}
        near = duplicates.near_pairs(*views[own], *(views[other] if other != own else (None, None)))
        near = np.array([p for p in near if tuple(p) not in pairs], dtype=int).reshape(-1, 2)
        for a, b in duplicates.confirmed_pairs(near, readers[own], readers[other]):
            pairs[(int(a), int(b))] = "perceptual hash and aligned correlation"
        for (a, b), how in sorted(pairs.items()):
            ids = str(pictures[own]["image_id"].iloc[a]), str(pictures[other]["image_id"].iloc[b])
            found.append(
                {"dataset": own, "image_id": ids[0], "other_dataset": other, "other_image_id": ids[1], "found_by": how}
            )
    return found


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


def _same_pixels(one: pd.DataFrame, other: pd.DataFrame, within: bool) -> list[tuple[int, int]]:
    """Pair rows with the same SHA-256 of size and pixels."""
    left = one.reset_index()[["index", "sha256"]]
    right = other.reset_index()[["index", "sha256"]]
    both = left[left["sha256"] != ""].merge(right, on="sha256")
    pairs = zip(both["index_x"], both["index_y"], strict=True)
    return [(int(a), int(b)) for a, b in pairs if not within or a < b]
