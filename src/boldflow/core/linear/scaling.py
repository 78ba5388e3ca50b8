"""Scaling of columns by the mean and spread of training trials."""

from dataclasses import dataclass

import numpy as np

from boldflow.core.records.training import State

BLOCK = 1024  # columns at a time: the spread is taken in double precision, of which there is no room for all


def fit_scaler(training: np.ndarray) -> State:
    """Measure each column on training trials.

    Parameters
    ----------
    training : array of shape (n_trials, n_columns)

    Returns
    -------
    dict with ``mean`` and ``sd``, each float32 of shape (n_columns,)
        A column that does not vary keeps its scale (sd 1).
    """
    mean, sd = np.empty((2, *training.shape[1:]))  # each (n_columns,)
    for start in range(0, training.shape[1], BLOCK):
        block = training[:, start : start + BLOCK]  # (n_trials, n_block)
        mean[start : start + BLOCK] = block.mean(axis=0, dtype=np.float64)
        sd[start : start + BLOCK] = block.std(axis=0, dtype=np.float64)
    return {"mean": mean.astype(np.float32), "sd": np.where(sd > 0, sd, 1.0).astype(np.float32)}


def fit_whole_scaler(training: np.ndarray) -> State:
    """Measure all columns of training trials together; as ``fit_scaler``, with one mean and one spread for all."""
    mean = training.mean(dtype=np.float64)
    sd = training.std(dtype=np.float64)
    scaler = {"mean": mean, "sd": sd if sd > 0 else 1.0}
    return {name: np.full(training.shape[1:], value, dtype=np.float32) for name, value in scaler.items()}


def identity_scaler(n_columns: int) -> State:
    """Give the scaler that changes nothing."""
    return {"mean": np.zeros(n_columns, np.float32), "sd": np.ones(n_columns, np.float32)}


def scale(values: np.ndarray, scaler: State, out: np.ndarray | None = None) -> np.ndarray:
    """Subtract the mean and divide by the spread; the last axis is the columns. ``out`` may be ``values`` itself."""
    centred = np.subtract(values, scaler["mean"], out=out)
    centred /= scaler["sd"]
    return centred


def unscale(values: np.ndarray, scaler: State) -> np.ndarray:
    """Undo ``scale``."""
    return values * scaler["sd"] + scaler["mean"]


@dataclass(frozen=True)
class ScaledRows:
    """Rows of an array, scaled in double precision when they are read: the whole is never copied.

    ``values`` (n_rows, n_columns), a file in memory or an array; ``scaler`` as of ``fit_scaler``.
    """

    values: np.ndarray
    scaler: State

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array."""
        return self.values.shape

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Read rows."""
        return scale(np.asarray(self.values[rows], dtype=np.float64), self.scaler)
