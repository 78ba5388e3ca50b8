"""Trial tables: one row per trial, in the order of acquisition."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.store import receipts, tables
from boldflow.core.records.stimuli import composed
from boldflow.registry import plugin_of
from boldflow.settings import read_entry
from boldflow.stages.fetch._arrival import open_dataset

GIVEN = ["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]
COLUMNS = ["subject", "session", "run", "trial", "onset_s", "duration_s", "image_id", "repeat", "usable"]


def run(source: str, trials: str, subject: str, settings: str, code: str) -> None:
    """Read a subject's events and write its trial table.

    Parameters
    ----------
    source : path of the receipt of the data set
    trials : path of the Parquet to write, columns ``COLUMNS``, and ``test_sets`` and ``behaviour_*`` where the data set
        has them
    subject : the subject
    settings : the data set's catalogue entry, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text

    Raises
    ------
    ValueError
        If trials lack columns, come twice, have no picture, no finite onset or a negative duration, or do not follow
        each other within a run; names the place. A duration may be missing (NaN): only a linear model needs one.
    """
    entry = read_entry(settings)
    root = open_dataset(source)
    table = plugin_of("datasets", entry).trials(root, subject, entry)
    check(table, subject)
    n_left_out = count_left_out(table, subject)
    table = table.assign(image_id=table["image_id"].map(composed))
    extra_columns = [name for name in table if name == "test_sets" or name.startswith("behaviour_")]
    table = table.assign(subject=subject, repeat=table.groupby("image_id").cumcount() + 1)[[*COLUMNS, *extra_columns]]
    note: dict[str, Any] = {
        "units": {"onset_s": "s", "duration_s": "s"},
        "settings": dict(entry),
        "code": code,
        "data": receipts.content_digest(source),
    } | ({"left_out": n_left_out} if n_left_out else {})
    tables.write(trials, table.reset_index(drop=True), note)


def check(table: pd.DataFrame, subject: str) -> None:
    """Refuse a subject's trials that are not what a trial table holds; raises as ``run``."""
    missing_columns = sorted(set(GIVEN) - set(table.columns))
    if missing_columns:
        raise ValueError(f"trials of {subject} lack the columns {missing_columns}; found {sorted(table.columns)}")
    if table.empty:
        raise ValueError(f"{subject} has no trials; expected one row per event")
    repeated_trials = table[table.duplicated(["session", "run", "trial"])]
    if len(repeated_trials):
        row = repeated_trials.iloc[0]
        raise ValueError(f"{subject}: trial {row.trial} of session {row.session}, {row.run} is listed twice")
    unnamed_trials = table[table["image_id"].isna() | (table["image_id"] == "")]
    if len(unnamed_trials):
        row = unnamed_trials.iloc[0]
        example = f"the first is trial {row.trial} of session {row.session}, {row.run}"
        raise ValueError(f"{subject}: {len(unnamed_trials)} of {len(table)} trials name no picture, {example}")
    wrong_trials = table[~np.isfinite(table["onset_s"]) | (table["duration_s"] < 0) | np.isinf(table["duration_s"])]
    if len(wrong_trials):
        row = wrong_trials.iloc[0]
        raise ValueError(
            f"{subject}: trial {row.trial} of session {row.session}, {row.run} has onset {row.onset_s} s and duration "
            f"{row.duration_s} s; expected finite seconds, a duration of 0 or more, or none"
        )
    is_backwards = table.groupby(["session", "run"])["onset_s"].diff() <= 0
    if is_backwards.any():
        row = table[is_backwards].iloc[0]
        raise ValueError(
            f"{subject}: onset {row.onset_s} s of trial {row.trial} of session {row.session}, {row.run} does not lie "
            "after the trial above it; rows must be in the order of acquisition"
        )


def count_left_out(table: pd.DataFrame, subject: str) -> dict[str, int]:
    """Count the trials that the data set's entry leaves out, by reason, and say so in the log.

    Raises
    ------
    ValueError
        If none is left.
    """
    reasons = table.get("left_out", pd.Series("", index=table.index))
    n_left_out = {str(reason): int(n) for reason, n in reasons[reasons != ""].value_counts().sort_index().items()}
    if n_left_out:
        counts_text = ", ".join(f"{n} by {reason}" for reason, n in n_left_out.items())
        logging.getLogger(__name__).warning("%s: of %d trials are left out: %s", subject, len(table), counts_text)
    if n_left_out and not table["usable"].any():
        raise ValueError(f"{subject}: leave_out leaves none of {len(table)} trials: {n_left_out}")
    return n_left_out
