"""Win shares: at how many vertices one encoder beats another, by ROI, with paired intervals."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from boldflow.drawing import dots, figure_style
from boldflow.drawing.roi_places import with_roi_places
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["wins"]
FACTS = {
    "title": "Which encoder wins at more vertices",
    "caption": (
        "Share of an ROI's vertices (all: every vertex) whose responses to the test pictures, repeats averaged, "
        "correlate more with the prediction of the first model than with that of the second; equal ones count half. "
        "Dashed: one half, neither wins. A marker is one subject, with its 95 % interval from a paired bootstrap over "
        "pictures. Drawing pictures anew adds noise to every vertex, which takes draws towards one half: the interval "
        "spans the percentile interval of the draws and the same interval moved to the share itself. Open markers: "
        "tied, the interval holds one half or does not exclude it after Holm's adjustment over the pairs of a subject "
        "and ROI. Vertices that carry no signal are won at random and take the share of all vertices to one half."
    ),
}
SETTINGS = {
    "models": {
        "description": "Models of either side; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "features": {
        "description": "Features of either side; empty for all.",
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
    "max_pairs": {
        "description": "Most pairs of encoders in the figure; more are left out and counted below it.",
        "type": "integer",
        "minimum": 1,
        "default": 6,
    },
}
PAIR = ["dataset", "response", "split", "feature_a", "model_a", "feature_b", "model_b"]


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the values drawn.

    Parameters
    ----------
    tables : Tables
        ``wins``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: dataset, response, split, feature_a, model_a, feature_b, model_b, roi, subject, seed, value,
        ci_low, ci_high, chance, p, p_holm, tied, n_vertices, n_test_images, simulated.

    Raises
    ------
    ValueError
        If no row is chosen, or an ROI of the settings is not there.
    """
    chosen_wins = _chosen(tables["wins"], settings)
    drawn_pairs = chosen_wins[PAIR].drop_duplicates().head(settings["max_pairs"])
    table = drawn_pairs.assign(_place=range(len(drawn_pairs))).merge(chosen_wins, on=PAIR, how="left")
    table = table.sort_values(["_place", "_roi", "subject", "seed"], kind="stable")
    columns = [*PAIR, "roi", "subject", "seed", "value", "ci_low", "ci_high", "chance", "p", "p_holm", "tied"]
    return table[[*columns, "n_vertices", "n_test_images", "simulated"]].reset_index(drop=True)


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw a block per pair of encoders; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    n_left_out = len(_chosen(tables["wins"], settings)[PAIR].drop_duplicates()) - len(table[PAIR].drop_duplicates())
    varying_keys = [name for name in PAIR[:3] if len(table[name].unique()) > 1]
    blocks = []
    for key, part in table.groupby(PAIR, sort=False):
        value_of = dict(zip(PAIR, map(str, key), strict=True))
        encoder_names = [f"{value_of[f'model_{side}']} · {value_of[f'feature_{side}']}" for side in "ab"]
        title = (
            f"{encoder_names[0]}\nagainst {' · '.join([encoder_names[1], *(value_of[name] for name in varying_keys)])}"
        )
        blocks.append(dots.Block(title, part.assign(row=part["roi"], panel="win_share", open=part["tied"])))
    panel = dots.Panel("win_share", "Share of vertices that the first wins", references=(0.5,), limits=(-0.03, 1.03))
    note = f"{n_left_out} more pairs are not drawn (max_pairs)." if n_left_out else ""
    with mpl.rc_context(figure_style.RC):
        return dots.figure_of(blocks, [panel], note=note, kinds=("apart", "tied"))


def _chosen(wins: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    is_kept = pd.Series(True, index=wins.index)
    for key, column in (("models", "model"), ("features", "feature")):
        if settings[key]:
            is_kept &= wins[f"{column}_a"].isin(settings[key]) & wins[f"{column}_b"].isin(settings[key])
    part = wins[is_kept]
    no_rows = "win share: no pair of encoders matches its settings"
    return with_roi_places(part, settings["rois"], "win share: there is no ROI", no_rows)
