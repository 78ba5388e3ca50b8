"""Surfaces, scales, styles and the badge: what is drawn is read back from the artists."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from boldflow.drawing import cortex, figure_style

CMAP, NORM = mpl.colormaps["viridis"], Normalize(0, 1)


def test_eight_subjects_differ_in_colour_and_in_marker_and_sixteen_in_the_pair():
    eight = figure_style.subject_styles(f"sub-{n}" for n in range(8))
    assert len({style.colour for style in eight.values()}) == len({style.marker for style in eight.values()}) == 8
    sixteen = figure_style.subject_styles(f"sub-{n:02d}" for n in range(16))
    assert len(set(sixteen.values())) == 16


def test_the_colour_of_a_subject_does_not_depend_on_the_order_of_rows():
    assert figure_style.subject_styles(["b", "a", "b"]) == figure_style.subject_styles(["a", "b"])


@pytest.mark.parametrize("side", cortex.SIDES)
@pytest.mark.parametrize("view", [view for view in cortex.VIEWS if view != "flat"])
def test_a_view_shows_what_faces_it(side, view):
    """The witness is the mesh itself: vertices that are shown lie, on average, on the eye's side."""
    seen = cortex.project_surface(side, view)
    points, _, _ = cortex._mesh(side)
    towards = np.array(cortex.VIEWS[view][0], dtype=float) * ([-1, 1, 1] if side == "right" else [1, 1, 1])
    shown = np.unique(seen.vertex[seen.vertex >= 0])
    hidden = np.setdiff1d(np.arange(cortex.N_VERTICES), shown)
    assert 0.2 < len(shown) / cortex.N_VERTICES < 0.8
    assert (points[shown] @ towards).mean() > (points[hidden] @ towards).mean() + 10
    assert seen.background.shape == (*seen.vertex.shape, 4)


@pytest.mark.parametrize("side", cortex.SIDES)
def test_the_flat_view_shows_the_whole_of_the_mesh_that_was_cut_open_and_not_the_medial_wall(side):
    seen = cortex.project_surface(side, "flat")
    faces = cortex._mesh(side, flat=True)[1]
    shown = np.unique(seen.vertex[seen.vertex >= 0])
    assert len(np.intersect1d(shown, faces)) == len(shown) > 0.95 * len(np.unique(faces))
    assert len(np.unique(faces)) < cortex.N_VERTICES


def test_panels_near_the_data_leave_the_rest_out():
    values = np.full(cortex.N_VERTICES, np.nan)
    vertex = cortex.project_surface("left", "flat").vertex
    values[vertex[120:140, 100:130][vertex[120:140, 100:130] >= 0]] = 1.0
    empty = np.full(cortex.N_VERTICES, np.nan)
    row = cortex.SurfaceRow("", "one", [{"left": values, "right": empty}])
    figure = cortex.surface_figure([row], [cortex.SurfaceGroup("")], ["flat"], "RdBu_r", NORM, "r", near=True)
    left, right = figure.axes[:2]
    for axis, (low, high) in ((left.get_xlim(), (100, 130)), (left.get_ylim()[::-1], (120, 140))):
        assert low - 20 < axis[0] < low and high < axis[1] < high + 20
    assert right.get_xlim() == (-0.5, cortex.project_surface("right", "flat").vertex.shape[1] - 0.5)


def test_the_front_of_the_brain_is_left_in_a_lateral_view_of_the_left_hemisphere_and_right_in_the_other():
    for side, front_is_left in (("left", True), ("right", False)):
        vertex = cortex.project_surface(side, "lateral").vertex
        front = cortex._mesh(side)[0][:, 1]
        half = vertex.shape[1] // 2
        left, right = (front[part[part >= 0]].mean() for part in (vertex[:, :half], vertex[:, half:]))
        assert (left > right) == front_is_left


