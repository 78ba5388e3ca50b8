"""Figures of maps: what panels show, and which maps can be drawn."""

import numpy as np
import pandas as pd
import pytest

from boldflow.drawing import cortex
from boldflow.drawing.meshes import N_VERTICES, project_surface
from tests.made.meshes import hemispheres


def test_panels_near_the_data_leave_the_rest_out():
    values = np.full(N_VERTICES, np.nan)
    vertex = project_surface(hemispheres()["left"], "left", "flat").vertex
    values[vertex[120:140, 100:130][vertex[120:140, 100:130] >= 0]] = 1.0
    empty = np.full(N_VERTICES, np.nan)
    row = cortex.SurfaceRow("", "one", [{"left": values, "right": empty}])
    scale = cortex.Scale("RdBu_r", 0, 1, "r")
    figure = cortex.surface_figure([row], [cortex.SurfaceGroup("")], ["flat"], hemispheres(), scale, near=True)
    left, right = figure.axes[:2]
    for axis, (low, high) in ((left.get_xlim(), (100, 130)), (left.get_ylim()[::-1], (120, 140))):
        assert low - 20 < axis[0] < low and high < axis[1] < high + 20
    assert right.get_xlim() == (-0.5, project_surface(hemispheres()["right"], "right", "flat").vertex.shape[1] - 0.5)


def test_a_map_elsewhere_than_on_the_surface_is_refused_by_name():
    maps = pd.DataFrame({"response": ["native"], "feature": ["f"], "model": ["m"], "space": ["native"]})
    nothing = {"models": [], "features": [], "responses": []}
    with pytest.raises(ValueError, match="native"):
        cortex.choose_maps(maps, nothing, "a figure")
    with pytest.raises(ValueError, match="native f m"):
        cortex.choose_maps(maps, {**nothing, "models": ["other"]}, "a figure")
