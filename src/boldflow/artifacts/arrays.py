"""Arrays as .npy: never pickled, written whole, checked for finite values."""

from pathlib import Path

import numpy as np

from boldflow.artifacts.atomic import atomic, broken


def write(path: str | Path, array: np.ndarray) -> None:
    """Write an array as .npy.

    Raises
    ------
    ValueError
        If a value is not finite; gives the count and the first place.
    """
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{path}: {int(bad.sum())} of {bad.size} values are not finite, the first at {where}")
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.save(handle, array, allow_pickle=False)


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
