"""What figures share: colours of subjects, names of results, the SIMULATED badge.

Sizes are in inches, text in points.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito 2008, Color Universal Design, without yellow (too faint on white), with a dark brown
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C510A")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
GREY = "#6B6B6B"
FAINT = "#D9D9D9"
STRIPE = "#F4F4F4"  # behind every second row
BADGE, BADGE_FILL, BADGE_EDGE, BADGE_INK = "SIMULATED", "#FFF1CC", "#B45309", "#7C2D12"
BADGE_IN = 0.36  # height of the band that the badge adds
RC: Any = {  # matplotlib types its keys, no dict of str fits
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "image.composite_image": False,
}
RESULT = ["dataset", "response", "split", "feature", "model"]  # what names an encoding result


@dataclass(frozen=True)
class Style:
    """Colour and marker of one subject, the same in every panel."""

    colour: str
    marker: str


def subject_styles(subjects: Iterable[str]) -> dict[str, Style]:
    """Give each subject a colour and a marker.

    Parameters
    ----------
    subjects : iterable of str
        In any order, repeats allowed.

    Returns
    -------
    dict of str to Style
        Sorted by name. Eight differ in both colour and marker; further ones in the pair.
    """
    styles = {}
    for n, subject in enumerate(sorted(set(subjects))):
        turn = n // len(COLOURS)
        styles[subject] = Style(COLOURS[n % len(COLOURS)], MARKERS[(n + turn) % len(MARKERS)])
    return styles


def stamp_simulated(figure: Figure, partly: bool = False) -> None:
    """Write SIMULATED (or PARTLY SIMULATED) in a band added above the figure, so that it lies over nothing.

    The layout is settled first and then kept; the figure grows by the band, and everything keeps its size in inches.

    Parameters
    ----------
    figure : Figure
        Without subfigures.
    partly : bool
        Whether some of what is drawn was measured.

    Raises
    ------
    ValueError
        If the figure has subfigures, whose places cannot be moved.
    """
    if figure.subfigs:
        raise ValueError(f"a figure with {len(figure.subfigs)} subfigures cannot be stamped; use axes instead")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    _make_room(figure, height / (height + BADGE_IN))
    figure.set_size_inches(width, height + BADGE_IN)
    figure.text(
        1 - 0.1 / width,
        1 - BADGE_IN / 2 / (height + BADGE_IN),
        f"PARTLY {BADGE}" if partly else BADGE,
        ha="right",
        va="center",
        fontsize=10,
        fontweight="bold",
        color=BADGE_INK,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": BADGE_FILL, "edgecolor": BADGE_EDGE, "linewidth": 1},
    )


def _make_room(figure: Figure, share: float) -> None:
    """Put everything into the lower share of a figure."""
    for axes in figure.axes:
        for which in ("original", "active"):
            position = axes.get_position(original=which == "original")
            axes.set_position((position.x0, position.y0 * share, position.width, position.height * share), which=which)
    for text in figure.texts:
        if text.get_transform() in (figure.transFigure, figure.transSubfigure):
            text.set_y(text.get_position()[1] * share)
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, share), transform=figure.transFigure)


def results(table: pd.DataFrame) -> pd.DataFrame:
    """List the encoding results of a table, once each and in its order: the columns ``RESULT``."""
    return table[RESULT].drop_duplicates().reset_index(drop=True)


def result_titles(table: pd.DataFrame) -> dict[tuple[Any, ...], str]:
    """Name each encoding result of a table by model, feature, and what else differs between results, by ``RESULT``."""
    varying_columns = [name for name in RESULT[:3] if len(table[name].unique()) > 1]
    titles = {}
    for key in results(table).itertuples(index=False, name=None):
        name_of_column = dict(zip(RESULT, map(str, key), strict=True))
        titles[key] = " · ".join(name_of_column[name] for name in ("model", "feature", *varying_columns))
    return titles


def share_of(
    place: tuple[float, float, float, float], width: float, height: float
) -> tuple[float, float, float, float]:
    """Turn a place (left, bottom, width, height) in inches into shares of a figure of that size."""
    return place[0] / width, place[1] / height, place[2] / width, place[3] / height


def write_at(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Write a text centred at a place in inches from the figure's lower left corner."""
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, **{"ha": "center", "va": "center", **style})
