"""Section of people: in how many of them what the study found would be found, and their mean score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from boldflow.report.cells import MISSING, Table, mark_of, number, text_of
from boldflow.report.scores import HEADINGS

NEEDS = ["people"]
KEYS = ["dataset", "response", "feature", "model", "split", "roi", "seed", "gallery"]


@dataclass(frozen=True)
class People:
    """What the section shows: a row per model, of the primary metric."""

    table: Table


def people_of(people: pd.DataFrame | None) -> People | None:
    """Make the section, where two subjects have p of the primary metric by refits, or eight a score."""
    rows = people[people["primary"].astype(str) == "True"] if people is not None else None
    if rows is None or rows.empty:
        return None
    shown = [name for name in KEYS if name in ("feature", "model") or len(rows[name].unique()) > 1]
    has_means = rows["mean"].map(_is_given).any()
    cells = [
        [*(text_of(row[name]) for name in shown), *_prevalence_cells(row), *([_mean_cell(row)] if has_means else [])]
        for row in rows.to_dict("records")
    ]
    heads = [*(HEADINGS[name] for name in shown), "Subjects with p <= .05", "Share of people [95 % interval]"]
    heads += ["Mean score [95 % interval]"] if has_means else []
    numeric = frozenset(range(len(shown), len(heads)))
    mark = mark_of(rows["simulated"].astype(str) == "True")
    return People(Table("People, by the primary metric", heads, cells, numeric, mark))


def _is_given(text: object) -> bool:
    return str(text) not in ("", "nan", "None", "<NA>")


def _prevalence_cells(row: Mapping[str, Any]) -> list[str]:
    """How many subjects are significant, and the share of people that this speaks for."""
    if not _is_given(row["value"]):
        return [MISSING, MISSING]
    counts = [int(float(row[name])) for name in ("n_significant", "n_tested")]
    return [f"{counts[0]} of {counts[1]}", _with_interval(row, "value", "ci_low", "ci_high", ".2f")]


def _mean_cell(row: Mapping[str, Any]) -> str:
    """The mean over people with its interval, where there is one."""
    return _with_interval(row, "mean", "mean_low", "mean_high", ".3f") if _is_given(row["mean"]) else MISSING


def _with_interval(row: Mapping[str, Any], value: str, low: str, high: str, digits: str) -> str:
    value_text, low_text, high_text = (number(float(row[name]), digits) for name in (value, low, high))
    return f"{value_text} [{low_text}, {high_text}]"
