"""Tests of a map's vertices as the stage adds them: neighbours on the mesh, clusters, and why there are none."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from boldflow.core.scores.maps import vertex_tests
from boldflow.stages.models import _vertex_tests
from boldflow.stages.models._null import Null
from tests.made.meshes import hemispheres

KEPT = 40  # vertices of a hemisphere that a response has, around one of them


def vertices_around(side, vertex):
    """The vertices nearest to one on the inflated surface, in order of their number."""
    points = hemispheres()[side].inflated.points
    return np.sort(np.argsort(((points - points[vertex]) ** 2).sum(axis=1))[:KEPT])


@pytest.fixture
def vertex_map():
    sides = {"left": vertices_around("left", 500), "right": vertices_around("right", 4000)}
    parts = [pd.DataFrame({"hemisphere": side, "vertex": vertex}) for side, vertex in sides.items()]
    table = pd.concat(parts, ignore_index=True).assign(space="fsaverage5")
    return table.assign(r=np.random.default_rng(0).normal(0, 0.2, len(table)))


def scoring(closed_form=True, pooled=False, tfce=True):
    return SimpleNamespace(closed_form=closed_form, pooled=pooled, settings={"tfce": tfce})


def null_of(vertex_map, n_refits=99):
    values = np.random.default_rng(1).normal(0, 0.2, (n_refits, len(vertex_map))).astype(np.float32)
    return Null(np.zeros((n_refits, 1)), values)


def test_neighbours_are_the_edges_of_triangles_whose_corners_are_there(vertex_map):
    """The witness: an adjacency matrix of the whole mesh, cut to the rows."""
    pairs = _vertex_tests.neighbours(vertex_map)
    expected = set()
    for side, part in vertex_map.groupby("hemisphere"):
        faces = hemispheres()[side].inflated.faces
        ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        matrix = sparse.coo_array((np.ones(len(ends)), ends.T), shape=(10_242, 10_242)).tocsr()
        matrix = (matrix + matrix.T)[part["vertex"].to_numpy()][:, part["vertex"].to_numpy()].tocoo()
        rows = part.index.to_numpy()
        expected |= {tuple(sorted(pair)) for pair in np.stack([rows[matrix.row], rows[matrix.col]], axis=1).tolist()}
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == expected and len(pairs) == len(expected) > KEPT


def test_the_map_has_the_tests_of_core_and_the_sidecar_says_how(vertex_map):
    null = null_of(vertex_map)
    tested, note = _vertex_tests.test_map(vertex_map, scoring(), null)
    expected = vertex_tests(vertex_map["r"].to_numpy(), null.vertex_r, _vertex_tests.neighbours(vertex_map))
    for name in ("p", "q", "p_max", "p_tfce"):
        np.testing.assert_array_equal(tested[name], getattr(expected, name))
    assert note["n_refits"] == 99 and note["n_undefined"] == 0 and note["n_vertices"] == 2 * KEPT
    assert note["tfce"].startswith("E = 0.5, H = 2") and "one-sided" in note["method"]


def test_clusters_are_left_out_where_they_are_not_asked_for_or_no_neighbours_are_known(vertex_map):
    asked_off, note = _vertex_tests.test_map(vertex_map, scoring(tfce=False), null_of(vertex_map))
    assert asked_off["p_tfce"].isna().all() and "tfce" not in note and "remarks" not in note
    voxels, note = _vertex_tests.test_map(vertex_map.assign(space="native"), scoring(), null_of(vertex_map))
    assert voxels["p_tfce"].isna().all() and voxels["q"].notna().all() and "fsaverage5 alone" in note["remarks"]


def test_undefined_vertices_are_counted(vertex_map):
    null = null_of(vertex_map)
    null.vertex_r[:, :3] = 0
    tested, note = _vertex_tests.test_map(vertex_map, scoring(), null)
    assert note["n_undefined"] == 3 and tested["p"].isna().sum() == tested["p_tfce"].isna().sum() == 3


@pytest.mark.parametrize(
    ("of", "n_refits", "reason"),
    [
        ({}, 18, "19 refits or more under permuted labels, and there are 18"),
        ({}, 0, "there are 0"),
        ({"closed_form": False}, 0, "only closed-form models of one subject"),
        ({"pooled": True}, 0, "only closed-form models of one subject"),
    ],
)
def test_a_map_that_cannot_be_tested_says_why(vertex_map, of, n_refits, reason):
    null = null_of(vertex_map, n_refits) if n_refits else None
    tested, note = _vertex_tests.test_map(vertex_map, scoring(**of), null)
    assert tested[["p", "q", "p_max", "p_tfce"]].isna().all(axis=None) and (tested["n_refits"] == 0).all()
    assert reason in note["remarks"] and note["n_undefined"] == len(vertex_map) and note["n_refits"] == 0
