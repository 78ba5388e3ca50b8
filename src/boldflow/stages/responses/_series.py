"""The runs of a subject as columns of a response, one in memory at a time, beside their trials."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.stages.responses._columns import Columns, Run, columns_of, grid

BAD = ("not finite or outside the volume", "constant")  # why a column is masked
TOLERANCE_S = 1e-3  # headers store the repetition time in float32


@dataclass(frozen=True)
class Series:
    """``values`` (n_volumes, n_columns) of a run, its rows of the trial table, and what its columns are."""

    one: Run
    values: np.ndarray
    trials: pd.DataFrame
    columns: Columns

    def told(self, subject: str) -> str:
        """Name the run for messages."""
        return f"{subject}, session {self.one.session}, run {self.one.run}"


def series_of(
    runs: Iterator[Run], table: pd.DataFrame, subject: str, entry: dict[str, Any], mesh_folder: str | None, tr_s: float
) -> Iterator[Series]:
    """Take each run that has trials to columns.

    Raises
    ------
    ValueError
        If repetition times disagree, a run comes twice or has another number of columns than those before, runs and
        trials do not match, or there is no run.
    """
    trials = {key: rows for key, rows in table.groupby(["session", "run"])}
    columns, before = None, None
    seen: set[tuple[str, str]] = set()
    for one in tqdm(runs, total=len(trials), desc=f"project to {entry['space']}", unit="run"):
        key = (one.session, one.run)
        _check_tr(one, subject, tr_s)
        if key in seen:
            raise ValueError(f"{subject} has BOLD of session {one.session}, run {one.run} twice")
        seen.add(key)
        if key not in trials:
            continue
        if columns is None or grid(one) != before:
            found, before = columns_of(one, entry, mesh_folder), grid(one)
            n_columns, n_before = len(found.places), len((found if columns is None else columns).places)
            if n_columns != n_before:
                raise ValueError(
                    f"session {one.session}, {one.run} has {n_columns} columns, the ones before {n_before}"
                )
            columns = found
        yield Series(one, columns.apply(one), trials[key], columns)
    if set(trials) != seen:
        lone = sorted(set(trials) ^ seen)[:5]
        said = f"{len(trials)} runs have trials and {len(seen)} have BOLD"
        raise ValueError(f"{subject}: {said}; without its other half (session, run): {lone}")
    if columns is None:
        raise ValueError(f"{subject} has no run")


def why_masked(values: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Name what is wrong with each column of a run that is ``lost``, (n_columns,) of ``BAD`` or nothing."""
    not_finite = ~np.isfinite(values).all(axis=0)
    return np.where(lost, np.where(not_finite, *BAD), "").astype(object)


def _check_tr(one: Run, subject: str, tr_s: float) -> None:
    stated = {**one.tr_s, "facts": tr_s}
    if max(stated.values()) - min(stated.values()) > TOLERANCE_S:
        found = ", ".join(f"{where}: {value:g} s" for where, value in stated.items())
        raise ValueError(
            f"{subject}, session {one.session}, run {one.run}: repetition times disagree ({found}); mend the wrong one"
        )
