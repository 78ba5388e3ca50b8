"""What a code of responses says of a class of pictures: held-out separation, and the published test.

Codes are (n_trials, n_latents). All scaling is of both classes together: scaled apart, a difference of the classes in
some vertices appears, reversed, in all the others (the published defect, ``scaled_apart``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special, stats

from boldflow.core import statistics
from boldflow.core.scaling import fit_scaler, scale

MOST_STEPS, CLOSE = 50, 1e-8  # of Newton's method


@dataclass(frozen=True)
class Separation:
    """How well a code tells two classes of held-out trials apart.

    ``auc``: area under the ROC curve, .5 by chance; ``ci_low``, ``ci_high``: 95 % bootstrap over test pictures; ``p``:
    by refits under permuted labels, ``null`` their areas (n_permutations,).
    """

    auc: float
    ci_low: float
    ci_high: float
    p: float
    null: np.ndarray


def fit_logistic(x: np.ndarray, y: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Fit a logistic regression with an intercept by Newton's method.

    Parameters
    ----------
    x : array of shape (n_trials, n_features)
    y : bool array of shape (n_trials,)
    penalty : float
        On half the sum of squared weights, not on the intercept (scikit-learn's 1 / C).

    Returns
    -------
    array of shape (n_features + 1,)
        The intercept is last.

    Raises
    ------
    ValueError
        If there is one class only, or Newton's method does not settle.
    """
    if y.all() or not y.any():
        raise ValueError(f"both classes must be there, found {int(y.sum())} of {len(y)} trials in the class")
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-10
    weights = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        odds = special.expit(design @ weights)
        slope = design.T @ (odds - y) + ridge * weights
        curve = (design.T * (odds * (1 - odds))) @ design
        curve[np.diag_indices_from(curve)] += ridge
        step = linalg.solve(curve, slope, assume_a="pos")
        weights -= step
        if np.abs(step).max() < CLOSE * max(1.0, float(np.abs(weights).max())):
            return weights
    raise ValueError(f"logistic regression did not settle in {MOST_STEPS} steps; choose a larger penalty")


def area(scores: np.ndarray, y: np.ndarray) -> float:
    """Area under the ROC curve of scores for the class ``y``, ties shared."""
    n = int(y.sum())
    above = stats.rankdata(scores)[y].sum() - n * (n + 1) / 2
    return float(above / (n * (len(y) - n)))


def separate(
    train: tuple[np.ndarray, np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_permutations: int,
    n_draws: int,
    seed: int,
    penalty: float = 1.0,
) -> Separation:
    """Fit a logistic regression to the codes of training trials and tell held-out trials apart.

    Parameters
    ----------
    train, test : (codes (n_trials, n_latents), class (n_trials,) bool, picture (n_trials,) int)
        No picture may be in both. Codes are scaled by their mean and spread over training trials.
    n_permutations : int
        Refits under permuted labels: all trials of a picture get another's label, within training and within test.
    n_draws : int
        Draws of the bootstrap over test pictures.
    seed : int
    penalty : float
        As of ``fit_logistic``.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError
        If a part holds one class only, a picture has two labels, or a picture is in both parts.
    """
    both = np.intersect1d(train[2], test[2])
    if len(both):
        raise ValueError(f"{len(both)} pictures are in training and in test, the first is {both[0]}")
    scaler = fit_scaler(train[0])
    inside = scale(train[0].astype(np.float64), scaler)
    outside = scale(test[0].astype(np.float64), scaler)
    if inside.shape[1] > len(inside):  # a ridge penalty does not see rotations: the rows span all that is fitted
        axes = linalg.svd(inside, full_matrices=False)[2]
        inside, outside = inside @ axes.T, outside @ axes.T

    def scores(labels: np.ndarray) -> np.ndarray:
        weights = fit_logistic(inside, labels, penalty)
        return np.asarray(outside @ weights[:-1])

    given = scores(train[1])
    found = area(given, test[1])
    rng = np.random.default_rng(seed)
    of_train, of_test = _permuter(train[1], train[2]), _permuter(test[1], test[2])
    null = np.array([area(scores(of_train(rng)), of_test(rng)) for _ in range(n_permutations)])
    unit = np.unique(test[2], return_inverse=True)[1]
    draws = []
    for counts in statistics.bootstrap_counts(int(unit.max()) + 1, n_draws, seed):
        rows = np.repeat(np.arange(len(unit)), counts[unit].astype(int))
        if 0 < test[1][rows].sum() < len(rows):
            draws.append(area(given[rows], test[1][rows]))
    low, high = statistics.percentile_interval(np.array(draws))
    p = statistics.permutation_p(found, null) if n_permutations else float("nan")
    return Separation(found, float(low), float(high), p, null)


def norm_test(codes: np.ndarray, y: np.ndarray) -> float:
    """Two-sided p of the published test: Mann-Whitney's U on the lengths of the codes of either class.

    Notes
    -----
    bragg13/aigs-nsd-reconstruction, ``analysis.py``. It misses all that lies in directions, not in lengths.
    """
    size = np.linalg.norm(codes, axis=1)
    return float(stats.mannwhitneyu(size[y], size[~y]).pvalue)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Adjust p values for their false discovery rate (Benjamini-Hochberg), such as those of subjects."""
    return np.asarray(stats.false_discovery_control(p))


def scaled_apart(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Scale each class by its own mean and spread, one of each for all vertices: the published defect, to be shown.

    Parameters
    ----------
    values : array of shape (n_trials, n_vertices)
    y : bool array of shape (n_trials,)
    """
    found = np.empty(values.shape, dtype=np.float64)
    for part in (y, ~y):
        found[part] = (values[part] - values[part].mean()) / values[part].std()
    return found


def scaled_together(values: np.ndarray) -> np.ndarray:
    """Scale by one mean and one spread of all trials and vertices."""
    return (values - values.mean()) / values.std()


def _permuter(y: np.ndarray, picture: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Give the function from a generator to labels that pictures have traded."""
    _, first, of = np.unique(picture, return_index=True, return_inverse=True)
    own = y[first]
    if (own[of] != y).any():
        raise ValueError("a picture has two labels: a class is of a picture, not of a trial")
    return lambda rng: np.asarray(rng.permutation(own)[of])
