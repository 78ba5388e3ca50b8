"""Dots with intervals: blocks of results, a row per region, a marker per subject, panels of quantities side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.drawing.figure_style import FAINT, GREY, Style, share_of, subject_styles, write_at

DOTS_IN, DOTS_GAP_IN, DOTS_ROOM_IN = 2.3, 0.3, 12.6  # a panel of dots, the gap after it, and the width of a figure


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
    everything = pd.concat(tables, ignore_index=True)
    styles, limits = subject_styles(everything["who"]), _dot_limits(everything, panels)
    slot = 0.12 if len(styles) <= 3 else 0.09
    left = 0.25 + 0.066 * max(map(len, everything["row"].astype(str)))
    longest = max(len(line) for block in blocks for line in block.title.split("\n"))
    wide = max(left + len(panels) * (DOTS_IN + DOTS_GAP_IN), 0.25 + 0.075 * longest)
    per_line = max(1, min(len(blocks), int(DOTS_ROOM_IN / wide)))
    head = 0.2 + 0.14 * max(block.title.count("\n") + 1 for block in blocks)
    places = [_dot_places(table) for table in tables]
    tall = [rows[-1][2] * slot for _, rows in places]
    lines = [range(start, min(start + per_line, len(blocks))) for start in range(0, len(blocks), per_line)]
    width = max(per_line * wide, 4.2)
    handles = _dot_handles(everything, panels, styles, kinds)
    columns = min(len(handles), max(1, int(width / (0.45 + 0.07 * max(len(str(h.get_label())) for h in handles)))))
    foot = 0.12 + 0.18 * int(np.ceil(len(handles) / columns)) + (0.2 if note else 0)
    height = sum(max(tall[n] for n in line) + head + 0.52 for line in lines) + foot
    figure = Figure(figsize=(width, height))
    top = height
    for line in lines:
        for number in line:
            x, y = (number - line[0]) * wide, top - head - tall[number]
            title = blocks[number].title
            write_at(figure, x + 0.1, top - 0.08, title, ha="left", va="top", weight="bold", linespacing=1.15)
            table, (at, rows), first = tables[number], places[number], True
            for column, panel in enumerate(panels):
                mine = (table["panel"] == panel.name).to_numpy()
                if mine.any():
                    place = (x + left + column * (DOTS_IN + DOTS_GAP_IN), y, DOTS_IN, tall[number])
                    axes = figure.add_axes(share_of(place, width, height), label=f"{number} {panel.name}")
                    _dots(axes, table[mine], at[mine], rows, panel, styles, named=first)
                    axes.set_xlim(limits[panel.name])
                    first = False
        top -= max(tall[n] for n in line) + head + 0.52
    figure.legend(
        handles=[one for n in range(columns) for one in handles[n::columns]],  # legends fill column by column
        loc="lower center",
        ncols=columns,
        frameon=False,
        borderpad=0,
    )
    if note:  # above the legend, which a stamp puts back to the foot
        write_at(figure, width / 2, foot - 0.1, note, color=GREY, size=7)
    return figure


def _named_subjects(table: pd.DataFrame, blocks: Sequence[Block]) -> pd.DataFrame:
    """Add columns that a table may lack, and ``who``: the subject, with its data set where there are several."""
    several = len({name for block in blocks for name in block.table["dataset"]}) > 1
    who = table["dataset"].astype(str) + " " + table["subject"].astype(str) if several else table["subject"].astype(str)
    missing = {name: np.nan for name in ("ceiling", "chance") if name not in table}
    opened = table["open"].astype(bool) if "open" in table else False
    return table.assign(who=who, **missing).assign(open=opened)


def _dot_places(table: pd.DataFrame) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Height of each marker, in slots from the top, and each row's label with its top and bottom."""
    at, rows, top = np.empty(len(table)), [], 0.0
    label = table["row"].astype(str).to_numpy()
    key = table[["who", "seed", "open"]].astype(str).agg(" ".join, axis=1).to_numpy()
    for name in dict.fromkeys(label):
        mine = np.flatnonzero(label == name)
        order = {one: n for n, one in enumerate(sorted(set(key[mine])))}
        size = max(len(order), 1.6) + 0.8
        at[mine] = top + (size - len(order)) / 2 + 0.5 + np.array([order[key[n]] for n in mine])
        rows.append((name, top, top + size))
        top += size
    return at, rows