def test_a_pixel_shows_the_value_of_its_vertex_and_grey_where_there_is_none():
    values = np.random.default_rng(0).uniform(size=cortex.N_VERTICES)
    values[::7] = np.nan
    axes = Figure().add_subplot()
    image = cortex.draw_surface(axes, "left", "medial", values, CMAP, NORM)
    vertex = cortex.project_surface("left", "medial").vertex
    drawn = image.get_array()
    known = (vertex >= 0) & np.isfinite(values[vertex])
    np.testing.assert_array_equal(~np.ma.getmaskarray(drawn), known)
    np.testing.assert_array_equal(drawn[known].data, values[vertex[known]])
    background = axes.images[0].get_array()
    assert np.ptp(background[vertex >= 0][:, :3], axis=1).max() == 0


def test_values_of_another_mesh_are_refused():
    with pytest.raises(ValueError, match="10242 vertices"):
        cortex.draw_surface(Figure().add_subplot(), "left", "medial", np.zeros(642), CMAP, NORM)
    with pytest.raises(ValueError, match=r"0\.\.10241"):
        cortex.vertex_array([10_242], [1.0])
    with pytest.raises(ValueError, match="more than once"):
        cortex.vertex_array([3, 3], [1.0, 2.0])
    with pytest.raises(ValueError, match="no view 'front'"):
        cortex.project_surface("left", "front")


def test_borders_lie_only_between_regions():
    regions = np.full(cortex.N_VERTICES, "a", dtype=object)
    vertex = cortex.project_surface("left", "medial").vertex
    assert not cortex._borders(vertex, regions).any()
    regions[cortex._mesh("left")[0][:, 1] < 0] = "b"
    edge = cortex._borders(vertex, regions)[..., 3] > 0
    assert 0 < edge.mean() < 0.05


@pytest.mark.parametrize(("values", "limit"), [([0.02], 0.05), ([-0.31], 0.4), ([0.4], 0.4), ([5.0], 1.0), ([], 0.05)])
def test_a_scale_ends_on_a_round_number(values, limit):
    assert cortex.round_up(np.array([*values, np.nan])) == pytest.approx(limit)


def test_a_map_elsewhere_than_on_the_surface_is_refused_by_name():
    maps = pd.DataFrame({"response": ["native"], "feature": ["f"], "model": ["m"], "space": ["native"]})
    nothing = {"models": [], "features": [], "responses": []}
    with pytest.raises(ValueError, match="native"):
        cortex.choose_maps(maps, nothing, "a figure")
    with pytest.raises(ValueError, match="native f m"):
        cortex.choose_maps(maps, {**nothing, "models": ["other"]}, "a figure")


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_the_badge_lies_over_nothing_and_nothing_changes_its_size(layout):
    figure = Figure(figsize=(4, 3), layout=layout)
    axes = figure.add_subplot()
    axes.plot([0, 1])
    axes.set_title("to the very top right", loc="right")
    figure.suptitle("title")
    figure.legend(handles=axes.lines, labels=["a line"], loc="upper right")
    figure.draw_without_rendering()
    before = axes.get_window_extent().size
    figure_style.stamp_simulated(figure)
    figure.draw_without_rendering()
    badges = [text for text in figure.texts if text.get_text() == "SIMULATED"]
    assert len(badges) == 1
    badge = badges[0].get_bbox_patch().get_window_extent()
    assert figure.bbox.x0 <= badge.x0 and badge.x1 <= figure.bbox.x1 and badge.y1 <= figure.bbox.y1
    others = [axes.get_tightbbox(), figure.legends[0].get_window_extent()]
    others += [text.get_window_extent() for text in figure.texts if text not in badges]
    assert not any(badge.overlaps(other) for other in others)
    np.testing.assert_allclose(axes.get_window_extent().size, before, rtol=1e-6)


def test_the_badge_is_visible_in_the_picture():
    figure = Figure(figsize=(3, 2))
    figure_style.stamp_simulated(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    corner = np.asarray(Image.open(data).convert("RGB"))[:36, 150:]
    fill = np.array(mpl.colors.to_rgb(figure_style.BADGE["fill"])) * 255
    assert (np.abs(corner - fill).max(axis=2) < 3).mean() > 0.2


def test_a_figure_of_subfigures_cannot_be_stamped():
    figure = Figure()
    figure.subfigures(1, 2)
    with pytest.raises(ValueError, match="2 subfigures"):
        figure_style.stamp_simulated(figure)
