"""Arrays whose rows have keys: a .npy, and beside it a Parquet table with one key a row, in the array's order.

The table's metadata hold two checksums, of the array's file and of the keys in their order, so that neither can be put
in another order, shortened or replaced alone. Whoever reads rows joins them by key, never by position.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, tables

ARRAY, KEYS = "array_sha256", "keys_sha256"  # in the metadata of the table
SHOWN = 12  # letters of a checksum that an error shows


def write(
    path: str | Path,
    array: np.ndarray,
    index: str | Path,
    keys: pd.DataFrame,
    axis: int = 0,
    may_be_undefined: bool = False,
    **note: Any,
) -> None:
    """Write an array and the keys of its rows.

    Parameters
    ----------
    path, index : paths of the .npy and of the Parquet to write
    array : of any shape; its rows lie along ``axis``
    keys : DataFrame
        A row per row of the array, in its order; no two alike.
    axis : int
    may_be_undefined : bool
        As of ``arrays.write``.
    **note
        What else the table's metadata say.

    Raises
    ------
    ValueError
        If numbers of rows differ, a key comes twice, or a value of the array is not finite.
    """
    check_keys(index, keys)
    _check_rows(path, array, index, keys, axis)
    arrays.write(path, array, may_be_undefined)
    tables.write(index, keys, {**note, ARRAY: file_sha256(path), KEYS: keys_sha256(keys)})


def read(path: str | Path, index: str | Path, ndim: int, axis: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Map an array into memory and read the keys of its rows.

    Parameters
    ----------
    path, index : paths of the .npy and of its table of keys
    ndim : int
        Axes that the array must have.
    axis : int
        Along which its rows lie.

    Returns
    -------
    (array, DataFrame with a row per row of the array)

    Raises
    ------
    ValueError
        If the table does not belong to the array (a checksum differs, or the number of rows), or a key comes twice;
        names files, what was found and what would be right.
    """
    keys, note = tables.read(index), tables.sidecar(index)
    if ARRAY not in note or KEYS not in note:
        raise ValueError(f"{index} states no checksums ({ARRAY}, {KEYS}) of {path}; {_again(path)}")
    check_keys(index, keys)
    array = arrays.read(path, ndim)
    _check_rows(path, array, index, keys, axis)
    for part_name, stated_sha256, found_sha256 in (
        ("the array", note[ARRAY], file_sha256(path)),
        ("its own keys in their order", note[KEYS], keys_sha256(keys)),
    ):
        if stated_sha256 != found_sha256:
            raise ValueError(
                f"{index} belongs to another state of {path}: it states SHA-256 {stated_sha256[:SHOWN]}... of "
                f"{part_name}, found {found_sha256[:SHOWN]}...; one of the two was changed alone; {_again(path)}"
            )
    return array, keys


def places_of(sought: pd.DataFrame, keys: pd.DataFrame, index: str | Path) -> np.ndarray:
    """Find rows by their keys.

    Parameters
    ----------
    sought : DataFrame of shape (n_sought, n_columns)
        Keys, none twice; their columns are looked up in ``keys``.
    keys : DataFrame of shape (n_rows, ...)
        As read; the columns of ``sought`` alone tell its rows apart.
    index : path of the table of keys, for the error

    Returns
    -------
    int array of shape (n_sought,)

    Raises
    ------
    ValueError
        If a key is not there, or comes twice; names the table and the first such key.
    """
    columns = list(sought)
    missing_columns = [name for name in columns if name not in keys]
    if missing_columns:
        raise ValueError(f"{index} lacks the columns {missing_columns} of a key; there are: {list(keys)}")
    check_keys(index, keys[columns])
    places = pd.MultiIndex.from_frame(_plain(keys[columns])).get_indexer(pd.MultiIndex.from_frame(_plain(sought)))
    missing_keys = np.flatnonzero(places < 0)
    if len(missing_keys):
        raise ValueError(
            f"{index} lacks {len(missing_keys)} of {len(sought)} keys that are asked for, the first is "
            f"{_words(sought.iloc[int(missing_keys[0])])}; its own first is {_words(keys[columns].iloc[0])}"
            if len(keys)
            else f"{index} has no keys, {len(sought)} are asked for"
        )
    return np.asarray(places)


def check_keys(index: str | Path, keys: pd.DataFrame) -> None:
    """See that no key is missing or comes twice.

    Raises
    ------
    ValueError
        If one does; names the table and the first such key.
    """
    is_incomplete = keys.isna().any(axis=1).to_numpy()
    if is_incomplete.any():
        row = int(np.flatnonzero(is_incomplete)[0])
        raise ValueError(f"{index}: row {row} lacks a part of its key: {_words(keys.iloc[row])}")
    is_repeated = keys.duplicated().to_numpy()
    if is_repeated.any():
        row = int(np.flatnonzero(is_repeated)[0])
        raise ValueError(f"{index}: the key {_words(keys.iloc[row])} of row {row} comes twice; each row has its own")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def keys_sha256(keys: pd.DataFrame) -> str:
    """SHA-256 of keys in their order, whatever the types in which a table's columns are kept."""
    key_texts = _plain(keys)
    joined_keys = (
        key_texts.iloc[:, 0].str.cat([key_texts[name] for name in key_texts.columns[1:]], sep="\x1f")
        if len(key_texts)
        else []
    )
    return hashlib.sha256("\x1e".join(["\x1f".join(map(str, keys)), *joined_keys]).encode()).hexdigest()


def _plain(keys: pd.DataFrame) -> pd.DataFrame:
    """Keys as text: a number of one type and of another are the same key."""
    return keys.astype(str).astype(object)


def _words(key: pd.Series) -> str:
    return ", ".join(f"{name} {'(missing)' if pd.isna(value) else value}" for name, value in key.items())


def _check_rows(path: str | Path, array: np.ndarray, index: str | Path, keys: pd.DataFrame, axis: int) -> None:
    if array.shape[axis] != len(keys):
        raise ValueError(
            f"{path} has {array.shape[axis]} rows (axis {axis} of shape {array.shape}), {index} has {len(keys)} keys: "
            f"there must be one for each; {_again(path)}"
        )


def _again(path: str | Path) -> str:
    return f"make both again with: snakemake --profile cpu -f {path}"
