"""Styles and the badge: what is drawn is read back from the artists."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from boldflow.drawing import figure_style


def test_eight_subjects_differ_in_colour_and_in_marker_and_sixteen_in_the_pair():
    eight = figure_style.subject_styles(f"sub-{n}" for n in range(8))
    assert len({style.colour for style in eight.values()}) == len({style.marker for style in eight.values()}) == 8
    sixteen = figure_style.subject_styles(f"sub-{n:02d}" for n in range(16))
    assert len(set(sixteen.values())) == 16


def test_the_colour_of_a_subject_does_not_depend_on_the_order_of_rows():
    assert figure_style.subject_styles(["b", "a", "b"]) == figure_style.subject_styles(["a", "b"])


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
    fill = np.array(mpl.colors.to_rgb(figure_style.BADGE_FILL)) * 255
    assert (np.abs(corner - fill).max(axis=2) < 3).mean() > 0.2


def test_a_figure_of_subfigures_cannot_be_stamped():
    figure = Figure()
    figure.subfigures(1, 2)
    with pytest.raises(ValueError, match="2 subfigures"):
        figure_style.stamp_simulated(figure)
