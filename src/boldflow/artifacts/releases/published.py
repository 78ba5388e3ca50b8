"""Figures that others have published, CSV (``config/published.csv``): one figure, one row, checked when it is read.

Columns
-------
system : str
    Short name of the published system, for people.
dataset, subject, response, roi, direction, feature, model, split, view, metric, gallery_size
    What the figure is of, in the catalogue's names and the leaderboard's metrics; names that the catalogue does not
    have (yet) fit nothing of ours. Empty where the leaderboard's column is empty. The metric "ceiling" says something
    of the data: its feature and model are empty.
value : float
    As published, in ``unit``.
unit : "1" or "percent"
protocol : "published" or "other"
    Whether it was found under the protocol that the publication describes, which our entries with ``protocol:
    published`` follow; for "other" ``note`` must say what differs.
source : str
    Where the figure stands.
note : str
    What a reader must know beside it; may be empty.
"""

import csv
import math
from pathlib import Path

import pandas as pd

KEYS = [
    *["dataset", "subject", "response", "roi", "direction", "feature", "model", "split", "view", "metric"],
    "gallery_size",
]
COLUMNS = ["system", *KEYS, "value", "unit", "protocol", "source", "note"]
MAY_BE_EMPTY = ("response", "roi", "feature", "model", "gallery_size", "note")
UNITS = {"1": 1.0, "percent": 0.01}  # what a figure is multiplied by to stand in the leaderboard
PROTOCOLS = ("published", "other")
DIRECTIONS = ("decode", "encode", "represent")
OF_DATA = "ceiling"  # the metric that no model has made


def read(path: str | Path) -> pd.DataFrame:
    """Read and check published figures.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    DataFrame
        ``COLUMNS`` (value float64, the others str, empty where nothing is said) and ``line`` (int, the header's is 1).

    Raises
    ------
    ValueError
        If the file is no UTF-8 text, lacks a column or has an unknown one, or if a row has another number of cells than
        the header, an empty or impossible cell, or tells again what an earlier row of protocol "published" told; names
        the file, the line, the column, what was found and what would be right.
    """
    path = Path(path)
    table = pd.DataFrame(_rows(path), columns=[*COLUMNS, "line"])
    published = table[table["protocol"] == "published"]
    repeats = published[published.duplicated(KEYS)]
    if len(repeats):
        repeat = repeats.iloc[0]
        original = published[(published[KEYS] == repeat[KEYS]).all(axis=1)].iloc[0]
        raise ValueError(
            f"{path}, line {repeat['line']}: columns {', '.join(KEYS)} are those of line {original['line']}; "
            "of two figures for the same thing one has protocol 'other', and a note"
        )
    return table.astype({"value": "float64", "line": "int64"})


def _rows(path: Path) -> list[dict[str, object]]:
    """Read the rows of the table, each checked and with its line."""
    reader = csv.reader(_text(path).splitlines(keepends=True), strict=True)
    rows = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            missing, unknown = sorted(set(COLUMNS) - set(header)), sorted(set(header) - set(COLUMNS))
            repeated_columns = sorted({name for name in header if header.count(name) > 1})
            raise ValueError(
                f"{path}, line 1: columns missing {missing}, unknown {unknown}, given twice {repeated_columns}"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row_label = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise ValueError(f"{row_label}: {len(cells)} cells, the header has {len(header)}; a comma needs quotes")
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            rows.append(_checked(row, row_label) | {"line": reader.line_num})
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
    return rows


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: byte {content[error.start]:#x} is no UTF-8 text") from None


def _checked(row: dict[str, str], row_label: str) -> dict[str, object]:
    """Check the cells of a row; ``row_label`` names it."""
    required = [name for name in COLUMNS if name not in MAY_BE_EMPTY]
    if row["metric"] != OF_DATA:
        required += ["model"]
    if row["protocol"] == "other":
        required += ["note"]
    for name in required:
        if not row[name]:
            reason = " (protocol 'other': say what differs)" if name == "note" else ""
            raise ValueError(f"{row_label}, column {name}: empty, must say something{reason}")
    if row["metric"] == OF_DATA and (row["model"] or row["feature"]):
        raise ValueError(
            f"{row_label}, column model: {row['model']!r}, a ceiling is of the data, leave model and feature empty"
        )
    for name, allowed in (("unit", UNITS), ("protocol", PROTOCOLS), ("direction", DIRECTIONS)):
        if row[name] not in allowed:
            raise ValueError(f"{row_label}, column {name}: {row[name]!r}, must be one of {', '.join(allowed)}")
    if row["gallery_size"] and not row["gallery_size"].isdecimal():
        raise ValueError(f"{row_label}, column gallery_size: {row['gallery_size']!r}, must be a whole number or empty")
    try:
        value = float(row["value"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{row_label}, column value: {row['value']!r}, must be a finite number")
    return row | {"value": value}
