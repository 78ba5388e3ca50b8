"""Scales of colour, and values of a hemisphere as coloured pixels."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from boldflow.drawing.meshes import N_VERTICES, SURFACE, Projection

FAINT = 0.2  # opacity of vertices that do not pass a threshold


def round_up(values: np.ndarray, most: float = 1.0) -> float:
    """Choose the end of a scale: the 99th percentile of absolute values, rounded up to .1 (.05 up to .2).

    Parameters
    ----------
    values : array of any shape
        NaN are left out.
    most : float
        End of the longest scale.

    Returns
    -------
    float
        From .05 to ``most``.
    """
    magnitudes = np.abs(values[np.isfinite(values)])
    percentile = np.percentile(magnitudes, 99) if magnitudes.size else 0.0
    steps_per_unit = 10 if percentile > 0.2 else 20
    return float(np.clip(np.ceil(percentile * steps_per_unit - 1e-9) / steps_per_unit, 0.05, most))


def draw_surface(
    axes: Axes,
    projection: Projection,
    values: np.ndarray,
    cmap: Colormap,
    norm: Normalize,
    regions: np.ndarray | None = None,
    passing: np.ndarray | None = None,
) -> AxesImage:
    """Draw one value per vertex on a hemisphere of fsaverage5.

    Parameters
    ----------
    axes : Axes
        Its frame is taken away.
    projection : Projection
        Which vertex each pixel shows.
    values : array of shape (10242,)
        NaN where there are no data: those vertices stay grey.
    cmap, norm : colour map and scale
    regions : array of str of shape (10242,), optional
        Borders between different names are drawn; the empty name is one of them.
    passing : bool array of shape (10242,), optional
        Vertices that pass a threshold; others are drawn faint.

    Returns
    -------
    AxesImage
        Its array has the value of the vertex at each pixel, masked where there is none.

    Raises
    ------
    ValueError
        If ``values`` has another length.
    """
    if np.shape(values) != (N_VERTICES,):
        raise ValueError(
            f"a hemisphere of {SURFACE} has {N_VERTICES} vertices, found values of shape {np.shape(values)}"
        )
    axes.imshow(projection.background, interpolation_stage="rgba")
    vertex = projection.vertex  # (height, width)
    pixels = np.where(vertex >= 0, np.asarray(values, dtype=np.float64)[vertex], np.nan)
    opacity = None if passing is None else np.where(passing[vertex], 1.0, FAINT)  # (height, width)
    values_shown = np.ma.masked_invalid(pixels)
    image = axes.imshow(values_shown, cmap=cmap, norm=norm, alpha=opacity, interpolation_stage="rgba")
    if regions is not None:
        axes.imshow(borders(vertex, regions), interpolation_stage="rgba")
    axes.set_axis_off()
    return image


def borders(vertex: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Draw thin dark lines between regions of different names.

    Parameters
    ----------
    vertex : int array of shape (height, width)
        Which vertex each pixel shows, -1 outside.
    regions : array of str of shape (n_vertices,)

    Returns
    -------
    float32 array of shape (height, width, 4)
        RGBA, transparent where there is no border.
    """
    region_number = np.unique(np.asarray(regions, dtype=str), return_inverse=True)[1]  # (n_vertices,)
    pixel_region = np.where(vertex >= 0, region_number[vertex], -1)
    is_border = np.zeros(pixel_region.shape, dtype=bool)
    for axis in (0, 1):
        for step in (1, -1):
            neighbour = np.roll(pixel_region, step, axis=axis)
            is_border |= (pixel_region != neighbour) & (pixel_region >= 0) & (neighbour >= 0)
    rgba = np.zeros((*pixel_region.shape, 4), dtype=np.float32)
    rgba[is_border] = (0.1, 0.1, 0.1, 0.75)
    return rgba
