"""Rows of the leaderboard as tables of the page."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from boldflow.report.cells import MISSING, Table, dataset_name, is_missing, mark_of, number, text_of
from boldflow.vocabulary import metrics

FLAT = 40  # rows of one table; more of them are folded by subject or by metric
# columns that are shown only where they say something: where rows differ, or where any has a value
IF_VARIED = ("dataset", "response", "direction", "split", "seed", "fold")
IF_GIVEN = ("roi", "ceiling", "gallery_size", "p", "published_value", "ties", "against")
HEADINGS = {
    "dataset": "Data set",
    "subject": "Subject",
    "response": "Response",
    "roi": "ROI",
    "direction": "Direction",
    "feature": "Feature",
    "model": "Model",
    "seed": "Seed",
    "split": "Split",
    "fold": "Fold",
    "metric": "Metric",
    "view": "View",
    "score": "Value [95 % interval]",
    "ties": "Ties",
    "against": "Against the reference",
    "beyond": "Against chance",
    "chance": "Chance",
    "ceiling": "Noise ceiling",
    "p": "p",
    "n_test_images": "Test images or blocks",
    "n_repeats_averaged": "Repeats averaged",
    "gallery": "Gallery",
    "gallery_size": "Gallery size",
    "transductive": "Transductive",
    "protocol": "Protocol",
    "published_value": "Published",
}
NUMERIC = ("score", "chance", "ceiling", "p", "n_test_images", "n_repeats_averaged", "gallery_size", "published_value")


def score_table(caption: str, part: pd.DataFrame, columns: list[str]) -> Table:
    """Make a table of scores, without columns that would say nothing.

    Parameters
    ----------
    caption : str
    part : DataFrame
        Rows of the leaderboard, ``ties`` and ``against``.
    columns : list of str
        Keys of ``HEADINGS``, in order.

    Returns
    -------
    Table
    """
    shown_columns = [
        name
        for name in columns
        if not (name in IF_VARIED and part[name].nunique(dropna=False) < 2)
        and not (name in IF_GIVEN and part[name].replace("", pd.NA).isna().all())
    ]
    rows = [
        [CELLS[name](row) if name in CELLS else text_of(row[name]) for name in shown_columns]
        for row in part.to_dict("records")
    ]
    numeric = frozenset(n for n, name in enumerate(shown_columns) if name in NUMERIC)
    return Table(caption, [HEADINGS[name] for name in shown_columns], rows, numeric, mark_of(part["simulated"]))


def best_first(part: pd.DataFrame) -> pd.DataFrame:
    """Sort rows of one metric, best first; what is undefined last."""
    lower = part["metric"].iloc[0] in metrics.LOWER_IS_BETTER
    return part.sort_values("value", ascending=lower, kind="stable", na_position="last")


def model_title(row: Mapping[str, Any]) -> str:
    """Name a model with its feature."""
    names = (row["model"], row["feature"])
    return " · ".join(str(name) for name in names if not is_missing(name) and name != "none")


def score(row: Mapping[str, Any]) -> str:
    """Write a value with its interval, where it has one."""
    form = _form(row["metric"])
    value = number(row["value"], form)
    if is_missing(row["ci_low"]) or is_missing(row["ci_high"]):
        return value
    return f"{value} [{number(row['ci_low'], form)}, {number(row['ci_high'], form)}]"


def chance(row: Mapping[str, Any]) -> str:
    """Write the chance level of a row."""
    return number(row["chance"], _form(row["metric"]))


def ceiling(row: Mapping[str, Any]) -> str:
    """Write the noise ceiling of a row."""
    return number(row["ceiling"], _form(row["metric"]))


def _form(metric: str) -> str:
    return f".{metrics.digits(metric)}f"


def _beyond(row: Mapping[str, Any]) -> str:
    """Say whether the interval lies beyond chance; one that ends on it is undecided."""
    low, high, chance_level = (row[name] for name in ("ci_low", "ci_high", "chance"))
    if is_missing(low) or is_missing(high) or is_missing(chance_level):
        return MISSING
    tolerance = 1e-9
    if low - tolerance <= chance_level <= high + tolerance:
        return "undecided"
    return "better" if (low > chance_level) != (row["metric"] in metrics.LOWER_IS_BETTER) else "worse"


def _p(row: Mapping[str, Any]) -> str:
    if is_missing(row["p"]):
        return MISSING
    kind = "" if is_missing(row["p_kind"]) else f" ({row['p_kind']})"
    return number(row["p"], ".4f") + kind


def _published(row: Mapping[str, Any]) -> str:
    source = "" if is_missing(row["published_source"]) else f": {row['published_source']}"
    source = f" (published{source})"
    return MISSING if is_missing(row["published_value"]) else number(row["published_value"]) + source


def _metric(row: Mapping[str, Any]) -> str:
    return metrics.label(row["metric"])


def _repeats(row: Mapping[str, Any]) -> str:
    return number(row["n_repeats_averaged"], ".3g")


def _dataset(row: Mapping[str, Any]) -> str:
    return dataset_name(row["dataset"], row["simulated"])


CELLS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "score": score,
    "beyond": _beyond,
    "p": _p,
    "published_value": _published,
    "metric": _metric,
    "chance": chance,
    "ceiling": ceiling,
    "n_repeats_averaged": _repeats,
    "dataset": _dataset,
}
