"""Which vertices a view of a hemisphere shows: the witness is the mesh itself."""

import numpy as np
import pytest

from boldflow.drawing import meshes
from tests.made.meshes import hemispheres


@pytest.mark.parametrize("side", meshes.SIDES)
@pytest.mark.parametrize("view", [view for view in meshes.VIEWS if view != "flat"])
def test_a_view_shows_what_faces_it(side, view):
    """The witness is the mesh itself: vertices that are shown lie, on average, on the eye's side."""
    seen = meshes.project_surface(hemispheres()[side], side, view)
    points = hemispheres()[side].inflated.points
    towards = np.array(meshes.VIEWS[view][0], dtype=float) * ([-1, 1, 1] if side == "right" else [1, 1, 1])
    shown = np.unique(seen.vertex[seen.vertex >= 0])
    hidden = np.setdiff1d(np.arange(meshes.N_VERTICES), shown)
    assert 0.2 < len(shown) / meshes.N_VERTICES < 0.8
    assert (points[shown] @ towards).mean() > (points[hidden] @ towards).mean() + 10
    assert seen.background.shape == (*seen.vertex.shape, 4)


@pytest.mark.parametrize("side", meshes.SIDES)
def test_the_flat_view_shows_the_whole_of_the_mesh_that_was_cut_open_and_not_the_medial_wall(side):
    seen = meshes.project_surface(hemispheres()[side], side, "flat")
    faces = hemispheres()[side].flat.faces
    shown = np.unique(seen.vertex[seen.vertex >= 0])
    assert len(np.intersect1d(shown, faces)) == len(shown) > 0.95 * len(np.unique(faces))
    assert len(np.unique(faces)) < meshes.N_VERTICES


def test_the_front_of_the_brain_is_left_in_a_lateral_view_of_the_left_hemisphere_and_right_in_the_other():
    for side, front_is_left in (("left", True), ("right", False)):
        vertex = meshes.project_surface(hemispheres()[side], side, "lateral").vertex
        front = hemispheres()[side].inflated.points[:, 1]
        half = vertex.shape[1] // 2
        left, right = (front[part[part >= 0]].mean() for part in (vertex[:, :half], vertex[:, half:]))
        assert (left > right) == front_is_left


def test_a_view_or_a_vertex_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no view 'front'"):
        meshes.project_surface(hemispheres()["left"], "left", "front")
    with pytest.raises(ValueError, match=r"0\.\.10241"):
        meshes.vertex_array([10_242], [1.0])
    with pytest.raises(ValueError, match="more than once"):
        meshes.vertex_array([3, 3], [1.0, 2.0])
