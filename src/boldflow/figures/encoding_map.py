"""How well each vertex is predicted: Pearson r on the inflated cortex beside its ceiling, a row per subject."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import cortex, figure_style, thresholds
from boldflow.drawing.colours import round_up
from boldflow.drawing.meshes import hemispheres
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["maps", "meshes"]
FACTS = {
    "thresholds": True,
    "title": "Where the responses are predicted",
    "caption": (
        "Pearson correlation of predicted and measured responses to the test pictures, repeats averaged, for each "
        "vertex of inflated fsaverage5 (L left, R right hemisphere), beside the highest that any model of the pictures "
        "could reach, the root of the noise ceiling NC (cut at 0, so that vertices without signal average above 0). "
        "Each pixel shows the value of the vertex nearest to it, without smoothing. A row is one subject; blocks are "
        "encoding results. All maps share one scale, symmetric about zero; arrows at its ends mean that values lie "
        "beyond it. Grey: no data (darker in sulci). Thin lines are borders of the ROIs named below the scale. No "
        "threshold is applied unless a line below the scale names it; vertices that do not pass are then faint."
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
        "description": "Responses to draw; empty for all. They must lie on fsaverage5.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "views": {
        "description": "Views of each hemisphere: lateral, medial, ventral, dorsal, posterior or occipital.",
        "type": "array",
        "items": {"enum": ["lateral", "medial", "ventral", "dorsal", "posterior", "occipital"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["ventral", "occipital"],
    },
    "ceiling": {
        "description": "Whether the highest r that could be reached stands beside r.",
        "type": "boolean",
        "default": True,
    },
    "max_results": {
        "description": "Most encoding results (blocks) in the figure; more are left out and counted below it.",
        "type": "integer",
        "minimum": 1,
        "default": 4,
    },
    "limit": {
        "description": "End of the scale, as r; 0 takes the 99th percentile of |r| and its ceiling, rounded up to .1.",
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0,
    },
    "borders": {"description": "Whether borders of ROIs are drawn.", "type": "boolean", "default": True},
}
TITLES = {"ceiling": "Highest r possible, \N{SQUARE ROOT}NC", "r": "Pearson r"}


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``maps``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per vertex: dataset, response, split, feature, model, subject, hemisphere, vertex, r, ceiling
        (the root of NC: highest r of any model), roi, simulated; with a threshold also the test, n_refits and passes.

    Raises
    ------
    ValueError
        If no row is chosen, one of them does not lie on fsaverage5, or none has the test of the threshold.
    """
    chosen_maps = cortex.choose_maps(tables["maps"], settings, "encoding map")
    drawn_results = figure_style.results(chosen_maps).head(settings["max_results"])
    columns = [*figure_style.RESULT, "subject", "hemisphere", "vertex", "r", "ceiling", "roi", "simulated"]
    columns += thresholds.columns_of(settings)
    table = drawn_results.assign(_place=np.arange(len(drawn_results))).merge(
        chosen_maps, on=figure_style.RESULT, how="left"
    )
    table = table.assign(ceiling=np.sqrt(table["ceiling"].to_numpy(dtype=float)))
    table = table.sort_values(["_place", "subject", "hemisphere", "vertex"], kind="stable")
    return thresholds.with_threshold(table, settings, "encoding map")[columns].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a block per encoding result and a row per subject; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    chosen_maps = cortex.choose_maps(tables["maps"], settings, "encoding map")
    n_left_out = len(figure_style.results(chosen_maps)) - len(figure_style.results(table))
    titles = figure_style.result_titles(table)
    drawn_columns = ("ceiling", "r") if settings["ceiling"] else ("r",)
    rows = []
    for key, block in table.groupby(figure_style.RESULT, sort=False):
        for subject, part in block.groupby("subject", sort=True):
            regions = hemispheres(part, "roi") if settings["borders"] else None
            surface_values = [hemispheres(part, column) for column in drawn_columns]
            label = thresholds.label_with_count(str(subject), part)
            passing = [thresholds.passing(part) if column == "r" else None for column in drawn_columns]
            rows.append(cortex.SurfaceRow(titles[key], label, surface_values, regions, passing))
    magnitudes = np.abs(table[list(drawn_columns)].to_numpy(dtype=float))  # (n_rows, n_shown)
    limit = settings["limit"] or round_up(magnitudes)
    extend = "both" if np.nanmax(magnitudes, initial=0) > limit else "neither"
    return cortex.surface_figure(
        rows,
        [cortex.SurfaceGroup(TITLES[column]) for column in drawn_columns],
        settings["views"],
        tables.meshes,
        cortex.Scale("RdBu_r", -limit, limit, "Pearson r (image view)", extend),
        note=cortex.surface_note(
            table["roi"] if settings["borders"] else None, n_left_out, thresholds.sentence(table, settings)
        ),
    )
