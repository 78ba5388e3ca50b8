"""Predictions and draws put in another order, with or without their tables of keys."""

from pathlib import Path

import numpy as np

from boldflow.artifacts.store import arrays, keyed, tables


def permuted(array: str | Path, index: str | Path, axis: int) -> None:
    """Put an array's rows and their keys in another order, together."""
    values, keys = np.array(arrays.read(array)), tables.read(index)
    order = _other_order(len(keys))
    keyed.write(array, np.take(values, order, axis), index, keys.iloc[order].reset_index(drop=True), axis)


def permuted_alone(array: str | Path, axis: int) -> None:
    """Put an array's rows in another order, and leave their keys as they are."""
    values = np.array(arrays.read(array))
    order = _other_order(values.shape[axis])
    arrays.write(array, np.take(values, order, axis))


def _other_order(n_rows: int) -> np.ndarray:
    order = np.random.default_rng(0).permutation(n_rows)
    return order[::-1] if (order == np.arange(n_rows)).all() else order
