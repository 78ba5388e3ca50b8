"""One panel of a leaderboard: a marker with its interval per subject, chance, ceilings, published values, brackets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from boldflow.drawing.figure_style import FAINT, GREY, STRIPE, Style
from boldflow.figures.leaderboard.brackets import Bracket
from boldflow.figures.leaderboard.room import BRACKET_IN, Rows, about_of, slots_of
from boldflow.vocabulary.metrics import LOWER_IS_BETTER, label

DRAWN = ["value", "ci_low", "ci_high", "chance", "ceiling", "published_value"]
DARK, DASHES = "#333333", (0, (4, 2.5))  # of chance
MARKS: dict[str, dict[str, Any]] = {
    "ceiling": {"marker": "|", "markersize": 7.5, "markeredgewidth": 2, "color": "black"},
    "published_value": {"marker": "*", "markersize": 7, "color": "white", "markeredgecolor": "black"},
}
AGAINST: dict[str, dict[str, Any]] = {  # how a model stands against the reference
    "reference": {"marker": "D", "markersize": 3.6, "color": DARK},
    "better": {"marker": "^", "markersize": 4.6, "color": DARK},
    "worse": {"marker": "v", "markersize": 4.6, "color": "white", "markeredgecolor": DARK},
    "tied": {"marker": "_", "markersize": 5, "color": DARK, "markeredgewidth": 1.2},
}
SMALL_MARKERS, SMALL_SIZE, SIZE = "*PX", 5.2, 4.4  # those that look small are drawn larger


@dataclass(frozen=True)
class Look:
    """How panels are drawn; ``styles`` by subject, ``baselines`` have open markers, panels are ``panel_in`` wide."""

    styles: Mapping[str, Style]
    baselines: Sequence[str]
    faceted: bool
    panel_in: float


def limits_of(part: pd.DataFrame) -> tuple[float, float]:
    """Give the range of everything drawn, with a margin."""
    values = part[DRAWN].to_numpy()
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


def draw_panel(
    axes: Axes,
    part: pd.DataFrame,
    sizes: Mapping[str, float],
    look: Look,
    named: bool,
    limits: tuple[float, float],
) -> None:
    """Draw the rows of a panel.

    Parameters
    ----------
    axes : Axes
    part : DataFrame
        Rows of the figure's source table, with ``who``.
    sizes : mapping of str to float
        Height of each row, in slots.
    look : Look
    named : bool
        Whether rows have their labels.
    limits : (float, float)
        Of the values' axis.
    """
    marker_slots, rows = slots_of(part, sizes)
    for _, top, bottom in rows[::2]:
        axes.axhspan(top, bottom, color=STRIPE, linewidth=0, zorder=0)
    _draw_chance(axes, part, marker_slots, rows)
    for name, style in MARKS.items():
        has_value = part[name].notna().to_numpy()
        if has_value.any():
            axes.plot(
                part[name].to_numpy()[has_value],
                marker_slots[has_value],
                linestyle="none",
                gid=name,
                zorder=2.5,
                **style,
            )
    for y, (_, row) in zip(marker_slots, part.iterrows(), strict=True):
        _draw_value(axes, row, y, look.styles[row["who"]], row["model"] in look.baselines)
    _set_rows(axes, rows, named)
    axes.set_xlim(limits)
    axes.locator_params(axis="x", nbins=4 if look.faceted else 5)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    _write_titles(axes, part, look.faceted)


def draw_brackets(
    axes: Axes, part: pd.DataFrame, sizes: Mapping[str, float], look: Look, brackets: Sequence[Bracket]
) -> None:
    """Draw brackets to the right of a panel; a tooth points at each member."""
    marker_slots, _ = slots_of(part, sizes)
    subject_names = part["who"].to_numpy()
    for bracket in brackets:
        heights = np.sort(marker_slots[list(bracket.members)])
        x = 1 + (0.05 + BRACKET_IN * (bracket.column + 0.6)) / look.panel_in
        tooth_x = x - 0.55 * BRACKET_IN / look.panel_in
        # down the back, in and out at each member: (3 * n_members, 2)
        line = np.array([(a, b) for height in heights for a, b in ((x, height), (tooth_x, height), (x, height))])
        axes.plot(
            line[:, 0],
            line[:, 1],
            transform=axes.get_yaxis_transform(),
            color=look.styles[subject_names[bracket.members[0]]].colour,
            linewidth=1.1,
            solid_joinstyle="miter",
            clip_on=False,
            gid="tie",
        )


def draw_marks(axes: Axes, part: pd.DataFrame, sizes: Mapping[str, float], look: Look) -> None:
    """Draw to the right of a panel how each model stands against the reference."""
    marker_slots, _ = slots_of(part, sizes)
    for name, style in AGAINST.items():
        heights = marker_slots[(part["against"] == name).to_numpy()]
        if len(heights):
            axes.plot(
                np.full(len(heights), 1 + (0.05 + BRACKET_IN) / look.panel_in),
                heights,
                transform=axes.get_yaxis_transform(),
                linestyle="none",
                clip_on=False,
                gid=name,
                **style,
            )


def _draw_value(axes: Axes, row: pd.Series, y: float, style: Style, is_open: bool) -> None:
    """Draw a marker with its interval, or say that the value is undefined."""
    if np.isnan(row["value"]):
        axis_transform = axes.get_yaxis_transform()
        axes.text(0.02, y, "undefined", transform=axis_transform, va="center", size=7, color=style.colour)
        return
    axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=style.colour, linewidth=1.5, gid="interval", zorder=3)
    axes.plot(
        [row["value"]],
        [y],
        linestyle="none",
        marker=style.marker,
        markersize=SMALL_SIZE if style.marker in SMALL_MARKERS else SIZE,
        markeredgecolor=style.colour,
        markeredgewidth=0.9,
        markerfacecolor="white" if is_open else style.colour,
        gid="value",
        zorder=4,
    )


def _set_rows(axes: Axes, rows: Rows, named: bool) -> None:
    """Set the axis of rows, the first at the top."""
    axes.set_ylim(rows[-1][2], 0)
    axes.set_yticks([(top + bottom) / 2 for _, top, bottom in rows])
    axes.set_yticklabels([name for name, _, _ in rows] if named else [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _write_titles(axes: Axes, part: pd.DataFrame, faceted: bool) -> None:
    """Name the metric above the panel, or the subject of a faceted one; say below which way is better."""
    metric = part["metric"].iloc[0]
    axes.set_xlabel("better \N{RIGHTWARDS ARROW}" if metric not in LOWER_IS_BETTER else "\N{LEFTWARDS ARROW} better")
    if faceted:
        axes.set_title(part["who"].iloc[0], loc="left", pad=4, fontweight="bold", size=8)
        return
    corner = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(about_of(part), va="bottom", size=7.5, color=GREY, **corner)  # type: ignore[arg-type]
    axes.set_title(label(metric), loc="left", pad=15, fontweight="bold")


def _draw_chance(axes: Axes, part: pd.DataFrame, marker_slots: np.ndarray, rows: Rows) -> None:
    """Draw chance as a dashed line over each run of rows that share it."""
    edges = {name: (top, bottom) for name, top, bottom in rows}
    chance, labels = part["chance"].to_numpy(), part["row"].to_numpy()
    spans: list[list[float]] = []
    order = np.argsort(marker_slots, kind="stable")
    for n, k in enumerate(order):
        is_first = n == 0 or labels[order[n - 1]] != labels[k]
        is_last = n + 1 == len(order) or labels[order[n + 1]] != labels[k]
        low, high = (
            edges[labels[k]][0] if is_first else marker_slots[k] - 0.5,
            edges[labels[k]][1] if is_last else marker_slots[k] + 0.5,
        )
        if spans and spans[-1][0] == chance[k] and spans[-1][2] == low:
            spans[-1][2] = high
        elif not np.isnan(chance[k]):
            spans.append([chance[k], low, high])
    for x, low, high in spans:
        axes.plot([x, x], [low, high], color=DARK, linewidth=1, linestyle=DASHES, gid="chance", zorder=2)
