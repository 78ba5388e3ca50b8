"""The authors' prepared data of Generic Object Decoding: a sample per block, in BData files of a user's folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.releases import bdata
from boldflow.core.records.runs import BetaRun

PREPARED = "Subject{number}.h5"
TRAINING, TEST, IMAGERY = 1, 2, 3  # in the column DataType of the prepared data
STIMULUS_IDS = ("stimulus_id", "Label")  # keys of the column with ids of pictures, by age of the file, newest first
NAME = re.compile(r"n\d{8}_[1-9]\d*")


def path_of(root: str | Path, subject: str) -> str:
    """Name a subject's file, below ``root``."""
    return own_folder.one(root, PREPARED.format(number=int(subject.removeprefix("sub-"))))


def samples(root: Path, subject: str, tested: Sequence[str]) -> Iterator[BetaRun]:
    """Yield the samples of perception as one record, training before test; ``tested`` are the test pictures."""
    data = bdata.read(root / path_of(root, subject))
    kind, run = data.column("DataType"), data.column("Run")
    strange = np.flatnonzero(~np.isin(kind, (TRAINING, TEST, IMAGERY)) | ~(run >= 1) | (run % 1 != 0))
    if len(strange):
        n = strange[0]
        raise ValueError(
            f"{data.path}, sample {n + 1}: DataType is {kind[n]:g} and Run {run[n]:g}, expected 1 (training), 2 (test) "
            "or 3 (imagery), and a number from 1"
        )
    order = np.lexsort((run, kind))  # stable: the order of the file within a run
    order = order[kind[order] != IMAGERY]
    voxels = data.members("VoxelData")
    names = _image_names(data, order, kind[order] == TEST, set(tested))
    values = data.dataset[:, voxels][order].astype(np.float32)  # (n_samples, n_voxels)
    places = {axis: data.metadata[f"voxel_{axis}"][voxels] for axis in "xyz" if f"voxel_{axis}" in data.metadata}
    if len(places) != 3:
        columns = ", ".join(sorted(data.metadata))
        raise ValueError(f"{data.path} lacks voxel_x, voxel_y or voxel_z; there are: {columns}")
    members = {key.removeprefix("ROI_"): data.metadata[key][voxels] == 1 for key in data.metadata if key[:4] == "ROI_"}
    regions = {name: inside for name, inside in members.items() if inside.any()}
    yield BetaRun(None, None, names, values, "arbitrary", places, regions, transductive="run")


def _image_names(data: bdata.BData, numbers: np.ndarray, test: np.ndarray, tested: set[str]) -> np.ndarray:
    """Name the pictures of samples; test samples show the test pictures, training samples other categories."""
    key = next((key for key in STIMULUS_IDS if key in data.metadata), STIMULUS_IDS[0])
    ids = data.column(key)[numbers]
    names = np.array([_name(value) for value in ids], dtype=object)
    categories = {name.split("_")[0] for name in tested}
    for n, (name, is_test) in enumerate(zip(names, test, strict=True)):
        fits = name in tested if is_test else name.split("_")[0] not in categories
        if not NAME.fullmatch(name) or not fits:
            expected = "one of the 50 test pictures" if is_test else "a picture of another category than they"
            raise ValueError(
                f"{data.path}, sample {numbers[n] + 1}: {key} is {ids[n]:.6f}, read as {name or 'no name'}, and the "
                f"sample is of {'test' if is_test else 'training'}; expected {expected}, such as 1443537.022563 for "
                "n01443537_22563"
            )
    return names


def _name(number: float) -> str:
    """Name behind an id: synset and, as six decimals, number of the picture; empty where there is none.

    Zeros at the end are part of the number: 1443537.02256 is n01443537_22560.
    """
    if not 0 < number < 1e8:
        return ""
    synset, picture = f"{number:.6f}".split(".")
    return f"n{int(synset):08d}_{int(picture)}"
