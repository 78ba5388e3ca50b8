"""Projection of volumes to a surface: a sparse matrix that interpolates at sample points and averages over them.

The matrix depends on affine, shape and mesh alone, so it is built once and applied to every volume; the result is
that of nilearn's ``vol_to_surf`` (``interpolation="linear"``), whose conventions these functions follow: samples
outside the image or the mask are left out, a vertex without samples is NaN.
"""

import numpy as np
from scipy import sparse


def depth_samples(outer: np.ndarray, inner: np.ndarray, n_points: int = 10) -> np.ndarray:
    """Place points between corresponding vertices of two surfaces.

    Parameters
    ----------
    outer, inner : array of shape (n_vertices, 3)
        Pial and white surface, mm.
    n_points : int
        Points from one surface to the other, both included.

    Returns
    -------
    array of shape (n_vertices, n_points, 3)
        mm.

    Raises
    ------
    ValueError
        If the surfaces do not correspond.
    """
    if outer.shape != inner.shape:
        raise ValueError(f"surfaces must correspond vertex by vertex, not {outer.shape} and {inner.shape}")
    depth = np.linspace(0, 1, n_points)[None, :, None]
    return outer[:, None] + depth * (inner - outer)[:, None]


def interpolation_matrix(
    samples: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int], mask: np.ndarray | None = None
) -> sparse.csr_array:
    """Build the matrix that takes a volume to the mean of its trilinear values at each vertex's samples.

    Parameters
    ----------
    samples : array of shape (n_vertices, n_points, 3)
        mm.
    affine : array of shape (4, 4)
        From voxel index to mm.
    shape : tuple of 3 int
        Of the volume.
    mask : bool array of shape ``shape``, optional
        Samples in voxels outside it are left out.

    Returns
    -------
    sparse array of shape (n_vertices, n_voxels)
        Rows of vertices that have no sample inside are empty.

    Raises
    ------
    ValueError
        If an axis of the volume has fewer than two voxels, or the mask another shape.
    """
    if min(shape) < 2:
        raise ValueError(f"a volume of shape {shape} cannot be interpolated: each axis needs two voxels or more")
    if mask is not None and mask.shape != shape:
        raise ValueError(f"the mask has shape {mask.shape}, the volume {shape}")
    n_vertices, n_points, _ = samples.shape
    inverse = np.linalg.inv(affine)
    voxels = samples.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    inside = np.all((voxels >= 0) & (voxels < np.array(shape)), axis=1)
    if mask is not None:
        i, j, k = np.floor(voxels[inside]).astype(int).T
        inside[inside] = mask[i, j, k]
    voxels = voxels[inside]
    vertex = np.repeat(np.arange(n_vertices), n_points)[inside]
    share = 1.0 / np.bincount(vertex, minlength=n_vertices).clip(1)[vertex]
    low = np.clip(np.floor(voxels).astype(int), 0, np.array(shape) - 2)
    fraction = voxels - low  # beyond 1 in the last half voxel: linear extrapolation, as nilearn's
    rows, columns, weights = [], [], []
    for corner in np.ndindex(2, 2, 2):
        step = np.array(corner)
        weights.append(share * np.prod(np.where(step == 1, fraction, 1 - fraction), axis=1))
        columns.append(np.ravel_multi_index(tuple((low + step).T), shape))
        rows.append(vertex)
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.csr_array(entries, shape=(n_vertices, int(np.prod(shape))))
    matrix.sum_duplicates()
    return matrix


def project(matrix: sparse.csr_array, volumes: np.ndarray) -> np.ndarray:
    """Apply a projection to all volumes of a run.

    Parameters
    ----------
    matrix : sparse array of shape (n_vertices, n_voxels)
    volumes : array of shape (x, y, z, n_volumes)

    Returns
    -------
    array of shape (n_volumes, n_vertices), float64
        NaN where a vertex has no sample inside the volume.
    """
    used = np.unique(matrix.indices)  # voxels no sample touches are neither copied nor multiplied
    flat = volumes.reshape(-1, volumes.shape[-1])[used].astype(np.float64)
    values = matrix[:, used] @ flat
    values[np.diff(matrix.indptr) == 0] = np.nan
    return np.ascontiguousarray(values.T)
