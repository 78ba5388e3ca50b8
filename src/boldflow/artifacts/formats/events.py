"""Tables of BIDS events and pictures (TSV): read with the line of each row, or refused by file and line.

Windows line ends, a byte order mark, blank lines and rows in another order than that of time are read as what they
mean; what could mean two things is refused.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

FIRST = 5  # offenders that a message names


def read(path: str | Path, numbers: Sequence[str], texts: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of tab-separated values.

    Parameters
    ----------
    path : str or Path
    numbers, texts : sequences of str
        Columns that must be there.
    optional : sequence of str
        Columns of text that must be there too, in which a row may say nothing ("" or "n/a"; read as "").

    Returns
    -------
    DataFrame
        These columns (float64, str, str), ``in_file`` (name of the file) and ``in_line`` (int, the header's is 1).

    Raises
    ------
    ValueError
        If the file is empty, no UTF-8 text or without rows, lacks a column or has it twice, or if a row has another
        number of fields than the header, a number that is none or an empty text; names the file and the line.
    """
    path = Path(path)
    columns = [*numbers, *texts, *optional]
    rows = _rows(path, columns)
    (header_line, header), *body = rows
    header = [name.strip() for name in header]
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(f"{path}, line {header_line} lacks columns {missing}; there are: {header}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"{path}, line {header_line} has columns {twice} twice; expected each once")
    if not body:
        raise ValueError(f"{path} has a header and no rows")
    for line, fields in body:
        if len(fields) != len(header):
            raise ValueError(f"{path}, line {line} has {len(fields)} fields, the header {len(header)}")
    places = {name: header.index(name) for name in columns}
    values: dict[str, object] = {
        name: [_number(path, line, name, fields[places[name]]) for line, fields in body] for name in numbers
    }
    values |= {name: [_text(path, line, name, fields[places[name]]) for line, fields in body] for name in texts}
    values |= {name: [_said(fields[places[name]]) for _, fields in body] for name in optional}
    return pd.DataFrame(values).assign(in_file=path.name, in_line=[line for line, _ in body])


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Read the lines that hold anything, each with its number and its fields; the first is the header."""
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines()  # a byte order mark is no part of the first name
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: byte {content[error.start]:#x} is no UTF-8 text") from None
    rows = [(number, text.split("\t")) for number, text in enumerate(lines, start=1) if text.strip()]
    if not rows:
        expected = f"expected a header with {', '.join(columns)} and rows"
        raise ValueError(f"{path} ({len(content)} bytes) is empty; {expected}")
    return rows


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
    same = np.flatnonzero(np.diff(ordered["onset"]) == 0)
    if len(same):
        first, second = ordered.iloc[same[0]], ordered.iloc[same[0] + 1]
        content = [name for name in events if name != "in_line"]
        kind = "is listed twice" if first[content].equals(second[content]) else "has another event at the same time"
        raise ValueError(
            f"{path}, line {second['in_line']}: the event at {first['onset']:g} s (line {first['in_line']}) {kind}; "
            f"{len(same)} such rows, expected one row per onset"
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
    shown = events["stim_file"]
    lost = events[~shown.isin(pictures.keys())]
    if len(lost):
        raise ValueError(
            f"{len(lost)} of {len(events)} events show {lost['stim_file'].nunique()} pictures that are not among the "
            f"{len(pictures)} of {where}; the first are {_offenders(lost)}"
        )
    label = shown.map(pictures)
    wrong = events.assign(label=label)[label != events["trial_type"]]
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} of {len(events)} events name another category (trial_type) than {where} gives "
            f"{wrong['stim_file'].nunique()} of its {len(pictures)} pictures; the first are "
            f"{_offenders(wrong, ['trial_type', 'label'])}{_cause(events, label, len(wrong))}"
        )
    seen = set(shown)
    return [name for name in pictures if name not in seen]


def _cause(events: pd.DataFrame, label: pd.Series, n_wrong: int) -> str:
    """Say whether the labels of events, (n_events,), would fit if pictures were moved by a row; nothing if not."""
    n_fit = {
        step: int((label.groupby(events["in_file"]).shift(step) == events["trial_type"]).sum()) for step in (-1, 1)
    }
    step = max(n_fit, key=lambda by: n_fit[by])
    # as many as can fit when all pictures of a run stand a row too high or too low, but for a few
    n_possible = len(events) - events["in_file"].nunique()
    if not (n_fit[step] > 0.9 * n_possible and n_fit[step] > len(events) - n_wrong):
        return ""
    return f"; moved {'down' if step > 0 else 'up'} by one row, the pictures of {n_fit[step]} events would fit"


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


def _text(path: Path, line: int, name: str, text: str) -> str:
    if not _said(text):
        raise ValueError(f"{path}, line {line}: {name} is {text!r}, expected a name")
    return text.strip()


def _offenders(rows: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    offenders = []
    for _, row in rows.head(FIRST).iterrows():
        more = f" ({row[columns[0]]!r}, not {row[columns[1]]!r})" if columns else ""
        offenders.append(f"{row['stim_file']!r}{more} in {row['in_file']}, line {row['in_line']}")
    return "; ".join(offenders)
