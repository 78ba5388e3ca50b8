"""What could be explained beside what is: noise ceiling and explained variance on the inflated cortex."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import cortex, thresholds
from boldflow.drawing.colours import round_up
from boldflow.drawing.meshes import hemispheres
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["maps", "meshes"]
FACTS = {
    "thresholds": True,
    "title": "What could be explained, and what is",
    "caption": (
        "Left: noise ceiling NC, the share of variance of the scored responses (repeats averaged) that any model of "
        "the pictures could explain, from the variance between and within pictures. Beside it: explained variance, "
        "sign(r) r², of each encoding result on the same scale; negative values are drawn as 0. Vertices of inflated "
        "fsaverage5 (L left, R right hemisphere), a row per subject, without smoothing. No threshold is applied unless "
        "a line below the scale names it; vertices that do not pass are then faint. NC is cut at 0, so vertices "
        "without any signal average above 0; with few repeats it is noisy, which is why no ratio of the two is shown. "
        "Grey: no data (darker in sulci). Thin lines are borders of the ROIs named below the scale."
    ),
}
SETTINGS = {
    "models": {
        "description": "Encoding models whose explained variance stands beside the ceiling; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "features": {
        "description": "Features of those models; empty for all.",
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
    "max_results": {
        "description": "Most encoding results beside the ceiling; more than that are left out and counted below.",
        "type": "integer",
        "minimum": 1,
        "default": 2,
    },
    "limit": {
        "description": "End of the scale, a share of variance; 0 takes the 99th percentile, rounded up to .1.",
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0,
    },
    "borders": {"description": "Whether borders of ROIs are drawn.", "type": "boolean", "default": True},
}
PLACE = ["dataset", "response", "split"]
MODEL = ["feature", "model"]


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
        A row per vertex and result: dataset, response, split, subject, feature, model, hemisphere, vertex, ceiling
        (NC, share of variance), explained (sign(r) r²), roi, simulated; with a threshold also the test, n_refits and
        passes.

    Raises
    ------
    ValueError
        If no row is chosen, one does not lie on fsaverage5, two results give one vertex different ceilings, or none has
        the test of the threshold.
    """
    chosen_maps = cortex.choose_maps(tables["maps"], settings, "ceiling map")
    drawn_models = chosen_maps[MODEL].drop_duplicates().head(settings["max_results"])
    r = chosen_maps["r"].to_numpy(dtype=float)
    columns = [*PLACE, "subject", *MODEL, "hemisphere", "vertex", "ceiling", "explained", "roi", "simulated"]
    columns += thresholds.columns_of(settings)
    table = chosen_maps.assign(explained=np.sign(r) * r**2).merge(drawn_models, on=MODEL)
    table = thresholds.with_threshold(table, settings, "ceiling map")[columns]
    sort_columns = [*PLACE, "subject", *MODEL, "hemisphere", "vertex"]
    table = table.sort_values(sort_columns, kind="stable").reset_index(drop=True)
    ceilings_of_vertex = table.groupby([*PLACE, "subject", "hemisphere", "vertex"])["ceiling"]
    spread = (ceilings_of_vertex.max() - ceilings_of_vertex.min()).max()
    if spread > 1e-6:
        raise ValueError(f"ceiling map: results on the same responses and split differ in NC by up to {spread:.3g}")
    return table


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a row per subject, the ceiling first; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    n_left_out = len(cortex.choose_maps(tables["maps"], settings, "ceiling map")[MODEL].drop_duplicates()) - len(
        table[MODEL].drop_duplicates()
    )
    models = list(table[MODEL].drop_duplicates().itertuples(index=False, name=None))
    varying_keys = [name for name in PLACE if len(table[name].unique()) > 1]
    rows = []
    for key, part in table.groupby([*PLACE, "subject"], sort=True):
        value_of = dict(zip(PLACE, map(str, key), strict=False))
        block_title = " · ".join(value_of[name] for name in varying_keys)
        rows.append(_row(part, block_title, str(key[-1]), models, settings["borders"]))
    shares = table[["ceiling", "explained"]].to_numpy(dtype=float)  # (n_rows, 2)
    limit = settings["limit"] or round_up(shares)
    extend = "max" if np.nanmax(shares, initial=0) > limit else "neither"
    groups = [f"Explained by {model} · {feature}" for feature, model in models]
    return cortex.surface_figure(
        rows,
        [cortex.SurfaceGroup(title) for title in ("Noise ceiling NC", *groups)],
        settings["views"],
        tables.meshes,
        cortex.Scale("YlGnBu", 0, limit, "Share of variance: NC, sign(r) r² (image view)", extend),
        note=cortex.surface_note(
            table["roi"] if settings["borders"] else None, n_left_out, thresholds.sentence(table, settings)
        ),
    )


def _row(
    part: pd.DataFrame, block: str, subject: str, models: Sequence[tuple[str, str]], bordered: bool
) -> cortex.SurfaceRow:
    """One subject's ceiling, then what each model (feature, model) explains."""
    results = [part[(part["feature"] == feature) & (part["model"] == model)] for feature, model in models]
    first_result = next(result for result in results if len(result))
    surface_values: list[dict[str, np.ndarray] | None] = [hemispheres(first_result, "ceiling")]
    surface_values += [hemispheres(result, "explained") if len(result) else None for result in results]
    passing = [None, *(thresholds.passing(result) if len(result) else None for result in results)]
    regions = hemispheres(first_result, "roi") if bordered else None
    return cortex.SurfaceRow(block, subject, surface_values, regions, passing)
