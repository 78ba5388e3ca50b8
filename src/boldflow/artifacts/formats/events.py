"""Tables of BIDS events and pictures (TSV): read with the line of each row, or refused by file and line.

Windows line ends, a byte order mark, blank lines and rows in another order than that of time are read as what they
mean; what could mean two things is refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

FIRST = 5  # offenders that a message names
Keep = Callable[[pd.DataFrame], "pd.Series[bool]"]  # of the texts of a table's rows: which are read


def read(
    path: str | Path,
    numbers: Sequence[str],
    texts: Sequence[str],
    optional: Sequence[str] = (),
    lacking: Sequence[str] = (),
    keep: Keep | None = None,
) -> pd.DataFrame:
    """Read a table of tab-separated values.

    Parameters
    ----------
    path : str or Path
    numbers, texts : sequences of str
        Columns that must be there.
    optional : sequence of str
        Columns of text that must be there too, in which a row may say nothing ("" or "n/a"; read as "").
    lacking : sequence of str
        Those of ``numbers`` in which a row may say nothing (read as NaN), and which the table may lack.
    keep : callable, optional
        Takes the texts of all rows, and tells which of them are read: (n_rows,) bool. What others say is not looked at.

    Returns
    -------
    DataFrame
        These columns (float64, str, str), ``in_file`` (name of the file) and ``in_line`` (int, the header's is 1).

    Raises
    ------
    ValueError
        If the file is empty, no UTF-8 text or without rows, lacks a column or has it twice, if a row has another number
        of fields than the header, or one that is kept a number that is none or an empty text; names the file and the
        line.
    """
    path = Path(path)
    columns = [*numbers, *texts, *optional]
    rows = _rows(path, columns)
    (header_line, header), *body_rows = rows
    header = [name.strip() for name in header]
    missing_columns = [name for name in columns if name not in header and name not in lacking]
    if missing_columns:
        raise ValueError(f"{path}, line {header_line} lacks columns {missing_columns}; there are: {header}")
    repeated_columns = sorted({name for name in header if header.count(name) > 1})
    if repeated_columns:
        raise ValueError(f"{path}, line {header_line} has columns {repeated_columns} twice; expected each once")
    if not body_rows:
        raise ValueError(f"{path} has a header and no rows")
    for line, fields in body_rows:
        if len(fields) != len(header):
            raise ValueError(f"{path}, line {line} has {len(fields)} fields, the header {len(header)}")
    table = pd.DataFrame(
        {name: [fields[header.index(name)] if name in header else "" for _, fields in body_rows] for name in columns},
        dtype=object,
    ).assign(in_file=path.name, in_line=[line for line, _ in body_rows])
    for name in (*texts, *optional):
        table[name] = [_said(text) for text in table[name]]
    if keep is not None:
        table = table[np.asarray(keep(table), dtype=bool)].reset_index(drop=True)
    for name in numbers:
        table[name] = _numbers(path, table, name, name in lacking)
    for name in texts:
        _check_named(path, table, name, body_rows, header)
    return table


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Read the lines that hold anything, each with its number and its fields; the first is the header."""
    file_bytes = path.read_bytes()
    try:
        lines = file_bytes.decode("utf-8-sig").splitlines()  # a byte order mark is no part of the first name
    except UnicodeDecodeError as error:
        line = file_bytes[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: byte {file_bytes[error.start]:#x} is no UTF-8 text") from None
    rows = [(line_number, text.split("\t")) for line_number, text in enumerate(lines, start=1) if text.strip()]
    if not rows:
        expected_text = f"expected a header with {', '.join(columns)} and rows"
        raise ValueError(f"{path} ({len(file_bytes)} bytes) is empty; {expected_text}")
    return rows


def is_said(column: str, texts: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which rows say something in a column: what ``read`` may keep."""
    return texts[column] != ""


def header(path: str | Path) -> list[str]:
    """Name the columns of a table of tab-separated values; empty where the file is."""
    with Path(path).open(encoding="utf-8-sig") as lines:
        return [name.strip() for name in next(lines, "").split("\t")]


def in_order(events: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Bring events to the order of time, one at a time.

    Parameters
    ----------
    events : DataFrame
        From ``read``, with ``onset``, seconds.
    path : str or Path
        Named in messages.

    Raises
    ------
    ValueError
        If two rows have one onset: an event listed twice, or two events at once; names both lines.
    """
    ordered = events.sort_values("onset", kind="stable", ignore_index=True)
    repeated_rows = np.flatnonzero(np.diff(ordered["onset"]) == 0)
    if len(repeated_rows):
        event, next_event = ordered.iloc[repeated_rows[0]], ordered.iloc[repeated_rows[0] + 1]
        compared_columns = [name for name in events if name != "in_line"]
        fault_text = (
            "is listed twice"
            if event[compared_columns].equals(next_event[compared_columns])
            else "has another event at the same time"
        )
        raise ValueError(
            f"{path}, line {next_event['in_line']}: the event at {event['onset']:g} s (line {event['in_line']}) "
            f"{fault_text}; {len(repeated_rows)} such rows, expected one row per onset"
        )
    return ordered


def check_pictures(events: pd.DataFrame, pictures: Mapping[str, str], where: str | Path) -> list[str]:
    """Match events with pictures, both ways.

    Parameters
    ----------
    events : DataFrame
        Of all runs of a subject in the order of time: ``in_file``, ``in_line``, ``stim_file``, ``trial_type``.
    pictures : mapping
        File of each picture -> its label, of which ``trial_type`` is another statement.
    where : str or Path
        Table that lists the pictures; named in messages.

    Returns
    -------
    list of str
        Pictures that no event shows: allowed, and to be counted by the caller.

    Raises
    ------
    ValueError
        If events show pictures that are not listed, or of another label than they say (ids shifted by a row do);
        gives the counts on both sides and the first ``FIRST`` offenders with their lines.
    """
    shown_files = events["stim_file"]
    unlisted_events = events[~shown_files.isin(pictures.keys())]
    if len(unlisted_events):
        raise ValueError(
            f"{len(unlisted_events)} of {len(events)} events show {unlisted_events['stim_file'].nunique()} pictures "
            f"that are not among the {len(pictures)} of {where}; the first are {_offenders(unlisted_events)}"
        )
    label = shown_files.map(pictures)
    mislabelled_events = events.assign(label=label)[label != events["trial_type"]]
    if len(mislabelled_events):
        raise ValueError(
            f"{len(mislabelled_events)} of {len(events)} events name another category (trial_type) than {where} gives "
            f"{mislabelled_events['stim_file'].nunique()} of its {len(pictures)} pictures; the first are "
            f"{_offenders(mislabelled_events, ['trial_type', 'label'])}{_cause(events, label, len(mislabelled_events))}"
        )
    shown_names = set(shown_files)
    return [name for name in pictures if name not in shown_names]


def _cause(events: pd.DataFrame, label: pd.Series, n_wrong: int) -> str:
    """Say whether the labels of events, (n_events,), would fit if pictures were moved by a row; nothing if not."""
    n_fit = {
        step: int((label.groupby(events["in_file"]).shift(step) == events["trial_type"]).sum()) for step in (-1, 1)
    }
    step = max(n_fit, key=lambda shift: n_fit[shift])
    # as many as can fit when all pictures of a run stand a row too high or too low, but for a few
    n_possible = len(events) - events["in_file"].nunique()
    if not (n_fit[step] > 0.9 * n_possible and n_fit[step] > len(events) - n_wrong):
        return ""
    return f"; moved {'down' if step > 0 else 'up'} by one row, the pictures of {n_fit[step]} events would fit"


def _numbers(path: Path, table: pd.DataFrame, name: str, may_lack: bool) -> np.ndarray:
    """Turn a column of text into numbers, (n_rows,) float64."""
    return np.array(
        [
            math.nan if may_lack and not _said(text) else _number(path, line, name, text)
            for line, text in zip(table["in_line"], table[name], strict=True)
        ],
        dtype=np.float64,
    )


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {line}: {name} must be a number, not {text!r}")
    return value


def _said(text: str) -> str:
    return "" if text.strip() == "n/a" else text.strip()


def _check_named(
    path: Path, table: pd.DataFrame, name: str, rows: Sequence[tuple[int, list[str]]], header: Sequence[str]
) -> None:
    """Refuse a row that says nothing in a column; shows what stands there."""
    unnamed = table[table[name] == ""]
    if len(unnamed):
        line = int(unnamed["in_line"].iloc[0])
        text = dict(rows)[line][header.index(name)]
        raise ValueError(f"{path}, line {line}: {name} is {text!r}, expected a name")


def _offenders(rows: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    offenders = []
    for _, row in rows.head(FIRST).iterrows():
        labels_text = f" ({row[columns[0]]!r}, not {row[columns[1]]!r})" if columns else ""
        offenders.append(f"{row['stim_file']!r}{labels_text} in {row['in_file']}, line {row['in_line']}")
    return "; ".join(offenders)
