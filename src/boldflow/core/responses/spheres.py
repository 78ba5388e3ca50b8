"""Resampling of values on one surface to another through a common sphere, as sparse matrices.

FreeSurfer registers each subject's surface to its template as a sphere (``?h.sphere.reg``): equal directions from the
centre are corresponding places of cortex. A point of the template takes its value from the subject's triangle that
lies in its direction (barycentric), from the nearest vertex (nearest), or from all vertices that lie nearest to it
(average; meant for going from a fine mesh to a coarse one, where the other two leave most vertices unused).
"""

import numpy as np
from scipy import sparse, spatial

ROUND = 0.01  # by how much a radius may differ from the median one, as a share of it
NEARBY = (4, 32)  # nearest vertices whose triangles are tried, before all triangles are
INSIDE = -1e-9  # least barycentric weight of a point that rounding puts just outside an edge
NOTHING = 1e-12  # largest weight that is rounding's: a vertex beside a point that lies on another one
HOW = ("barycentric", "nearest", "average")


def resampling_matrix(targets: np.ndarray, vertices: np.ndarray, faces: np.ndarray, how: str) -> sparse.csr_array:
    """Build the matrix that takes values at the vertices of a sphere to points on another.

    Parameters
    ----------
    targets : array of shape (n_targets, 3)
        Points on a sphere around the origin, of any radius.
    vertices : array of shape (n_vertices, 3)
        Of a sphere around the origin that is registered to it, of any radius.
    faces : int array of shape (n_faces, 3)
        Its triangles, rows of ``vertices``.
    how : {"barycentric", "nearest", "average"}

    Returns
    -------
    sparse array of shape (n_targets, n_vertices)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If ``how`` is another word, points do not lie on a sphere, or no triangle lies in the direction of a target.
    """
    if how not in HOW:
        raise ValueError(f"resampling must be one of {', '.join(HOW)}, not {how!r}")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(f"triangles name vertices {faces.min()} to {faces.max()}, there are 0 to {len(vertices) - 1}")
    aims, corners = _directions(targets, "targets"), _directions(vertices, "vertices")
    if how == "barycentric":
        return _barycentric(aims, corners, faces)
    nearest = spatial.KDTree(corners).query(aims)[1]
    if how == "nearest":
        entries = (np.ones(len(aims)), (np.arange(len(aims)), nearest))
        return sparse.csr_array(entries, shape=(len(aims), len(corners)))
    return _average(aims, corners, nearest)


def subsampling_matrix(n_targets: int, n_vertices: int) -> sparse.csr_array:
    """Build the matrix that takes a finer fsaverage mesh to a coarser one by keeping its first vertices.

    Parameters
    ----------
    n_targets, n_vertices : int
        Vertices of a hemisphere; both ``10 * 4**k + 2``, as 10,242 (fsaverage5), 40,962 (6) and 163,842 (7) are.

    Returns
    -------
    sparse array of shape (n_targets, n_vertices)

    Raises
    ------
    ValueError
        If a number is no such number, or the target mesh is the finer one.

    Notes
    -----
    FreeSurfer's meshes are subdivided icosahedra, each of which begins with the vertices of the one before it.
    """
    for n in (n_targets, n_vertices):
        if n not in ICOSAHEDRA:
            raise ValueError(f"{n} is no number of vertices of an fsaverage mesh; those are {list(ICOSAHEDRA)}")
    if n_targets > n_vertices:
        raise ValueError(f"a mesh of {n_vertices} vertices has no subset of {n_targets}")
    return sparse.eye_array(n_targets, n_vertices, format="csr")


ICOSAHEDRA = tuple(10 * 4**order + 2 for order in range(8))


def _directions(points: np.ndarray, name: str) -> np.ndarray:
    """Scale points to unit length, after a look at whether they lie on a sphere."""
    radii = np.linalg.norm(np.asarray(points, dtype=np.float64), axis=1)
    median_radius = float(np.median(radii))
    if not median_radius > 0 or not np.abs(radii / median_radius - 1).max() <= ROUND:
        raise ValueError(
            f"{name} do not lie on a sphere around the origin: radii are {radii.min():.4g} to {radii.max():.4g} mm; "
            "expected a registered sphere such as lh.sphere.reg"
        )
    directions: np.ndarray = points / radii[:, None]
    return directions


