"""Gabor energy of grey pictures: contrast by place, spatial frequency and orientation.

Angles are in radians: ``theta`` is the direction in which a grating changes, from the x axis (to the right) towards
the y axis (down the picture), so that pi/2 is a grating of horizontal bars. Frequencies are in cycles per picture.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import fft

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709, of linear RGB; taken on the values as they are
OCTAVES = 1.0  # bandwidth at half height, as of V1 cells (De Valois et al. 1982, Vision Res. 22, 545-559)


def grey(images: np.ndarray) -> np.ndarray:
    """Turn colour pictures into luminance.

    Parameters
    ----------
    images : uint8 array of shape (n_images, height, width, 3)

    Returns
    -------
    float64 array of shape (n_images, height, width)
        From 0 to 1.

    Raises
    ------
    ValueError
        If type or shape is another.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8 (n_images, height, width, 3), not {images.dtype} {images.shape}")
    weights = LUMINANCE / 255
    return sum(images[..., k] * weights[k] for k in range(3))


def resize(pictures: np.ndarray, size: int) -> np.ndarray:
    """Resample pictures to a square, linearly and without aliasing.

    Parameters
    ----------
    pictures : array of shape (n_images, height, width)
    size : int
        Pixels per side.

    Returns
    -------
    array of shape (n_images, size, size)
    """
    row_weights, column_weights = (_triangle(n, size) for n in pictures.shape[1:])
    return row_weights @ pictures @ column_weights.T


def orientations(n: int) -> np.ndarray:
    """Return ``n`` evenly spaced angles from 0 up to pi (radians)."""
    return np.pi * np.arange(n) / n


def energy(pictures: np.ndarray, scales: Sequence[float], n_orientations: int) -> np.ndarray:
    """Local contrast energy in each channel: the squared length of a quadrature pair of Gabor filters.

    A grating of amplitude A at a channel's own frequency and orientation has energy A squared wherever it is, and
    whatever its phase. Each picture is filtered on its own, so its result does not depend on the others.

    Parameters
    ----------
    pictures : array of shape (n_images, size, size)
        Grey.
    scales : sequence of float
        Cycles per picture; at most a quarter of ``size``.
    n_orientations : int

    Returns
    -------
    float32 array of shape (n_images, n_scales * n_orientations, size, size)
        Channels of the first scale first.

    Raises
    ------
    ValueError
        If the pictures are not square, or a scale does not fit them.

    Notes
    -----
    Adelson and Bergen 1985, J. Opt. Soc. Am. A 2, 284-299. The filters are Gaussians in the frequency plane, one
    octave wide at half height, equally wide across; borders are mirrored.
    """
    n_images, size, width = pictures.shape
    if width != size:
        raise ValueError(f"pictures must be square, not {size} x {width} pixels")
    unfit_scales = [scale for scale in scales if not 0 < scale <= size / 4]
    if unfit_scales or not len(scales):
        raise ValueError(f"scales must lie above 0 and at most at {size / 4:g} cycles (size / 4), not {unfit_scales}")
    margin = size // 2
    bank = _bank(size + 2 * margin, size, tuple(scales), n_orientations)
    unpadded = slice(margin, margin + size)
    energies = np.empty((n_images, len(bank), size, size), dtype=np.float32)
    for picture_energy, picture in zip(energies, pictures, strict=True):
        centred = np.pad(picture - picture.mean(), margin, mode="symmetric")
        spectrum = fft.fft2(centred.astype(np.float32))  # (2 * size, 2 * size)
        quadrature = fft.ifft2(spectrum * bank)[:, unpadded, unpadded]  # complex (n_filters, size, size)
        np.add(quadrature.real**2, quadrature.imag**2, out=picture_energy)
    return energies


def pool(maps: np.ndarray, grid: int) -> np.ndarray:
    """Average maps over the cells of a square grid.

    Parameters
    ----------
    maps : array of shape (..., size, size)
    grid : int
        Cells per side; pixels on a border count with the share that lies in the cell.

    Returns
    -------
    array of shape (..., grid, grid)

    Raises
    ------
    ValueError
        If there are more cells than pixels.
    """
    size = maps.shape[-1]
    if not 1 <= grid <= size:
        raise ValueError(f"grid must be from 1 to the {size} pixels of a side, not {grid}")
    cells = _cells(size, grid).astype(maps.dtype)  # (grid, size)
    return cells @ maps @ cells.T


@cache
def _bank(n: int, size: int, scales: tuple[float, ...], n_orientations: int) -> np.ndarray:
    """Transfer functions (n_channels, n, n) for pictures of ``size`` pixels padded to ``n``."""
    cycles = fft.fftfreq(n) * size
    y, x = np.meshgrid(cycles, cycles, indexing="ij")
    # half height at f / (1 + r) and f * (1 + r) lies one bandwidth apart for this spread
    ratio = (2**OCTAVES - 1) / (2**OCTAVES + 1) / np.sqrt(2 * np.log(2))
    bank = []
    for scale in scales:
        for theta in orientations(n_orientations):
            squared_distance = (x - scale * np.cos(theta)) ** 2 + (y - scale * np.sin(theta)) ** 2
            # 2: the half plane that is kept holds half of a real grating's amplitude
            bank.append(2 * np.exp(-squared_distance / (2 * (ratio * scale) ** 2)))
    transfer = np.stack(bank).astype(np.float32)  # (n_scales * n_orientations, n, n)
    transfer[:, 0, 0] = 0  # mean luminance is no contrast
    transfer.flags.writeable = False
    return transfer


@cache
def _cells(size: int, grid: int) -> np.ndarray:
    """Averaging matrix (grid, size): share of each pixel in each cell, rows sum to 1."""
    edges = np.linspace(0, size, grid + 1)
    lower_edge, upper_edge = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)
    overlap = np.clip(np.minimum(upper_edge, pixel + 1) - np.maximum(lower_edge, pixel), 0, None)
    return overlap / overlap.sum(axis=1, keepdims=True)


@cache
def _triangle(n_in: int, n_out: int) -> np.ndarray:
    """Linear interpolation matrix (n_out, n_in), widened where it shrinks, so that nothing aliases."""
    step = n_in / n_out
    centre = (np.arange(n_out) + 0.5) * step - 0.5
    reach = max(step, 1.0)
    weight = np.clip(1 - np.abs(np.arange(n_in) - centre[:, None]) / reach, 0, None)
    return weight / weight.sum(axis=1, keepdims=True)
