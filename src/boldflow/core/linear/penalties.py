"""Grids of ridge penalties: one that fits any inputs, and how many targets ask for a penalty beyond it."""

from collections.abc import Sequence

import numpy as np

# Times the mean eigenvalue of the inputs' Gram matrix: from a signal of about 40 dB to one that is not there.
RELATIVE_GRID = 10.0 ** np.arange(-4, 4)
FEWEST_TOLD = 0.05  # share of targets at an end of the grid that is worth a word


def penalty_grid(
    alphas: Sequence[float] | np.ndarray | None, sum_of_squares: float, n_trials: int, n_inputs: int
) -> np.ndarray:
    """Give penalties (n_alphas,) in ascending order: those named, or a grid at the scale of the inputs.

    Parameters
    ----------
    alphas : array of shape (n_alphas,) or None
        On the sum of squared weights, as scikit-learn's.
    sum_of_squares : float
        Of the centred inputs, the trace of their Gram matrix.
    n_trials, n_inputs : int
        The smaller is the number of eigenvalues of that matrix.

    Raises
    ------
    ValueError
        If a penalty is not positive, or there is none.
    """
    if alphas is None:
        mean_eigenvalue = sum_of_squares / min(n_trials, n_inputs)
        return RELATIVE_GRID * (mean_eigenvalue if mean_eigenvalue > 0 else 1.0)
    grid = np.sort(np.asarray(alphas, dtype=np.float64))
    if grid.size == 0 or grid[0] <= 0:
        raise ValueError(f"alphas must be positive, found {grid.tolist()}")
    return grid


def remarks_on_penalties(
    weights: Sequence[np.ndarray], alphas: Sequence[np.ndarray], grids: Sequence[np.ndarray]
) -> list[str]:
    """Say where many targets have the smallest or the largest penalty of a grid: a better one may lie beyond.

    Parameters
    ----------
    weights : sequence of arrays of shape (n_inputs, n_targets)
        Of each fold. A target without weights has nothing to be penalised, and does not count.
    alphas : sequence of arrays of shape (n_targets,)
        As chosen.
    grids : sequence of arrays of shape (n_alphas,)
        Ascending; one penalty alone was not chosen.

    Returns
    -------
    list of str
        Of the ends that ``FEWEST_TOLD`` of the targets or more have.
    """
    n_targets, n_at_end = 0, {"smallest": 0, "largest": 0}
    for fold_weights, fold_alphas, grid in zip(weights, alphas, grids, strict=True):
        if len(grid) < 2:
            continue
        varying_alphas = fold_alphas[fold_weights.any(axis=0)]
        n_targets += len(varying_alphas)
        n_at_end["smallest"] += int((varying_alphas == grid[0]).sum())
        n_at_end["largest"] += int((varying_alphas == grid[-1]).sum())
    return [
        f"{n / n_targets:.0%} of targets have the {end} penalty of the grid"
        for end, n in n_at_end.items()
        if n_targets and n >= FEWEST_TOLD * n_targets
    ]
