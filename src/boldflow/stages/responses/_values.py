"""Responses of a subject while they are made: in the order of the trial table, columns left out in place."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.core.responses import ceilings
from boldflow.stages.responses._columns import Columns

BLOCK_VALUES = 1 << 24  # values (trials times columns) that are worked on at a time in double precision


@dataclass
class Values:
    """Responses in the order of the trial table, 0 where a trial is not usable.

    ``averaged`` (n_trials, n_columns) over the window's volumes; ``by_volume`` (n_trials, n_volumes, n_columns), None
    where time is not kept; ``bad`` (n_columns,) why a column is masked (one of ``BAD``, of the first run in which it
    is), or nothing.
    """

    averaged: np.ndarray
    by_volume: np.ndarray | None
    bad: np.ndarray
    columns: Columns

    @classmethod
    def empty(cls, shape: tuple[int, int, int], average: bool) -> "Values":
        """Make room for (n_trials, n_volumes, n_columns)."""
        averaged = np.zeros((shape[0], shape[2]), dtype=np.float32, order="F")
        by_volume = None if average else np.zeros(shape, dtype=np.float32)
        return cls(averaged, by_volume, np.full(shape[2], "", dtype=object), Columns(np.asarray, pd.DataFrame(), {}))

    def enter(self, rows: np.ndarray, windows: np.ndarray, counted: np.ndarray) -> None:
        """Put the windows of some trials, (n_rows, n_volumes, n_columns), into their rows.

        ``counted`` (n_rows, n_volumes) says over which volumes a window's average is taken.
        """
        # the mean over the last axis in memory rounds as it has since the first version
        volumes_last = np.ascontiguousarray(windows.transpose(2, 0, 1))  # (n_columns, n_rows, n_volumes)
        averaged_over = True if counted.all() else counted[None]
        self.averaged[rows] = volumes_last.mean(axis=2, where=averaged_over).T
        if self.by_volume is not None:
            self.by_volume[rows] = windows

    def only(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leave columns out in place: the averages, and what the response holds (the same where time is not kept)."""
        averaged = without(self.averaged, keep)
        return averaged, averaged if self.by_volume is None else compacted(self.by_volume, keep)


def without(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Leave columns out of (n_trials, n_columns) in place; ``keep`` is bool (n_columns,)."""
    if keep.all():
        return values
    if values.flags.c_contiguous:
        return compacted(values[:, None], keep)[:, 0]
    for target, column in enumerate(np.flatnonzero(keep)):
        if target != column:
            values[:, target] = values[:, column]
    return values[:, : int(keep.sum())]


def compacted(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Leave columns out of (n_trials, n_volumes, n_columns) in place: a copy would double the memory of the stage."""
    n_trials, n_volumes, _ = values.shape
    n_kept = int(keep.sum())
    compact: np.ndarray = values.reshape(-1)[: n_trials * n_volumes * n_kept].reshape(n_trials, n_volumes, n_kept)
    for trial in range(n_trials):  # what is written lies before what is still to be read
        compact[trial] = values[trial][:, keep]
    return compact


def variance_components(averaged: np.ndarray, usable: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate signal and noise variance of each column, (n_columns,) each, some columns at a time.

    ``averaged`` is (n_trials, n_columns), ``usable`` bool and ``image`` int (n_trials,).
    """
    n_block_columns = max(1, BLOCK_VALUES // len(averaged))
    block_variances = [
        ceilings.variance_components(averaged[:, start : start + n_block_columns][usable], image[usable])
        for start in range(0, averaged.shape[1], n_block_columns)
    ]
    signal, noise = (np.concatenate(variances) for variances in zip(*block_variances, strict=True))
    return signal, noise
