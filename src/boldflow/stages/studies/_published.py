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
    ours = table[~table["simulated"].fillna(True).astype(bool) & table["gallery"].fillna("test").eq("test")]
    mine = ours[KEYS].astype("string").fillna("").astype(object)
    datasets, models = set(mine["dataset"]), set(mine["model"])
    about = published[
        published["dataset"].isin(datasets) | (published["model"].isin(models) & published["model"].ne(""))
    ]
    reasons = []
    for figure in about.to_dict("records"):
        fits, reason = _fits(mine, ours["protocol"], figure)
        reasons.append(reason)
        table.loc[fits, "published_value"] = figure["value"] * UNITS[figure["unit"]]
        table.loc[fits, "published_source"] = figure["source"]
    return table, about[COLUMNS].assign(reason=reasons)


def _fits(mine: pd.DataFrame, protocol: pd.Series, figure: dict[str, object]) -> tuple[pd.Index, str]:
    """Find our rows that a published figure is of, or the reason that there is none."""
    none = mine.index[:0]
    if figure["protocol"] != "published":
        return none, f"found under another protocol than the publication's: {figure['note']}"
    left = mine
    for key in ORDER:
        if figure["metric"] == OF_DATA and key in ("model", "feature"):
            continue
        same = left[left[key] == figure[key]]
        if same.empty:
            return none, f"{key}: published {_name(figure[key])}, here {_names(left[key])}"
        left = same
    follows = protocol[left.index].eq("published").fillna(False).astype(bool)
    if not follows.any():
        protocols = _names(protocol[left.index].fillna(""))
        return none, f"protocol: ours is {protocols}, not the published one"
    return left.index[follows], ""


def _name(value: object) -> str:
    return str(value) if value else "none"


def _names(values: pd.Series) -> str:
    names = sorted({_name(value) for value in values})
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
