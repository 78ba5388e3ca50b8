"""Banded ridge: a penalty for each group of inputs and each target, found by random search inside the training trials.

Inputs of band b are scaled by the square root of a weight ``gamma_b`` (all weights sum to 1) and then share the
penalty alpha of an ordinary ridge, so that the band's own penalty is ``alpha / gamma_b``. himalaya tries alphas by
cross-validation for each draw of weights; what is chosen is fitted once at the end. Trials come first everywhere.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import generate_dirichlet_samples
from himalaya.ridge import solve_group_ridge_random_search
from scipy import linalg
from sklearn.model_selection import PredefinedSplit

from boldflow.core.linear.penalties import penalty_grid
from boldflow.core.linear.ridge import group_folds
from boldflow.core.networks.progress import Progress, ProgressKeeper
from boldflow.core.records.training import Band

BLOCK = 2048  # targets at a time: bounds memory, does not change the result
SMALLEST = 1e-9  # of a weight: a band that is all but left out still has a logarithm


@dataclass(frozen=True)
class BandedFit:
    """A fitted banded ridge.

    ``weights`` (n_inputs, n_targets), ``intercept`` (n_targets,), ``gammas`` (n_bands, n_targets) and ``alphas``
    (n_targets,) as chosen, the latter from ``grid`` (n_alphas,), ascending; ``errors`` (n_iter, n_targets) mean squared
    error over left-out folds at the best alpha of each draw, ``draws`` (n_iter, n_bands). ``without`` (n_bands,
    n_inputs, n_targets) and ``without_intercept`` (n_bands, n_targets): fits without each band, at the penalties that
    the others have with it; None if not asked for.
    """

    weights: np.ndarray
    intercept: np.ndarray
    gammas: np.ndarray
    alphas: np.ndarray
    grid: np.ndarray
    errors: np.ndarray
    draws: np.ndarray
    without: np.ndarray | None
    without_intercept: np.ndarray | None


def draw_gammas(n_iter: int, n_bands: int, seed: int) -> np.ndarray:
    """Draw weights of bands: equal ones first, then from Dirichlet distributions of concentration .1 and 1 in turn.

    Parameters
    ----------
    n_iter, n_bands, seed : int

    Returns
    -------
    array of shape (n_iter, n_bands)
        Rows sum to 1; a single row where there is one band, which has nothing to be weighed against.
    """
    if n_bands == 1:
        return np.ones((1, 1))
    gammas = np.array(generate_dirichlet_samples(n_iter, n_bands, concentration=[0.1, 1.0], random_state=seed))
    gammas[0] = 1 / n_bands
    gammas = np.maximum(gammas, SMALLEST)
    return np.asarray(gammas / gammas.sum(axis=1, keepdims=True))


def fit_banded(
    inputs: np.ndarray,
    targets: np.ndarray,
    bands: Sequence[Band],
    alphas: Sequence[float] | np.ndarray | None,
    groups: np.ndarray,
    keeper: ProgressKeeper,
    n_iter: int = 30,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
    dtype: str = "float64",
    leave_out: bool = False,
) -> BandedFit:
    """Fit banded ridge with an unpenalised intercept; choose weights of bands and alpha over groups of trials.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    targets : array of shape (n_trials, n_targets)
    bands : sequence of Band
        One after the other, all columns of the inputs among them.
    alphas : sequence or array of shape (n_alphas,), or None
        Penalties to choose from, on inputs scaled by the roots of their weights; None takes
        ``penalties.RELATIVE_GRID`` at the scale of inputs whose bands weigh the same.
    groups : int array of shape (n_trials,)
        Trials of a group stay together in the inner cross-validation, dealt to folds as by ``core.linear.ridge``.
    keeper : where progress is left and found; a step is a draw of weights
    n_iter : int
        Draws of weights.
    n_folds, seed : int
        Of the inner cross-validation; the seed is that of the draws too.
    alpha_per : {"target", "model"}
        Whether each target has its own alpha, or all share that of each draw. Weights are each target's own.
    dtype : {"float64", "float32"}
        Precision of the search; the final fit is in double precision.
    leave_out : bool
        Whether to fit without each band in turn, too.

    Returns
    -------
    BandedFit

    Raises
    ------
    ValueError
        If bands leave out columns or overlap, an alpha is not positive, values are not finite, or there are fewer than
        two groups.

    Notes
    -----
    Nunez-Elizalde, Huth and Gallant 2019, NeuroImage 197, 482-492; Dupre la Tour, Eickenberg, Nunez-Elizalde and
    Gallant 2022, NeuroImage 264, 119728, whose package himalaya makes the search.
    """
    _check(inputs, targets, bands)
    sum_of_squares = float(inputs.var(axis=0, dtype=np.float64).sum()) * len(inputs)
    grid = penalty_grid(alphas, sum_of_squares / len(bands), *inputs.shape)
    folds = PredefinedSplit(group_folds(groups, n_folds, seed))
    draws = draw_gammas(n_iter, len(bands), seed)  # (n_iter, n_bands)
    x, y = np.asarray(inputs, dtype=dtype), np.asarray(targets, dtype=dtype)
    state = _search(x, y, bands, grid, folds, draws, alpha_per == "target", keeper)
    gammas = draws[state["draw"]].T  # (n_bands, n_targets)
    weights, intercept = _refit(inputs, targets, bands, gammas, state["alpha"])
    without = without_intercept = None
    if leave_out:
        gammas_without = [
            np.where(np.arange(len(bands))[:, None] == number, 0.0, gammas) for number in range(len(bands))
        ]
        fits = [_refit(inputs, targets, bands, gamma, state["alpha"]) for gamma in gammas_without]
        without, without_intercept = np.stack([fit[0] for fit in fits]), np.stack([fit[1] for fit in fits])
    chosen = (weights, intercept, gammas, state["alpha"])
    return BandedFit(*chosen, grid, state["errors"], draws, without, without_intercept)


def _search(
    x: np.ndarray,
    y: np.ndarray,
    bands: Sequence[Band],
    alphas: np.ndarray,
    folds: PredefinedSplit,
    draws: np.ndarray,
    per_target: bool,
    keeper: ProgressKeeper,
) -> dict[str, np.ndarray]:
    """Try all draws of weights that are left; give the best of each target, and all errors."""
    last_progress = keeper.load() or Progress(0, _start(len(draws), y.shape[1]), [])
    state = {name: value.copy() for name, value in last_progress.state.items()}
    with _numpy_backend():
        for step in range(last_progress.step, len(draws)):
            scores, draw_alphas = _try(x, y, bands, draws[step], alphas, folds, per_target)  # each (n_targets,)
            state["errors"][step] = -scores
            is_better = scores > state["score"] + np.finfo(x.dtype).eps
            state["score"][is_better], state["draw"][is_better] = scores[is_better], step
            state["alpha"][is_better] = draw_alphas[is_better]
            progress = Progress(step + 1, state, [])
            keeper.boundary(step + 1, len(draws), lambda latest=progress: latest)  # type: ignore[misc]
    return state


def _check(inputs: np.ndarray, targets: np.ndarray, bands: Sequence[Band]) -> None:
    edges = [0, *(edge for band in bands for edge in (band.start, band.stop)), inputs.shape[1]]
    has_gap = any(stop != start for stop, start in zip(edges[::2], edges[1::2], strict=True))
    if not bands or has_gap or any(band.stop <= band.start for band in bands):
        bands_text = ", ".join(f"{band.name} {band.start}..{band.stop}" for band in bands) or "none"
        raise ValueError(f"bands must cover the {inputs.shape[1]} inputs one after the other; found {bands_text}")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError("inputs and targets must be finite")


def _start(n_iter: int, n_targets: int) -> dict[str, np.ndarray]:
    return {
        "score": np.full(n_targets, -np.inf),
        "draw": np.zeros(n_targets, dtype=np.int64),
        "alpha": np.ones(n_targets),
        "errors": np.zeros((n_iter, n_targets)),
    }


def _try(
    x: np.ndarray,
    y: np.ndarray,
    bands: Sequence[Band],
    gamma: np.ndarray,
    alphas: np.ndarray,
    folds: PredefinedSplit,
    per_target: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Score (n_targets,), minus the mean squared error of left-out folds, and alpha (n_targets,) at given weights."""
    # one draw a call: progress can be kept in between, and himalaya's scaling back and forth adds up no rounding
    deltas, _, scores, _ = solve_group_ridge_random_search(
        [x[:, band.columns] for band in bands],
        y,
        n_iter=gamma[None],
        alphas=alphas.astype(x.dtype),
        fit_intercept=True,
        cv=folds,
        local_alpha=per_target,
        n_targets_batch=BLOCK,
        n_alphas_batch=1,
        progress_bar=False,
        warn=False,
    )
    inverse_alpha = np.exp(np.asarray(deltas, dtype=np.float64)).sum(axis=0)  # himalaya gives log(gamma / alpha)
    alpha_index = np.abs(np.log(alphas)[:, None] + np.log(inverse_alpha)).argmin(axis=0)
    return np.asarray(scores[0], dtype=np.float64), alphas[alpha_index]