def _barycentric(aims: np.ndarray, corners: np.ndarray, faces: np.ndarray) -> sparse.csr_array:
    """Find the triangle in each direction; near vertices' triangles are tried first."""
    face, weights = np.full(len(aims), -1), np.zeros((len(aims), 3))  # (n_aims,), (n_aims, 3)
    faces_of_vertex = _faces_of_vertices(faces, len(corners))
    tree = spatial.KDTree(corners)
    for n_near in NEARBY:
        open_aims = np.flatnonzero(face < 0)
        if not len(open_aims):
            break
        near_vertices = tree.query(aims[open_aims], k=min(n_near, len(corners)))[1].reshape(len(open_aims), -1)
        is_near = sparse.csr_array(
            (np.ones(near_vertices.size), near_vertices.ravel(), np.arange(len(open_aims) + 1) * near_vertices.shape[1])
        )
        is_near.resize(len(open_aims), len(corners))
        tried_faces = (is_near @ faces_of_vertex).tocoo()  # (n_open, n_faces): triangles beside near vertices
        _keep_best(face, weights, open_aims[tried_faces.coords[0]], tried_faces.coords[1], aims, corners, faces)
    for aim in np.flatnonzero(face < 0):
        _keep_best(face, weights, np.full(len(faces), aim), np.arange(len(faces)), aims, corners, faces)
        if face[aim] < 0:
            raise ValueError(
                f"no triangle of the sphere lies in the direction of target {aim}: the mesh is not closed "
                f"({len(corners)} vertices, {len(faces)} triangles)"
            )
    entries = (weights.ravel(), (np.repeat(np.arange(len(aims)), 3), faces[face].ravel()))
    matrix = sparse.csr_array(entries, shape=(len(aims), len(corners)))
    matrix.eliminate_zeros()  # a point on a vertex has its value, whatever its neighbours' are
    return matrix


def _faces_of_vertices(faces: np.ndarray, n_vertices: int) -> sparse.csr_array:
    """Say which triangles touch a vertex, (n_vertices, n_faces)."""
    entries = (np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), 3)))
    return sparse.csr_array(entries, shape=(n_vertices, len(faces)))


def _keep_best(
    face: np.ndarray,
    weights: np.ndarray,
    aim: np.ndarray,
    tried_faces: np.ndarray,
    aims: np.ndarray,
    corners: np.ndarray,
    faces: np.ndarray,
) -> None:
    """Enter for each aim the tried triangle that it lies deepest inside, where there is one.

    A direction d meets the plane of triangle (a, b, c) in a multiple of d = x a + y b + z c, so that (x, y, z), scaled
    to sum 1, are its barycentric weights. Where a registered sphere is folded, several triangles hold a point.
    """
    a, b, c = (corners[faces[tried_faces, k]] for k in range(3))  # each (n_tried, 3)
    d = aims[aim]
    x, y, z = (np.einsum("ij,ij->i", d, np.cross(*pair)) for pair in ((b, c), (c, a), (a, b)))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))  # (n_tried,)
    scaled_weights = np.stack([x, y, z], axis=1) * np.sign(volume)[:, None]
    weight_sum = scaled_weights.sum(axis=1)
    is_ahead = (weight_sum > 0) & (volume != 0)  # not a triangle on the other side, nor one without area
    shares = scaled_weights[is_ahead] / weight_sum[is_ahead][:, None]
    least_share = shares.min(axis=1)
    order = np.lexsort((tried_faces[is_ahead], -least_share, aim[is_ahead]))
    first_of_aim = np.unique(aim[is_ahead][order], return_index=True)[1]
    best_pairs = order[first_of_aim]
    best_pairs = best_pairs[least_share[best_pairs] >= INSIDE]
    clipped_shares = np.where(shares[best_pairs] > NOTHING, shares[best_pairs], 0)
    face[aim[is_ahead][best_pairs]] = tried_faces[is_ahead][best_pairs]
    weights[aim[is_ahead][best_pairs]] = clipped_shares / clipped_shares.sum(axis=1, keepdims=True)


def _average(aims: np.ndarray, corners: np.ndarray, nearest: np.ndarray) -> sparse.csr_array:
    """Give each vertex to its nearest target; a target to which none falls takes its own nearest vertex."""
    nearest_aim = spatial.KDTree(aims).query(corners)[1]  # (n_corners,)
    lonely_aims = np.setdiff1d(np.arange(len(aims)), nearest_aim)
    rows = np.concatenate([nearest_aim, lonely_aims])
    columns = np.concatenate([np.arange(len(corners)), nearest[lonely_aims]])
    share = 1 / np.bincount(rows, minlength=len(aims))[rows]
    return sparse.csr_array((share, (rows, columns)), shape=(len(aims), len(corners)))
