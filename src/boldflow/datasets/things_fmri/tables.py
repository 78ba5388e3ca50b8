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


def session_betas(root: Path, subject: str, tested: Sequence[str], rois: Sequence[str]) -> Iterator[BetaRun]:
    """Yield the betas of each session, by run and trial_id; see ``betas`` of the plug-in.

    Parameters
    ----------
    root : Path
    subject : str
    tested : sequence of str
        The pictures of the test set, by the events' names.
    rois : sequence of str
        Regions whose columns must hold 0 and 1 alone.
    """
    path, shown_path, voxels_path = (root / file for file in paths_of(root, subject))
    shown = _shown(shown_path, subject, tested)
    voxels = _voxels(voxels_path)
    block, columns = _columns(path, shown, shown_path, voxels["voxel_id"].to_numpy(), voxels_path)
    places = {axis: voxels[name].to_numpy() for name, axis in PLACES.items()}
    ceilings = {name: _shares(voxels_path, name, voxels[name].to_numpy()) for name in CEILINGS}
    regions = _regions(voxels_path, voxels, rois)
    del voxels
    for session, rows in shown.sort_values(["session", "run", "trial_id"]).groupby("session", sort=True):
        values = frames.transposed(path, TABLE, block, rows["trial_id"].map(columns).to_numpy())  # (n_trials, n_voxels)
        names = rows["image_id"].to_numpy(dtype=object)
        yield BetaRun(f"things{session:02d}", None, names, values, "arbitrary", places, regions, ceilings)


def _shown(path: Path, subject: str, tested: Sequence[str]) -> pd.DataFrame:
    """Session, run, trial_id (int) and image_id of each beta; trials are in the order of the file."""
    table = _read_csv(path, [*SHOWN_NUMBERS, *SHOWN_TEXTS], dict.fromkeys(SHOWN_NUMBERS, np.int64))
    other = table[table["subject_id"] != int(subject.removeprefix("sub-"))]
    if len(other):
        raise ValueError(f"{path} is of subject {other['subject_id'].iloc[0]}, expected {subject}")
    twice = table[table["trial_id"].duplicated()]
    if len(twice):
        raise ValueError(f"{path}, line {twice.index[0] + 2}: trial_id {twice['trial_id'].iloc[0]} is there twice")
    by_file = {name.split("/")[1]: name for name in tested}
    names = []
    for n, (kind, file) in enumerate(zip(table["trial_type"], table["stimulus"], strict=True)):
        if kind not in ("train", "test") or (kind == "test") != (file in by_file) or "_" not in str(file):
            raise ValueError(
                f"{path}, line {n + 2}: stimulus is {file!r} in a trial of type {kind!r}, expected test with one of "
                "the 100 test pictures, or train with another"
            )
        names.append(by_file.get(file) or f"{file.rpartition('_')[0]}/{file}")
    return table.assign(image_id=names)


def _voxels(path: Path) -> pd.DataFrame:
    whole = dict.fromkeys(("voxel_id", *PLACES), np.int64)
    return _read_csv(path, [*whole, *CEILINGS], whole | {"subject_id": np.int64}, np.float32)


def _read_csv(path: Path, needed: list[str], types: dict[str, Any], rest: Any = str) -> pd.DataFrame:
    try:
        names = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig"))
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise ValueError(f"it lacks columns {lacking}; there are: {names[:20]}")
        chosen = {name: types.get(name, rest) for name in names}
        return pd.read_csv(path, dtype=chosen, index_col=False, encoding="utf-8-sig")
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{path} ({path.stat().st_size} bytes) is no whole table: {error}") from None


def _columns(
    path: Path, shown: pd.DataFrame, shown_path: Path, voxel_ids: np.ndarray, voxels_path: Path
) -> tuple[frames.Block, dict[int, int]]:
    """Block of the betas and, by trial_id, the number of a trial's column in it.

    One column of the table is voxel_id, in a block of its own or beside the betas. Where names of columns were pickled,
    which is not read, a trial's column is the trial_id-th, as published; ids must then run from 0.
    """
    block, beside = _block_of_betas(path, len(shown), shown_path)
    names = block.names
    # the column of voxel_id, where it is in the block of the betas
    id_column = None if beside else (names.index("voxel_id") if names and "voxel_id" in names else 0)
    ids = frames.column(path, TABLE, beside or block, id_column or 0)
    _check_ids(path, ids, voxel_ids, voxels_path)
    numbers = [number for number in range(block.shape[1]) if number != id_column]
    labels = [names[number] for number in numbers] if names else [str(n) for n in range(len(shown))]
    by_label = dict(zip(labels, numbers, strict=True))
    lost = [trial for trial in shown["trial_id"] if str(trial) not in by_label]
    if lost:
        raise ValueError(
            f"{path} has no column for {len(lost)} of the {len(shown)} trials of {shown_path}, the first is trial_id "
            f"{lost[0]}; there are columns {labels[0]} to {labels[-1]}"
        )
    return block, {int(trial): by_label[str(trial)] for trial in shown["trial_id"]}


def _block_of_betas(path: Path, n_trials: int, shown_path: Path) -> tuple[frames.Block, frames.Block | None]:
    """Give the block of betas, and the one of voxel_id where it has one of its own."""
    blocks = frames.blocks(path, TABLE)
    largest = max(blocks, key=lambda block: block.shape[1])
    beside = [block for block in blocks if block is not largest]
    n_columns = sum(block.shape[1] for block in blocks)
    if largest.kind != "f" or n_columns != n_trials + 1 or len(beside) > 1:
        shapes = ", ".join(f"{block.key} {block.shape}" for block in blocks)
        raise ValueError(
            f"{path} has {n_columns} columns ({shapes}), and {shown_path} {n_trials} trials; expected voxel_id and a "
            "column of real numbers per trial"
        )
    return largest, next(iter(beside), None)


def _check_ids(path: Path, ids: np.ndarray, voxel_ids: np.ndarray, voxels_path: Path) -> None:
    """Refuse betas whose voxels, (n_voxels,), are not those of the table of voxels."""
    if len(ids) != len(voxel_ids):
        raise ValueError(f"{path} has {len(ids)} voxels, and {voxels_path} {len(voxel_ids)}; expected the same")
    differ = np.flatnonzero(ids != voxel_ids)
    if len(differ):
        n = differ[0]
        raise ValueError(
            f"{path}: voxel_id of row {n + 1} is {ids[n]:g}, and {voxels_path} has {voxel_ids[n]}; {len(differ)} of "
            f"{len(ids)} rows differ"
        )


def _regions(path: Path, voxels: pd.DataFrame, rois: Sequence[str]) -> dict[str, np.ndarray]:
    """Regions by their published names: columns of 0 and 1; one without voxels is left out."""
    masks = {}
    for name in voxels:
        if name.startswith(NO_REGIONS):
            continue
        values = voxels[name].to_numpy()
        strange = np.flatnonzero(~np.isin(values, (0, 1)))
        if not len(strange) and values.any():
            masks[name] = values == 1
        elif len(strange) and name in rois:
            n = strange[0]
            raise ValueError(f"{path}, line {n + 2}: {name} is {values[n]:g}, expected 0 or 1")
    return masks


def _shares(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Noise ceilings as shares; they are published in percent."""
    finite = values[np.isfinite(values)]
    shares: np.ndarray = values / 100 if finite.size and finite.max() > 1 else values
    strange = np.flatnonzero((shares < 0) | (shares > 1))
    if len(strange):
        n = strange[0]
        raise ValueError(f"{path}, line {n + 2}: {name} is {values[n]:g}, expected percent from 0 to 100, or a share")
    return shares
