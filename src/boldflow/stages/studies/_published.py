"""Published figures and ours: which stand side by side, and why the others do not."""

import pandas as pd

from boldflow.artifacts.releases.published import COLUMNS, KEYS, OF_DATA, UNITS

# in this order the first key that no row of ours shares is the reason
ORDER = [
    *["dataset", "model", "direction", "feature", "response", "split", "subject", "roi", "metric", "view"],
    "gallery_size",
]
NAMED = 4  # names that a reason lists


def beside(table: pd.DataFrame, published: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fill in published figures where all of their keys and the protocol agree; simulated rows never get one.

    Parameters
    ----------
    table : DataFrame
        The leaderboard.
    published : DataFrame
        From ``artifacts.published.read``.

    Returns
    -------
    (DataFrame, DataFrame)
        The leaderboard with ``published_value`` (in its own unit) and ``published_source``; and the published figures
        of the measured data sets and models in it, with ``reason``: empty where a figure stands beside a row, else why
        not.
    """
    table = table.copy()
    measured_rows = table[~table["simulated"].fillna(True).astype(bool) & table["gallery"].fillna("test").eq("test")]
    own_keys = measured_rows[KEYS].astype("string").fillna("").astype(object)
    datasets, models = set(own_keys["dataset"]), set(own_keys["model"])
    relevant_figures = published[
        published["dataset"].isin(datasets) | (published["model"].isin(models) & published["model"].ne(""))
    ]
    reasons = []
    for figure in relevant_figures.to_dict("records"):
        matching_index, reason = _fits(own_keys, measured_rows["protocol"], figure)
        reasons.append(reason)
        table.loc[matching_index, "published_value"] = figure["value"] * UNITS[figure["unit"]]
        table.loc[matching_index, "published_source"] = figure["source"]
    return table, relevant_figures[COLUMNS].assign(reason=reasons)


def _fits(own_keys: pd.DataFrame, protocol: pd.Series, figure: dict[str, object]) -> tuple[pd.Index, str]:
    """Find our rows that a published figure is of, or the reason that there is none."""
    no_rows = own_keys.index[:0]
    if figure["protocol"] != "published":
        return no_rows, f"found under another protocol than the publication's: {figure['note']}"
    matching_keys = own_keys
    for key in ORDER:
        if figure["metric"] == OF_DATA and key in ("model", "feature"):
            continue
        agreeing_keys = matching_keys[matching_keys[key] == figure[key]]
        if agreeing_keys.empty:
            return no_rows, f"{key}: published {_name(figure[key])}, here {_names(matching_keys[key])}"
        matching_keys = agreeing_keys
    is_published = protocol[matching_keys.index].eq("published").fillna(False).astype(bool)
    if not is_published.any():
        protocols = _names(protocol[matching_keys.index].fillna(""))
        return no_rows, f"protocol: ours is {protocols}, not the published one"
    return matching_keys.index[is_published], ""


def _name(value: object) -> str:
    return str(value) if value else "none"


def _names(values: pd.Series) -> str:
    names = sorted({_name(value) for value in values})
    ending = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + ending
