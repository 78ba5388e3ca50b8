"""The runs of a subject as columns of a response, one in memory at a time, beside their trials."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.settings import Entry
from boldflow.stages.responses._columns import Columns, Run, columns_of, grid

BAD = ("not finite or outside the volume", "constant")  # why a column is masked
TOLERANCE_S = 1e-3  # headers store the repetition time in float32


@dataclass(frozen=True)
class Series:
    """``values`` (n_volumes, n_columns) of a run, its rows of the trial table, and what its columns are."""

    run: Run
    values: np.ndarray
    trials: pd.DataFrame
    columns: Columns

    def label(self, subject: str) -> str:
        """Name the run for messages."""
        return f"{subject}, session {self.run.session}, run {self.run.run}"


def series_of(
    runs: Iterator[Run], table: pd.DataFrame, subject: str, entry: Entry, mesh_folder: str | None, tr_s: float
) -> Iterator[Series]:
    """Take each run that has trials to columns.

    Raises
    ------
    ValueError
        If repetition times disagree, a run comes twice or has another number of columns than those before, runs and
        trials do not match, or there is no run.
    """
    trials_of_run = {key: rows for key, rows in table.groupby(["session", "run"])}
    columns, grid_before = None, None
    bold_keys: set[tuple[str, str]] = set()
    for run in tqdm(runs, total=len(trials_of_run), desc=f"project to {entry['space']}", unit="run"):
        key = (run.session, run.run)
        _check_tr(run, subject, tr_s)
        if key in bold_keys:
            raise ValueError(f"{subject} has BOLD of session {run.session}, run {run.run} twice")
        bold_keys.add(key)
        if key not in trials_of_run:
            continue
        if columns is None or grid(run) != grid_before:
            columns, grid_before = _new_columns(run, entry, mesh_folder, columns), grid(run)
        yield Series(run, columns.apply(run), trials_of_run[key], columns)
    if set(trials_of_run) != bold_keys:
        lone_keys = sorted(set(trials_of_run) ^ bold_keys)[:5]
        counts_text = f"{len(trials_of_run)} runs have trials and {len(bold_keys)} have BOLD"
        raise ValueError(f"{subject}: {counts_text}; without its other half (session, run): {lone_keys}")
    if columns is None:
        raise ValueError(f"{subject} has no run")


def _new_columns(run: Run, entry: Entry, mesh_folder: str | None, columns_before: Columns | None) -> Columns:
    """Say how a run on a grid of its own becomes columns: as many as those of the runs before."""
    columns = columns_of(run, entry, mesh_folder)
    n_columns, n_before = len(columns.places), len((columns_before or columns).places)
    if n_columns != n_before:
        raise ValueError(f"session {run.session}, {run.run} has {n_columns} columns, the ones before {n_before}")
    return columns


def why_masked(values: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Name what is wrong with each column of a run that is ``lost``, (n_columns,) of ``BAD`` or nothing."""
    not_finite = ~np.isfinite(values).all(axis=0)  # (n_columns,)
    return np.where(lost, np.where(not_finite, *BAD), "").astype(object)


def _check_tr(run: Run, subject: str, tr_s: float) -> None:
    tr_of_source = {**run.tr_s, "facts": tr_s}
    if max(tr_of_source.values()) - min(tr_of_source.values()) > TOLERANCE_S:
        statements = ", ".join(f"{source}: {tr:g} s" for source, tr in tr_of_source.items())
        run_label = f"{subject}, session {run.session}, run {run.run}"
        raise ValueError(f"{run_label}: repetition times disagree ({statements}); mend the wrong one")
