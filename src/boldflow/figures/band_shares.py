"""What each of several joined features explains in each ROI, with intervals, beside the joint R² and its ceiling."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import dots, figure_style
from boldflow.drawing.roi_places import with_roi_places
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["bands"]
FACTS = {
    "title": "Which feature explains what in each ROI",
    "caption": (
        "A row is an ROI (all: every vertex), a marker one subject with its 95 % jackknife interval over test "
        "pictures; blocks are encoding results. First panel: R² of the joint prediction from several features, repeats "
        "averaged, as summed explained over summed total variance; black tick: noise ceiling NC of the ROI. Then, on "
        "the same scale, what each feature brings to it (filled: product measure; these add up to the joint R²) and "
        "what is lost when it is left out of the fit at the same penalties (open: unique variance, where such fits "
        "were made). Where features explain the same, the unique parts add up to less than the joint R². Dashed: 0."
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
    "rois": {
        "description": "ROIs in the order of the rows; empty for all, in alphabetical order after all vertices.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
}
MEASURES = ("joint", "product", "unique")
JOINT = "all"


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``bands``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: dataset, response, split, feature, model, roi, subject, seed, band, measure, value, ci_low,
        ci_high, ceiling (of the joint R² alone), simulated.

    Raises
    ------
    ValueError
        If no row is chosen, or an ROI of the settings is not there.
    """
    part = _chosen(tables["bands"], settings)
    part = part.assign(ceiling=part["ceiling"].where(part["measure"] == "joint"))
    part = part.sort_values([*figure_style.RESULT, "_roi", "subject", "seed", "_measure"], kind="stable")
    columns = [*figure_style.RESULT, "roi", "subject", "seed", "band", "measure", "value", "ci_low", "ci_high"]
    return part[[*columns, "ceiling", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a panel for the joint R² and one per band, for each result; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    titles = figure_style.result_titles(table)
    blocks = []
    for key, part in table.groupby(figure_style.RESULT, sort=False):
        block_table = part.assign(row=part["roi"], panel=part["band"], open=part["measure"] == "unique")
        blocks.append(dots.Block(titles[key], block_table))
    bands = [name for name in dict.fromkeys(table["band"]) if name != JOINT]
    panels = [dots.Panel(JOINT, "Joint R²", ceiling=True, references=(0.0,), scale="R²")]
    panels += [dots.Panel(band, f"by {band}", references=(0.0,), scale="R²") for band in bands]
    with mpl.rc_context(figure_style.RC):
        kind_names = ("product measure", "unique variance") if (table["measure"] == "unique").any() else ("", "")
        return dots.figure_of(blocks, panels, kinds=kind_names)


def _chosen(bands: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Rows that the settings name, with the places of their ROI and measure."""
    is_kept = pd.Series(True, index=bands.index)
    for key, column in (("models", "model"), ("features", "feature")):
        if settings[key]:
            is_kept &= bands[column].isin(settings[key])
    part = bands[is_kept]
    part = with_roi_places(
        part, settings["rois"], "band shares: there is no ROI", "band shares: no result matches its settings"
    )
    return part.assign(_measure=part["measure"].map(MEASURES.index))
