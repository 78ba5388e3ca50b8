"""Maps and pictures of the Natural Scenes Dataset: volumes of 1.8 mm, overlays of fsaverage, the brick."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHError

from boldflow.artifacts.formats import bids, surfaces

VERTICES = 163842  # of a hemisphere of fsaverage
BRICK_KEY = "imgBrick"
BROKEN = (OSError, EOFError, ValueError, KeyError, RuntimeError, MGHError, nib.spatialimages.HeaderDataError)


def volume(path: str | Path) -> np.ndarray:
    """Read a volume of one value per voxel, (x, y, z)."""
    _, values = bids.volume(path)
    return bids.with_axes(path, values, 3, "one volume (x, y, z)")


def surface_values(path: str | Path) -> np.ndarray:
    """Read an overlay of a hemisphere, float32 (n_vertices,).

    Raises
    ------
    ValueError
        If the file is not whole (tells its bytes), or does not hold one value per vertex.
    """
    path = Path(path)
    try:
        values = np.asarray(nib.MGHImage.from_filename(path).dataobj, dtype=np.float32)
    except (*surfaces.BROKEN, MGHError) as error:
        raise _broken(path, error) from None
    if values.size != len(values):
        raise ValueError(f"{path} has shape {values.shape}, expected one value per vertex")
    return values.reshape(-1)


def pictures(path: str | Path, rows: Iterable[int]) -> Iterator[np.ndarray]:
    """Read pictures of the brick one at a time, uint8 (height, width, 3); rows count from 0.

    Raises
    ------
    ValueError
        If the file is no whole brick (tells its bytes), or lacks a row.
    """
    path = Path(path)
    with _hdf5(path) as handle:
        if BRICK_KEY not in handle or handle[BRICK_KEY].ndim != 4 or handle[BRICK_KEY].dtype != np.uint8:
            raise ValueError(f"{path} holds {sorted(handle)}, expected {BRICK_KEY} of uint8 (n, height, width, 3)")
        brick = handle[BRICK_KEY]
        for row in rows:
            if not 0 <= row < len(brick):
                raise ValueError(f"{path} has no row {row}: it holds {len(brick)} pictures, from 0")
            try:
                yield brick[row]
            except BROKEN as error:
                raise _broken(path, error) from None


def _hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)  # network file systems refuse locks
    except OSError as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> ValueError:
    size = path.stat().st_size if path.is_file() else 0
    return ValueError(f"{path} ({size} bytes) is not whole: {error}; remove it and get it again")