def _dots(
    axes: Axes,
    part: pd.DataFrame,
    at: np.ndarray,
    rows: Sequence[tuple[str, float, float]],
    panel: Panel,
    styles: Mapping[str, Style],
    named: bool,
) -> None:
    for n, (_, top, bottom) in enumerate(rows):
        if n % 2 == 0:
            axes.axhspan(top, bottom, color="#F4F4F4", linewidth=0, zorder=0)
    marks = {*panel.references, *part["chance"].dropna()}
    for mark in sorted(marks):
        axes.axvline(mark, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)), gid="reference", zorder=1)
    for y, one in zip(at, part.itertuples(), strict=True):
        style = styles[one.who]
        if np.isnan(one.value):
            beside = axes.get_yaxis_transform()
            axes.text(0.02, y, "undefined", transform=beside, va="center", size=6.5, color=style.colour)
            continue
        ends = [one.ci_low, one.ci_high]
        axes.plot(ends, [y, y], color=style.colour, linewidth=1.4, gid="interval", zorder=3)
        look: Any = {"marker": style.marker, "markeredgecolor": style.colour, "markersize": 4.2, "markeredgewidth": 0.9}
        face = "white" if one.open else style.colour
        axes.plot([one.value], [y], linestyle="none", markerfacecolor=face, gid="value", zorder=4, **look)
        if panel.ceiling and not np.isnan(one.ceiling):
            axes.plot([one.ceiling] * 2, [y - 0.45, y + 0.45], color="black", linewidth=1.4, gid="ceiling", zorder=2)
    axes.set_ylim(rows[-1][2], 0)
    axes.set_yticks([(top + bottom) / 2 for _, top, bottom in rows])
    axes.set_yticklabels([name for name, _, _ in rows] if named else [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.label, labelpad=2)


def _dot_limits(table: pd.DataFrame, panels: Sequence[Panel]) -> dict[str, tuple[float, float]]:
    """Axes of each panel: as fixed, or around all that is drawn of its scale."""
    found = {}
    for panel in panels:
        alike = [one for one in panels if one is panel or (panel.scale and one.scale == panel.scale)]
        values = [np.array([mark for one in alike for mark in one.references])]
        for one in alike:
            part = table[table["panel"] == one.name]
            drawn = ["value", "ci_low", "ci_high", "chance", *(["ceiling"] if one.ceiling else [])]
            values.append(part[drawn].to_numpy(dtype=float).ravel())
        known = np.concatenate(values)
        known = known[np.isfinite(known)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        room = 0.04 * (high - low or 1.0)
        found[panel.name] = panel.limits or (low - room, high + room)
    return found


def _dot_handles(
    table: pd.DataFrame, panels: Sequence[Panel], styles: Mapping[str, Style], kinds: tuple[str, str]
) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="none", marker=style.marker, color=style.colour, markersize=4.2, label=name)
        for name, style in styles.items()
    ]
    for name, face in zip(kinds, (GREY, "white"), strict=True):
        if name:
            look: Any = {"marker": "o", "markersize": 4.2, "markeredgecolor": GREY, "linestyle": "none"}
            handles.append(Line2D([], [], markerfacecolor=face, label=name, **look))
    if any(panel.ceiling for panel in panels) and table["ceiling"].notna().any():
        tick: Any = {"marker": "|", "markersize": 8, "markeredgewidth": 1.4, "linestyle": "none"}
        handles.append(Line2D([], [], color="black", label="noise ceiling", **tick))
    return handles
