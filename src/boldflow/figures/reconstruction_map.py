"""What a code keeps of a class: measured and reconstructed maps side by side on the flat cortex."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import cortex, figure_style
from boldflow.drawing.colours import round_up
from boldflow.drawing.meshes import SURFACE, hemispheres
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["reconstructions", "meshes"]
FACTS = {
    "title": "Measured and reconstructed maps",
    "caption": (
        "Mean response to the held-out pictures of the class less that to those it is held against, at each vertex of "
        "flat fsaverage5 (L left, R right hemisphere), in standard deviations of the training trials: as measured, as "
        "reconstructed from the code, and what the code leaves out (measured less reconstructed). A row is a subject; "
        "blocks are models. Only the surroundings of the data are shown. All maps share one scale, symmetric about "
        "zero; arrows at its ends mean that values lie beyond it. Grey: no data (darker in sulci). Thin lines are "
        "borders of the ROIs named below the scale."
    ),
}
SETTINGS = {
    "models": {
        "description": "Models to draw; empty for all.",
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
        "description": "Responses to draw; empty for all that lie on fsaverage5 or tell their vertex of fsaverage.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "views": {
        "description": "Views of each hemisphere.",
        "type": "array",
        "items": {"enum": ["flat", "lateral", "medial", "ventral", "dorsal", "posterior", "occipital"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["flat"],
    },
    "max_results": {
        "description": "Most models (blocks) in the figure; more are left out and counted below it.",
        "type": "integer",
        "minimum": 1,
        "default": 3,
    },
    "near": {
        "description": "Whether the surroundings of the data alone are shown, larger, instead of whole hemispheres.",
        "type": "boolean",
        "default": True,
    },
    "borders": {"description": "Whether borders of ROIs are drawn.", "type": "boolean", "default": True},
}
SHOWN = {"measured": "Measured", "reconstructed": "Reconstructed", "left_out": "Left out"}


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``reconstructions``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per vertex: dataset, response, split, feature, model, subject, hemisphere, vertex, measured,
        reconstructed, left_out, r (over held-out trials), roi, simulated.

    Raises
    ------
    ValueError
        If no row is chosen, or one of them does not lie on fsaverage5.
    """
    chosen_rows = _chosen(tables["reconstructions"], settings)
    drawn_results = figure_style.results(chosen_rows)
    if settings["models"]:
        drawn_results = drawn_results.sort_values(
            "model", key=lambda models: models.map(settings["models"].index), kind="stable"
        )
    drawn_results = drawn_results.head(settings["max_results"])
    table = drawn_results.assign(_place=np.arange(len(drawn_results))).merge(
        chosen_rows, on=figure_style.RESULT, how="left"
    )
    table = table.assign(left_out=table["measured"] - table["reconstructed"])
    table = table.sort_values(["_place", "subject", "hemisphere", "vertex"], kind="stable")
    columns = [*figure_style.RESULT, "subject", "hemisphere", "vertex", *SHOWN, "r", "roi", "simulated"]
    return table[columns].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a block per model and a row per subject; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    n_left_out = len(figure_style.results(tables["reconstructions"])) - len(figure_style.results(table))
    titles = figure_style.result_titles(table)
    rows = []
    for key, block in table.groupby(figure_style.RESULT, sort=False):
        for subject, part in block.groupby("subject", sort=True):
            regions = hemispheres(part, "roi") if settings["borders"] else None
            surface_values = [hemispheres(part, column) for column in SHOWN]
            rows.append(cortex.SurfaceRow(titles[key].replace(" · none", ""), str(subject), surface_values, regions))
    magnitudes = np.abs(table[list(SHOWN)].to_numpy(dtype=float))  # (n_rows, n_shown)
    limit = round_up(magnitudes, most=5.0)
    extend = "both" if np.nanmax(magnitudes, initial=0) > limit else "neither"
    return cortex.surface_figure(
        rows,
        [cortex.SurfaceGroup(title) for title in SHOWN.values()],
        settings["views"],
        tables.meshes,
        cortex.Scale("RdBu_r", -limit, limit, "class less others (s.d. of training trials)", extend),
        note=cortex.surface_note(table["roi"] if settings["borders"] else None, n_left_out),
        near=settings["near"],
    )


def _chosen(maps: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Keep the rows that the settings name; where they name no responses, of those on the mesh if there are any."""
    on_mesh = maps[maps["space"] == SURFACE]
    candidates = maps if settings["responses"] or on_mesh.empty else on_mesh
    return cortex.choose_maps(candidates, settings, "reconstruction map")
