"""Arrays of the Natural Scenes Dataset: volumes of 1.8 mm, overlays of fsaverage, the brick of pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHError

from boldflow.artifacts import bids, surfaces, volumes

SCALE = np.float32(300.0)  # betas in volumes are whole numbers, 300 a percent of signal change
VERTICES = 163842  # of a hemisphere of fsaverage
VALUES = "betas"  # key of the array in HDF5
BRICK_KEY = "imgBrick"
BLOCK_BYTES = 64 << 20
BROKEN = (OSError, EOFError, ValueError, KeyError, RuntimeError, MGHError, nib.spatialimages.HeaderDataError)


def volume(path: str | Path) -> np.ndarray:
    """Read a volume of one value per voxel, (x, y, z)."""
    _, found = bids.volume(path)
    return found


def volume_shape(path: str | Path) -> tuple[int, int, int, int]:
    """Tell the shape of a session's betas, (x, y, z, n_trials), of either format.

    Raises
    ------
    ValueError
        If the file is not whole; tells its bytes.
    """
    path = Path(path)
    if path.suffix != ".hdf5":
        shape = volumes.shape(path)
    else:
        with _hdf5(path) as handle:
            shape = tuple(handle[VALUES].shape[::-1]) if VALUES in handle else ()
    if len(shape) != 4:
        raise ValueError(f"{path} holds betas of shape {shape}, expected (x, y, z, n_trials)")
    return shape


def volume_betas(path: str | Path, inside: np.ndarray) -> np.ndarray:
    """Read a session's betas within a mask, in percent signal change.

    Parameters
    ----------
    path : str or Path
        .hdf5 or .nii.gz.
    inside : bool array of shape (x, y, z)

    Returns
    -------
    float32 array of shape (n_trials, n_voxels)
        Voxels in the order of ``np.argwhere(inside)``.

    Raises
    ------
    ValueError
        If the file is not whole (tells its bytes), lies on another grid than the mask, or holds no whole numbers.
    """
    path = Path(path)
    shape = volume_shape(path)
    if shape[:3] != inside.shape:
        raise ValueError(
            f"{path} is on a grid of {shape[:3]} voxels, the regions on one of {inside.shape}: are they of another "
            "subject, or of another preparation (func1mm)?"
        )
    if path.suffix != ".hdf5":
        return volumes.in_mask(path, inside) / SCALE
    found = np.empty((shape[3], int(inside.sum())), dtype=np.float32)
    reversed_ = inside.T  # HDF5 shows MATLAB's arrays with their axes in reverse
    order = np.argsort(np.ravel_multi_index(tuple(np.argwhere(reversed_).T[::-1]), inside.shape))
    step = max(1, BLOCK_BYTES // (4 * inside.size))
    with _hdf5(path) as handle:
        values = handle[VALUES]
        if values.dtype.kind != "i":
            raise ValueError(f"{path} holds {values.dtype}, expected whole numbers, {SCALE:g} a percent")
        for start in range(0, shape[3], step):
            try:
                block = values[start : start + step]
            except BROKEN as error:
                raise _broken(path, error) from None
            found[start : start + step] = block[:, reversed_][:, order]
    found /= SCALE
    return found


def surface_values(path: str | Path) -> np.ndarray:
    """Read the values of a hemisphere of fsaverage as they are, float32 (n_vertices,) or (n_trials, n_vertices).

    Raises
    ------
    ValueError
        If the file is not whole (tells its bytes), or has no value per vertex.
    """
    path = Path(path)
    try:
        found = np.asarray(nib.MGHImage.from_filename(path).dataobj, dtype=np.float32)
    except (*surfaces.BROKEN, MGHError) as error:
        raise _broken(path, error) from None
    if found.shape[1:3] not in ((), (1,), (1, 1)):
        raise ValueError(f"{path} has shape {found.shape}, expected (n_vertices, 1, 1, n_trials)")
    return found.reshape(len(found)) if found.ndim < 4 else np.ascontiguousarray(found[:, 0, 0].T)


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
