"""Maps on the cortical surface, as figures draw them.

Sizes are in inches, text in points. A surface is fsaverage5 as nilearn ships it (10,242 vertices a hemisphere),
inflated and seen from a fixed direction, or flat; each pixel shows the value of the vertex nearest to it, so nothing is
interpolated.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from boldflow.drawing.figure_style import GREY, RC, share_of, write_at

SURFACE = "fsaverage5"
SIDES = ("left", "right")
N_VERTICES = 10_242  # per hemisphere
PIXEL_MM = 0.5
MARGIN, NEAR_IN = 12, 0.012  # pixels around data, and inches of a pixel at most, where the rest is left out
FLAT_PIXEL_MM = 1.0  # the flat mesh is larger than any view of the inflated one
# from the mesh's centre towards the eye, and what is up; x is mirrored for the right hemisphere (x towards the midline)
VIEWS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "lateral": ((-1, 0, 0), (0, 0, 1)),
    "medial": ((1, 0, 0), (0, 0, 1)),
    "ventral": ((0, 0, -1), (0, 1, 0)),
    "dorsal": ((0, 0, 1), (0, 1, 0)),
    "posterior": ((0, -1, 0), (0, 0, 1)),
    "occipital": ((0.62, -0.72, -0.3), (0, 0, 1)),
    "flat": ((0, 0, 1), (0, 1, 0)),  # of the mesh that is cut open and laid out
}


@dataclass(frozen=True)
class Projection:
    """A hemisphere seen from one side: which vertex each pixel shows.

    ``vertex`` is int (height, width), -1 outside the brain; ``background`` is float32 (height, width, 4), light gyri
    and darker sulci, transparent outside.
    """

    vertex: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class SurfaceGroup:
    """Columns that show one quantity: ``title`` above them."""

    title: str


@dataclass(frozen=True)
class SurfaceRow:
    """One subject's surfaces.

    ``block`` is a heading drawn above the first row that has it. ``values`` has one entry per group: {side: array
    (n_vertices,), NaN without data}, or None where there is no such result. ``regions`` is {side: array of str
    (n_vertices,)} whose borders are drawn, or None.
    """

    block: str
    label: str
    values: Sequence[Mapping[str, np.ndarray] | None]
    regions: Mapping[str, np.ndarray] | None = None


@functools.cache
def _mesh(side: str, flat: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read coordinates (n_vertices, 3) in mm, faces (n_faces, 3) and sulcal depth (n_vertices,), inflated or flat."""
    from nilearn import datasets, surface  # slow to import, and only maps need it

    files = datasets.fetch_surf_fsaverage(SURFACE)
    mesh = surface.load_surf_mesh(files[f"{'flat' if flat else 'infl'}_{side}"])
    depth = surface.load_surf_data(files[f"sulc_{side}"])
    return np.asarray(mesh.coordinates, dtype=np.float64), np.asarray(mesh.faces), np.asarray(depth)


@functools.cache
def project_surface(side: str, view: str) -> Projection:
    """See an inflated hemisphere of fsaverage5 from one side.

    Parameters
    ----------
    side : "left" or "right"
    view : str
        A key of ``VIEWS``.

    Returns
    -------
    Projection
        Pixels of ``PIXEL_MM`` (flat: ``FLAT_PIXEL_MM``); row 0 is the top.

    Raises
    ------
    ValueError
        If side or view is unknown.
    """
    if side not in SIDES or view not in VIEWS:
        raise ValueError(f"no view {view!r} of side {side!r}; views: {', '.join(VIEWS)}; sides: {', '.join(SIDES)}")
    points, faces, depth = _mesh(side, view == "flat")
    towards, up = (np.array(axis, dtype=np.float64) for axis in VIEWS[view])
    if side == "right":
        towards[0] *= -1
    towards /= np.linalg.norm(towards)
    up -= (up @ towards) * towards
    up /= np.linalg.norm(up)
    x, y, near = points @ np.cross(up, towards), -(points @ up), points @ towards
    used = np.unique(faces)  # a flat mesh leaves out the medial wall
    pixel = FLAT_PIXEL_MM if view == "flat" else PIXEL_MM
    column, row = (x - x[used].min()) / pixel + 1, (y - y[used].min()) / pixel + 1
    vertex = _nearest_vertex(column, row, near, faces)
    grey = np.where(depth > 0, 0.78, 0.88)[vertex]
    background = np.dstack([grey, grey, grey, vertex >= 0]).astype(np.float32)
    return Projection(vertex, background)


