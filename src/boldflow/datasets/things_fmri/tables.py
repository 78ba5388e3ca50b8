"""Published betas of THINGS-fMRI in table format: one table of betas, one of trials, one of voxels per subject."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.formats import frames
from boldflow.core.records.runs import BetaRun

BETAS = "{subject}_ResponseData.h5"
SHOWN, VOXELS = "{subject}_StimulusMetadata.csv", "{subject}_VoxelMetadata.csv"
TABLE = "ResponseData"  # key of the table in the file of betas
SHOWN_NUMBERS, SHOWN_TEXTS = ("session", "run", "subject_id", "trial_id"), ("trial_type", "stimulus")
PLACES = {"voxel_x": "i", "voxel_y": "j", "voxel_z": "k"}
CEILINGS = ("nc_singletrial", "nc_testset")
NO_REGIONS = ("voxel_id", "subject_id", "voxel_", "nc_", "splithalf_", "prf-")  # how other columns begin


def paths_of(root: str | Path, subject: str) -> list[str]:
    """Name the files of betas, trials and voxels of a subject, below ``root``."""
    return [own_folder.one(root, name.format(subject=subject)) for name in (BETAS, SHOWN, VOXELS)]


def session_betas(root: Path, subject: str, test_names: Sequence[str], rois: Sequence[str]) -> Iterator[BetaRun]:
    """Yield the betas of each session, by run and trial_id; see ``betas`` of the plug-in.

    Parameters
    ----------
    root : Path
    subject : str
    test_names : sequence of str
        The pictures of the test set, by the events' names.
    rois : sequence of str
        Regions whose columns must hold 0 and 1 alone.
    """
    path, shown_path, voxels_path = (root / file for file in paths_of(root, subject))
    shown_trials = _shown(shown_path, subject, test_names)
    voxels = _voxels(voxels_path)
    block, column_of_trial = _columns(path, shown_trials, shown_path, voxels["voxel_id"].to_numpy(), voxels_path)
    places = {axis: voxels[name].to_numpy() for name, axis in PLACES.items()}
    ceilings = {name: _shares(voxels_path, name, voxels[name].to_numpy()) for name in CEILINGS}
    regions = _regions(voxels_path, voxels, rois)
    del voxels
    for session, session_trials in shown_trials.sort_values(["session", "run", "trial_id"]).groupby(
        "session", sort=True
    ):
        betas = frames.transposed(
            path, TABLE, block, session_trials["trial_id"].map(column_of_trial).to_numpy()
        )  # (n_trials, n_voxels)
        image_ids = session_trials["image_id"].to_numpy(dtype=object)
        yield BetaRun(f"things{session:02d}", None, image_ids, betas, "arbitrary", places, regions, ceilings)


def _shown(path: Path, subject: str, test_names: Sequence[str]) -> pd.DataFrame:
    """Session, run, trial_id (int) and image_id of each beta; trials are in the order of the file."""
    table = _read_csv(path, [*SHOWN_NUMBERS, *SHOWN_TEXTS], dict.fromkeys(SHOWN_NUMBERS, np.int64))
    foreign_rows = table[table["subject_id"] != int(subject.removeprefix("sub-"))]
    if len(foreign_rows):
        raise ValueError(f"{path} is of subject {foreign_rows['subject_id'].iloc[0]}, expected {subject}")
    repeated_rows = table[table["trial_id"].duplicated()]
    if len(repeated_rows):
        raise ValueError(
            f"{path}, line {repeated_rows.index[0] + 2}: trial_id {repeated_rows['trial_id'].iloc[0]} is there twice"
        )
    test_name_by_file = {name.split("/")[1]: name for name in test_names}
    image_ids = []
    for n, (kind, file) in enumerate(zip(table["trial_type"], table["stimulus"], strict=True)):
        if kind not in ("train", "test") or (kind == "test") != (file in test_name_by_file) or "_" not in str(file):
            raise ValueError(
                f"{path}, line {n + 2}: stimulus is {file!r} in a trial of type {kind!r}, expected test with one of "
                "the 100 test pictures, or train with another"
            )
        image_ids.append(test_name_by_file.get(file) or f"{file.rpartition('_')[0]}/{file}")
    return table.assign(image_id=image_ids)


def _voxels(path: Path) -> pd.DataFrame:
    whole = dict.fromkeys(("voxel_id", *PLACES), np.int64)
    return _read_csv(path, [*whole, *CEILINGS], whole | {"subject_id": np.int64}, np.float32)


def _read_csv(path: Path, needed_columns: list[str], types: dict[str, Any], default_type: Any = str) -> pd.DataFrame:
    try:
        column_names = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig"))
        lacking_columns = [name for name in needed_columns if name not in column_names]
        if lacking_columns:
            raise ValueError(f"it lacks columns {lacking_columns}; there are: {column_names[:20]}")
        dtypes = {name: types.get(name, default_type) for name in column_names}
        return pd.read_csv(path, dtype=dtypes, index_col=False, encoding="utf-8-sig")
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{path} ({path.stat().st_size} bytes) is no whole table: {error}") from None


def _columns(
    path: Path, shown_trials: pd.DataFrame, shown_path: Path, voxel_ids: np.ndarray, voxels_path: Path
) -> tuple[frames.Block, dict[int, int]]:
    """Block of the betas and, by trial_id, the number of a trial's column in it.

    One column of the table is voxel_id, in a block of its own or beside the betas. Where names of columns were pickled,
    which is not read, a trial's column is the trial_id-th, as published; ids must then run from 0.
    """
    block, id_block = _block_of_betas(path, len(shown_trials), shown_path)
    column_names = block.names
    # the column of voxel_id, where it is in the block of the betas
    id_column = (
        None if id_block else (column_names.index("voxel_id") if column_names and "voxel_id" in column_names else 0)
    )
    ids = frames.column(path, TABLE, id_block or block, id_column or 0)
    _check_ids(path, ids, voxel_ids, voxels_path)
    column_numbers = [number for number in range(block.shape[1]) if number != id_column]
    column_labels = (
        [column_names[number] for number in column_numbers]
        if column_names
        else [str(n) for n in range(len(shown_trials))]
    )
    number_of_label = dict(zip(column_labels, column_numbers, strict=True))
    lost_trials = [trial for trial in shown_trials["trial_id"] if str(trial) not in number_of_label]
    if lost_trials:
        raise ValueError(
            f"{path} has no column for {len(lost_trials)} of the {len(shown_trials)} trials of {shown_path}, the first "
            f"is trial_id {lost_trials[0]}; there are columns {column_labels[0]} to {column_labels[-1]}"
        )
    return block, {int(trial): number_of_label[str(trial)] for trial in shown_trials["trial_id"]}


def _block_of_betas(path: Path, n_trials: int, shown_path: Path) -> tuple[frames.Block, frames.Block | None]:
    """Give the block of betas, and the one of voxel_id where it has one of its own."""
    blocks = frames.blocks(path, TABLE)
    largest = max(blocks, key=lambda block: block.shape[1])
    other_blocks = [block for block in blocks if block is not largest]
    n_columns = sum(block.shape[1] for block in blocks)
    if largest.kind != "f" or n_columns != n_trials + 1 or len(other_blocks) > 1:
        shapes = ", ".join(f"{block.key} {block.shape}" for block in blocks)
        raise ValueError(
            f"{path} has {n_columns} columns ({shapes}), and {shown_path} {n_trials} trials; expected voxel_id and a "
            "column of real numbers per trial"
        )
    return largest, next(iter(other_blocks), None)


def _check_ids(path: Path, ids: np.ndarray, voxel_ids: np.ndarray, voxels_path: Path) -> None:
    """Refuse betas whose voxels, (n_voxels,), are not those of the table of voxels."""
    if len(ids) != len(voxel_ids):
        raise ValueError(f"{path} has {len(ids)} voxels, and {voxels_path} {len(voxel_ids)}; expected the same")
    unequal_rows = np.flatnonzero(ids != voxel_ids)
    if len(unequal_rows):
        row = unequal_rows[0]
        raise ValueError(
            f"{path}: voxel_id of row {row + 1} is {ids[row]:g}, and {voxels_path} has {voxel_ids[row]}; "
            f"{len(unequal_rows)} of {len(ids)} rows differ"
        )


def _regions(path: Path, voxels: pd.DataFrame, rois: Sequence[str]) -> dict[str, np.ndarray]:
    """Regions by their published names: columns of 0 and 1; one without voxels is left out."""
    masks = {}
    for name in voxels:
        if name.startswith(NO_REGIONS):
            continue
        membership = voxels[name].to_numpy()
        strange_rows = np.flatnonzero(~np.isin(membership, (0, 1)))
        if not len(strange_rows) and membership.any():
            masks[name] = membership == 1
        elif len(strange_rows) and name in rois:
            row = strange_rows[0]
            raise ValueError(f"{path}, line {row + 2}: {name} is {membership[row]:g}, expected 0 or 1")
    return masks


def _shares(path: Path, name: str, ceilings: np.ndarray) -> np.ndarray:
    """Noise ceilings as shares; they are published in percent."""
    finite_ceilings = ceilings[np.isfinite(ceilings)]
    shares: np.ndarray = ceilings / 100 if finite_ceilings.size and finite_ceilings.max() > 1 else ceilings
    strange_rows = np.flatnonzero((shares < 0) | (shares > 1))
    if len(strange_rows):
        row = strange_rows[0]
        raise ValueError(
            f"{path}, line {row + 2}: {name} is {ceilings[row]:g}, expected percent from 0 to 100, or a share"
        )
    return shares
