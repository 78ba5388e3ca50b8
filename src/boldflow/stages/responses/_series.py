"""The runs of a subject as columns of a response, one in memory at a time, beside their trials."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.core.responses.cleaning import OutsideRunError
from boldflow.settings import Entry
from boldflow.stages.responses._columns import Columns, Run, columns_of, grid
from boldflow.stages.responses._times import VolumeTimes

BAD = ("not finite or outside the volume", "constant")  # why a column is masked


class RunWithoutBoldError(ValueError):
    """A run has trials and no BOLD."""


class RunWithoutTrialsError(ValueError):
    """A run has BOLD and no trials."""


@dataclass(frozen=True)
class Series:
    """``values`` (n_volumes, n_columns) of a run, its rows of the trial table, and what its columns are.

    Volume k is at k times the TR plus ``offset_s``, seconds from the start of the run.
    """

    run: Run
    values: np.ndarray
    trials: pd.DataFrame
    columns: Columns
    offset_s: float

    def label(self, subject: str) -> str:
        """Name the run for messages."""
        return _label(subject, self.run)


def series_of(
    runs: Iterator[Run], table: pd.DataFrame, subject: str, entry: Entry, mesh_folder: str | None, times: VolumeTimes
) -> Iterator[Series]:
    """Take each run that has trials to columns.

    Raises
    ------
    ValueError
        If repetition times or offsets of volumes disagree, a run comes twice or has another number of columns than
        those before, runs and trials do not match, or there is no run.
    """
    trials_of_run = {key: rows for key, rows in table.groupby(["session", "run"])}
    columns, grid_before = None, None
    bold_keys: set[tuple[str, str]] = set()
    for run in tqdm(runs, total=len(trials_of_run), desc=f"project to {entry['space']}", unit="run"):
        key = (run.session, run.run)
        times.check_tr(run, _label(subject, run))
        if key in bold_keys:
            raise ValueError(f"{subject} has BOLD of session {run.session}, run {run.run} twice")
        bold_keys.add(key)
        if key not in trials_of_run:
            continue
        if columns is None or grid(run) != grid_before:
            columns, grid_before = _new_columns(run, entry, mesh_folder, columns), grid(run)
        yield Series(run, columns.apply(run), trials_of_run[key], columns, times.offset_of(run, _label(subject, run)))
    check_halves(table, bold_keys, subject)
    if columns is None:
        raise ValueError(f"{subject} has no run")


def check_halves(table: pd.DataFrame, bold_keys: set[tuple[str, str]], subject: str) -> None:
    """Refuse runs (session, run) that have BOLD and no trials, or usable trials and no BOLD.

    Raises
    ------
    RunWithoutBoldError, RunWithoutTrialsError
        Names the first of them.
    """
    trials_of_run = {key: rows for key, rows in table.groupby(["session", "run"])}
    used_keys = {key for key, rows in trials_of_run.items() if rows["usable"].any()}
    lone_keys = sorted((used_keys - bold_keys) | (bold_keys - set(trials_of_run)))[:5]
    if lone_keys:
        error = RunWithoutBoldError if used_keys - bold_keys else RunWithoutTrialsError
        counts_text = f"{len(trials_of_run)} runs have trials and {len(bold_keys)} have BOLD"
        raise error(f"{subject}: {counts_text}; without its other half (session, run): {lone_keys}")


def _new_columns(run: Run, entry: Entry, mesh_folder: str | None, columns_before: Columns | None) -> Columns:
    """Say how a run on a grid of its own becomes columns: as many as those of the runs before."""
    columns = columns_of(run, entry, mesh_folder)
    n_columns, n_before = len(columns.places), len((columns_before or columns).places)
    if n_columns != n_before:
        raise ValueError(f"session {run.session}, {run.run} has {n_columns} columns, the ones before {n_before}")
    return columns


def named(error: ValueError, label: str) -> ValueError:
    """Put the name of a run before an error of it."""
    kind = OutsideRunError if isinstance(error, OutsideRunError) else ValueError
    return kind(f"{label}: {error}")


def why_masked(values: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Name what is wrong with each column of a run that is ``lost``, (n_columns,) of ``BAD`` or nothing."""
    not_finite = ~np.isfinite(values).all(axis=0)  # (n_columns,)
    return np.where(lost, np.where(not_finite, *BAD), "").astype(object)


def _label(subject: str, run: Run) -> str:
    return f"{subject}, session {run.session}, run {run.run}"
