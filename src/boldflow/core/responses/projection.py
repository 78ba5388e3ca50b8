"""Projection of volumes to a surface: a sparse matrix that interpolates at sample points and averages over them.

The matrix depends on affine, shape, mesh and mask alone, so it is built once and applied to every volume; the result is
that of nilearn's ``vol_to_surf``, whose conventions these functions follow: samples outside the image or the mask are
left out, a vertex without samples is NaN. One thing differs, and is meant: where a voxel of a sample is not finite in a
volume, nilearn averages that vertex over its other samples in that volume alone; here it is not finite, so that it can
be masked and counted in all volumes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

BLOCK = 32  # volumes whose voxels stay in a processor's cache during the product
KEPT = 128  # volumes of a block that is gathered for more than one product: long rows are read at less cost
TAKEN = 16  # volumes from which a voxel is taken before the next one
THICK, WIDE = 2, 3  # voxels along the slowest axis and the middle one: vertices of such a column follow one another


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
    depth = np.linspace(0, 1, n_points)[None, :, None]  # (1, n_points, 1)
    return outer[:, None] + depth * (inner - outer)[:, None]  # (n_vertices, n_points, 3)


def line_samples(vertices: np.ndarray, faces: np.ndarray, half_width_mm: float = 3.0, n_points: int = 10) -> np.ndarray:
    """Place points on the normal of each vertex, to both sides of it.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        mm.
    faces : int array of shape (n_faces, 3)
        Triangles; their corners run counter-clockwise as seen from outside.
    half_width_mm : float
        From the vertex to either end.
    n_points : int
        From the outer end to the inner one, both included.

    Returns
    -------
    array of shape (n_vertices, n_points, 3)
        mm. The normal is the mean of those of the triangles around the vertex, each of unit length; a vertex without
        triangles has all its points at itself.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = _unit(np.cross(b - a, c - a))  # (n_faces, 3)
    normals = np.zeros_like(vertices, dtype=np.float64)
    for k in range(3):
        np.add.at(normals, faces[:, k], face_normals)
    offsets = np.linspace(half_width_mm, -half_width_mm, n_points)
    return vertices[:, None] + offsets[None, :, None] * _unit(normals)[:, None]


def interpolation_matrix(
    samples: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, int, int],
    mask: np.ndarray | None = None,
    kind: Literal["linear", "nearest"] = "linear",
) -> sparse.csr_array:
    """Build the matrix that takes a volume to the mean of its values at each vertex's samples.

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
    kind : {"linear", "nearest"}
        Trilinear between voxels, or the value of the nearest voxel.

    Returns
    -------
    sparse array of shape (n_vertices, n_voxels)
        Rows of vertices that have no sample inside are empty.

    Raises
    ------
    ValueError
        If an axis of the volume has fewer than two voxels, the mask another shape, or ``kind`` is another word.
    """
    if kind not in ("linear", "nearest"):
        raise ValueError(f"kind must be linear or nearest, not {kind!r}")
    if min(shape) < 2:
        raise ValueError(f"a volume of shape {shape} cannot be interpolated: each axis needs two voxels or more")
    if mask is not None and mask.shape != shape:
        raise ValueError(f"the mask has shape {mask.shape}, the volume {shape}")
    n_vertices, n_points, _ = samples.shape
    voxels = _voxels(samples, affine)
    if kind == "nearest":
        voxels = np.rint(voxels)
    is_inside = np.all((voxels >= 0) & (voxels < np.array(shape)), axis=1)
    if mask is not None:
        i, j, k = np.floor(voxels[is_inside]).astype(int).T
        is_inside[is_inside] = mask[i, j, k]
    voxels = voxels[is_inside]  # (n_inside, 3)
    vertex = np.repeat(np.arange(n_vertices), n_points)[is_inside]  # (n_inside,)
    sample_weight = 1.0 / np.bincount(vertex, minlength=n_vertices).clip(1)[vertex]
    if kind == "nearest":
        return _matrix(
            [sample_weight], [vertex], [np.ravel_multi_index(tuple(voxels.astype(int).T), shape)], n_vertices, shape
        )
    low_corner = np.clip(np.floor(voxels).astype(int), 0, np.array(shape) - 2)
    fraction = voxels - low_corner  # beyond 1 in the last half voxel: linear extrapolation, as nilearn's
    rows, columns, weights = [], [], []
    for corner in np.ndindex(2, 2, 2):
        step = np.array(corner)
        weights.append(sample_weight * np.prod(np.where(step == 1, fraction, 1 - fraction), axis=1))
        columns.append(np.ravel_multi_index(tuple((low_corner + step).T), shape))
        rows.append(vertex)
    return _matrix(weights, rows, columns, n_vertices, shape)


