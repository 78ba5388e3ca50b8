"""What codes say of a class: the held-out trials of each subject on two axes, greyed where the class is not found."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables

NEEDS = ["separations", "embeddings"]
FACTS = {
    "title": "What codes say of a class of pictures",
    "caption": (
        "Each point is a held-out trial, placed by its code; a row is a model, a column a subject. Both classes are "
        "placed together, by one fit (t-SNE, or principal components), so that places can be compared within a panel; "
        "distances in t-SNE mean little beyond the nearest neighbours. Above each panel: the area under the ROC curve "
        "with which a logistic regression on the codes of training trials tells the held-out ones apart (.5 by chance) "
        "with its 95 % bootstrap interval over pictures, and q, its p by refits under permuted labels, adjusted over "
        "subjects. Grey panels: not significant. The picture is an illustration, the area is the test."
    ),
}
SETTINGS = {
    "models": {
        "description": "Models to draw, in this order; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "embedding": {
        "description": "How codes are placed on two axes.",
        "enum": ["tsne", "pca"],
        "default": "tsne",
    },
    "alpha": {
        "description": "Largest q that counts as significant.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": 0.05,
    },
    "max_rows": {
        "description": "Most models (with their data and split) in the figure; the first of them are drawn.",
        "type": "integer",
        "minimum": 1,
        "default": 6,
    },
}
ROW = ["dataset", "response", "feature", "model", "split"]
INSIDE, OUTSIDE = "#D55E00", "#0072B2"
PANEL_IN, GAP_IN, LEFT_IN, HEAD_IN, TITLE_IN, FOOT_IN = 1.25, 0.18, 1.35, 0.25, 0.4, 0.5
NAMES = {"tsne": "t-SNE", "pca": "principal components"}


def source_table(tables: Tables, settings: Mapping[str, Any]) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``separations`` and ``embeddings``: see ``vocabulary.tables``.
    settings : mapping
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per point: dataset, response, feature, model, split, subject, seed, image_id, in_class, x, y, auc, ci_low,
        ci_high, p, q, significant (empty where there is no p), class, simulated. The first seed of each model.

    Raises
    ------
    ValueError
        If no model of the settings is there.
    """
    points = _of_responses(tables["embeddings"])
    if settings["models"]:
        points = points[points["model"].isin(settings["models"])]
    if points.empty:
        there = sorted(_of_responses(tables["embeddings"])["model"].unique())
        raise ValueError(f"code panels: models {settings['models']} have no codes; there are: {there}")
    found = tables["separations"]
    areas = found[found["metric"] == "auc"].rename(columns={"value": "auc"})
    keys = [*ROW, "subject", "seed"]
    areas = areas[[*keys, "auc", "ci_low", "ci_high", "p", "q", "label", "class"]]
    first = points.groupby([*ROW, "subject"], sort=False)["seed"].transform("first")
    x, y = (f"{settings['embedding']}_{n}" for n in (1, 2))
    chosen = points[points["seed"] == first].rename(columns={x: "x", y: "y"})
    table = chosen[[*keys, "image_id", "in_class", "x", "y", "simulated"]].merge(areas, on=keys, how="left")
    tested = table["q"].notna()
    table["significant"] = (table["q"] <= settings["alpha"]).astype("boolean").where(tested)
    rows = table[ROW].drop_duplicates()
    if settings["models"]:
        rows = rows.sort_values("model", key=lambda names: names.map(settings["models"].index), kind="stable")
    rows = rows.head(settings["max_rows"]).assign(_row=lambda kept: range(len(kept)))
    table = table.merge(rows, on=ROW).sort_values(["_row", "subject"], kind="stable")
    columns = [*keys, "image_id", "in_class", "x", "y", "auc", "ci_low", "ci_high", "p", "q", "significant", "label"]
    return table[[*columns, "class", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Mapping[str, Any]) -> Figure:
    """Draw a row of panels per model; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    subjects = sorted(table["subject"].unique())
    rows = table[ROW].drop_duplicates().reset_index(drop=True)
    varying = ["model", *(name for name in ROW if name != "model" and len(rows[name].unique()) > 1)]
    width = LEFT_IN + len(subjects) * (PANEL_IN + GAP_IN) + 0.05
    height = HEAD_IN + len(rows) * (PANEL_IN + TITLE_IN) + FOOT_IN
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        for m, subject in enumerate(subjects):
            x = LEFT_IN + m * (PANEL_IN + GAP_IN) + PANEL_IN / 2
            figure_style.write_at(figure, x, height - HEAD_IN / 2 - 0.05, str(subject), weight="bold", size=9)
        for n, (_, row) in enumerate(rows.iterrows()):
            bottom = height - HEAD_IN - (n + 1) * (PANEL_IN + TITLE_IN)
            name = "\n".join(str(row[key]) for key in varying)
            figure_style.write_at(figure, 0.1, bottom + PANEL_IN / 2, name, ha="left")
            own = table[(table[ROW] == row).all(axis=1)]
            for m, subject in enumerate(subjects):
                place = (LEFT_IN + m * (PANEL_IN + GAP_IN), bottom, PANEL_IN, PANEL_IN)
                axes = figure.add_axes(figure_style.share_of(place, width, height), label=f"{row['model']} {subject}")
                _panel(axes, own[own["subject"] == subject])
        one = table.iloc[0]
        handles = [
            Line2D([], [], linestyle="", marker="o", markersize=4, color=INSIDE, label=f"{one['class']}"),
            Line2D(
                [], [], linestyle="", marker="o", markersize=4, markerfacecolor="none", color=OUTSIDE, label="others"
            ),
        ]
        if table["significant"].eq(False).any():
            grey = Line2D([], [], linestyle="", marker="s", markersize=4, color="#BBBBBB", label="not significant")
            handles.append(grey)
        legend = figure.legend(handles=handles, loc="lower left", ncols=3, frameon=False, fontsize=7.5)
        legend.set_title("")
        left_out = len(_of_responses(tables["embeddings"])[ROW].drop_duplicates()) - len(rows)
        told = NAMES[settings["embedding"]] + (f"; models not drawn: {left_out}" if left_out else "")
        figure_style.write_at(figure, width - 0.1, 0.32, told, ha="right", color=figure_style.GREY, size=7)
    return figure


def _of_responses(points: pd.DataFrame) -> pd.DataFrame:
    """Leave codes of features alone out: they have no subject."""
    return points[points["response"] != "none"]


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    """One subject's held-out trials."""
    axes.set_xticks([])
    axes.set_yticks([])
    if part.empty:
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, "no such result", ha="center", va="center", color=figure_style.GREY, transform=axes.transAxes
        )
        return
    one = part.iloc[0]
    grey = not pd.isna(one["significant"]) and not one["significant"]
    inside, outside = ("#8A8A8A", "#BBBBBB") if grey else (INSIDE, OUTSIDE)
    known = part[part["x"].notna()]
    here = known["in_class"].to_numpy(dtype=bool)
    size = float(np.clip(400 / max(len(known), 1), 2, 16))
    x, y = known["x"].to_numpy(), known["y"].to_numpy()
    axes.scatter(x[~here], y[~here], s=size, facecolors="none", edgecolors=outside, linewidths=0.6, gid="others")
    axes.scatter(x[here], y[here], s=size, color=inside, linewidths=0, gid="class")
    if known.empty:
        axes.text(
            0.5,
            0.5,
            "all codes\nare equal",
            ha="center",
            va="center",
            color=figure_style.GREY,
            transform=axes.transAxes,
        )
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#BBBBBB" if grey else "#444444")
    verdict = "no p" if pd.isna(one["q"]) else f"q {one['q']:.3f}" + (", n.s." if grey else "")
    numbers = [f"{value:.2f}" for value in (one["auc"], one["ci_low"], one["ci_high"])]
    text = f"AUC {numbers[0]} [{numbers[1]}, {numbers[2]}]\n{verdict}"
    axes.set_title(text, fontsize=6.5, pad=2, color="#8A8A8A" if grey else "black", linespacing=1.1)
