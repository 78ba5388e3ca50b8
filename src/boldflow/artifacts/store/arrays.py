"""Arrays as .npy: never pickled, written whole, checked for finite values."""

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from boldflow.artifacts.store.atomic import atomic, broken

BLOCK_BYTES = 64 << 20  # that are copied or looked at at once


def write(path: str | Path, array: np.ndarray, may_be_undefined: bool = False) -> None:
    """Write an array as .npy, in C order whatever its own; some rows are copied at a time.

    ``may_be_undefined``: whether NaN stands for what is undefined, and not for a mistake.

    Raises
    ------
    ValueError
        If a value is not finite; gives the count and the first place.
    """
    n_block_rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes)) if array.ndim else 1
    starts = range(0, len(array), n_block_rows) if array.ndim else ()
    if array.dtype.kind == "f":
        _check_finite(path, array, starts, n_block_rows, may_be_undefined)
    with atomic(path) as temporary, temporary.open("wb") as handle:
        if not array.ndim or array.dtype.hasobject:
            np.save(handle, array, allow_pickle=False)
            return
        header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(handle, header)
        for start in starts:
            np.ascontiguousarray(array[start : start + n_block_rows]).tofile(handle)


def _check_finite(
    path: str | Path, array: np.ndarray, starts: Iterable[int], n_block_rows: int, may_be_undefined: bool
) -> None:
    n_bad, first_index = 0, None
    for start in starts:
        block = array[start : start + n_block_rows]
        is_bad = np.isinf(block) if may_be_undefined else ~np.isfinite(block)
        if is_bad.any():
            bad_index = np.argwhere(is_bad)[0]
            first_index = first_index or (start + int(bad_index[0]), *map(int, bad_index[1:]))
            n_bad += int(is_bad.sum())
    if n_bad:
        raise ValueError(f"{path}: {n_bad} of {array.size} values are not finite, the first at {first_index}")


def rows(array: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Take rows of an array, in any order.

    Of an array that ``read`` has mapped, the system is told beforehand which rows are to come: what is not in memory is
    then asked of the disk all at once, and not page by page.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and hasattr(os, "posix_fadvise"):
        row_bytes = array.nbytes // max(1, len(array))
        is_asked = np.zeros(len(array) + 2, dtype=np.int8)  # with a row on each side that is not
        is_asked[1:-1][numbers] = 1
        run_starts, run_stops = (np.flatnonzero(np.diff(is_asked) == edge).tolist() for edge in (1, -1))
        with open(array.filename, "rb") as handle:
            for run_start, run_stop in zip(run_starts, run_stops, strict=True):
                start, length = array.offset + row_bytes * run_start, row_bytes * (run_stop - run_start)
                os.posix_fadvise(handle.fileno(), start, length, os.POSIX_FADV_WILLNEED)
    taken_rows: np.ndarray = np.asarray(array[numbers])
    return taken_rows


def read(path: str | Path, ndim: int | None = None) -> np.ndarray:
    """Map an .npy file into memory, read-only.

    Raises
    ------
    ValueError
        If the file is cut short, holds objects, or has another number of axes than ``ndim``.
    """
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        try:
            array = np.load(path, allow_pickle=False)  # an array without values cannot be mapped
        except (ValueError, EOFError, OSError) as error:
            raise broken(path, ".npy", error) from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{path} has shape {array.shape}, expected {ndim} axes")
    return array
