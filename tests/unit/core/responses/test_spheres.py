"""Resampling between spheres: against brute force over all triangles, and on functions with known values."""

import numpy as np
import pytest

from boldflow.core.responses import spheres
from tests.made.surfaces import icosphere, jittered, turned


def by_areas(target, points, faces):
    """Witness: meet the plane of every triangle, and weigh its corners by the areas opposite them."""
    best, found = np.inf, None
    for face in faces:
        a, b, c = points[face]
        normal = np.cross(b - a, c - a)
        if abs(normal @ target) < 1e-12:
            continue
        meet = target * (normal @ a) / (normal @ target)
        if meet @ target <= 0:
            continue
        areas = np.array([np.linalg.norm(np.cross(q - meet, r - meet)) for q, r in ((b, c), (c, a), (a, b))])
        excess = areas.sum() / np.linalg.norm(normal) - 1
        if excess < best:
            best, found = excess, (face, areas / areas.sum())
    assert best < 1e-9
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_barycentric_weights_are_those_of_areas_in_the_triangle_that_brute_force_finds(seed):
    points, faces = icosphere(2)
    source = jittered(turned(points, seed), seed, 0.3)
    targets = 1.7 * turned(icosphere(1)[0], seed + 9)
    matrix = spheres.resampling_matrix(targets, source, faces, "barycentric").toarray()
    for target, row in zip(targets, matrix, strict=True):
        face, weights = by_areas(target, source, faces)
        wanted = np.zeros(len(source))
        wanted[face] = weights
        np.testing.assert_allclose(row, wanted, atol=1e-9)


@pytest.mark.parametrize("order", [3, 5])
def test_coordinates_are_met_in_the_direction_of_the_target(order):
    """Known values: a linear function is met exactly where the ray crosses the triangle, so x, y, z point at it."""
    points, faces = icosphere(order)
    source, targets = jittered(points, 3, 0.3), turned(icosphere(4)[0], 5)
    met = spheres.resampling_matrix(targets, source, faces, "barycentric") @ source
    length = np.linalg.norm(met, axis=1)
    np.testing.assert_allclose(met / length[:, None], targets / 100, atol=1e-12)
    assert (length < 100 + 1e-9).all()


def test_a_smooth_function_is_known_to_the_square_of_the_mesh():
    """x y z + z^2 on the unit sphere; each halving of the edges leaves a quarter of the error."""

    def smooth(points):
        x, y, z = points.T / 100
        return x * y * z + z**2

    targets = turned(icosphere(3)[0], 7)
    errors = []
    for order in (3, 4, 5):
        points, faces = icosphere(order)
        matrix = spheres.resampling_matrix(targets, turned(points, 1), faces, "barycentric")
        errors.append(np.abs(matrix @ smooth(turned(points, 1)) - smooth(targets)).max())
    assert errors[2] < 2e-3
    assert errors[0] / errors[1] > 3 and errors[1] / errors[2] > 3


@pytest.mark.parametrize("how", spheres.HOW)
def test_rows_sum_to_one_weights_are_no_less_than_nothing_and_a_constant_stays(how):
    points, faces = icosphere(3)
    matrix = spheres.resampling_matrix(turned(icosphere(4)[0], 2), points, faces, how)
    assert matrix.data.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)


def test_the_same_mesh_is_left_as_it_is_and_a_neighbours_nan_does_not_reach_a_vertex():
    points, faces = icosphere(3)
    values = np.random.default_rng(0).normal(size=len(points))
    values[5] = np.nan
    for how in spheres.HOW:
        np.testing.assert_allclose(spheres.resampling_matrix(points, points, faces, how) @ values, values, rtol=1e-12)


def test_a_triangle_that_touches_nan_is_nan_and_only_that():
    points, faces = icosphere(2)
    targets = turned(icosphere(3)[0], 4)
    values = np.ones(len(points))
    values[30] = np.nan
    matrix = spheres.resampling_matrix(targets, points, faces, "barycentric")
    np.testing.assert_array_equal(np.isnan(matrix @ values), matrix[:, [30]].toarray()[:, 0] > 0)


def test_nearest_and_average_are_those_of_a_table_of_all_distances():
    points, faces = icosphere(3)
    source, targets = jittered(points, 1, 0.3), turned(icosphere(1)[0], 8)
    distance = np.linalg.norm(source[None] - targets[:, None], axis=2)
    values = np.random.default_rng(1).normal(size=len(source))
    found = spheres.resampling_matrix(targets, source, faces, "nearest") @ values
    np.testing.assert_array_equal(found, values[distance.argmin(axis=1)])
    found = spheres.resampling_matrix(targets, source, faces, "average") @ values
    owner = distance.argmin(axis=0)
    np.testing.assert_allclose(found, [values[owner == k].mean() for k in range(len(targets))], rtol=1e-12)
    # from coarse to fine: those that own nothing take their nearest
    found = spheres.resampling_matrix(source, targets, icosphere(1)[1], "average")
    assert (np.diff(found.indptr) == 1).all()
    np.testing.assert_array_equal(found.indices, distance.argmin(axis=0))


def test_a_folded_sphere_gives_one_triangle_and_the_same_each_time():
    points, faces = icosphere(3)
    folded = points.copy()
    neighbour = next(i for i in faces[(faces == 100).any(axis=1)].ravel() if i != 100)
    beyond = points[100] + 2.5 * (points[neighbour] - points[100])
    folded[100] = 100 * beyond / np.linalg.norm(beyond)
    targets = turned(icosphere(4)[0], 3)
    first, again = (spheres.resampling_matrix(targets, folded, faces, "barycentric") for _ in range(2))
    assert (first != again).nnz == 0 and np.diff(first.indptr).max() <= 3
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-14)


def test_finer_meshes_begin_with_the_coarser_ones_vertices():
    fine, coarse = icosphere(4)[0], icosphere(2)[0]
    np.testing.assert_array_equal(spheres.subsampling_matrix(162, 2562) @ fine, coarse)
    with pytest.raises(ValueError, match=r"10000 is no number of vertices of an fsaverage mesh; those are \[12, 42"):
        spheres.subsampling_matrix(162, 10000)
    with pytest.raises(ValueError, match="a mesh of 162 vertices has no subset of 642"):
        spheres.subsampling_matrix(642, 162)


def test_what_is_no_sphere_or_not_closed_is_refused():
    points, faces = icosphere(2)
    stretched = points * [1, 1, 1.2]
    with pytest.raises(ValueError, match=r"vertices do not lie on a sphere .*radii are 100 to 120 mm; expected a reg"):
        spheres.resampling_matrix(points, stretched, faces, "nearest")
    with pytest.raises(ValueError, match="resampling must be one of barycentric, nearest, average, not 'linear'"):
        spheres.resampling_matrix(points, points, faces, "linear")
    half = faces[points[faces][:, :, 2].mean(axis=1) > 0]
    with pytest.raises(ValueError, match=r"direction of target \d+: the mesh is not closed \(162 vertices, "):
        spheres.resampling_matrix(points, points, half, "barycentric")
    with pytest.raises(ValueError, match="triangles name vertices 0 to 162, there are 0 to 161"):
        spheres.resampling_matrix(points, points, np.array([[0, 1, 162]]), "nearest")
