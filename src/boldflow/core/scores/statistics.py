"""Uncertainty within a subject: bootstrap over images, paired differences, permutation; intervals over groups."""

import numpy as np
from scipy import special


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


def jackknife_interval(value: float, left_out: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Give the normal interval of a score from its values with each unit left out in turn.

    For scores that are corrected for the number of images: drawing images twice, as a bootstrap does, would undo the
    correction.

    Parameters
    ----------
    value : float
    left_out : array of shape (n_units,)

    Notes
    -----
    Tukey 1958, Ann. Math. Stat. 29, 614.
    """
    n_units = len(left_out)
    standard_error = np.sqrt((n_units - 1) / n_units * ((left_out - left_out.mean()) ** 2).sum())
    half_width = float(special.ndtri((1 + level) / 2) * standard_error)
    return value - half_width, value + half_width


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
    n_queries = np.bincount(unit, minlength=n_units)
    return (counts @ sums) / (counts @ n_queries)


def median_draws(values: np.ndarray, unit: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Take the median of query values in each draw; the queries of a unit come together, (n_draws,)."""
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    cumulative_counts = np.cumsum(counts[:, unit[order]], axis=1)
    n_queries = cumulative_counts[:, -1:]
    lower_index = np.argmax(cumulative_counts >= (n_queries + 1) // 2, axis=1)
    upper_index = np.argmax(cumulative_counts >= n_queries // 2 + 1, axis=1)
    return (sorted_values[lower_index] + sorted_values[upper_index]) / 2


TAIL = 10  # draws beyond 0 from which on they are counted
SMALLEST = 1e-7  # p of a tail; below it a fit says nothing
GROUP_FROM = 8  # subjects from which on a group interval covers what it says (with 3 to 5 it covers 75 to 84 %)


def bootstrap_p(differences: np.ndarray) -> float:
    """Give the two-sided p of a difference from its paired bootstrap draws, (n_draws,); never 0."""
    n_draws = len(differences)
    n_below, n_above = (differences <= 0).sum(), (differences >= 0).sum()
    return float(min(1.0, 2 * (1 + min(n_below, n_above)) / (1 + n_draws)))


def paired_p(value: float, differences: np.ndarray, n_units: int) -> float:
    """Give the two-sided p of a difference, also where it is smaller than bootstrap draws can count.

    With 1,000 draws no counted p is below .002, so that Holm's adjustment over 28 pairs (eight models) could reject
    nothing. Where fewer than ``TAIL`` draws lie beyond 0, a t distribution with the draws' spread gives p.

    Parameters
    ----------
    value : float
        The difference itself.
    differences : array of shape (n_draws,)
        Its paired bootstrap draws.
    n_units : int
        Images (or blocks) that were drawn.

    Returns
    -------
    float
        From ``SMALLEST`` to the counted p.
    """
    counted_p = bootstrap_p(differences)
    n_beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    # draws of n units spread less than samples by (n - 1) / n
    standard_error = differences.std() * np.sqrt(n_units / (n_units - 1)) if n_units > 1 else 0.0
    if n_beyond >= TAIL or standard_error <= 1e-12 * max(abs(value), 1e-300):
        return counted_p
    return float(np.clip(2 * special.stdtr(n_units - 1, -abs(value) / standard_error), SMALLEST, counted_p))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p values of a family of tests, (n_tests,).

    Notes
    -----
    Holm 1979, Scand. J. Stat. 6, 65-70.
    """
    order = np.argsort(p)
    stepwise_p = (len(p) - np.arange(len(p))) * p[order]
    adjusted_p = np.empty(len(p))
    adjusted_p[order] = np.minimum(np.maximum.accumulate(stepwise_p), 1)
    return adjusted_p


def permutation_p(value: float, null: np.ndarray, larger_is_better: bool = True) -> float:
    """Give the share of null values that are at least as good, the observed one counted: (1 + k) / (1 + n)."""
    k = (null >= value).sum() if larger_is_better else (null <= value).sum()
    return float((1 + k) / (1 + len(null)))


def permute_within(labels: np.ndarray, block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute labels of images within blocks; all trials of an image get the same new label.

    Parameters
    ----------
    labels : int array of shape (n_images,)
        What is permuted, one label per image.
    block : int array of shape (n_images,)
        Images change labels only with images of their own block (the part of the split, or the run).
    rng : Generator

    Returns
    -------
    int array of shape (n_images,)
    """
    permuted_labels = labels.copy()
    for number in np.unique(block):
        rows = np.flatnonzero(block == number)
        permuted_labels[rows] = labels[rng.permutation(rows)]
    return permuted_labels


def group_interval(values: np.ndarray, seed: int, n_draws: int = 1000) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of the mean over subjects.

    Raises
    ------
    ValueError
        If there are fewer than eight subjects: the interval would be too narrow.
    """
    if len(values) < GROUP_FROM:
        raise ValueError(f"a group interval needs {GROUP_FROM} subjects or more, found {len(values)}")
    counts = bootstrap_counts(len(values), n_draws, seed)
    return percentile_interval(counts @ values / len(values))
