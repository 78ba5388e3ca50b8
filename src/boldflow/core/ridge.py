"""Ridge regression with the penalty of each target chosen inside the training trials."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

BLOCK = 1024  # targets at a time: bounds memory, does not change the result


@dataclass(frozen=True)
class RidgeFit:
    """A fitted ridge.

    ``weights`` (n_inputs, n_targets), ``intercept`` (n_targets,), ``alphas`` (n_targets,) as chosen, ``errors``
    (n_alphas, n_targets) mean squared error over the left-out trials.
    """

    weights: np.ndarray
    intercept: np.ndarray
    alphas: np.ndarray
    errors: np.ndarray


def group_folds(groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deal groups to folds, balanced in number of groups.

    Parameters
    ----------
    groups : int array of shape (n_trials,)
    n_folds : int
        Lowered to the number of groups where there are fewer.
    seed : int

    Returns
    -------
    int array of shape (n_trials,)
        Fold of each trial; all trials of a group are in one.

    Raises
    ------
    ValueError
        If there are fewer than two groups.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"cross-validation needs two groups of trials or more, found {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names))
    fold = np.empty(len(names), dtype=int)
    fold[order] = np.arange(len(names)) % min(n_folds, len(names))
    return fold[index]


def fit_ridge(
    inputs: np.ndarray,
    targets: np.ndarray,
    alphas: np.ndarray,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
) -> RidgeFit:
    """Fit ridge with an unpenalised intercept; choose alpha by cross-validation over groups.

    One eigendecomposition per fold, of the smaller of the primal and the dual Gram matrix, serves all alphas and
    targets.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    targets : array of shape (n_trials, n_targets)
    alphas : array of shape (n_alphas,)
        Penalties on the sum of squared weights, as scikit-learn's.
    groups : int array of shape (n_trials,)
    n_folds, seed : int
        Of the inner cross-validation.
    alpha_per : {"target", "model"}
        Whether each target has its own alpha or all share one.

    Returns
    -------
    RidgeFit

    Raises
    ------
    ValueError
        If an alpha is not positive or the inputs are not finite.

    Notes
    -----
    Hoerl and Kennard 1970, Technometrics 12, 55-67.
    """
    alphas = np.sort(np.asarray(alphas, dtype=np.float64))
    if alphas.size == 0 or alphas[0] <= 0:
        raise ValueError(f"alphas must be positive, found {alphas.tolist()}")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError("inputs and targets must be finite")
    x, y = inputs.astype(np.float64), targets.astype(np.float64)
    if len(alphas) == 1:
        errors = np.zeros((1, y.shape[1]))
    else:
        errors = _cross_validated_errors(x, y, alphas, group_folds(groups, n_folds, seed))
    shared = np.full(y.shape[1], np.argmin(errors.mean(axis=1)))
    best = np.argmin(errors, axis=0) if alpha_per == "target" else shared
    system = _System(x)
    weights = np.empty((x.shape[1], y.shape[1]), dtype=np.float32)
    for index in np.unique(best):
        chosen = best == index
        weights[:, chosen] = system.weights(y[:, chosen], alphas[index])
    intercept = (y.mean(axis=0) - x.mean(axis=0) @ weights).astype(np.float32)
    return RidgeFit(weights, intercept, alphas[best], errors)


def refit_ridge(
    inputs: np.ndarray,
    test_inputs: np.ndarray,
    alphas: np.ndarray,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare ridge fits of the same inputs to many sets of targets, as a permutation test needs them.

    The eigendecompositions of all folds are done once; a call then chooses alphas and predicts without ever forming
    weights. Its result is that of ``fit_ridge`` on the same targets.

    Parameters
    ----------
    inputs, alphas, groups, n_folds, seed, alpha_per
        As for ``fit_ridge``.
    test_inputs : array of shape (n_test, n_inputs)

    Returns
    -------
    function from targets (n_trials, n_targets) to predictions (n_test, n_targets), float64
    """
    alphas = np.sort(np.asarray(alphas, dtype=np.float64))
    x = inputs.astype(np.float64)
    whole = _System(x)
    test_basis = whole.basis(test_inputs.astype(np.float64))
    fold = group_folds(groups, n_folds, seed) if len(alphas) > 1 else np.zeros(len(x), int)
    parts = []
    for left_out in np.unique(fold) if len(alphas) > 1 else []:
        test = fold == left_out
        system = _System(x[~test])
        parts.append((test, system, system.basis(x[test])))

    def predict(targets: np.ndarray) -> np.ndarray:
        y = targets.astype(np.float64)
        errors = np.zeros((len(alphas), y.shape[1]))
        for test, system, basis in parts:
            _add_errors(errors, system, basis, y[~test], y[test], alphas)
        shared = np.full(y.shape[1], np.argmin(errors.mean(axis=1)))
        best = np.argmin(errors, axis=0) if alpha_per == "target" else shared
        shrunk = whole.rotated(y) / (whole.values[:, None] + alphas[best])
        return test_basis @ shrunk + y.mean(axis=0)

    return predict


class _System:
    """Eigendecomposition of the centred inputs' Gram matrix, primal or dual, whichever is smaller."""

    def __init__(self, x: np.ndarray) -> None:
        self.mean = x.mean(axis=0)
        self.x = x - self.mean
        self.dual = x.shape[0] < x.shape[1]
        gram = self.x @ self.x.T if self.dual else self.x.T @ self.x
        values, self.vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False)
        self.values = values.clip(0)

    def rotated(self, y: np.ndarray) -> np.ndarray:
        """Project centred targets on the eigenvectors, (n_eigen, n_targets)."""
        centred = y - y.mean(axis=0)
        return self.vectors.T @ (centred if self.dual else self.x.T @ centred)

    def weights(self, y: np.ndarray, alpha: float) -> np.ndarray:
        solved = self.vectors @ (self.rotated(y) / (self.values + alpha)[:, None])
        return self.x.T @ solved if self.dual else solved

    def basis(self, x: np.ndarray) -> np.ndarray:
        """Express new inputs so that a prediction is ``basis @ (rotated / (values + alpha))``."""
        centred = x - self.mean
        return (centred @ self.x.T if self.dual else centred) @ self.vectors


def _cross_validated_errors(x: np.ndarray, y: np.ndarray, alphas: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Mean squared error on left-out trials, (n_alphas, n_targets)."""
    errors = np.zeros((len(alphas), y.shape[1]))
    for left_out in np.unique(fold):
        test = fold == left_out
        system = _System(x[~test])
        basis = system.basis(x[test])
        _add_errors(errors, system, basis, y[~test], y[test], alphas)
    return errors / len(y)


def _add_errors(
    errors: np.ndarray, system: _System, basis: np.ndarray, given: np.ndarray, wanted: np.ndarray, alphas: np.ndarray
) -> None:
    """Add squared errors of left-out trials to ``errors`` (n_alphas, n_targets), in place."""
    for start in range(0, given.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        rotated = system.rotated(given[:, block])
        centred = wanted[:, block] - given[:, block].mean(axis=0)
        for index, alpha in enumerate(alphas):
            missed = (basis / (system.values + alpha)) @ rotated
            missed -= centred
            errors[index, block] += np.einsum("ij,ij->j", missed, missed)
