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


def samples(root: Path, subject: str, test_names: Sequence[str]) -> Iterator[BetaRun]:
    """Yield the samples of perception as one record, training before test; ``test_names`` are the test pictures."""
    prepared_data = bdata.read(root / path_of(root, subject))
    data_type, run = prepared_data.column("DataType"), prepared_data.column("Run")
    invalid_samples = np.flatnonzero(~np.isin(data_type, (TRAINING, TEST, IMAGERY)) | ~(run >= 1) | (run % 1 != 0))
    if len(invalid_samples):
        sample = invalid_samples[0]
        raise ValueError(
            f"{prepared_data.path}, sample {sample + 1}: DataType is {data_type[sample]:g} and Run {run[sample]:g}, "
            "expected 1 (training), 2 (test) or 3 (imagery), and a number from 1"
        )
    order = np.lexsort((run, data_type))  # stable: the order of the file within a run
    order = order[data_type[order] != IMAGERY]
    voxels = prepared_data.members("VoxelData")
    image_names = _image_names(prepared_data, order, data_type[order] == TEST, set(test_names))
    betas = prepared_data.dataset[:, voxels][order].astype(np.float32)  # (n_samples, n_voxels)
    places = {
        axis: prepared_data.metadata[f"voxel_{axis}"][voxels]
        for axis in "xyz"
        if f"voxel_{axis}" in prepared_data.metadata
    }
    if len(places) != 3:
        columns = ", ".join(sorted(prepared_data.metadata))
        raise ValueError(f"{prepared_data.path} lacks voxel_x, voxel_y or voxel_z; there are: {columns}")
    masks = {
        key.removeprefix("ROI_"): prepared_data.metadata[key][voxels] == 1
        for key in prepared_data.metadata
        if key[:4] == "ROI_"
    }
    regions = {name: mask for name, mask in masks.items() if mask.any()}
    yield BetaRun(None, None, image_names, betas, "arbitrary", places, regions, transductive="run")


def _image_names(
    prepared_data: bdata.BData, sample_rows: np.ndarray, are_test: np.ndarray, test_names: set[str]
) -> np.ndarray:
    """Name the pictures of samples; test samples show the test pictures, training samples other categories."""
    key = next((key for key in STIMULUS_IDS if key in prepared_data.metadata), STIMULUS_IDS[0])
    ids = prepared_data.column(key)[sample_rows]
    image_names = np.array([_name(picture_number) for picture_number in ids], dtype=object)
    test_categories = {name.split("_")[0] for name in test_names}
    for n, (name, is_test) in enumerate(zip(image_names, are_test, strict=True)):
        fits = name in test_names if is_test else name.split("_")[0] not in test_categories
        if not NAME.fullmatch(name) or not fits:
            expected_text = "one of the 50 test pictures" if is_test else "a picture of another category than they"
            raise ValueError(
                f"{prepared_data.path}, sample {sample_rows[n] + 1}: {key} is {ids[n]:.6f}, read as "
                f"{name or 'no name'}, and the sample is of {'test' if is_test else 'training'}; expected "
                f"{expected_text}, such as 1443537.022563 for n01443537_22563"
            )
    return image_names


def _name(number: float) -> str:
    """Name behind an id: synset and, as six decimals, number of the picture; empty where there is none.

    Zeros at the end are part of the number: 1443537.02256 is n01443537_22560.
    """
    if not 0 < number < 1e8:
        return ""
    synset, picture = f"{number:.6f}".split(".")
    return f"n{int(synset):08d}_{int(picture)}"
