"""Tables that pandas wrote to HDF5 in its fixed format, read with h5py alone.

The format keeps columns of one type in a block: ``block0_values`` (n_rows, n_columns) with their names in
``block0_items``, ``block1_values`` and so on. Names of mixed types (numbers beside text) are stored as a pickle:
nothing is unpickled here, such names are given as None.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

BLOCK_BYTES = 64 << 20  # of values that are read at once
BROKEN = (OSError, RuntimeError, KeyError)  # what h5py makes of a file that is not whole


@dataclass(frozen=True)
class Block:
    """A block of columns: ``shape`` is (n_rows, n_columns), ``kind`` the letter of numpy's type, ``names`` or None."""

    key: str
    shape: tuple[int, int]
    kind: str
    names: list[str] | None


def blocks(path: str | Path, group: str) -> list[Block]:
    """List the blocks of a table.

    Parameters
    ----------
    path : str or Path
    group : str
        The table's key in the file.

    Raises
    ------
    ValueError
        If the file is no whole HDF5 (tells its bytes), lacks the table, or the table is of another format.
    """
    with _open(Path(path), group) as table:
        keys = sorted(key.removesuffix("_values") for key in table if key.endswith("_values"))
        table_blocks = [_block(table, key) for key in keys]
        if not table_blocks or len({block.shape[0] for block in table_blocks}) != 1:
            shapes = {block.key: block.shape for block in table_blocks}
            raise ValueError(
                f"{path}: {group} has blocks {shapes or sorted(table)}, expected block0_values and others of its length"
            )
    return table_blocks


def column(path: str | Path, group: str, block: Block, number: int) -> np.ndarray:
    """Read one column of a block as it is stored, (n_rows,)."""
    with _open(Path(path), group) as table:
        column_values: np.ndarray = table[f"{block.key}_values"][:, number]
    return column_values


def transposed(path: str | Path, group: str, block: Block, columns: np.ndarray) -> np.ndarray:
    """Read columns of a block, some rows at a time; a stored chunk is decompressed once.

    Parameters
    ----------
    path : str or Path
    group : str
    block : Block
    columns : int array of shape (n_columns,)
        Numbers within the block, in any order; the nearer to each other, the less is read.

    Returns
    -------
    array of shape (n_columns, n_rows)
        float32.

    Raises
    ------
    ValueError
        If a part of the file cannot be read; tells its bytes.
    """
    first_column, stop_column = int(columns.min()), int(columns.max()) + 1
    n_rows = block.shape[0]
    columns_first = np.empty((len(columns), n_rows), dtype=np.float32)
    with _open(Path(path), group) as table:
        stored = table[f"{block.key}_values"]
        n_chunk_rows = stored.chunks[0] if stored.chunks else 1
        n_block_rows = n_chunk_rows * max(
            1, BLOCK_BYTES // (stored.dtype.itemsize * (stop_column - first_column) * n_chunk_rows)
        )
        for start in range(0, n_rows, n_block_rows):
            rows = slice(start, min(n_rows, start + n_block_rows))
            columns_first[:, rows] = stored[rows, first_column:stop_column][:, columns - first_column].T
    return columns_first


@contextmanager
def _open(path: Path, group: str) -> Iterator[h5py.Group]:
    try:
        with h5py.File(path, "r", locking=False) as handle:
            if not isinstance(handle.get(group), h5py.Group):
                raise ValueError(f"{path} has no table {group!r}; there are: {list(handle) or 'none'}")
            yield handle[group]
    except BROKEN as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole HDF5: {error}; remove it and get it again") from None


def _block(table: h5py.Group, key: str) -> Block:
    stored, items = table[f"{key}_values"], table.get(f"{key}_items")
    if stored.ndim != 2 or stored.dtype.kind not in "fiu":
        raise ValueError(
            f"{table.file.filename}: {key}_values of {table.name} is {stored.dtype} of shape {stored.shape}, "
            "expected numbers of shape (n_rows, n_columns)"
        )
    names = None
    if items is not None and items.dtype.kind in "Siu" and items.shape == stored.shape[1:]:
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in items[:].tolist()]
    return Block(key, stored.shape, stored.dtype.kind, names)
