"""Images of many volumes that are too large to be held whole: read through a mask, some volumes at a time."""

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

BLOCK_BYTES = 64 << 20  # of float32 values of volumes that are decoded at once
BROKEN = (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError)


def shape(path: str | Path) -> tuple[int, ...]:
    """Read the shape that a NIfTI's header states.

    Raises
    ------
    ValueError
        If the file has no whole header; tells its bytes.
    """
    path = Path(path)
    try:
        return tuple(int(n) for n in nib.Nifti1Image.from_filename(path).shape)
    except BROKEN as error:
        raise _broken(path, error) from None


def affine(path: str | Path) -> np.ndarray:
    """Read the affine of a NIfTI's header, (4, 4), from voxel index to mm.

    Raises
    ------
    ValueError
        If the file has no whole header; tells its bytes.
    """
    path = Path(path)
    try:
        return np.asarray(nib.Nifti1Image.from_filename(path).affine, dtype=np.float64)
    except BROKEN as error:
        raise _broken(path, error) from None


def in_mask(path: str | Path, inside: np.ndarray) -> np.ndarray:
    """Read the voxels of a mask, volume after volume.

    Parameters
    ----------
    path : str or Path
        A NIfTI of (x, y, z, n_volumes).
    inside : bool array of shape (x, y, z)

    Returns
    -------
    array of shape (n_volumes, n_voxels)
        float32; voxels in the order of ``np.argwhere(inside)``.

    Raises
    ------
    ValueError
        If the file is no whole NIfTI (tells its bytes), or lies on another grid than the mask.
    """
    path = Path(path)
    try:
        image = nib.Nifti1Image.from_filename(path, keep_file_open=True)  # else each block decompresses all before it
    except BROKEN as error:
        raise _broken(path, error) from None
    if image.ndim != 4 or image.shape[:3] != inside.shape:
        raise ValueError(f"{path} has shape {image.shape}, expected volumes of {inside.shape} voxels")
    n_volumes = int(image.shape[3])
    voxel_series = np.empty((n_volumes, int(inside.sum())), dtype=np.float32)
    n_block_volumes = max(1, BLOCK_BYTES // (4 * inside.size))
    for start in range(0, n_volumes, n_block_volumes):
        volumes = slice(start, min(n_volumes, start + n_block_volumes))
        try:
            block = np.asarray(image.dataobj[..., volumes], dtype=np.float32)
        except BROKEN as error:
            raise _broken(path, error) from None
        voxel_series[volumes] = block[inside].T
    return voxel_series


def _broken(path: Path, error: Exception) -> Exception:
    if not path.is_file():
        return FileNotFoundError(f"{path} is not there")
    size = path.stat().st_size
    return ValueError(f"{path} ({size} bytes) is no whole NIfTI: {error}; remove it and get it again")
