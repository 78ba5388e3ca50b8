"""Scales, borders and coloured pixels: what is drawn is read back from the artists."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from boldflow.drawing import colours
from boldflow.drawing.meshes import N_VERTICES, project_surface
from tests.made.meshes import hemispheres

CMAP, NORM = mpl.colormaps["viridis"], Normalize(0, 1)


def seen(view):
    return project_surface(hemispheres()["left"], "left", view)


def test_a_pixel_shows_the_value_of_its_vertex_and_grey_where_there_is_none():
    values = np.random.default_rng(0).uniform(size=N_VERTICES)
    values[::7] = np.nan
    axes = Figure().add_subplot()
    image = colours.draw_surface(axes, seen("medial"), values, CMAP, NORM)
    vertex = seen("medial").vertex
    drawn = image.get_array()
    known = (vertex >= 0) & np.isfinite(values[vertex])
    np.testing.assert_array_equal(~np.ma.getmaskarray(drawn), known)
    np.testing.assert_array_equal(drawn[known].data, values[vertex[known]])
    background = axes.images[0].get_array()
    assert np.ptp(background[vertex >= 0][:, :3], axis=1).max() == 0


def test_vertices_that_do_not_pass_are_faint_and_keep_their_values():
    passing = np.arange(N_VERTICES) % 2 == 0
    values = np.linspace(0, 1, N_VERTICES)
    image = colours.draw_surface(Figure().add_subplot(), seen("medial"), values, CMAP, NORM, passing=passing)
    vertex = seen("medial").vertex
    inside = vertex >= 0
    np.testing.assert_array_equal(image.get_alpha()[inside], np.where(passing[vertex[inside]], 1, colours.FAINT))
    np.testing.assert_array_equal(image.get_array()[inside].data, values[vertex[inside]])


def test_values_of_another_mesh_are_refused():
    with pytest.raises(ValueError, match="10242 vertices"):
        colours.draw_surface(Figure().add_subplot(), seen("medial"), np.zeros(642), CMAP, NORM)


def test_borders_lie_only_between_regions():
    regions = np.full(N_VERTICES, "a", dtype=object)
    vertex = seen("medial").vertex
    assert not colours.borders(vertex, regions).any()
    regions[hemispheres()["left"].inflated.points[:, 1] < 0] = "b"
    edge = colours.borders(vertex, regions)[..., 3] > 0
    assert 0 < edge.mean() < 0.05


@pytest.mark.parametrize(("values", "limit"), [([0.02], 0.05), ([-0.31], 0.4), ([0.4], 0.4), ([5.0], 1.0), ([], 0.05)])
def test_a_scale_ends_on_a_round_number(values, limit):
    assert colours.round_up(np.array([*values, np.nan])) == pytest.approx(limit)
