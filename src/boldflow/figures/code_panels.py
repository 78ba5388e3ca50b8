"""What codes say of a class: the held-out trials of each subject on two axes, greyed where the class is not found."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["separations", "embeddings"]
FACTS = {
    "title": "What codes say of a class of pictures",
    "caption": (
        "Each point is a held-out trial, placed by its code; a row is a model, a column a subject. Both classes are "
        "placed together, by one fit (t-SNE, or principal components), so that places can be compared within a panel; "
        "distances in t-SNE mean little beyond the nearest neighbours. Above each panel: the area under the ROC curve "
        "with which a logistic regression on the codes of training trials tells the held-out ones apart (.5 by chance) "
        "with its 95 % interval over pictures (none over several folds), and q, its p by refits under permuted labels, "
        "adjusted over subjects. Grey panels: not significant. The picture is an illustration, the area is the test."
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
DIM, PALE = "#8A8A8A", "#BBBBBB"  # the class and the others, where they are not told apart
PANEL_IN, GAP_IN, LEFT_IN, HEAD_IN, TITLE_IN, FOOT_IN = 1.25, 0.18, 1.35, 0.25, 0.4, 0.5
NAMES = {"tsne": "t-SNE", "pca": "principal components"}


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``separations`` and ``embeddings``: see ``vocabulary.tables``.
    settings : Entry
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
    points = _points(tables["embeddings"], settings)
    separations = tables["separations"]
    areas = separations[separations["metric"] == "auc"].rename(columns={"value": "auc"})
    keys = [*ROW, "subject", "seed"]
    areas = areas[[*keys, "auc", "ci_low", "ci_high", "p", "q", "label", "class"]]
    table = points[[*keys, "image_id", "in_class", "x", "y", "simulated"]].merge(areas, on=keys, how="left")
    is_tested = table["q"].notna()
    table["significant"] = (table["q"] <= settings["alpha"]).astype("boolean").where(is_tested)
    rows = table[ROW].drop_duplicates()
    if settings["models"]:
        rows = rows.sort_values("model", key=lambda models: models.map(settings["models"].index), kind="stable")
    rows = rows.head(settings["max_rows"]).assign(_row=lambda drawn_rows: range(len(drawn_rows)))
    table = table.merge(rows, on=ROW).sort_values(["_row", "subject"], kind="stable")
    columns = [*keys, "image_id", "in_class", "x", "y", "auc", "ci_low", "ci_high", "p", "q", "significant", "label"]
    return table[[*columns, "class", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a row of panels per model; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    subjects = sorted(table["subject"].unique())
    rows = table[ROW].drop_duplicates().reset_index(drop=True)
    varying_keys = ["model", *(name for name in ROW if name != "model" and len(rows[name].unique()) > 1)]
    width = LEFT_IN + len(subjects) * (PANEL_IN + GAP_IN) + 0.05
    height = HEAD_IN + len(rows) * (PANEL_IN + TITLE_IN) + FOOT_IN
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        for m, subject in enumerate(subjects):
            x = LEFT_IN + m * (PANEL_IN + GAP_IN) + PANEL_IN / 2
            figure_style.write_at(figure, x, height - HEAD_IN / 2 - 0.05, str(subject), weight="bold", size=9)
        for n, (_, row) in enumerate(rows.iterrows()):
            bottom = height - HEAD_IN - (n + 1) * (PANEL_IN + TITLE_IN)
            row_label = "\n".join(str(row[key]) for key in varying_keys)
            figure_style.write_at(figure, 0.1, bottom + PANEL_IN / 2, row_label, ha="left")
            points = table[(table[ROW] == row).all(axis=1)]
            for m, subject in enumerate(subjects):
                box = (LEFT_IN + m * (PANEL_IN + GAP_IN), bottom, PANEL_IN, PANEL_IN)
                axes = figure.add_axes(figure_style.share_of(box, width, height), label=f"{row['model']} {subject}")
                _panel(axes, points[points["subject"] == subject])
        legend = figure.legend(handles=_handles(table), loc="lower left", ncols=3, frameon=False, fontsize=7.5)
        legend.set_title("")
        n_left_out = len(_of_responses(tables["embeddings"])[ROW].drop_duplicates()) - len(rows)
        note = NAMES[settings["embedding"]] + (f"; models not drawn: {n_left_out}" if n_left_out else "")
        figure_style.write_at(figure, width - 0.1, 0.32, note, ha="right", color=figure_style.GREY, size=7)
    return figure


def _points(embeddings: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Held-out trials of the first seed of each model that the settings name, at their places x and y."""
    points = _of_responses(embeddings)
    if settings["models"]:
        points = points[points["model"].isin(settings["models"])]
    if points.empty:
        model_names = sorted(_of_responses(embeddings)["model"].unique())
        raise ValueError(f"code panels: models {settings['models']} have no codes; there are: {model_names}")
    first_seed = points.groupby([*ROW, "subject"], sort=False)["seed"].transform("first")
    x_column, y_column = (f"{settings['embedding']}_{n}" for n in (1, 2))
    return points[points["seed"] == first_seed].rename(columns={x_column: "x", y_column: "y"})