def mostly_inside(samples: np.ndarray, affine: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Tell which vertices have at least half of their samples in a region of a volume.

    Parameters
    ----------
    samples : array of shape (n_vertices, n_points, 3)
        mm.
    affine : array of shape (4, 4)
        From voxel index to mm.
    region : bool array of shape (x, y, z)

    Returns
    -------
    bool array of shape (n_vertices,)
        A sample counts by its nearest voxel; one outside the volume is not in the region.
    """
    voxels = np.rint(_voxels(samples, affine)).astype(int)
    in_volume = np.all((voxels >= 0) & (voxels < np.array(region.shape)), axis=1)
    in_region = np.zeros(len(voxels), dtype=bool)
    in_region[in_volume] = region[tuple(voxels[in_volume].T)]
    is_mostly_inside: np.ndarray = 2 * in_region.reshape(samples.shape[:2]).sum(axis=1) >= samples.shape[1]
    return is_mostly_inside


@dataclass(frozen=True)
class Gathered:
    """A projection of gathered voxels, in an order in which neighbours in the volume are neighbours in memory.

    ``matrix`` (n_vertices, n_used); its row k is vertex ``vertices[k]``; ``voxels`` (n_used,) are their places in a
    volume as it lies in memory.
    """

    matrix: sparse.csr_array
    vertices: np.ndarray
    voxels: np.ndarray

    def by_use(self) -> "Gathered":
        """Bring voxels into the order in which vertices use them: quickest to multiply, slower to gather."""
        order = np.argsort(np.unique(self.matrix.indices, return_index=True)[1])
        new_number = np.empty(len(order), dtype=np.int32)
        new_number[order] = np.arange(len(order), dtype=np.int32)
        parts = (self.matrix.data, new_number[self.matrix.indices], self.matrix.indptr)
        return Gathered(sparse.csr_array(parts, shape=self.matrix.shape), self.vertices, self.voxels[order])


def apply(gathered: Gathered, blocks: Iterable[np.ndarray], n_volumes: int) -> np.ndarray:
    """Apply a projection to voxels that were gathered.

    Parameters
    ----------
    gathered, blocks : from ``Projector.gather``
    n_volumes : int
        Of all blocks together.

    Returns
    -------
    array of shape (n_volumes, n_vertices), float64
        As of a ``Projector``; the course of a vertex lies in one piece.
    """
    projected = np.empty((gathered.matrix.shape[0], n_volumes))
    start = 0
    for block in blocks:
        projected[gathered.vertices, start : start + block.shape[1]] = gathered.matrix @ block
        start += block.shape[1]
    projected[gathered.vertices[np.diff(gathered.matrix.indptr) == 0]] = np.nan
    return projected.T


class Projector:
    """A projection of volumes of one shape, brought into order once for each way in which volumes lie in memory.

    Parameters
    ----------
    matrix : sparse array of shape (n_vertices, n_voxels)
    shape : tuple of 3 int
        Of the volumes.

    Raises
    ------
    ValueError
        If the volumes have another number of voxels than the matrix.
    """

    def __init__(self, matrix: sparse.csr_array, shape: tuple[int, ...]) -> None:
        """Keep the matrix; see the class."""
        n_voxels = int(np.prod(shape))
        if n_voxels != matrix.shape[1]:
            raise ValueError(f"volumes of shape {shape} have {n_voxels} voxels, the matrix {matrix.shape[1]}")
        self._matrix, self._shape = matrix, tuple(shape)
        self._gathered: dict[bool, Gathered] = {}

    def __call__(self, volumes: np.ndarray, block: int = BLOCK) -> np.ndarray:
        """Apply the projection to all volumes of a run.

        Parameters
        ----------
        volumes : array of shape (x, y, z, n_volumes)
        block : int
            Volumes that are taken at once: what is copied of them besides the result.

        Returns
        -------
        array of shape (n_volumes, n_vertices), float64
            NaN where a vertex has no sample inside the volume, not finite where a voxel of its samples is not.

        Raises
        ------
        ValueError
            If the volumes have another shape.
        """
        volume_major, flat = self._as_it_lies(volumes)
        gathered = self._in_order(volume_major)
        # new memory costs as much as the product
        buffer = np.empty(len(gathered.voxels) * min(block, volumes.shape[-1]))
        return apply(gathered, _taken(flat, gathered.voxels, block, volume_major, buffer), volumes.shape[-1])

    def gather(self, volumes: np.ndarray, block: int = KEPT) -> tuple[Gathered, Iterator[np.ndarray]]:
        """Take those voxels of volumes that the projection uses, for maps that are projected more than once.

        Parameters
        ----------
        volumes : array of shape (x, y, z, n_volumes)
        block : int
            Volumes that are taken at once.

        Returns
        -------
        (Gathered, iterator of arrays of shape (n_used, n_some), float64)
            The projection of the voxels that are used, and their values in one block after the other.

        Raises
        ------
        ValueError
            If the volumes have another shape.
        """
        volume_major, flat = self._as_it_lies(volumes)
        gathered = self._in_order(volume_major).by_use()
        return gathered, _taken(flat, gathered.voxels, block, volume_major)

    def _as_it_lies(self, volumes: np.ndarray) -> tuple[bool, np.ndarray]:
        """Tell whether volumes lie one after the other, and give them as (n_voxels, n_volumes) without a copy."""
        if volumes.shape[:-1] != self._shape:
            raise ValueError(f"volumes have shape {volumes.shape[:-1]}, the projection {self._shape}")
        # as NIfTI files are read: volume after volume, the first axis fastest
        volume_major = bool(volumes.flags.f_contiguous and not volumes.flags.c_contiguous)
        return volume_major, volumes.reshape(-1, volumes.shape[-1], order="F" if volume_major else "C")

    def _in_order(self, volume_major: bool) -> Gathered:
        if volume_major not in self._gathered:
            self._gathered[volume_major] = _in_order(self._matrix, self._shape, volume_major)
        return self._gathered[volume_major]


def project(matrix: sparse.csr_array, volumes: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Apply a projection once; see ``Projector``, which is quicker where more volumes follow."""
    return Projector(matrix, volumes.shape[:-1])(volumes, block)


def _in_order(matrix: sparse.csr_array, shape: tuple[int, ...], volume_major: bool) -> Gathered:
    """Leave out what is not used, number voxels as they lie in memory, and bring vertices of one place together."""
    used_voxels, voxel_index = np.unique(matrix.indices, return_inverse=True)
    memory_place = (
        np.ravel_multi_index(np.unravel_index(used_voxels, shape), shape, order="F") if volume_major else used_voxels
    )
    order = np.argsort(memory_place)
    new_number = np.empty(len(used_voxels), dtype=np.int32)
    new_number[order] = np.arange(len(used_voxels), dtype=np.int32)
    parts = (matrix.data, new_number[voxel_index], matrix.indptr.astype(np.int32))
    used_matrix = sparse.csr_array(parts, shape=(matrix.shape[0], len(used_voxels)))
    first_voxel = np.zeros(matrix.shape[0], dtype=np.int64)  # a voxel of each vertex
    has_samples = np.diff(matrix.indptr) > 0
    first_voxel[has_samples] = matrix.indices[matrix.indptr[:-1][has_samples]]
    i, j, k = np.unravel_index(first_voxel, shape)
    fast_axis, slow_axis = (i, k) if volume_major else (k, i)
    vertices = np.lexsort((fast_axis, j // WIDE, slow_axis // THICK))
    return Gathered(used_matrix[vertices], vertices, memory_place[order])


def _taken(
    flat: np.ndarray, voxels: np.ndarray, block: int, volume_major: bool, buffer: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Take voxels of ``flat`` (n_voxels, n_volumes) block by block; with ``buffer``, each block overwrites the last."""
    n_volumes = flat.shape[1]
    for start in range(0, n_volumes, block):
        shape = (len(voxels), min(block, n_volumes - start))
        block_values = np.empty(shape) if buffer is None else buffer[: shape[0] * shape[1]].reshape(shape)
        if volume_major:
            for k in range(0, shape[1], TAKEN):
                volumes = slice(start + k, start + min(k + TAKEN, shape[1]))
                block_values[:, k : k + TAKEN] = flat.T[volumes][:, voxels].T
        else:
            block_values[:] = flat[voxels, start : start + block]
        yield block_values


def _matrix(
    weights: list[np.ndarray],
    rows: list[np.ndarray],
    columns: list[np.ndarray],
    n_vertices: int,
    shape: tuple[int, int, int],
) -> sparse.csr_array:
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.csr_array(entries, shape=(n_vertices, int(np.prod(shape))))
    matrix.sum_duplicates()
    return matrix


def _voxels(samples: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Bring samples from mm to voxel indices, (n_vertices * n_points, 3)."""
    inverse = np.linalg.inv(affine)  # from mm to voxels
    voxels: np.ndarray = samples.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    return voxels


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (n, 3) to unit length; those of none stay so."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
