"""Dots with intervals: blocks of results, a row per region, a marker per subject, panels of quantities side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.drawing.figure_style import FAINT, GREY, STRIPE, Style, share_of, subject_styles, write_at

DOTS_IN, GAP_IN, ROOM_IN = 2.3, 0.3, 12.6  # a panel of dots, the gap after it, and the width of a figure
SLOT_IN, LOW_SLOT_IN, FEW = 0.12, 0.09, 3  # a marker's height with up to FEW subjects, and with more
LETTER_IN, TITLE_LETTER_IN = 0.066, 0.075  # of a row's label, and of a block's title
AXIS_IN, LEAST_IN, MARKER = 0.52, 4.2, 4.2

Rows = list[tuple[str, float, float]]  # label, top and bottom of each row of a block, in slots


@dataclass(frozen=True)
class Panel:
    """One quantity: a column of axes.

    ``name`` is what rows say in ``panel``; ``label`` stands below the axis. ``ceiling``: whether black ticks show the
    rows' ceilings. ``references`` are drawn as dashed lines, beside the rows' ``chance`` where there is one. ``limits``
    fixes the axis; panels of one ``scale`` share theirs.
    """

    name: str
    label: str
    ceiling: bool = False
    references: tuple[float, ...] = ()
    limits: tuple[float, float] | None = None
    scale: str = ""


@dataclass(frozen=True)
class Block:
    """One result: rows of axes below a heading.

    ``table`` has a row per marker: row (its label; rows come in the order of the table), panel, subject, seed, dataset,
    value, ci_low, ci_high, and perhaps ceiling, chance, and open (bool: an open marker).
    """

    title: str
    table: pd.DataFrame


class Layout:
    """Where the blocks of a figure lie, in inches; blocks of a line stand side by side."""

    def __init__(self, blocks: Sequence[Block], tables: Sequence[pd.DataFrame], n_panels: int, slot: float) -> None:
        """Lay out blocks as far as there is room beside each other.

        Parameters
        ----------
        blocks, tables : the blocks, and their tables with ``who``, ``open`` and ``seed``
        n_panels : panels of each block
        slot : height of a marker
        """
        label_lengths = [len(name) for table in tables for name in table["row"].astype(str)]
        self.label_width = 0.25 + LETTER_IN * max(label_lengths)
        title_length = max(len(line) for block in blocks for line in block.title.split("\n"))
        self.block_width = max(self.label_width + n_panels * (DOTS_IN + GAP_IN), 0.25 + TITLE_LETTER_IN * title_length)
        blocks_per_line = max(1, min(len(blocks), int(ROOM_IN / self.block_width)))
        self.head_height = 0.2 + 0.14 * max(block.title.count("\n") + 1 for block in blocks)
        self.marker_places = [_places(table) for table in tables]
        self.block_heights = [rows[-1][2] * slot for _, rows in self.marker_places]
        self.lines = [
            range(start, min(start + blocks_per_line, len(blocks))) for start in range(0, len(blocks), blocks_per_line)
        ]
        self.width = max(blocks_per_line * self.block_width, LEAST_IN)
        self.height = sum(self.line_in(line) for line in self.lines)

    def line_in(self, line: Sequence[int]) -> float:
        """Height of a line of blocks."""
        return max(self.block_heights[n] for n in line) + self.head_height + AXIS_IN


def figure_of(
    blocks: Sequence[Block], panels: Sequence[Panel], note: str = "", kinds: tuple[str, str] = ("", "")
) -> Figure:
    """Draw markers with intervals: a block of axes per result, a row per region, a marker per subject.

    Parameters
    ----------
    blocks : sequence of Block
        Side by side as far as there is room.
    panels : sequence of Panel
        Side by side in each block; a block without rows of one leaves its place empty.
    note : str
        A line at the foot.
    kinds : (str, str)
        What filled and open markers are, for the legend; empty where there is nothing to tell apart.

    Returns
    -------
    Figure
        Axes are labelled "BLOCK PANEL" by number and name; lines have the gid "value", "interval", "ceiling" or
        "reference". A value that is missing is written as undefined.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not panels or not any(len(block.table) for block in blocks):
        raise ValueError(f"nothing to draw: {len(blocks)} results, {len(panels)} quantities")
    tables = [_named_subjects(block.table, blocks) for block in blocks]
    all_markers = pd.concat(tables, ignore_index=True)
    styles = subject_styles(all_markers["who"])
    layout = Layout(blocks, tables, len(panels), SLOT_IN if len(styles) <= FEW else LOW_SLOT_IN)
    handles = _handles(all_markers, panels, styles, kinds)
    label_length = max(len(str(handle.get_label())) for handle in handles)
    n_columns = min(len(handles), max(1, int(layout.width / (0.45 + 0.07 * label_length))))
    foot_height = 0.12 + 0.18 * int(np.ceil(len(handles) / n_columns)) + (0.2 if note else 0)
    figure = Figure(figsize=(layout.width, layout.height + foot_height))
    _draw_blocks(figure, layout, blocks, tables, panels, styles)
    figure.legend(
        handles=[handle for n in range(n_columns) for handle in handles[n::n_columns]],  # legends fill column by column
        loc="lower center",
        ncols=n_columns,
        frameon=False,
        borderpad=0,
    )
    if note:  # above the legend, which a stamp puts back to the foot
        write_at(figure, layout.width / 2, foot_height - 0.1, note, color=GREY, size=7)
    return figure


