"""Encoding by ROI: explained variance beside its ceiling, and the share of the signal that is explained."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import dots, figure_style
from boldflow.drawing.roi_places import with_roi_places
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["leaderboard"]
FACTS = {
    "title": "What is explained in each ROI",
    "caption": (
        "A row is an ROI (all: every vertex), a marker one subject; blocks are encoding results. Left: r² of predicted "
        "and measured responses to the test pictures, repeats averaged, mean over the ROI's vertices, with its 95 % "
        "interval; black tick: noise ceiling NC of the ROI (ratio of summed variances); dashed: expected by chance. "
        "Right: share of the ROI's signal variance that is explained, corrected for the number of pictures and summed "
        "over vertices before the ratio; 1 (dashed, as 0) is all there is. An ROI without enough signal has none. "
        "ROIs come from anatomy or from data outside the test; no threshold on the ceiling is applied."
    ),
}
SETTINGS = {
    "models": {
        "description": "Encoding models to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "features": {
        "description": "Features to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "responses": {
        "description": "Responses to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "rois": {
        "description": "ROIs in the order of the rows; empty for all, in alphabetical order after all vertices.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
}
METRICS = ("r2", "explained_share")
NUMBERS = ["value", "ci_low", "ci_high", "chance", "ceiling"]


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``leaderboard``: the study's tidy table.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: dataset, response, split, feature, model, roi, subject, seed, metric (r2 or explained_share),
        value, ci_low, ci_high, chance, ceiling, simulated. An ROI without enough signal has no explained_share.

    Raises
    ------
    ValueError
        If no row is chosen, or an ROI of the settings is not there.
    """
    part = _chosen(tables["leaderboard"], settings)
    part = part.sort_values([*figure_style.RESULT, "_roi", "subject", "seed", "_metric"], kind="stable")
    columns = [*figure_style.RESULT, "roi", "subject", "seed", "metric", *NUMBERS, "simulated"]
    return part[columns].astype({name: "float64" for name in NUMBERS}).reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw two panels per encoding result; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    blocks = []
    titles = figure_style.result_titles(table)
    for key, part in table.groupby(figure_style.RESULT, sort=False):
        blocks.append(dots.Block(titles[key], part.assign(row=part["roi"], panel=part["metric"])))
    panels = [
        dots.Panel("r2", "r² (image view)", ceiling=True),
        dots.Panel("explained_share", "Explained share of signal variance", references=(0.0, 1.0)),
    ]
    with mpl.rc_context(figure_style.RC):
        return dots.figure_of(blocks, panels)


def _chosen(board: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Rows of encoders that the settings name, with the places of their ROI and metric."""
    is_kept = (board["direction"] == "encode") & board["metric"].isin(METRICS)
    for key, column in (("models", "model"), ("features", "feature"), ("responses", "response")):
        if settings[key]:
            is_kept &= board[column].isin(settings[key])
    part = board[is_kept.fillna(False).astype(bool)]
    no_rows = "ROI summary: the leaderboard has no encoding result that matches its settings"
    part = with_roi_places(part, settings["rois"], "ROI summary: the leaderboard has no ROI", no_rows)
    return part.assign(_metric=part["metric"].map(METRICS.index))
