"""Figures of maps on the cortical surface: a row per subject, quantities side by side, one colour bar.

Sizes are in inches, text in points. A surface is fsaverage5 (10,242 vertices a hemisphere), inflated and seen from a
fixed direction, or flat; each pixel shows the value of the vertex nearest to it, so nothing is interpolated.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from boldflow.drawing.colours import draw_surface
from boldflow.drawing.figure_style import GREY, RC, share_of, write_at
from boldflow.drawing.meshes import N_VERTICES, SIDES, SURFACE, Hemisphere, Projection, project_surface
from boldflow.settings import Entry

MARGIN, NEAR_IN = 12, 0.012  # pixels around data, and inches of a pixel at most, where the rest is left out
PIXEL_IN, SURFACES_IN = 0.0036, 11.0  # inches of a pixel at most, and of all surfaces of a row
GAP_IN, GROUP_GAP_IN, LABEL_IN, RIGHT_IN = 0.08, 0.3, 0.95, 0.15
TITLE_IN, VIEW_IN, HEADING_IN, BAR_IN, NOTE_IN = 0.25, 0.25, 0.3, 0.62, 0.2
LEAST_IN, BAR_WIDE_IN, BAR_HIGH_IN = 4.2, 2.6, 0.09


@dataclass(frozen=True)
class SurfaceGroup:
    """Columns that show one quantity: ``title`` above them."""

    title: str


@dataclass(frozen=True)
class SurfaceRow:
    """One subject's surfaces.

    ``block`` is a heading drawn above the first row that has it. ``values`` has one entry per group: {side: array
    (n_vertices,), NaN without data}, or None where there is no such result. ``regions`` is {side: array of str
    (n_vertices,)} whose borders are drawn, or None. ``passing`` has one entry per group, {side: bool array
    (n_vertices,)} or None, or is empty: vertices that do not pass are faint.
    """

    block: str
    label: str
    values: Sequence[Mapping[str, np.ndarray] | None]
    regions: Mapping[str, np.ndarray] | None = None
    passing: Sequence[Mapping[str, np.ndarray] | None] = ()


@dataclass(frozen=True)
class Scale:
    """Colours of every map in a figure: matplotlib's name, from ``low`` to ``high``; ``label`` of the colour bar.

    ``extend`` says beyond which ends values lie: "neither", "min", "max" or "both".
    """

    colours: str
    low: float
    high: float
    label: str
    extend: str = "neither"


@dataclass(frozen=True)
class Crop:
    """Pixels of a view that are shown, the last ones excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def wide(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def high(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top


@dataclass(frozen=True)
class View:
    """One hemisphere from one side, in every row and group of a figure."""

    side: str
    name: str
    projection: Projection
    crop: Crop


class Layout:
    """Where surfaces, headings and the colour bar of a figure lie, in inches from its lower left corner."""

    def __init__(
        self,
        rows: Sequence[SurfaceRow],
        groups: Sequence[SurfaceGroup],
        views: Sequence[View],
        pixel_in: float,
        n_lines: int,
    ) -> None:
        """Lay out rows below each other, groups side by side, and the bar at the foot.

        Parameters
        ----------
        rows, groups, views : what is drawn; each group has all views
        pixel_in : largest pixel; all brains of a figure have one scale
        n_lines : lines of text below the bar
        """
        self.rows, self.views = rows, views
        views_width_px = sum(view.crop.wide for view in views)
        self.inch_per_pixel = min(pixel_in, SURFACES_IN / len(groups) / views_width_px)
        self.row_height = max(view.crop.high for view in views) * self.inch_per_pixel
        self.group_width = views_width_px * self.inch_per_pixel + GAP_IN * (len(views) - 1)
        right_edge = LABEL_IN + len(groups) * self.group_width + (len(groups) - 1) * GROUP_GAP_IN
        self.width = max(right_edge + RIGHT_IN, LEAST_IN)
        self.head_height = TITLE_IN + (VIEW_IN if any(group.title for group in groups) else 0)
        self.foot_height = BAR_IN + NOTE_IN * n_lines
        n_headings = sum(self.opens_block(n) for n in range(len(rows)))
        self.height = (
            self.head_height + n_headings * HEADING_IN + len(rows) * (self.row_height + GAP_IN) + self.foot_height
        )
        self.group_starts = [LABEL_IN + n * (self.group_width + GROUP_GAP_IN) for n in range(len(groups))]

    def opens_block(self, number: int) -> bool:
        """Tell whether a heading stands above a row."""
        block = self.rows[number].block
        return bool(block) and (number == 0 or block != self.rows[number - 1].block)

    def columns(self, start: float) -> Iterator[tuple[View, float]]:
        """Give the views of a group that starts there, each with its left edge."""
        left = start
        for view in self.views:
            yield view, left
            left += view.crop.wide * self.inch_per_pixel + GAP_IN

    @property
    def centre(self) -> float:
        """Middle of the colour bar, from the left."""
        return LABEL_IN + (self.width - LABEL_IN - RIGHT_IN) / 2


def choose_maps(maps: pd.DataFrame, settings: Entry, figure: str) -> pd.DataFrame:
    """Keep the rows of vertex maps that a figure's settings name.

    Parameters
    ----------
    maps : DataFrame
        Columns of the table ``maps`` (``vocabulary.tables``).
    settings : Entry
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
    matches = pd.Series(True, index=maps.index)
    for key, column in (("models", "model"), ("features", "feature"), ("responses", "response")):
        if settings[key]:
            matches &= maps[column].isin(settings[key])
    if not matches.any():
        available = maps[["response", "feature", "model"]].drop_duplicates().astype(str).agg(" ".join, axis=1)
        raise ValueError(
            f"{figure}: no result matches its settings; there are (response feature model): {sorted(available)}"
        )
    chosen_maps = maps[matches]
    other_spaces = sorted(chosen_maps.loc[chosen_maps["space"] != SURFACE, "response"].unique())
    if other_spaces:
        raise ValueError(
            f"{figure}: responses {other_spaces} do not lie on {SURFACE}; name those that do under its key 'responses'"
        )
    return chosen_maps


def surface_note(rois: pd.Series | None, left_out: int, threshold: str = "") -> str:
    """Say below a figure which ROIs have borders, by what maps have a threshold, and how many results it leaves out.

    Parameters
    ----------
    rois : Series of str, or None where no borders are drawn
    left_out : int
    threshold : str
        Of ``thresholds.sentence``: a line of its own.

    Returns
    -------
    str
        Empty where there is nothing to say.
    """
    roi_names = sorted({str(name) for name in rois.dropna().unique()} - {""}) if rois is not None else []
    sentences = [f"Lines: borders of {', '.join(roi_names)}."] if roi_names else []
    sentences += [f"{left_out} more results are not drawn."] if left_out else []
    return "\n".join(filter(None, [" ".join(sentences), threshold]))


def surface_figure(
    rows: Sequence[SurfaceRow],
    groups: Sequence[SurfaceGroup],
    views: Sequence[str],
    meshes: Mapping[str, Hemisphere],
    scale: Scale,
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
        Keys of ``meshes.VIEWS``.
    meshes : mapping of "left" and "right" to Hemisphere
    scale : Scale
    note : str
        Below the colour bar.
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
    side_views = [(side, name) for side in SIDES for name in (views if side == "left" else views[::-1])]
    drawn_views = [_view(meshes[side], side, name, rows if near else []) for side, name in side_views]
    note_lines = note.splitlines()
    layout = Layout(rows, groups, drawn_views, NEAR_IN if near else PIXEL_IN, len(note_lines))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(layout.width, layout.height))
        _write_titles(figure, layout, groups)
        _draw_rows(figure, layout, scale)
        _draw_bar(figure, layout, scale)
        for line_number, line in enumerate(reversed(note_lines)):
            write_at(figure, layout.centre, 0.1 + NOTE_IN * line_number, line, color=GREY, size=7)
    return figure


def _write_titles(figure: Figure, layout: Layout, groups: Sequence[SurfaceGroup]) -> None:
    """Name quantities, and below them the view of each column."""
    for start, group in zip(layout.group_starts, groups, strict=True):
        write_at(figure, start + layout.group_width / 2, layout.height - 0.14, group.title, weight="bold", size=9)
        for view, left in layout.columns(start):
            middle_x = left + view.crop.wide * layout.inch_per_pixel / 2
            view_label = f"{view.side[0].upper()} {view.name}"
            write_at(figure, middle_x, layout.height - layout.head_height + 0.1, view_label, color=GREY, size=7)


def _draw_rows(figure: Figure, layout: Layout, scale: Scale) -> None:
    """Draw the surfaces of each subject, from the top."""
    y = layout.height - layout.head_height
    for number, row in enumerate(layout.rows):
        if layout.opens_block(number):
            y -= HEADING_IN
            write_at(figure, 0.1, y + 0.13, row.block, ha="left", weight="bold")
        y -= layout.row_height + GAP_IN
        write_at(figure, 0.1, y + layout.row_height / 2, row.label, ha="left")
        passing = row.passing or [None] * len(row.values)
        for start, values, mask in zip(layout.group_starts, row.values, passing, strict=True):
            if values is None:
                middle_x = start + layout.group_width / 2
                write_at(figure, middle_x, y + layout.row_height / 2, "no such result", color=GREY)
                continue
            for view, left in layout.columns(start):
                _draw_view(figure, layout, scale, view, (left, y), values, row, number, mask)


def _draw_view(
    figure: Figure,
    layout: Layout,
    scale: Scale,
    view: View,
    corner: tuple[float, float],
    values: Mapping[str, np.ndarray],
    row: SurfaceRow,
    number: int,
    passing: Mapping[str, np.ndarray] | None,
) -> None:
    """Draw one hemisphere from one side, in the middle of its row."""
    crop, inch_per_pixel = view.crop, layout.inch_per_pixel
    box = (
        corner[0],
        corner[1] + (layout.row_height - crop.high * inch_per_pixel) / 2,
        crop.wide * inch_per_pixel,
        crop.high * inch_per_pixel,
    )
    label = f"{number} {view.side} {view.name}"
    axes = figure.add_axes(share_of(box, layout.width, layout.height), label=label)
    regions = row.regions[view.side] if row.regions else None
    colours, norm = mpl.colormaps[scale.colours], Normalize(scale.low, scale.high)
    mask = passing[view.side] if passing else None
    draw_surface(axes, view.projection, values[view.side], colours, norm, regions, mask)
    axes.set_xlim(crop.left - 0.5, crop.right - 0.5)
    axes.set_ylim(crop.bottom - 0.5, crop.top - 0.5)


def _draw_bar(figure: Figure, layout: Layout, scale: Scale) -> None:
    """Draw the colour bar with its ends, its middle and, of a scale on both sides of 0, its quarters."""
    bar_width = min(BAR_WIDE_IN, layout.width - LABEL_IN - 0.4)
    box = (layout.centre - bar_width / 2, layout.foot_height - 0.17, bar_width, BAR_HIGH_IN)
    bar = figure.colorbar(
        ScalarMappable(Normalize(scale.low, scale.high), mpl.colormaps[scale.colours]),
        cax=figure.add_axes(share_of(box, layout.width, layout.height), label="colour bar"),
        orientation="horizontal",
        extend=scale.extend,
    )
    bar.set_label(scale.label, labelpad=2)
    ticks = np.linspace(scale.low, scale.high, 5 if scale.low else 3)
    bar.set_ticks(ticks.tolist(), labels=[f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in ticks])
    bar.outline.set_linewidth(0.5)


def _view(hemisphere: Hemisphere, side: str, name: str, rows: Sequence[SurfaceRow]) -> View:
    """See a hemisphere from one side; with rows, the surroundings of their data alone."""
    projection = project_surface(hemisphere, side, name)
    return View(side, name, projection, _crop(projection.vertex, side, rows))


def _crop(vertex: np.ndarray, side: str, rows: Sequence[SurfaceRow]) -> Crop:
    """Bound the pixels that show data in any row, with a margin; else all."""
    has_data = np.zeros(N_VERTICES, dtype=bool)
    for values in itertools.chain.from_iterable(row.values for row in rows):
        has_data |= np.isfinite(values[side]) if values is not None else False
    is_shown = (vertex >= 0) & has_data[vertex]  # (height, width)
    if not is_shown.any():
        return Crop(0, vertex.shape[0], 0, vertex.shape[1])
    ends = []
    for axis, n_pixels in ((1, vertex.shape[0]), (0, vertex.shape[1])):
        positions = np.flatnonzero(is_shown.any(axis=axis))
        ends += [max(0, int(positions[0]) - MARGIN), min(n_pixels, int(positions[-1]) + 1 + MARGIN)]
    return Crop(*ends)
