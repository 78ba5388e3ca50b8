"""Splits: written once per data set, for all subjects together."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts.store import sidecars, stimuli, tables
from boldflow.core.pictures import duplicates
from boldflow.core.responses import cleaning
from boldflow.core.splits import assignment
from boldflow.settings import read_settings

IDENTITY = ["image_id", "COCO number"]
PIXELS = ["pixels", "perceptual hash and aligned correlation"]
LARGEST_GROUP = 20  # pictures in a duplicate group; more means that something else than copies was found


COCO_LABEL = "label_coco_id"  # column of a pack's table


def run(
    trials: list[str],
    packs: list[str],
    tables_: list[str],
    split: str,
    sidecar: str,
    dataset: str,
    dataset_settings: str,
    settings: str,
    response: str,
    facts: str,
    code: str,
) -> None:
    """Group duplicates, apply the rule, check that nothing crosses, and write table and sidecar.

    Without packs, pictures are the same where their names say so, and the sidecar says ``grouping: identity``.

    Parameters
    ----------
    trials : paths of the trial tables of all subjects
    packs, tables_ : paths of the stimulus packs and tables: the data set's own first, then those of ``against``; none
        where a data set's pictures are not at hand
    split, sidecar : paths of the Parquet and the JSON to write
    dataset : name of the data set
    dataset_settings : the data set's catalogue entry, JSON text
    settings : the split's catalogue entry, JSON text
    response : the catalogue entry of the response whose windows must not overlap (``windows_of``), JSON text, or ""
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage and the data set's plug-in, JSON text

    Raises
    ------
    ValueError
        If a duplicate group has more than ``LARGEST_GROUP`` pictures, or the rule leaves nothing to train or test on.
    """
    rule, known = read_settings(settings), read_settings(facts)
    rows = pd.concat([tables.read(path) for path in trials], ignore_index=True)
    by_pixels = known["images"] and bool(packs)
    names = [dataset, *(name for name in rule["against"] if name != dataset)] if tables_ else [dataset]
    pictures = {name: tables.read(path) for name, path in zip(names, tables_, strict=True)} if tables_ else {}
    images = {name: list(table["image_id"]) for name, table in pictures.items()}
    images = images or {dataset: sorted(set(rows.loc[rows["usable"], "image_id"]))}
    overlaps = _same_names(names, images, pictures) if known["images"] else []
    overlaps += _overlaps(names, packs, pictures, overlaps) if by_pixels else []
    joined = assignment.duplicate_groups(
        (_full(name, image) for name, found in images.items() for image in found),
        ((_full(o["dataset"], o["image_id"]), _full(o["other_dataset"], o["other_image_id"])) for o in overlaps),
    )
    members = _members(joined)
    # a group is named by its first picture here, whatever it is called in another data set
    first: dict[str, str] = {}
    for image in sorted(images[dataset]):
        first.setdefault(joined[_full(dataset, image)], image)
    groups = {image: first[joined[_full(dataset, image)]] for image in images[dataset]}
    wanted = _named(rule, read_settings(dataset_settings)["plugin"], rows)
    table = assignment.make_split(rows, groups, rule, known["split_unit"], wanted)
    windows: dict[str, Any] = {}
    if response:
        table, windows = _apart(rows, table, read_settings(response), known["tr_s"])
    note = {
        "rule": rule,
        "unit": known["split_unit"],
        "counts": assignment.summary(table),
        "pictures_never_shown": len(set(groups) - set(rows["image_id"])),
        "duplicate_groups": members,
        "overlaps": overlaps,
        "grouping": _grouping(known["images"], by_pixels),
        "grouped_by": (IDENTITY + (PIXELS if by_pixels else [])) if known["images"] else [],
        "not_compared_with": [] if by_pixels or not known["images"] else rule["against"],
        "published": _against_published(rows, table, rule, wanted),
        "code": code,
        "data": [tables.sidecar(path)["data"] for path in (*sorted(trials), *tables_)],
        **windows,
    }
    tables.write(split, table, note)
    sidecars.write(sidecar, note)


def _apart(
    rows: pd.DataFrame, table: pd.DataFrame, entry: dict[str, Any], tr_s: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop training trials whose windows overlap test trials', and count them by subject for the sidecar."""
    start_s, n_volumes = cleaning.window_volumes(entry["start_s"], entry["duration_s"], tr_s)
    first = pd.Series(
        cleaning.first_volumes(rows["onset_s"].to_numpy(), start_s, tr_s),
        index=pd.MultiIndex.from_frame(rows[assignment.TRIAL]),
    )
    kept = assignment.apart(table, first, n_volumes)
    dropped = table["subject"][kept["part"] != table["part"]].value_counts()
    counts = {str(subject): int(dropped.get(subject, 0)) for subject in sorted(set(table["subject"]))}
    window = {"of": entry["name"], "start_s": start_s, "n_volumes": n_volumes}
    return kept, {"windows": window, "dropped_for_overlap": counts}