def _refit(
    inputs: np.ndarray, targets: np.ndarray, bands: Sequence[Band], gammas: np.ndarray, alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit each target at its own weights of bands (n_bands, n_targets) and alpha: weights, float32, and intercept."""
    n_inputs, n_targets = inputs.shape[1], targets.shape[1]
    weights, intercept = np.zeros((n_inputs, n_targets), np.float32), np.zeros(n_targets)
    mean = inputs.mean(axis=0, dtype=np.float64)
    x, band_sizes = inputs - mean, [band.stop - band.start for band in bands]
    distinct_gammas, gamma_number = np.unique(gammas, axis=1, return_inverse=True)
    for number, gamma in enumerate(distinct_gammas.T):
        root_gamma = np.repeat(np.sqrt(gamma), band_sizes)
        left_vectors, singular, right_vectors = linalg.svd(
            x * root_gamma, full_matrices=False, overwrite_a=True, check_finite=False
        )
        right_vectors *= root_gamma
        columns = np.flatnonzero(gamma_number.ravel() == number)
        for start in range(0, len(columns), BLOCK):
            block = columns[start : start + BLOCK]
            y = targets[:, block].astype(np.float64)
            target_mean = y.mean(axis=0)
            coordinates = (
                singular[:, None] / (singular[:, None] ** 2 + alphas[block]) * (left_vectors.T @ (y - target_mean))
            )
            block_weights = right_vectors.T @ coordinates
            weights[:, block], intercept[block] = block_weights, target_mean - mean @ block_weights
    return weights, intercept


@contextmanager
def _numpy_backend() -> Iterator[None]:
    """Let himalaya compute with NumPy, whatever it was told before."""
    previous_backend: Any = get_backend()
    set_backend("numpy")
    try:
        yield
    finally:
        set_backend(previous_backend)
