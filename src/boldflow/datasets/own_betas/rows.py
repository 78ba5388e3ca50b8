"""Which beta belongs to which trial: a table per subject, a row per beta."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from boldflow.artifacts.formats import events
from boldflow.settings import Entry

NUMBER = "beta"  # column that says which beta of its file, from 0, a row is about
KEYS = ("session", "run")
ALONE = "01"  # where a table does not tell sessions or runs
SLOT_S = 1.0  # between trials of a table without onsets


def read(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """Read a subject's table, rows without a picture too.

    Returns
    -------
    DataFrame
        session, run (str), onset_s, duration_s (s; slots of 1 s within the run where the table has no onsets),
        image_id (str, "" for none), file (path of its betas below the folder), beta (int, from 0 within the file).

    Raises
    ------
    ValueError
        If the table is no table of tab-separated values or lacks the column of pictures, if a run comes in pieces, or
        the numbers of betas are not each number from 0 once; names file and line.
    """
    path = Path(root) / filled(settings["trials"], {"subject": subject})
    columns, column = events.header(path), settings["image_column"]
    said = [*(name for name in KEYS if name in columns), *([NUMBER] if NUMBER in columns else [])]
    table = events.read(path, ["onset", "duration"], said, [column], ["onset", "duration"])
    table = table.rename(columns={column: "image_id", "onset": "onset_s", "duration": "duration_s"})
    for name in KEYS:
        table[name] = table[name] if name in said else ALONE
    run = table["session"] + "|" + table["run"]
    if (run != run.shift()).sum() > run.nunique():
        line = table.loc[run.duplicated() & (run != run.shift()), "in_line"].iloc[0]
        raise ValueError(f"{path}, line {line}: a run that had ended goes on; rows must be in the order of acquisition")
    if table["onset_s"].isna().all():
        table["onset_s"] = SLOT_S * table.groupby(run, sort=False).cumcount()
    table["file"] = [
        filled(settings["betas"], {"subject": subject, **row}) for row in table[[*KEYS]].to_dict("records")
    ]
    table[NUMBER] = _numbers(path, table, NUMBER in said)
    return table[[*KEYS, "onset_s", "duration_s", "image_id", "file", NUMBER]]


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """Put subject, session and run into a path below the folder; others of their braces stay as they are."""
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def _numbers(path: Path, table: pd.DataFrame, are_said: bool) -> np.ndarray:
    """Number the betas of each file, from 0, as the rows come or as they say."""
    in_order = table.groupby("file", sort=False).cumcount().to_numpy()
    if not are_said:
        return in_order
    for line, text in zip(table["in_line"], table[NUMBER], strict=True):
        if not text.isdecimal():
            raise ValueError(f"{path}, line {line} has {text!r} in column {NUMBER}; expected a whole number from 0")
    numbers = table[NUMBER].astype(int)
    for file, rows in numbers.groupby(table["file"]):
        lacking = sorted(set(range(len(rows))) - set(rows))
        if lacking:
            raise ValueError(
                f"{path}: column {NUMBER} does not name beta {lacking[0]} of {file}; its {len(rows)} rows name "
                f"{rows.min()} to {rows.max()}, expected each number from 0 to {len(rows) - 1} once"
            )
    return numbers.to_numpy()
