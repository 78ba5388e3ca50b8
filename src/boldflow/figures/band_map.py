"""What each of several joined features explains: its part of R² on the inflated cortex, a row per subject."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import cortex, figure_style
from boldflow.drawing.colours import round_up
from boldflow.drawing.meshes import hemispheres
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["maps", "bands", "meshes"]
FACTS = {
    "title": "Which feature explains what, and where",
    "caption": (
        "Left: R² of the joint prediction from several features (1 - residual over total variance of the responses to "
        "the test pictures, repeats averaged; both centred). Beside it: what each feature brings to it, by the product "
        "measure; at every vertex these add up to the joint R². What makes a prediction worse than the mean is "
        "negative, as at many vertices without signal, and drawn as 0. Vertices of inflated fsaverage5 (L left, R "
        "right hemisphere), without smoothing or threshold; all maps share one scale, an arrow means that values lie "
        "beyond it. A row is one subject; blocks are encoding results. Grey: no data (darker in sulci). Thin lines are "
        "borders of the ROIs named below the scale. Features that are alike share what they both explain: unique "
        "variance is in the tables."
    ),
}
SETTINGS = {
    "models": {
        "description": "Encoding models to draw; empty for all that tell bands apart.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "features": {
        "description": "Stacks to draw; empty for all.",
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
    "measure": {
        "description": "product: parts that add up to the joint R². unique: what is lost without each feature.",
        "enum": ["product", "unique"],
        "default": "product",
    },
    "views": {
        "description": "Views of each hemisphere: lateral, medial, ventral, dorsal, posterior or occipital.",
        "type": "array",
        "items": {"enum": ["lateral", "medial", "ventral", "dorsal", "posterior", "occipital"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["ventral", "occipital"],
    },
    "max_results": {
        "description": "Most encoding results (blocks) in the figure; more are left out and counted below it.",
        "type": "integer",
        "minimum": 1,
        "default": 3,
    },
    "limit": {
        "description": "End of the scale, as R²; 0 takes the 99th percentile of positive values, rounded up to .1.",
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0,
    },
    "borders": {"description": "Whether borders of ROIs are drawn.", "type": "boolean", "default": True},
}
PREFIX = {"product": "r2_band:", "unique": "r2_unique:"}
JOINT = "all"


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
        A row per vertex and band: dataset, response, split, feature, model, subject, band ("all" for the joint
        prediction, which comes first), hemisphere, vertex, r2, roi, simulated.

    Raises
    ------
    ValueError
        If no row is chosen, one does not lie on fsaverage5, or no result has the measure.
    """
    chosen_maps, bands = _chosen(tables, settings)
    drawn_results = figure_style.results(chosen_maps).head(settings["max_results"])
    placed_maps = drawn_results.assign(_place=np.arange(len(drawn_results))).merge(
        chosen_maps, on=figure_style.RESULT, how="left"
    )
    band_tables = []
    for order, (band, column) in enumerate({JOINT: "r2_joint", **bands}.items()):
        band_tables.append(placed_maps.assign(band=band, r2=placed_maps[column].astype(float), _order=order))
    table = pd.concat(band_tables, ignore_index=True)
    has_r2 = table["r2"].notna().groupby([table[name] for name in [*figure_style.RESULT, "band"]]).transform("any")
    table = table[has_r2].sort_values(["_place", "subject", "_order", "hemisphere", "vertex"], kind="stable")
    columns = [*figure_style.RESULT, "subject", "band", "hemisphere", "vertex", "r2", "roi", "simulated"]
    return table[columns].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a block per result and a row per subject, the joint R² first; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    n_left_out = len(figure_style.results(_chosen(tables, settings)[0])) - len(figure_style.results(table))
    bands = list(dict.fromkeys(table["band"]))
    titles = figure_style.result_titles(table)
    rows = []
    for key, block in table.groupby(figure_style.RESULT, sort=False):
        for subject, part in block.groupby("subject", sort=True):
            rows.append(_row(part, titles[key], str(subject), bands, settings["borders"]))
    shares = table["r2"].to_numpy(dtype=float)  # (n_rows,)
    limit = settings["limit"] or round_up(shares[shares > 0])
    extend = "max" if np.nanmax(shares, initial=0) > limit else "neither"
    band_prefix = "unique to" if settings["measure"] == "unique" else "of it by"
    return cortex.surface_figure(
        rows,
        [cortex.SurfaceGroup("Joint R²" if band == JOINT else f"{band_prefix} {band}") for band in bands],
        settings["views"],
        tables.meshes,
        cortex.Scale("YlGnBu", 0, limit, "R² (image view)", extend),
        note=cortex.surface_note(table["roi"] if settings["borders"] else None, n_left_out),
    )


def _row(part: pd.DataFrame, title: str, subject: str, bands: Sequence[str], bordered: bool) -> cortex.SurfaceRow:
    """One subject's maps, one of each band."""
    by_band = {band: part[part["band"] == band] for band in bands}
    values = [hemispheres(rows, "r2") if len(rows) else None for rows in by_band.values()]
    return cortex.SurfaceRow(title, subject, values, hemispheres(by_band[JOINT], "roi") if bordered else None)


def _chosen(tables: Tables, settings: Entry) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of results that tell bands apart, and the column of each band."""
    maps, prefix = tables["maps"], PREFIX[settings["measure"]]
    columns = {str(name).removeprefix(prefix): str(name) for name in maps if str(name).startswith(prefix)}
    maps_with_bands = maps[maps[list(columns.values())].notna().any(axis=1)] if columns else maps.iloc[:0]
    if maps_with_bands.empty:
        raise ValueError(
            f"band map: no result has the measure {settings['measure']!r}; it needs a model that tells bands of a "
            "stack apart (for unique: fitted with unique: true)"
        )
    chosen_maps = cortex.choose_maps(maps_with_bands, settings, "band map")
    return chosen_maps, {band: column for band, column in columns.items() if chosen_maps[column].notna().any()}
