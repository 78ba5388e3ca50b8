"""What units of a code stand for: the pictures that drive each of them most."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["units", "images"]
FACTS = {
    "title": "Pictures that drive the units of a code",
    "caption": (
        "Each row is a unit of one subject's code with the pictures that drive it most, best first, by the mean over "
        "their trials. All pictures that were shown take part: H marks those that were held out from training, a frame "
        "those of the class. At the left: the unit's number, in how many of the held-out trials it is active, and how "
        "well it alone tells held-out trials of the class from the others (area under the ROC curve, .5 by chance). "
        "Units are not picked by hand: those that are never active are left out and counted, and of the others those "
        "that are driven by their first picture most are shown."
    ),
}
SETTINGS = {
    "model": {
        "description": "Model whose units are drawn; empty for the first of the study.",
        "type": "string",
        "default": "",
    },
    "subject": {"description": "Subject; empty for the first.", "type": "string", "default": ""},
    "dataset": {"description": "Data set; empty for the first.", "type": "string", "default": ""},
    "n_units": {"description": "Most units.", "type": "integer", "minimum": 1, "default": 16},
    "n_images": {
        "description": "Pictures of each unit.",
        "type": "integer",
        "minimum": 1,
        "maximum": 8,
        "default": 6,
    },
}
RESULT = ["dataset", "subject", "response", "feature", "model", "split"]
FRAME = "#D55E00"
PICTURE_IN, STEP, LEFT_IN, HEAD_IN, FOOT_IN, GAP_IN = 0.6, 1.08, 0.95, 0.4, 0.3, 0.25


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the pictures drawn.

    Parameters
    ----------
    tables : Tables
        ``units``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per picture of a unit: dataset, subject, response, feature, model, split, seed, unit, active_share,
        class_auc, rank (from 1), image_id, activation, in_class, held_out, simulated.

    Raises
    ------
    ValueError
        If no model of the settings is there, or none of its units is ever active.
    """
    unit_rows = _chosen(tables["units"], settings)
    top_rows = unit_rows[(unit_rows["rank"] == 1) & (unit_rows["activation"] > 0)]
    if top_rows.empty:
        raise ValueError(f"unit images: no unit of {unit_rows['model'].iloc[0]} is ever active")
    drawn_units = top_rows.sort_values(["activation", "unit"], ascending=[False, True], kind="stable").head(
        settings["n_units"]
    )
    place_of_unit = {unit: n for n, unit in enumerate(drawn_units["unit"])}
    table = unit_rows[unit_rows["unit"].isin(place_of_unit) & (unit_rows["rank"] <= settings["n_images"])]
    table = table.assign(_place=table["unit"].map(place_of_unit)).sort_values(["_place", "rank"], kind="stable")
    columns = [*RESULT, "seed", "unit", "active_share", "class_auc", "rank", "image_id", "activation", "in_class"]
    return table[[*columns, "held_out", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw rows of pictures in two columns of units; ``tables`` also has ``images``, else as ``source_table``."""
    table = source_table(tables, settings)
    unit_rows = _chosen(tables["units"], settings)
    units = list(dict.fromkeys(table["unit"]))
    n_columns = 1 if len(units) == 1 else 2
    n_rows = -(-len(units) // n_columns)
    strip_width = settings["n_images"] * STEP * PICTURE_IN
    block_width = LEFT_IN + strip_width + GAP_IN
    width, height = n_columns * block_width, HEAD_IN + n_rows * STEP * PICTURE_IN + FOOT_IN
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        caption = " · ".join(str(table[name].iloc[0]) for name in ("model", "subject", "dataset", "response"))
        figure_style.write_at(figure, 0.1, height - 0.18, caption, ha="left", color=figure_style.GREY)
        for n, unit in enumerate(units):
            part = table[table["unit"] == unit]
            column, row = divmod(n, n_rows)
            bottom = height - HEAD_IN - (row + 1) * STEP * PICTURE_IN
            label = _label(part.iloc[0])
            figure_style.write_at(
                figure, column * block_width + 0.1, bottom + STEP * PICTURE_IN / 2, label, ha="left", size=7
            )
            box = (column * block_width + LEFT_IN, bottom, strip_width, STEP * PICTURE_IN)
            axes = figure.add_axes(figure_style.share_of(box, width, height), label=f"unit {unit}")
            _unit(axes, part, tables.images, settings["n_images"])
        frame: Any = {"linestyle": "", "marker": "s", "markersize": 6, "markerfacecolor": "none", "color": FRAME}
        handle = Line2D([], [], label="in the class", **frame)
        figure.legend(handles=[handle], loc="lower left", frameon=False, fontsize=7.5)
        n_silent, n_units = (
            int((unit_rows[unit_rows["rank"] == 1]["activation"] <= 0).sum()),
            int(unit_rows["unit"].nunique()),
        )
        note = f"{len(units)} of {n_units} units, {n_silent} are never active. H: held out."
        figure_style.write_at(figure, width - 0.15, 0.14, note, ha="right", color=figure_style.GREY, size=7)
    return figure


def _label(first: pd.Series) -> str:
    """Number of a unit, how often it is active, and how well it alone tells the class."""
    return f"unit {first['unit']}\nactive {100 * first['active_share']:.0f} %\nAUC {first['class_auc']:.2f}"


def _chosen(units: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Units of the first result that the settings allow."""
    is_kept = pd.Series(True, index=units.index)
    for name in ("model", "subject", "dataset"):
        if settings[name]:
            is_kept &= units[name] == settings[name]
    if not is_kept.any():
        available = units[["dataset", "subject", "model"]].drop_duplicates().astype(str).agg(" ".join, axis=1)
        raise ValueError(
            f"unit images: no result matches the settings; there are (dataset subject model): {sorted(available)}"
        )
    chosen_units = units[is_kept]
    return chosen_units[(chosen_units[RESULT] == chosen_units[RESULT].iloc[0]).all(axis=1)]


def _unit(axes: Axes, part: pd.DataFrame, images: Mapping[tuple[str, str], np.ndarray], n_images: int) -> None:
    """Pictures of one unit; the x unit is a picture's width."""
    axes.set_xlim(0, n_images * STEP)
    axes.set_ylim(STEP, 0)
    axes.set_axis_off()
    for n, (_, row) in enumerate(part.iterrows()):
        picture = images[row["dataset"], row["image_id"]]
        x = n * STEP + 0.04
        axes.imshow(picture, extent=(x, x + 1, 1.04, 0.04), aspect="auto", interpolation="nearest")
        if row["in_class"]:
            axes.add_patch(Rectangle((x, 0.04), 1, 1, fill=False, edgecolor=FRAME, linewidth=1.6))
        if row["held_out"]:
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
            axes.text(x + 0.93, 0.97, "H", ha="right", va="bottom", fontsize=5.5, bbox=box)
    axes.set_xlim(0, n_images * STEP)
    axes.set_ylim(STEP, 0)