def _draw_blocks(
    figure: Figure,
    layout: Layout,
    blocks: Sequence[Block],
    tables: Sequence[pd.DataFrame],
    panels: Sequence[Panel],
    styles: Mapping[str, Style],
) -> None:
    """Draw each block below its title; the first panel that has rows names them."""
    limits = _limits(pd.concat(tables, ignore_index=True), panels)
    top = figure.get_size_inches()[1]
    for line in layout.lines:
        for number in line:
            x, y = (number - line[0]) * layout.block_width, top - layout.head_height - layout.block_heights[number]
            title = blocks[number].title
            write_at(figure, x + 0.1, top - 0.08, title, ha="left", va="top", weight="bold", linespacing=1.15)
            table, (heights, rows), shows_names = tables[number], layout.marker_places[number], True
            for column, panel in enumerate(panels):
                in_panel = (table["panel"] == panel.name).to_numpy()
                if in_panel.any():
                    left = x + layout.label_width + column * (DOTS_IN + GAP_IN)
                    box = share_of((left, y, DOTS_IN, layout.block_heights[number]), *figure.get_size_inches())
                    axes = figure.add_axes(box, label=f"{number} {panel.name}")
                    _draw_panel(axes, table[in_panel], heights[in_panel], rows, panel, styles)
                    _set_axes(axes, rows, panel, shows_names, limits[panel.name])
                    shows_names = False
        top -= layout.line_in(line)


def _named_subjects(table: pd.DataFrame, blocks: Sequence[Block]) -> pd.DataFrame:
    """Add columns that a table may lack, and ``who``: the subject, with its data set where there are several."""
    several_datasets = len({name for block in blocks for name in block.table["dataset"]}) > 1
    who = (
        table["dataset"].astype(str) + " " + table["subject"].astype(str)
        if several_datasets
        else table["subject"].astype(str)
    )
    missing_columns = {name: np.nan for name in ("ceiling", "chance") if name not in table}
    is_open = table["open"].astype(bool) if "open" in table else False
    return table.assign(who=who, **missing_columns).assign(open=is_open)


def _places(table: pd.DataFrame) -> tuple[np.ndarray, Rows]:
    """Height of each marker (n_markers,), in slots from the top, and the rows of a block."""
    heights = np.empty(len(table))
    rows: Rows = []
    top = 0.0
    labels = table["row"].astype(str).to_numpy()
    marker_keys = table[["who", "seed", "open"]].astype(str).agg(" ".join, axis=1).to_numpy()
    for name in dict.fromkeys(labels):
        row_markers = np.flatnonzero(labels == name)
        slot_of_key = {key: n for n, key in enumerate(sorted(set(marker_keys[row_markers])))}
        row_height = max(len(slot_of_key), 1.6) + 0.8
        heights[row_markers] = (
            top
            + (row_height - len(slot_of_key)) / 2
            + 0.5
            + np.array([slot_of_key[marker_keys[n]] for n in row_markers])
        )
        rows.append((name, top, top + row_height))
        top += row_height
    return heights, rows


