"""Linear least squares by stochastic gradient descent: the smallest iterative solver, in steps that can be resumed."""

from typing import Any

import numpy as np

from boldflow.core.networks.progress import Progress, ProgressKeeper


def fit_sgd(
    inputs: np.ndarray,
    targets: np.ndarray,
    alpha: float,
    n_epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float,
    seed: int,
    keeper: ProgressKeeper,
) -> Progress:
    """Minimise the mean squared error plus ``alpha / n_trials`` times the sum of squared weights.

    An epoch shows each trial once, in an order that depends on the seed and the epoch alone, so a fit that goes on
    from what was kept takes the same steps as one that was never stopped. The learning rate falls to 0 along half a
    cosine. A step is an epoch: the boundary at which progress is kept.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    targets : array of shape (n_trials, n_targets)
    alpha : penalty, as scikit-learn's ``Ridge(alpha)``
    n_epochs, batch_size : int
    learning_rate : of the first step, as a share of the largest stable one for full batches
    momentum : from 0 up to, not including, 1
    seed : int
    keeper : where progress is left and found

    Returns
    -------
    Progress
        ``state``: weights (n_inputs, n_targets), intercept (n_targets,), and their velocities, float64; ``rows``:
        epoch and mse over the trials as they were shown.

    Raises
    ------
    ValueError
        If inputs or targets are not finite.

    Notes
    -----
    Momentum as in Polyak 1964, USSR Comput. Math. Math. Phys. 4(5), 1-17; the schedule as in Loshchilov and Hutter
    2017, ICLR, without restarts.
    """
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError("inputs and targets must be finite")
    x, y = inputs.astype(np.float64), targets.astype(np.float64)
    # mean over trials of |x|^2 + 1 (the intercept) bounds the curvature of the mean squared error
    first_rate = learning_rate / ((x**2).sum(axis=1).mean() + 1 + alpha / len(x))
    last_progress = keeper.load() or Progress(0, _start(x.shape[1], y.shape[1]), [])
    state, rows = {name: value.copy() for name, value in last_progress.state.items()}, list(last_progress.rows)
    for epoch in range(last_progress.step, n_epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        epoch_rate = first_rate * 0.5 * (1 + np.cos(np.pi * epoch / n_epochs))
        squared_error = 0.0
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            squared_error += _step(state, x[batch], y[batch], alpha / len(x), epoch_rate, momentum)
        rows.append({"epoch": epoch + 1, "mse": squared_error / y.size})
        progress = Progress(epoch + 1, state, rows)
        keeper.boundary(epoch + 1, n_epochs, lambda latest=progress: latest)  # type: ignore[misc]
    return Progress(n_epochs, state, rows)


def _start(n_inputs: int, n_targets: int) -> dict[str, np.ndarray]:
    shapes = {"weights": (n_inputs, n_targets), "intercept": (n_targets,)}
    zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
    return zeros | {f"{name}_velocity": value.copy() for name, value in zeros.items()}


def _step(state: dict[str, Any], x: np.ndarray, y: np.ndarray, penalty: float, rate: float, momentum: float) -> float:
    """Take one step in place; give the sum of squared errors before it."""
    residual = x @ state["weights"] + state["intercept"] - y  # (n_batch, n_targets)
    gradients = {"weights": x.T @ residual / len(x) + penalty * state["weights"], "intercept": residual.mean(axis=0)}
    for name, gradient in gradients.items():
        velocity = state[f"{name}_velocity"]
        velocity *= momentum
        velocity -= rate * gradient
        state[name] += velocity
    return float((residual**2).sum())
