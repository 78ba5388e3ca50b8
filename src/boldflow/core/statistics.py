"""Uncertainty within a subject: bootstrap over images."""

import numpy as np


def bootstrap_counts(n_units: int, n_draws: int, seed: int) -> np.ndarray:
    """Draw units with replacement.

    Parameters
    ----------
    n_units, n_draws, seed : int

    Returns
    -------
    int array of shape (n_draws, n_units)
        How often each unit is in each draw; rows sum to ``n_units``.

    Raises
    ------
    ValueError
        If there are fewer than two units.
    """
    if n_units < 2:
        raise ValueError(f"a bootstrap needs two units or more, found {n_units}")
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws)


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Give the central interval of bootstrap draws, (n_draws,)."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_draws(values: np.ndarray, unit: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average query values in each draw; the queries of a unit come together.

    Parameters
    ----------
    values : array of shape (n_queries,)
    unit : int array of shape (n_queries,)
        From 0 to n_units - 1.
    counts : array of shape (n_draws, n_units)

    Returns
    -------
    array of shape (n_draws,)
    """
    n_units = counts.shape[1]
    sums = np.bincount(unit, weights=values, minlength=n_units)
    sizes = np.bincount(unit, minlength=n_units)
    return (counts @ sums) / (counts @ sizes)


def median_draws(values: np.ndarray, unit: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Take the median of query values in each draw; the queries of a unit come together, (n_draws,)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    reached = np.cumsum(counts[:, unit[order]], axis=1)
    total = reached[:, -1:]
    lower = np.argmax(reached >= (total + 1) // 2, axis=1)
    upper = np.argmax(reached >= total // 2 + 1, axis=1)
    return (ordered[lower] + ordered[upper]) / 2
