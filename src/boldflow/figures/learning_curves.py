"""How networks learnt: loss and validation measures by epoch, every subject, with the spread over seeds."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["histories"]
FACTS = {
    "title": "How the networks learnt",
    "caption": (
        "A column per model, a row per measure, by epoch. Lines: mean over seeds (and folds) of each subject; bands: "
        "from the lowest to the highest of them. A line ends where the last seed stopped, and is the mean of those "
        "that still train. Epoch 0 is a start that was not random (a ridge). Validation measures are of validation "
        "trials alone; no test trial is in this figure. Dashed: chance, where it is known."
    ),
}
SETTINGS = {
    "measures": {
        "description": "Columns of history.csv to draw, a row each; those that a study's models lack are left out.",
        "type": "array",
        "items": {
            "enum": ["loss", "val_loss", "val_inv_norm_rank", "val_top1", "val_top5", "val_top10", "val_mean_rank"]
        },
        "minItems": 1,
        "uniqueItems": True,
        "default": ["loss", "val_loss", "val_inv_norm_rank"],
    },
    "models": {
        "description": "Models to draw, in this order; empty for all that train a network.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "max_columns": {
        "description": "Most models (with their data, feature and split) in the figure; the first of them are drawn.",
        "type": "integer",
        "minimum": 1,
        "default": 6,
    },
}
COLUMN = ["dataset", "response", "feature", "model", "split"]
LABELS = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "val_inv_norm_rank": "inv. norm. rank",
    "val_top1": "batch top-1",
    "val_top5": "batch top-5",
    "val_top10": "batch top-10",
    "val_mean_rank": "batch mean rank",
}
CHANCE = {"val_inv_norm_rank": 0.5}
PANEL_IN, LEFT_IN, GAP_IN, ROW_GAP_IN, HEAD_IN, FOOT_IN = (1.9, 1.35), 0.75, 0.55, 0.25, 0.5, 0.6
PER_LINE = 6  # subjects named in a line of the legend


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``histories``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per point: dataset, response, feature, model, split, subject, measure, epoch, mean, low, high (over seeds
        and folds), n (how many of them), simulated.

    Raises
    ------
    ValueError
        If no model of the study trains by epochs, or none is chosen.
    """
    chosen_histories = _chosen(tables["histories"], settings)
    measures = [name for name in settings["measures"] if name in chosen_histories]
    keys = [*COLUMN, "subject", "simulated"]
    long_table = chosen_histories.melt([*keys, "epoch"], measures, "measure", "value").dropna(subset="value")
    points = long_table.groupby([*keys, "measure", "epoch"], sort=False)["value"].agg(["mean", "min", "max", "count"])
    table = points.rename(columns={"min": "low", "max": "high", "count": "n"}).reset_index()
    columns = table[COLUMN].drop_duplicates()
    if settings["models"]:
        columns = columns.sort_values("model", key=lambda models: models.map(settings["models"].index), kind="stable")
    columns = columns.head(settings["max_columns"]).assign(column=lambda drawn_columns: range(len(drawn_columns)))
    order = table["measure"].map({name: place for place, name in enumerate(measures)})
    table = table.assign(order=order, epoch=table["epoch"].astype(int)).merge(columns, on=COLUMN)
    table = table.sort_values(["column", "order", "subject", "epoch"], kind="stable").reset_index(drop=True)
    return table[[*COLUMN, "subject", "measure", "epoch", "mean", "low", "high", "n", "simulated"]]


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a panel per model and measure; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    columns = table[COLUMN].drop_duplicates().reset_index(drop=True)
    measures = list(dict.fromkeys(table["measure"]))
    styles = figure_style.subject_styles(sorted(table["subject"].unique()))
    n_legend_lines = -(-len(styles) // PER_LINE)
    width = LEFT_IN + len(columns) * (PANEL_IN[0] + GAP_IN)
    height = HEAD_IN + len(measures) * (PANEL_IN[1] + ROW_GAP_IN) + FOOT_IN + 0.2 * n_legend_lines
    varying_keys = ["model", *(name for name in COLUMN if name != "model" and len(columns[name].unique()) > 1)]
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        for n, (_, column) in enumerate(columns.iterrows()):
            curves = table[(table[COLUMN] == column).all(axis=1)]
            title = "\n".join(str(column[name]) for name in varying_keys)
            _draw_column(figure, curves, n, title, measures, styles)
        handles = [Line2D([], [], color=style.colour, label=name) for name, style in styles.items()]
        figure.legend(handles=handles, loc="lower left", ncols=min(PER_LINE, len(styles)), frameon=False, fontsize=7.5)
    return figure


def _chosen(histories: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Epochs of the models that the settings name, without those after the choice, when nothing is validated."""
    epochs = histories[histories["epoch"].notna()] if "epoch" in histories else histories.iloc[:0]
    chosen = epochs[epochs["model"].isin(settings["models"])] if settings["models"] else epochs
    if not len(chosen):
        there = sorted(epochs["model"].unique()) if len(epochs) else []
        raise ValueError(f"learning curves: no model of the study to draw; those that train by epochs: {there}")
    return chosen[chosen["stage"] != "all"] if "stage" in chosen else chosen


def _draw_column(
    figure: Figure,
    curves: pd.DataFrame,
    column_number: int,
    title: str,
    measures: list[str],
    styles: Mapping[str, figure_style.Style],
) -> None:
    """Draw the measures of one model below each other; epochs stand below the last that it has."""
    width, height = figure.get_size_inches()
    last_measure = max(measures.index(measure) for measure in curves["measure"].unique())
    for m, measure in enumerate(measures):
        left, top = LEFT_IN + column_number * (PANEL_IN[0] + GAP_IN), HEAD_IN + m * (PANEL_IN[1] + ROW_GAP_IN)
        box = (left / width, 1 - (top + PANEL_IN[1]) / height, PANEL_IN[0] / width, PANEL_IN[1] / height)
        axes = figure.add_axes(box, label=f"{column_number} {measure}")
        _panel(axes, curves[curves["measure"] == measure], measure, styles)
        if column_number == 0:
            axes.set_ylabel(LABELS[measure])
        if m == 0:
            axes.set_title(title, loc="left", fontsize=7.5)
        if m == last_measure:
            axes.set_xlabel("epoch")
        else:
            axes.set_xticklabels([])


def _panel(axes: Axes, part: pd.DataFrame, measure: str, styles: Mapping[str, figure_style.Style]) -> None:
    """One model's curves of one measure; where it was not measured (no validation trials), the panel says so."""
    if part.empty:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.patch.set_visible(False)  # the panel above has its epochs here
        axes.text(
            0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=figure_style.GREY, fontsize=7.5
        )
        return
    for subject, curve in part.groupby("subject", sort=True):
        colour = styles[str(subject)].colour
        axes.fill_between(curve["epoch"], curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(curve["epoch"], curve["mean"], color=colour, linewidth=1.2, gid="mean")
    if measure in CHANCE:
        axes.axhline(CHANCE[measure], color=figure_style.GREY, linewidth=0.8, linestyle="--")
    for axis, (low, high), integer_ticks in ((axes.xaxis, axes.get_xlim(), True), (axes.yaxis, axes.get_ylim(), False)):
        ticks = MaxNLocator(4, integer=integer_ticks).tick_values(low, high)
        axis.set_ticks([float(tick) for tick in ticks if low <= tick <= high])
