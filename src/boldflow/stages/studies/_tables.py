"""Tables of a study as ``vocabulary.tables`` lists them, read for figures and for the report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boldflow.artifacts.store import comparisons, stimuli, tables
from boldflow.vocabulary.tables import TABLES, Reader

FOLDERS = ["dataset", "subject", "response", "feature", "model", "split"]  # of a result's file, from the outermost


def read_frames(paths: Mapping[str, Sequence[str]]) -> dict[str, pd.DataFrame]:
    """Read tables.

    Parameters
    ----------
    paths : mapping of str to sequence of str
        Files by the table's name, a key of ``vocabulary.tables.TABLES``.

    Returns
    -------
    dict of str to DataFrame
        Those that are DataFrames: pictures, meshes and files that are no tables are left out, and tables of which there
        is no file. Of several files the rows below each other.
    """
    readers = {name: FRAMES[TABLES[name].read] for name in paths if TABLES[name].read in FRAMES}
    return {name: read(paths[name]) for name, read in readers.items() if paths[name]}


def read_pictures(paths: Sequence[str], source: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Read the pictures that a figure's source table names: of queries and their nearest candidates, or of units.

    Parameters
    ----------
    paths : sequence of str
        Of stimulus packs, then of their tables in the same order; a pack's folder is its data set.
    source : DataFrame
        Columns dataset, image_id and perhaps nearest_1, nearest_2, ...

    Returns
    -------
    dict of (dataset, image_id) to uint8 array of shape (height, width, 3)
    """
    n_packs = len(paths) // 2
    columns = ["image_id", *[name for name in source if name.startswith("nearest_")]]
    images: dict[tuple[str, str], np.ndarray] = {}
    for pack_path, table_path in zip(paths[:n_packs], paths[n_packs:], strict=True):
        dataset = Path(pack_path).parent.name
        image_ids = np.unique(source.loc[source["dataset"] == dataset, columns].to_numpy(dtype=str))
        with stimuli.Pack(pack_path, tables.read(table_path)) as pack:
            images |= {(dataset, image_id): pack.read(image_id) for image_id in image_ids if image_id}
    return images


def _read_rows(paths: Sequence[str]) -> pd.DataFrame:
    """Join Parquet tables; those without rows are left out, unless none has any."""
    frames = [tables.read(path) for path in paths]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _read_histories(paths: Sequence[str]) -> pd.DataFrame:
    """Join rows of histories that have epochs, with whose they are: a result's folder is its names.

    The last path is the leaderboard, which tells of each data set whether it is simulated.
    """
    *histories, leaderboard = paths
    simulated = tables.read(leaderboard).drop_duplicates("dataset").set_index("dataset")["simulated"]
    frames = []
    for path in histories:
        history = tables.read_csv(path)
        if "epoch" in history:
            wildcards = dict(zip(FOLDERS, Path(path).parts[-len(FOLDERS) - 1 : -1], strict=True))
            frames.append(history.assign(**wildcards, simulated=bool(simulated[wildcards["dataset"]])))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _read_pairs(paths: Sequence[str]) -> pd.DataFrame:
    (path,) = paths
    return comparisons.read(path)


def _read_text(paths: Sequence[str]) -> pd.DataFrame:
    (path,) = paths
    return tables.read_text_csv(path)


FRAMES: dict[Reader, Callable[[Sequence[str]], pd.DataFrame]] = {
    Reader.ROWS: _read_rows,
    Reader.PAIRS: _read_pairs,
    Reader.TEXT: _read_text,
    Reader.HISTORIES: _read_histories,
}