def _nearest_vertex(column: np.ndarray, row: np.ndarray, near: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Fill triangles back to front; each pixel keeps the corner that it is closest to."""
    used = np.unique(faces)
    shape = (int(np.ceil(row[used].max())) + 2, int(np.ceil(column[used].max())) + 2)
    shown = np.full(shape, -1, dtype=np.int64)
    order = np.argsort(near[faces].mean(axis=1), kind="stable")
    px, py = column[faces[order]], row[faces[order]]  # (n_faces, 3)
    corners = faces[order]
    area = (px[:, 1] - px[:, 0]) * (py[:, 2] - py[:, 0]) - (px[:, 2] - px[:, 0]) * (py[:, 1] - py[:, 0])
    left, top = np.floor(px.min(axis=1)).astype(int), np.floor(py.min(axis=1)).astype(int)
    wide, tall = int(np.ceil(np.ptp(px, axis=1).max())) + 1, int(np.ceil(np.ptp(py, axis=1).max())) + 1
    rank = np.full(shape, -1, dtype=np.int64)  # place in the order of the face that a pixel shows
    solid = area != 0
    scale = np.where(solid, area, 1)
    for dx in range(wide):
        for dy in range(tall):
            x, y = left + dx, top + dy
            first = ((px[:, 1] - x) * (py[:, 2] - y) - (px[:, 2] - x) * (py[:, 1] - y)) / scale
            second = ((px[:, 2] - x) * (py[:, 0] - y) - (px[:, 0] - x) * (py[:, 2] - y)) / scale
            weight = np.stack([first, second, 1 - first - second])
            hit = np.flatnonzero(solid & (weight >= -1e-9).all(axis=0))
            np.maximum.at(rank, (y[hit], x[hit]), hit)  # faces come back to front: the last is the nearest
            won = hit[rank[y[hit], x[hit]] == hit]
            shown[y[won], x[won]] = corners[won, weight[:, won].argmax(axis=0)]
    return shown


def draw_surface(
    axes: Axes,
    side: str,
    view: str,
    values: np.ndarray,
    cmap: Colormap,
    norm: Normalize,
    regions: np.ndarray | None = None,
) -> AxesImage:
    """Draw one value per vertex on an inflated hemisphere.

    Parameters
    ----------
    axes : Axes
        Its frame is taken away.
    side : "left" or "right"
    view : str
        A key of ``VIEWS``.
    values : array of shape (10242,)
        NaN where there are no data: those vertices stay grey.
    cmap, norm : colour map and scale
    regions : array of str of shape (10242,), optional
        Borders between different names are drawn; the empty name is one of them.

    Returns
    -------
    AxesImage
        Its array has the value of the vertex at each pixel, masked where there is none.

    Raises
    ------
    ValueError
        If ``values`` has another length, or side or view is unknown.
    """
    if np.shape(values) != (N_VERTICES,):
        raise ValueError(
            f"a hemisphere of {SURFACE} has {N_VERTICES} vertices, found values of shape {np.shape(values)}"
        )
    seen = project_surface(side, view)
    axes.imshow(seen.background, interpolation_stage="rgba")
    at = np.where(seen.vertex >= 0, np.asarray(values, dtype=np.float64)[seen.vertex], np.nan)
    image = axes.imshow(np.ma.masked_invalid(at), cmap=cmap, norm=norm, interpolation_stage="rgba")
    if regions is not None:
        axes.imshow(_borders(seen.vertex, regions), interpolation_stage="rgba")
    axes.set_axis_off()
    return image


def _borders(vertex: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Thin dark lines, RGBA (height, width, 4), between regions of different names."""
    code = np.unique(np.asarray(regions, dtype=str), return_inverse=True)[1]
    at = np.where(vertex >= 0, code[vertex], -1)
    edge = np.zeros(at.shape, dtype=bool)
    for axis in (0, 1):
        for step in (1, -1):
            other = np.roll(at, step, axis=axis)
            edge |= (at != other) & (at >= 0) & (other >= 0)
    line = np.zeros((*at.shape, 4), dtype=np.float32)
    line[edge] = (0.1, 0.1, 0.1, 0.75)
    return line


def vertex_array(vertex: Sequence[int] | np.ndarray, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Spread values of some vertices over a hemisphere of fsaverage5.

    Parameters
    ----------
    vertex : int array of shape (n,)
    values : array of shape (n,)

    Returns
    -------
    array of shape (10242,)
        NaN where no value was given.

    Raises
    ------
    ValueError
        If a vertex is not on the mesh, or is given twice.
    """
    where = np.asarray(vertex, dtype=int)
    if len(where) and (where.min() < 0 or where.max() >= N_VERTICES):
        raise ValueError(f"vertices must lie in 0..{N_VERTICES - 1} ({SURFACE}), found {where.min()}..{where.max()}")
    if len(np.unique(where)) != len(where):
        raise ValueError(f"{len(where) - len(np.unique(where))} vertices are given more than once")
    full = np.full(N_VERTICES, np.nan)
    full[where] = np.asarray(values, dtype=np.float64)
    return full


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
    known = np.abs(values[np.isfinite(values)])
    high = np.percentile(known, 99) if known.size else 0.0
    steps = 10 if high > 0.2 else 20
    return float(np.clip(np.ceil(high * steps - 1e-9) / steps, 0.05, most))


def choose_maps(maps: pd.DataFrame, settings: Mapping[str, Any], figure: str) -> pd.DataFrame:
    """Keep the rows of vertex maps that a figure's settings name.

    Parameters
    ----------
    maps : DataFrame
        Columns of the table ``maps`` (see ``boldflow.figures``).
    settings : mapping
        ``models``, ``features`` and ``responses``: lists of names, empty for all.
    figure : str
        Name of the figure, for errors.

    Returns
    -------
    DataFrame
        At least one row.

    Raises
    ------
    ValueError
        If no row is left, or one does not lie on fsaverage5.
    """
    keep = pd.Series(True, index=maps.index)
    for key, column in (("models", "model"), ("features", "feature"), ("responses", "response")):
        if settings[key]:
            keep &= maps[column].isin(settings[key])
    if not keep.any():
        there = maps[["response", "feature", "model"]].drop_duplicates().astype(str).agg(" ".join, axis=1)
        raise ValueError(
            f"{figure}: no result matches its settings; there are (response feature model): {sorted(there)}"
        )
    chosen = maps[keep]
    elsewhere = sorted(chosen.loc[chosen["space"] != SURFACE, "response"].unique())
    if elsewhere:
        raise ValueError(
            f"{figure}: responses {elsewhere} do not lie on {SURFACE}; name those that do under its key 'responses'"
        )
    return chosen


def hemispheres(part: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    """Spread a column of one subject's map over both hemispheres.

    Parameters
    ----------
    part : DataFrame
        Columns hemisphere, vertex and ``column``, a row per vertex.
    column : str
        ``roi`` for names, else numbers.

    Returns
    -------
    dict of "left" and "right" to array of shape (10242,)
        NaN, or for ``roi`` the empty name, where a vertex has no row.

    Raises
    ------
    ValueError
        If a vertex is not on the mesh, or is given twice.
    """
    full = {}
    for side in SIDES:
        here = part[part["hemisphere"] == side]
        if column == "roi":
            names = np.full(N_VERTICES, "", dtype=object)
            names[here["vertex"].to_numpy(dtype=int)] = here["roi"].fillna("").to_numpy(dtype=str)
            full[side] = names
        else:
            full[side] = vertex_array(here["vertex"].to_numpy(), here[column].to_numpy(dtype=float))
    return full


def surface_note(rois: pd.Series | None, left_out: int) -> str:
    """Say below a figure which ROIs have borders and how many results it leaves out.

    Parameters
    ----------
    rois : Series of str, or None where no borders are drawn
    left_out : int

    Returns
    -------
    str
        Empty where there is nothing to say.
    """
    names = sorted({str(name) for name in rois.dropna().unique()} - {""}) if rois is not None else []
    parts = [f"Lines: borders of {', '.join(names)}."] if names else []
    parts += [f"{left_out} more results are not drawn."] if left_out else []
    return " ".join(parts)


def surface_figure(
    rows: Sequence[SurfaceRow],
    groups: Sequence[SurfaceGroup],
    views: Sequence[str],
    cmap: str,
    norm: Normalize,
    label: str,
    extend: str = "neither",
    note: str = "",
    near: bool = False,
) -> Figure:
    """Draw rows of surfaces, a row per subject, with one colour bar for all.

    Parameters
    ----------
    rows : sequence of SurfaceRow
    groups : sequence of SurfaceGroup
        Quantities side by side; each has all ``views`` of both hemispheres, mirrored.
    views : sequence of str
        Keys of ``VIEWS``.
    cmap : str
        Name of matplotlib's colour map.
    norm : Normalize
        The scale of every map in the figure.
    label : str
        Of the colour bar.
    extend : "neither", "min", "max" or "both"
        Where values lie beyond the scale.
    note : str
        A line below the colour bar.
    near : bool
        Whether panels show the surroundings of vertices with data only, the same in all rows, instead of the whole.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not rows or not groups or not views:
        raise ValueError(f"nothing to draw: {len(rows)} rows, {len(groups)} groups, {len(views)} views")
    panels = [(side, view) for side in SIDES for view in (views if side == "left" else views[::-1])]
    boxes = [_box(project_surface(*panel).vertex, panel[0], rows if near else []) for panel in panels]
    sizes = [(bottom - top, right - left) for top, bottom, left, right in boxes]
    # all brains of a figure have one scale; columns are as wide as their view
    inch = min(NEAR_IN if near else 0.0036, 11.0 / len(groups) / sum(width for _, width in sizes))
    tall = max(height for height, _ in sizes) * inch
    gap, group_gap, label_width, right = 0.08, 0.3, 0.95, 0.15
    group_width = sum(width for _, width in sizes) * inch + gap * (len(panels) - 1)
    width = max(label_width + len(groups) * group_width + (len(groups) - 1) * group_gap + right, 4.2)
    headings = sum(1 for n, row in enumerate(rows) if row.block and (n == 0 or row.block != rows[n - 1].block))
    top = 0.25 + (0.25 if any(group.title for group in groups) else 0)
    bottom = 0.62 + (0.2 if note else 0)
    height = top + headings * 0.3 + len(rows) * (tall + gap) + bottom
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, height))
        colours = mpl.colormaps[cmap]
        starts = [label_width + n * (group_width + group_gap) for n in range(len(groups))]
        for start, group in zip(starts, groups, strict=True):
            write_at(figure, start + group_width / 2, height - 0.14, group.title, weight="bold", size=9)
            x = start
            for (side, view), (_, wide) in zip(panels, sizes, strict=True):
                short = f"{side[0].upper()} {view}"
                write_at(figure, x + wide * inch / 2, height - top + 0.1, short, color=GREY, size=7)
                x += wide * inch + gap
        y = height - top
        for n, row in enumerate(rows):
            if row.block and (n == 0 or row.block != rows[n - 1].block):
                y -= 0.3
                write_at(figure, 0.1, y + 0.13, row.block, ha="left", weight="bold")
            y -= tall + gap
            write_at(figure, 0.1, y + tall / 2, row.label, ha="left")
            for start, values in zip(starts, row.values, strict=True):
                if values is None:
                    write_at(figure, start + group_width / 2, y + tall / 2, "no such result", color=GREY)
                    continue
                x = start
                for (side, view), (high, wide), (above, below, first, last) in zip(panels, sizes, boxes, strict=True):
                    place = (x, y + (tall - high * inch) / 2, wide * inch, high * inch)
                    axes = figure.add_axes(share_of(place, width, height), label=f"{n} {side} {view}")
                    regions = row.regions[side] if row.regions else None
                    draw_surface(axes, side, view, values[side], colours, norm, regions)
                    axes.set_xlim(first - 0.5, last - 0.5)
                    axes.set_ylim(below - 0.5, above - 0.5)
                    x += wide * inch + gap
        bar_width = min(2.6, width - label_width - 0.4)
        centre = label_width + (width - label_width - right) / 2
        place = (centre - bar_width / 2, bottom - 0.17, bar_width, 0.09)
        bar = figure.colorbar(
            ScalarMappable(norm, colours),
            cax=figure.add_axes(share_of(place, width, height), label="colour bar"),
            orientation="horizontal",
            extend=extend,
        )
        bar.set_label(label, labelpad=2)
        ticks = np.linspace(float(norm.vmin or 0), float(norm.vmax or 0), 5 if norm.vmin else 3)
        bar.set_ticks(ticks.tolist(), labels=[f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in ticks])
        bar.outline.set_linewidth(0.5)
        if note:
            write_at(figure, centre, 0.1, note, color=GREY, size=7)
    return figure


def _box(vertex: np.ndarray, side: str, rows: Sequence[SurfaceRow]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right (exclusive) of the pixels that show data in any row, with a margin; else of all."""
    known = np.zeros(N_VERTICES, dtype=bool)
    for row in rows:
        for values in row.values:
            known |= np.isfinite(values[side]) if values is not None else False
    shown = (vertex >= 0) & known[vertex]
    if not shown.any():
        return 0, vertex.shape[0], 0, vertex.shape[1]
    found: list[int] = []
    for axis, size in ((1, vertex.shape[0]), (0, vertex.shape[1])):
        places = np.flatnonzero(shown.any(axis=axis))
        found += [max(0, int(places[0]) - MARGIN), min(size, int(places[-1]) + 1 + MARGIN)]
    return found[0], found[1], found[2], found[3]