def _handles(table: pd.DataFrame) -> list[Line2D]:
    """Make an example of each kind of point, for the legend."""
    dot: Any = {"linestyle": "", "marker": "o", "markersize": 4}
    handles = [
        Line2D([], [], color=INSIDE, label=f"{table['class'].iloc[0]}", **dot),
        Line2D([], [], markerfacecolor="none", color=OUTSIDE, label="others", **dot),
    ]
    if table["significant"].eq(False).any():
        square = dot | {"marker": "s"}
        handles.append(Line2D([], [], color=PALE, label="not significant", **square))
    return handles


def _of_responses(points: pd.DataFrame) -> pd.DataFrame:
    """Leave codes of features alone out: they have no subject."""
    return points[points["response"] != "none"]


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    """One subject's held-out trials, grey where its class is not told apart."""
    axes.set_xticks([])
    axes.set_yticks([])
    if part.empty:
        axes.set_axis_off()
        _say(axes, "no such result")
        return
    class_test = part.iloc[0]
    is_grey = not pd.isna(class_test["significant"]) and not class_test["significant"]
    class_colour, other_colour = (DIM, PALE) if is_grey else (INSIDE, OUTSIDE)
    placed_points = part[part["x"].notna()]
    in_class = placed_points["in_class"].to_numpy(dtype=bool)  # (n_trials,)
    marker_size = float(np.clip(400 / max(len(placed_points), 1), 2, 16))
    x, y = placed_points["x"].to_numpy(), placed_points["y"].to_numpy()
    axes.scatter(
        x[~in_class],
        y[~in_class],
        s=marker_size,
        facecolors="none",
        edgecolors=other_colour,
        linewidths=0.6,
        gid="others",
    )
    axes.scatter(x[in_class], y[in_class], s=marker_size, color=class_colour, linewidths=0, gid="class")
    if placed_points.empty:
        _say(axes, "all codes\nare equal")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(PALE if is_grey else "#444444")
    axes.set_title(_title(class_test, is_grey), fontsize=6.5, pad=2, color=DIM if is_grey else "black", linespacing=1.1)


def _title(test: pd.Series, is_grey: bool) -> str:
    """Write the area with its interval, and its q."""
    verdict = "no p" if pd.isna(test["q"]) else f"q {test['q']:.3f}" + (", n.s." if is_grey else "")
    numbers = [f"{value:.2f}" for value in (test["auc"], test["ci_low"], test["ci_high"])]
    return f"AUC {numbers[0]} [{numbers[1]}, {numbers[2]}]\n{verdict}"


def _say(axes: Axes, text: str) -> None:
    """Write in the middle of a panel why it shows nothing."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color=figure_style.GREY, transform=axes.transAxes)
