"""Arrays as .npy: never pickled, written whole, checked for finite values."""

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from boldflow.artifacts.store.atomic import atomic, broken

BLOCK_BYTES = 64 << 20  # that are copied or looked at at once


def write(path: str | Path, array: np.ndarray) -> None:
    """Write an array as .npy, in C order whatever its own; some rows are copied at a time.

    Raises
    ------
    ValueError
        If a value is not finite; gives the count and the first place.
    """
    step = max(1, BLOCK_BYTES // max(1, array[:1].nbytes)) if array.ndim else 1
    starts = range(0, len(array), step) if array.ndim else ()
    if array.dtype.kind == "f":
        _check_finite(path, array, starts, step)
    with atomic(path) as temporary, temporary.open("wb") as handle:
        if not array.ndim or array.dtype.hasobject:
            np.save(handle, array, allow_pickle=False)
            return
        about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(handle, about)
        for start in starts:
            np.ascontiguousarray(array[start : start + step]).tofile(handle)


def _check_finite(path: str | Path, array: np.ndarray, starts: Iterable[int], step: int) -> None:
    count, first = 0, None
    for start in starts:
        bad = ~np.isfinite(array[start : start + step])
        if bad.any():
            here = np.argwhere(bad)[0]
            first = first or (start + int(here[0]), *map(int, here[1:]))
            count += int(bad.sum())
    if count:
        raise ValueError(f"{path}: {count} of {array.size} values are not finite, the first at {first}")


def rows(array: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Take rows of an array, in any order.

    Of an array that ``read`` has mapped, the system is told beforehand which rows are to come: what is not in memory is
    then asked of the disk all at once, and not page by page.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and hasattr(os, "posix_fadvise"):
        size = array.nbytes // max(1, len(array))
        asked = np.zeros(len(array) + 2, dtype=np.int8)  # with a row on each side that is not
        asked[1:-1][numbers] = 1
        firsts, afters = (np.flatnonzero(np.diff(asked) == step).tolist() for step in (1, -1))
        with open(array.filename, "rb") as handle:
            for first, after in zip(firsts, afters, strict=True):
                start, length = array.offset + size * first, size * (after - first)
                os.posix_fadvise(handle.fileno(), start, length, os.POSIX_FADV_WILLNEED)
    chosen: np.ndarray = np.asarray(array[numbers])
    return chosen


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
