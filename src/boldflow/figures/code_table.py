"""Numbers of codes in a table: error, share of variance, zeros and dead units, beside published figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["leaderboard", "published"]
FACTS = {
    "title": "Error, zeros and dead units of codes",
    "caption": (
        "Models of responses alone, a column per subject. Mean squared error and R2 of reconstructed held-out trials "
        "(all vertices, in the scale of training trials; R2 is above 0 only where more is kept than the best constant "
        "would), share of zeros in the codes of held-out trials, and share of units that are 0 in all of them. "
        "Several seeds are averaged. Lines in grey italics: figures that others have published of a model of that name "
        "and subject, with what was done otherwise below the table; they are never set beside simulated data."
    ),
}
SETTINGS = {
    "metrics": {
        "description": "What is shown, in this order.",
        "type": "array",
        "items": {"enum": ["mse", "R2", "r", "zeros", "dead_units"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["mse", "R2", "zeros", "dead_units"],
    },
    "models": {
        "description": "Models to show, in this order; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "view": {
        "description": "trial: each held-out trial. image: an image's repeats averaged (zeros and dead units: trial).",
        "enum": ["trial", "image"],
        "default": "trial",
    },
}
ROW = ["dataset", "response", "model", "split"]
TITLES = {
    "mse": "Mean squared error",
    "R2": "R²",
    "r": "Pearson r",
    "zeros": "Share of zeros",
    "dead_units": "Dead units",
}
CODE = ("zeros", "dead_units")  # of the code, in the trial view alone
LINE = [*ROW, "whose", "note"]  # what a line of the table has in common
LINE_IN, COLUMN_IN, LEFT_IN, NOTE_IN, HEAD_IN, BLOCK_GAP_IN = 0.19, 0.72, 1.75, 0.16, 0.35, 0.12
OURS, THEIRS = "ours", "published"


@dataclass(frozen=True)
class Block:
    """One metric: its numbers, and the lines in which they stand."""

    metric: str
    rows: pd.DataFrame
    lines: pd.DataFrame


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the numbers shown.

    Parameters
    ----------
    tables : Tables
        ``leaderboard`` and ``published``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per number: metric, dataset, response, model, split, subject, whose (ours, published), value, note,
        simulated.

    Raises
    ------
    ValueError
        If no model of the settings sees responses alone.
    """
    our_scores = _ours(tables["leaderboard"], settings)
    published_scores = _published(tables["published"], our_scores, settings)
    table = pd.concat([our_scores, published_scores[our_scores.columns]], ignore_index=True)
    place_of_metric = {name: n for n, name in enumerate(settings["metrics"])}
    place_of_model = {name: n for n, name in enumerate(settings["models"] or dict.fromkeys(our_scores["model"]))}
    table = table.assign(_metric=table["metric"].map(place_of_metric), _model=table["model"].map(place_of_model))
    table = table.sort_values(["_metric", "_model", *ROW[:2], "split", "whose", "subject"], kind="stable")
    return table[["metric", *ROW, "subject", "whose", "value", "note", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw the table; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    subjects = sorted(table["subject"].unique())
    rows = table[ROW].drop_duplicates()
    varying_keys = ["model", *(name for name in ROW if name != "model" and len(rows[name].unique()) > 1)]
    blocks = [Block(metric, part, part.drop_duplicates(LINE)) for metric, part in table.groupby("metric", sort=False)]
    left = max(LEFT_IN, 0.35 + 0.065 * max(len(_name(row, varying_keys)) for row in rows.to_dict("records")))
    width = max(left + len(subjects) * COLUMN_IN + 0.1, 5.0)
    notes = [text for text in dict.fromkeys(table["note"]) if text]
    marks = {text: chr(ord("a") + n % 26) for n, text in enumerate(notes)}
    footnotes = [line for text in notes for line in _wrapped(f"{marks[text]}  {text}", int(width * 20))]
    blocks_height = sum(LINE_IN * (len(block.lines) + 1) + BLOCK_GAP_IN for block in blocks)
    height = HEAD_IN + blocks_height + NOTE_IN * len(footnotes) + 0.15
    column_x = {subject: left + (n + 0.9) * COLUMN_IN for n, subject in enumerate(subjects)}
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        for subject, x in column_x.items():
            figure_style.write_at(figure, x, height - 0.2, str(subject), ha="right", weight="bold")
        y = height - HEAD_IN
        for block in blocks:
            y = _draw_block(figure, block, y, column_x, marks, varying_keys)
        for line in footnotes:
            y -= NOTE_IN
            figure_style.write_at(figure, 0.1, y + NOTE_IN / 2, line, ha="left", color=figure_style.GREY, size=6.5)
    return figure


def _ours(board: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Scores of models of responses alone, several seeds averaged."""
    views = np.where(board["metric"].isin(CODE), "trial", settings["view"])  # (n_rows,)
    is_kept = (
        (board["direction"] == "represent")
        & (board["response"] != "none")
        & board["metric"].isin(settings["metrics"])
        & (board["view"] == views)
    )
    scores = board[is_kept & (board["roi"].isna() | (board["roi"] == "all"))]
    if settings["models"]:
        scores = scores[scores["model"].isin(settings["models"])]
    if scores.empty:
        model_names = sorted(board.loc[board["direction"] == "represent", "model"].unique())
        raise ValueError(f"code table: no model to show; those that see responses alone: {model_names}")
    keys = ["metric", *ROW, "subject", "simulated"]
    return scores.groupby(keys, sort=False)["value"].mean().reset_index().assign(whose=OURS, note="")


def _published(published: pd.DataFrame, our_scores: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Published figures of our models and subjects, with what was done otherwise; none beside simulated data."""
    published_scores = published[
        published["metric"].isin(settings["metrics"]) & (published["direction"] == "represent")
    ]
    measured_keys = our_scores.loc[~our_scores["simulated"].astype(bool), ["metric", *ROW, "subject"]]
    published_rows = published_scores[["metric", "model", "subject", "dataset", "value", "split", "reason", "note"]]
    published_rows = measured_keys.merge(
        published_rows, on=["metric", "model", "subject", "dataset"], suffixes=("", "_theirs")
    )
    reasons = published_rows["reason"].where(published_rows["reason"].ne(""), "the same protocol")
    notes = (
        published_rows["split_theirs"]
        + ": "
        + reasons
        + published_rows["note"].map(lambda text: f"; {text}" if text else "")
    )
    return published_rows.assign(whose=THEIRS, simulated=False, note=notes, value=published_rows["value"].astype(float))


def _draw_block(
    figure: Figure,
    block: Block,
    top: float,
    column_x: Mapping[str, float],
    marks: Mapping[str, str],
    varying_keys: list[str],
) -> float:
    """Draw the lines of one metric below a height, and give the height below them; columns end at their places."""
    width, height = figure.get_size_inches()
    y = top - LINE_IN
    figure_style.write_at(figure, 0.1, y + LINE_IN / 2, TITLES[block.metric], ha="left", weight="bold")
    rule = figure.add_axes(figure_style.share_of((0.1, y, width - 0.2, 0.001), width, height), label=block.metric)
    rule.set_axis_off()
    rule.axhline(0, color="#444444", linewidth=1.2)
    for row in block.lines.to_dict("records"):
        y -= LINE_IN
        is_published = row["whose"] == THEIRS
        style = {"color": figure_style.GREY, "style": "italic"} if is_published else {}
        line_label = f"  published {marks[row['note']]}" if is_published else _name(row, varying_keys)
        figure_style.write_at(figure, 0.2, y + LINE_IN / 2, line_label, ha="left", **style)
        cells = block.rows[(block.rows[LINE] == pd.Series(row)[LINE]).all(axis=1)]
        for cell in cells.to_dict("records"):
            x = column_x[cell["subject"]]
            figure_style.write_at(figure, x, y + LINE_IN / 2, _number(cell["value"]), ha="right", **style)
    return y - BLOCK_GAP_IN


def _name(row: Mapping[str, Any], varying: list[str]) -> str:
    return " · ".join(str(row[name]) for name in varying)


def _number(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _wrapped(text: str, max_chars: int) -> list[str]:
    """Break a text into lines of at most ``max_chars`` characters, the later ones indented."""
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) + 1 > max_chars and line.strip():
            lines.append(line)
            line = "    " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]
