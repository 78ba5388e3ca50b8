"""Tables of a page, and numbers, names and missing values as their cells."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

MISSING = "\N{EN DASH}"
SIMULATED = "SIMULATED"
PARTLY = "PARTLY SIMULATED"
URL = re.compile(r"https?://[^\s<>\"')\]]*[^\s<>\"')\].,;]")


@dataclass(frozen=True)
class Table:
    """A table of the page; each row's first cell heads the row. ``mark`` is empty, SIMULATED or PARTLY SIMULATED."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()
    mark: str = ""


@dataclass(frozen=True)
class Fold:
    """Tables behind one line; ``rest`` is folded once more within; ``shown`` where the page opens it at first."""

    summary: str
    tables: list[Table]
    mark: str = ""
    shown: bool = False
    rest: "Fold | None" = None


def is_missing(value: Any) -> bool:
    """Tell whether a cell of a table has no value."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def text_of(value: Any) -> str:
    """Write a value as it is, a dash where there is none."""
    return MISSING if is_missing(value) or str(value) == "" else str(value)


def number(value: Any, form: str = ".3f") -> str:
    """Write a number with a true minus sign, a dash where there is none."""
    if is_missing(value):
        return MISSING
    text = format(float(value), form)
    unsigned = text.lstrip("-")
    return ("\N{MINUS SIGN}" if text.startswith("-") and float(unsigned) != 0 else "") + unsigned


def linked(value: Any) -> str:
    """Escape text and make its addresses anchors."""
    text, parts, end = text_of(value), [], 0
    for match in URL.finditer(text):
        parts += [Markup.escape(text[end : match.start()])]
        parts += [Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(match.group())]
        end = match.end()
    return Markup("").join([*parts, Markup.escape(text[end:])])


def mark_of(simulated: Iterable[Any]) -> str:
    """Say whether none, all or some rows are simulated."""
    flags = [bool(flag) for flag in simulated if not is_missing(flag)]
    if not any(flags):
        return ""
    return SIMULATED if all(flags) else PARTLY


def dataset_name(dataset: Any, simulated: Any) -> str:
    """Name a data set, and say so where it is simulated."""
    name = text_of(dataset)
    return f"{name} ({SIMULATED})" if not is_missing(simulated) and simulated else name


def seconds(value: float) -> str:
    """Write a time in the largest unit that it fills."""
    if is_missing(value):
        return MISSING
    if value < 99.95:
        return f"{value:.1f} s"
    n_minutes, n_seconds = divmod(round(value), 60)
    n_hours, n_minutes = divmod(n_minutes, 60)
    return f"{n_hours} h {n_minutes:02d} min" if n_hours else f"{n_minutes} min {n_seconds:02d} s"