def _draw_panel(
    axes: Axes, part: pd.DataFrame, heights: np.ndarray, rows: Rows, panel: Panel, styles: Mapping[str, Style]
) -> None:
    """Draw the markers of one quantity, with references behind them."""
    for _, top, bottom in rows[::2]:
        axes.axhspan(top, bottom, color=STRIPE, linewidth=0, zorder=0)
    for reference in sorted({*panel.references, *part["chance"].dropna()}):
        axes.axvline(reference, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)), gid="reference", zorder=1)
    for y, row in zip(heights, part.itertuples(), strict=True):
        style = styles[row.who]
        if np.isnan(row.value):
            axes_transform = axes.get_yaxis_transform()
            axes.text(0.02, y, "undefined", transform=axes_transform, va="center", size=6.5, color=style.colour)
            continue
        interval = [row.ci_low, row.ci_high]
        axes.plot(interval, [y, y], color=style.colour, linewidth=1.4, gid="interval", zorder=3)
        marker_style: Any = {"marker": style.marker, "markeredgecolor": style.colour, "markersize": MARKER}
        face_colour = "white" if row.open else style.colour
        marker_style |= {"markerfacecolor": face_colour, "markeredgewidth": 0.9, "linestyle": "none"}
        axes.plot([row.value], [y], gid="value", zorder=4, **marker_style)
        if panel.ceiling and not np.isnan(row.ceiling):
            axes.plot([row.ceiling] * 2, [y - 0.45, y + 0.45], color="black", linewidth=1.4, gid="ceiling", zorder=2)


def _set_axes(axes: Axes, rows: Rows, panel: Panel, shows_names: bool, limits: tuple[float, float]) -> None:
    """Set the axis of rows, the first at the top, and the quantity's below."""
    axes.set_ylim(rows[-1][2], 0)
    axes.set_yticks([(top + bottom) / 2 for _, top, bottom in rows])
    axes.set_yticklabels([name for name, _, _ in rows] if shows_names else [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.label, labelpad=2)
    axes.set_xlim(limits)


def _limits(table: pd.DataFrame, panels: Sequence[Panel]) -> dict[str, tuple[float, float]]:
    """Axes of each panel: as fixed, or around all that is drawn of its scale."""
    limits = {}
    for panel in panels:
        scale_panels = [
            scale_panel
            for scale_panel in panels
            if scale_panel is panel or (panel.scale and scale_panel.scale == panel.scale)
        ]
        values = np.concatenate([_values(table, scale_panel) for scale_panel in scale_panels])
        finite_values = values[np.isfinite(values)]
        low, high = (float(finite_values.min()), float(finite_values.max())) if finite_values.size else (0.0, 1.0)
        margin = 0.04 * (high - low or 1.0)
        limits[panel.name] = panel.limits or (low - margin, high + margin)
    return limits


def _values(table: pd.DataFrame, panel: Panel) -> np.ndarray:
    """All numbers that are drawn of a quantity (n_values,), its references too."""
    columns = ["value", "ci_low", "ci_high", "chance", *(["ceiling"] if panel.ceiling else [])]
    drawn_values = table.loc[table["panel"] == panel.name, columns].to_numpy(dtype=float)
    return np.concatenate([np.array(panel.references, dtype=float), drawn_values.ravel()])


def _handles(
    table: pd.DataFrame, panels: Sequence[Panel], styles: Mapping[str, Style], kinds: tuple[str, str]
) -> list[Line2D]:
    """Make an example of all that is drawn, for the legend."""
    handles = [
        Line2D([], [], linestyle="none", marker=style.marker, color=style.colour, markersize=MARKER, label=name)
        for name, style in styles.items()
    ]
    for name, face_colour in zip(kinds, (GREY, "white"), strict=True):
        if name:
            marker_style: Any = {"marker": "o", "markersize": MARKER, "markeredgecolor": GREY, "linestyle": "none"}
            handles.append(Line2D([], [], markerfacecolor=face_colour, label=name, **marker_style))
    if any(panel.ceiling for panel in panels) and table["ceiling"].notna().any():
        tick_style: Any = {"marker": "|", "markersize": 8, "markeredgewidth": 1.4, "linestyle": "none"}
        handles.append(Line2D([], [], color="black", label="noise ceiling", **tick_style))
    return handles