def _grouping(images: bool, by_pixels: bool) -> str:
    return "pixels" if by_pixels else "identity" if images else "none"


def _named(rule: dict[str, Any], plugin: str, rows: pd.DataFrame) -> list[str]:
    """List the pictures of the published test set that the rule names: as the plug-in does, or its trial tables."""
    if rule["test"] != "named":
        return []
    known: dict[str, str] = registry.literal("datasets", plugin, "TEST_SETS")
    if known[rule["names"]] or "test_sets" not in rows:
        return known[rule["names"]].split()
    inside = rows["test_sets"].str.split().map(lambda names: rule["names"] in names)
    return sorted(set(rows.loc[inside, "image_id"]))


def _against_published(
    rows: pd.DataFrame, table: pd.DataFrame, rule: dict[str, Any], wanted: list[str]
) -> dict[str, Any] | None:
    """Say how a split by names compares with the published one, in which all pictures that are not named train."""
    if not wanted:
        return None
    shown = set(rows["image_id"])
    changed = assignment.mended(rows, table, wanted)
    return {
        "test_set": rule["names"],
        "pictures": len(wanted),
        "never_shown": sorted(set(wanted) - shown),
        "same": changed.empty,
        "mended": changed.to_dict(orient="records"),
    }


def _same_names(
    names: list[str], images: dict[str, list[str]], pictures: dict[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    """List pairs of pictures with one COCO number, by name or by the label ``coco_id``, as ``_overlaps`` does."""
    own = names[0]
    labelled: dict[tuple[str, str], int] = {}
    for name, table in pictures.items():
        if COCO_LABEL in table:
            told = table[table[COCO_LABEL].fillna("").str.fullmatch(r"\d+")]
            labelled |= {(name, i): int(n) for i, n in zip(told["image_id"], told[COCO_LABEL], strict=True)}
    known: dict[int, list[tuple[str, str]]] = {}
    for name in names:
        for image in images[name]:
            number = labelled.get((name, image), duplicates.coco_id(image))
            if number is not None:
                known.setdefault(number, []).append((name, image))
    found = []
    for same in known.values():
        if same[0][0] == own:
            found += [_pair(same[0], other, "COCO number") for other in same[1:]]
    return found


def _pair(one: tuple[str, str], other: tuple[str, str], how: str) -> dict[str, Any]:
    return {
        "dataset": one[0],
        "image_id": one[1],
        "other_dataset": other[0],
        "other_image_id": other[1],
        "found_by": how,
    }


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


def _overlaps(
    names: list[str], packs: list[str], pictures: dict[str, pd.DataFrame], known: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List pairs of pictures that look the same, within the data set and between it and each other one.

    Pairs that are known already are left out.
    """
    listed = {(o["dataset"], o["image_id"], o["other_dataset"], o["other_image_id"]) for o in known}
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
            one = own, str(pictures[own]["image_id"].iloc[a])
            two = other, str(pictures[other]["image_id"].iloc[b])
            if (*one, *two) not in listed:
                found.append(_pair(one, two, how))
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
