"""Cleaning of runs as a response's entry asks, and what its sidecar says of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from boldflow.core.responses import cleaning, confounds
from boldflow.core.splits import assignment
from boldflow.settings import Entry
from boldflow.stages.responses._columns import Run

KEYS = ("confounds", "high_pass_hz", "censor_mm", "split")
PLAIN = "z-score per run (sample standard deviation, after a straight line is taken out)"
MORE = "z-score per run (sample standard deviation, after a straight line and regressors are taken out)"


@dataclass
class Cleaner:
    """Cleans one run after the other.

    ``parts`` has a row per trial with session, run, onset_s and its part of the split, where statistics come from
    training trials; None where they come from all volumes.
    """

    entry: Entry
    start_s: float
    n_volumes: int
    tr_s: float
    parts: pd.DataFrame | None = None
    n_censored: int = 0
    windows: dict[str, int] = field(default_factory=lambda: {"touched": 0, "wholly": 0})
    whole_runs: list[str] = field(default_factory=list)

    def clean(self, run: Run, series: np.ndarray, offset_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Clean a run.

        Parameters
        ----------
        run : BoldRun or SurfaceRun
        series : array of shape (n_run_volumes, n_columns)
        offset_s : float
            Of each volume from k times the TR, seconds.

        Returns
        -------
        (array of shape (n_run_volumes, n_columns), bool array of shape (n_run_volumes,))
            Cleaned, and which volumes are not censored.

        Raises
        ------
        ValueError
            If there are no confounds where some are needed, they are of another length, or nothing is left.
        """
        entry, n_run_volumes = self.entry, len(series)
        uncensored = np.ones(n_run_volumes, dtype=bool)  # (n_run_volumes,)
        if not any(entry.get(key) for key in KEYS):
            return cleaning.detrend_and_standardise(series), uncensored
        confound_table = table_of(run, n_run_volumes) if entry.get("confounds") or "censor_mm" in entry else {}
        regressors = [confounds.regressors(confound_table, entry["confounds"])] if entry.get("confounds") else []
        if "high_pass_hz" in entry:
            regressors.append(cleaning.cosines(n_run_volumes, self.tr_s, entry["high_pass_hz"]))
        if "censor_mm" in entry:
            uncensored = np.less_equal(confounds.displacement(confound_table), entry["censor_mm"])
            self.n_censored += int((~uncensored).sum())
        reference = uncensored & self._training(run, n_run_volumes, offset_s)
        return cleaning.regress_and_standardise(
            series, np.hstack([np.empty((n_run_volumes, 0)), *regressors]), reference
        ), uncensored

    def count(self, kept: np.ndarray) -> np.ndarray:
        """Count censored windows, and give those volumes of each that its average is taken over.

        Parameters
        ----------
        kept : bool array of shape (n_trials, n_volumes)
            Which volumes of each window are not censored.

        Returns
        -------
        bool array of the same shape
            Of a window that is censored wholly, all: the sidecar counts them.
        """
        all_censored = np.logical_not(kept.any(axis=1, keepdims=True))  # (n_trials, 1)
        self.windows["touched"] += int((~kept.all(axis=1)).sum())
        self.windows["wholly"] += int(all_censored.sum())
        return np.logical_or(kept, all_censored)

    def note(self) -> dict[str, Any]:
        """Say for the sidecar what was done; the plain way says its unit alone."""
        if not any(self.entry.get(key) for key in KEYS):
            return {"units": PLAIN, "transductive": "run"}
        note: dict[str, Any] = {"units": MORE, "transductive": "run", "statistics": "all volumes"}
        if self.parts is not None:
            note["statistics"] = "volumes after training and validation trials"
            note["runs_without_training_trials"] = self.whole_runs
            note["transductive"] = "run" if self.whole_runs else "none"
        if "censor_mm" in self.entry:
            note["censored"] = {"volumes": self.n_censored, "windows": self.windows}
        return note

    def _training(self, run: Run, n_run_volumes: int, offset_s: float) -> np.ndarray:
        """Mark the volumes that statistics may see."""
        if self.parts is None:
            return np.ones(n_run_volumes, dtype=bool)
        run_parts = self.parts[(self.parts["session"] == run.session) & (self.parts["run"] == run.run)]
        covered = {
            is_test: cleaning.covered(
                run_parts["onset_s"][in_part].to_numpy(),
                self.start_s,
                self.n_volumes,
                self.tr_s,
                n_run_volumes,
                offset_s,
            )
            for is_test, in_part in (
                ("no", run_parts["part"].isin(("train", "val"))),
                ("yes", run_parts["part"] == "test"),
            )
        }
        training = covered["no"] & ~covered["yes"]  # (n_run_volumes,)
        if not training.any():
            self.whole_runs.append(f"{run.session}/{run.run}")
            return np.ones(n_run_volumes, dtype=bool)
        return training


def table_of(run: Run, n: int) -> dict[str, np.ndarray]:
    """Read a run's table of confounds, column by column.

    Raises
    ------
    ValueError
        If there is none, or it does not have a row for each of ``n`` volumes.
    """
    if run.confounds is None:
        raise ValueError("there is no table of confounds beside its BOLD; leave out confounds and censor_mm")
    table = run.confounds()
    n_rows = len(next(iter(table.values())))
    if n_rows != n:
        raise ValueError(f"its table of confounds has {n_rows} rows, its BOLD {n} volumes")
    return table


def parts_of(split: pd.DataFrame, trials: pd.DataFrame, subject: str, name: str) -> pd.DataFrame:
    """Line a subject's trials up with their parts of a split.

    Parameters
    ----------
    split, trials : DataFrame
    subject, name : str
        ``name`` of the split, for messages.

    Returns
    -------
    DataFrame
        session, run, trial, onset_s, part.

    Raises
    ------
    ValueError
        If the split has several folds, or not these trials.
    """
    subject_split = split[split["subject"] == subject]
    n_folds = subject_split["fold"].nunique()
    if n_folds != 1:
        raise ValueError(f"split {name!r} has {n_folds} folds: statistics of its training trials need one fold")
    keys = [key for key in assignment.TRIAL if key != "subject"]
    parts = trials[[*keys, "onset_s"]].merge(subject_split[[*keys, "part"]], on=keys, how="left")
    if len(subject_split) != len(trials) or parts["part"].isna().any():
        raise ValueError(f"split {name!r} and the trial table do not list the same trials of {subject}")
    return parts
