"""Legend of a leaderboard: subjects, chance, ceiling, published values and brackets, as far as they are drawn."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.drawing.figure_style import Style
from boldflow.figures.leaderboard.panels import AGAINST, DARK, DASHES, MARKS

BRACKET = [(-0.5, 1), (0.3, 1), (0.3, -1), (-0.5, -1)]  # corners


def handles_of(table: pd.DataFrame, styles: Mapping[str, Style], tied: bool) -> list[Line2D]:
    """Make an example of all that is drawn."""
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, markersize=4.6, linewidth=1.5, label=name)
        for name, style in styles.items()
    ]
    handles.append(Line2D([], [], color=DARK, linestyle=DASHES, linewidth=1, label="chance"))
    for name, text in (("ceiling", "noise ceiling"), ("published_value", "published")):
        if table[name].notna().any():
            handles.append(Line2D([], [], linestyle="none", label=text, **MARKS[name]))
    words = {"reference": "reference", "tied": "tied with it", "better": "better", "worse": "worse"}
    for name in (name for name in words if table["against"].eq(name).any()):
        handles.append(Line2D([], [], linestyle="none", label=words[name], **AGAINST[name]))
    if tied:
        style: Any = {"marker": BRACKET, "markersize": 8, "color": "none", "markeredgecolor": DARK}
        handles.append(Line2D([], [], linestyle="none", label="tied", **style))
    return handles


def columns_of(handles: list[Line2D], width: float) -> int:
    """Give the columns that a figure's width in inches leaves room for."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    return min(len(handles), max(1, int(width / (0.4 + 0.07 * longest))))


def add(figure: Figure, handles: list[Line2D], n_columns: int) -> None:
    """Put the legend at the foot; matplotlib fills it column by column, this order reads row by row."""
    ordered = [handle for n in range(n_columns) for handle in handles[n::n_columns]]
    figure.legend(handles=ordered, loc="lower center", ncols=n_columns, frameon=False, borderpad=0)
