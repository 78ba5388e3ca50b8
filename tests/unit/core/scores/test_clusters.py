"""Cluster enhancement against thresholds gone through one by one, and edges of a mesh by hand."""

import numpy as np
import pytest

from boldflow.core.scores.clusters import mesh_edges, tfce


def components(members, edges):
    """Connected parts of some vertices, each a set: parts that an edge joins are merged until none is left."""
    parts = [{vertex} for vertex in members]
    for first, second in edges:
        if first in members and second in members:
            touched = [part for part in parts if first in part or second in part]
            parts = [part for part in parts if part not in touched] + [set().union(*touched)]
    return parts


def step_by_step(heights, edges, extent, height, n_steps):
    """The witness: clusters at each of many thresholds, and the midpoint rule."""
    step = max(heights.max(), 0) / n_steps
    summed = np.zeros(len(heights))
    for threshold in (np.arange(n_steps) + 0.5) * step:
        for part in components(set(np.flatnonzero(heights >= threshold).tolist()), edges.tolist()):
            summed[list(part)] += len(part) ** extent * threshold**height * step
    return summed


@pytest.mark.parametrize(("extent", "height"), [(0.5, 2.0), (1.0, 2.0), (0.6, 1.0)])
@pytest.mark.parametrize("seed", range(4))
def test_enhancement_is_the_integral_over_thresholds(seed, extent, height):
    rng = np.random.default_rng(seed)
    n = 25
    edges = np.unique(np.sort(rng.integers(n, size=(35, 2)), axis=1), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    heights = np.round(rng.normal(size=n), 1)  # with ties
    expected = step_by_step(heights, edges, extent, height, 4000)
    enhanced = tfce(heights, edges, extent, height)
    np.testing.assert_allclose(enhanced, expected, atol=2e-3 * expected.max())
    assert (enhanced[heights <= 0] == 0).all()


def test_a_vertex_alone_has_the_integral_of_its_own_height():
    np.testing.assert_allclose(tfce(np.array([3.0, -1.0]), np.array([[0, 1]])), [9.0, 0.0])


def test_two_neighbours_join_below_the_lower_one():
    """By hand: 1 from 3 to 2 (19 / 3), then both together from 2 to 0 (sqrt(2) 8 / 3)."""
    together = np.sqrt(2) * 8 / 3
    np.testing.assert_allclose(tfce(np.array([3.0, 2.0]), np.array([[0, 1]])), [19 / 3 + together, together])


def test_parts_without_an_edge_between_them_do_not_help_each_other():
    rng = np.random.default_rng(0)
    heights, chain = rng.uniform(1, 2, 12), np.stack([np.arange(5), np.arange(1, 6)], axis=1)
    both = tfce(heights, np.concatenate([chain, chain + 6]))
    np.testing.assert_allclose(both, [*tfce(heights[:6], chain), *tfce(heights[6:], chain)])


@pytest.mark.parametrize("heights", [np.zeros(3), -np.ones(3)])
def test_nothing_above_0_is_enhanced_to_nothing(heights):
    assert (tfce(heights, np.array([[0, 1], [1, 2]])) == 0).all()


def test_a_mesh_has_each_edge_once():
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    assert mesh_edges(faces).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
