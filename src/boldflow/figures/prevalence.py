"""In what share of people a study's result would be found, from how many subjects show it."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import dots, figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry
from boldflow.vocabulary.metrics import label

NEEDS = ["people"]
FACTS = {
    "title": "In how many people the result would be found",
    "caption": (
        "Share of people in whom a test of these pictures would find an effect, from the number of subjects whose p by "
        "refits is at most .05 (in brackets): the most probable share and its 95 % interval (Bayesian prevalence, Ince "
        "et al. 2021; a flat prior, and a test that finds each effect which is there). All subjects saw these "
        "pictures; of others it says nothing. Few subjects leave a wide interval: 3 of 3 speak for .37 to .99."
    ),
}
SETTINGS = {
    "metrics": {
        "description": "Metrics to draw, a block each; empty for the study's primary metric.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
}
NUMBERS = ["n_tested", "n_significant", "value", "ci_low", "ci_high"]
ROW = ["dataset", "response", "split", "seed", "view", "gallery", "roi"]  # in a row's label where they differ


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables, with ``people`` (``vocabulary.tables``)
    settings : Entry, with the keys of ``SETTINGS``

    Returns
    -------
    DataFrame
        A row per marker: metric, dataset, response, split, feature, model, roi, seed, view, gallery, n_tested,
        n_significant, value, ci_low, ci_high, simulated.

    Raises
    ------
    ValueError
        If no score of a metric has p by refits in two subjects or more.
    """
    people = tables["people"]
    is_tested = pd.to_numeric(people["value"], errors="coerce").notna()
    is_of_metric = people["metric"].isin(settings["metrics"]) if settings["metrics"] else people["primary"].eq("True")
    chosen = people[is_tested & is_of_metric]
    if chosen.empty:
        raise ValueError(
            f"prevalence: no score of {settings['metrics'] or 'the primary metric'} has p by refits in two subjects"
        )
    numbers = {name: pd.to_numeric(chosen[name]) for name in NUMBERS}
    columns = ["metric", *ROW[:3], "feature", "model", *ROW[6:], *ROW[3:6], *NUMBERS, "simulated"]
    return chosen.assign(**numbers, simulated=chosen["simulated"].eq("True"))[columns].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a block per metric; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    names = pd.concat([_row_names(part) for _, part in table.groupby("metric", sort=False)])
    counts = " (" + table["n_significant"].astype(int).astype(str) + " of " + table["n_tested"].astype(int).astype(str)
    markers = table.assign(row=names + counts + ")", panel="share", subject="all subjects", chance=float("nan"))
    blocks = [dots.Block(label(str(metric)), part) for metric, part in markers.groupby("metric", sort=False)]
    panel = dots.Panel("share", "Share of people", limits=(-0.03, 1.03))
    with mpl.rc_context(figure_style.RC):
        return dots.figure_of(blocks, [panel])


def _row_names(part: pd.DataFrame) -> pd.Series:
    """Name the rows of a metric by model and feature, and by what else differs among them."""
    keys = ["model", "feature", *(name for name in ROW if len(part[name].unique()) > 1)]
    return part[keys].apply(
        lambda row: " \u00b7 ".join(text for text in row.astype(str) if text != "nan" and text), axis=1
    )
