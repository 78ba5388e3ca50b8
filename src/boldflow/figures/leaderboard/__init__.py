"""The leaderboard at a glance: every subject's score with its interval, beside chance and ceiling, ties bracketed."""

import textwrap
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.figures.leaderboard import legend, panels
from boldflow.figures.leaderboard.brackets import Bracket, bracket_ties
from boldflow.figures.leaderboard.plan import Plan, plan_of
from boldflow.figures.leaderboard.room import Room, row_sizes, subject_names
from boldflow.settings import Entry

NEEDS = ["leaderboard", "comparisons"]
FACTS = {
    "title": "Scores of every subject",
    "caption": (
        "A panel per metric, the study's primary metric first; where there are many results, the primary metric alone "
        "with a panel per subject. A row is a model and its feature (for encoding models also the ROI); each marker is "
        "one subject (and seed, where there are several), with its 95 % interval over test images or blocks. Dashed: "
        "chance. Black tick: noise ceiling, where there is one. Star: published value, only where data, split, metric "
        "and protocol are the same. A bracket joins models of one subject that are tied: the 95 % paired bootstrap "
        "interval of their difference holds 0, or would after Holm's adjustment. Where there are several seeds, "
        "means over them are compared, and brackets point at the middle marker. Of models that were compared, those "
        "without a common bracket differ. Where the study names a reference, each model is compared with it alone, and "
        "a mark at the right says how it stands. Rows are sorted by their mean in the first panel that has them; "
        "baselines (open markers) come last. No interval is given for the group, and overlap of two intervals says "
        "nothing about their difference."
    ),
}
SETTINGS = {
    "panels": {
        "description": (
            "Panels after the primary metric's, in order; empty takes one per metric that is there, of inv_norm_rank, "
            "top1, top5, two_way, auc, accuracy, r and explained_share, in the image view where there is one, as many "
            "as leave the figure legible."
        ),
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "metric": {"type": "string", "description": "Name of the metric."},
                "view": {"type": "string", "description": "View of the metric."},
            },
            "required": ["metric", "view"],
            "additionalProperties": False,
        },
        "default": [],
    },
    "baselines": {
        "description": "Models that are drawn with open markers, below the others.",
        "type": "array",
        "items": {"type": "string"},
        "default": ["dummy", "chance", "dummy (pooled)", "chance (pooled)"],
    },
    "rois": {
        "description": "ROIs of encoding models to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "subjects": {
        "description": "Subjects to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
}
NOTE_IN = 0.15  # a line of notes


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn, in the order of panels, rows and points.

    Parameters
    ----------
    tables : Tables
        ``leaderboard``: the study's tidy table; ``comparisons``: differences between models.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: panel (number), metric, view, primary, direction, row (label), model, feature, roi,
        dataset, response, split, transductive, protocol, gallery_size, subject, seed, fold, value, ci_low, ci_high,
        chance, ceiling, published_value, comparison (number; rows of a panel that have the same were compared with each
        other), ties (letters; two rows of a comparison share one exactly when they are tied; empty where a row was
        compared with no other; of several seeds the middle row has those of the means over seeds), against (reference,
        better, worse or tied; empty where the study names no reference), simulated.

    Raises
    ------
    ValueError
        If a panel or subject of the settings has no row in the table, or two rows would be one marker.
    """
    return plan_of(tables, settings).table


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw what ``source_table`` lists; parameters and errors as there."""
    plan = plan_of(tables, settings)
    table = plan.table.assign(who=subject_names(plan.table))
    styles = figure_style.subject_styles(table["who"])
    sizes = row_sizes(table, plan.faceted)
    parts = {int(panel): part for panel, part in table.groupby("panel")}
    ties = {panel: bracket_ties(part, sizes[panel]) for panel, part in parts.items()}
    brackets = {panel: panel_brackets for panel, (panel_brackets, _) in ties.items()}
    columns = [bracket.column + 1 for panel_brackets in brackets.values() for bracket in panel_brackets]
    n_right_columns = 2 if table["against"].ne("").any() else max(columns, default=0)
    room = Room(table, plan.faceted, n_right_columns)
    notes = _notes(plan, sum(n_left_out for _, n_left_out in ties.values()), room.width)
    with mpl.rc_context(figure_style.RC):
        handles = legend.handles_of(table, {} if plan.faceted else styles, bool(columns))
        n_columns = legend.columns_of(handles, room.width)
        legend_in = 0.1 + 0.18 * int(np.ceil(len(handles) / n_columns))
        height = room.height + legend_in + NOTE_IN * len(notes) + (0.08 if notes else 0)
        figure = Figure(figsize=(room.width, height))
        look = panels.Look(styles, settings["baselines"], plan.faceted, room.panel_in)
        _draw_panels(figure, room, parts, sizes, brackets, look)
        _write(figure, room, notes, legend_in)
        legend.add(figure, handles, n_columns)
    return figure


def _notes(plan: Plan, n_unbracketed: int, width: float) -> list[str]:
    """Lines below the panels: what is left out."""
    texts = [*plan.notes]
    if n_unbracketed:
        texts.append(
            f"{n_unbracketed} more groups of ties have no bracket here; the report and the figure's own table name all."
        )
    return [line for text in texts for line in textwrap.wrap(text, int(width * 15))]


def _draw_panels(
    figure: Figure,
    room: Room,
    parts: Mapping[int, pd.DataFrame],
    sizes: Mapping[int, dict[str, float]],
    brackets: Mapping[int, list[Bracket]],
    look: panels.Look,
) -> None:
    """Draw each panel at its place; panels of one metric and view share their scale."""
    rows = pd.concat(parts.values())
    limits = {key: panels.limits_of(part) for key, part in rows.groupby(["metric", "view"])}
    width, height = figure.get_size_inches()
    for place in room.places:
        part = parts[place.panel]
        bottom = height - place.top - place.high
        box = (place.left / width, bottom / height, room.panel_in / width, place.high / height)
        axes = figure.add_axes(box, label=f"panel {place.panel}")
        scale = limits[part["metric"].iloc[0], part["view"].iloc[0]]
        panels.draw_panel(axes, part, sizes[place.panel], look, place.named, scale)
        panels.draw_brackets(axes, part, sizes[place.panel], look, brackets[place.panel])
        panels.draw_marks(axes, part, sizes[place.panel], look)


def _write(figure: Figure, room: Room, notes: list[str], legend_in: float) -> None:
    """Write headings above panels, and notes between panels and legend."""
    width, height = figure.get_size_inches()
    for text, top in room.headings:
        figure.text(0.1 / width, 1 - top / height, text, va="top", size=9.5, fontweight="bold")
    for n, line in enumerate(notes):
        y = (legend_in + NOTE_IN * (len(notes) - n - 0.5)) / height
        figure.text(0.5, y, line, ha="center", va="center", size=7.5, color=figure_style.GREY)
