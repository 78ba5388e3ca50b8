"""Single-trial betas by least squares: of all trials at once, of each trial against the others, and with a ridge.

Designs are nilearn's: a regressor per trial (``core.hrf``), a constant, drift, confounds; ordinary least squares, run
by run. A method is a matrix of weights (n_volumes, n_trials) that is orthogonal to constant, drift and confounds; betas
are its product with the series, in blocks of vertices. Weights and products are float64, whatever the series is in.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from boldflow.core.responses import cleaning

BLOCK = 4096  # vertices that are worked on at a time
RANK = 1e-10  # singular values below this share of the largest are rounding
APART = 1e-8  # least share of a trial's regressor that the others must leave
UNTOLD = 1e-6  # largest part of a trial in what a design of too low a rank cannot tell
NEVER_ZERO = 1e-6  # least penalty when volumes are left out: without one, a volume may be all that tells of a trial
PENALTIES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def nuisance(n_volumes: int, tr_s: float, drift: str, high_pass_hz: float, order: int) -> np.ndarray:
    """Make the constant and the drift of a run, spanning what nilearn's ``drift_model`` spans.

    Parameters
    ----------
    n_volumes : int
    tr_s : float
        Repetition time, seconds.
    drift : {"cosine", "polynomial", "none"}
        Cosines of ``high_pass_hz`` and below, or powers of time up to ``order``.
    high_pass_hz : float
    order : int

    Returns
    -------
    array of shape (n_volumes, n_regressors)
        The constant first.
    """
    if drift == "cosine":
        drifts = cleaning.cosines(n_volumes, tr_s, high_pass_hz)
    else:
        drifts = np.polynomial.legendre.legvander(np.linspace(-1, 1, n_volumes), order if drift == "polynomial" else 0)
        drifts = drifts[:, 1:]
    return np.column_stack([np.ones(n_volumes), drifts])  # (n_volumes, 1 + n_slow)


def basis(regressors: np.ndarray) -> np.ndarray:
    """Give an orthonormal basis of what regressors span, (n_volumes, rank); they may depend on each other.

    Raises
    ------
    ValueError
        If a regressor is not finite, or nothing of the volumes is left.
    """
    if not np.isfinite(regressors).all():
        raise ValueError(f"regressor {int(np.argmin(np.isfinite(regressors).all(axis=0))) + 1} is not finite")
    scale = np.abs(regressors).max(axis=0, initial=0)  # (n_regressors,)
    left_vectors, singular_values, _ = np.linalg.svd(regressors[:, scale > 0] / scale[scale > 0], full_matrices=False)
    span = left_vectors[:, singular_values > RANK * singular_values.max(initial=0)]
    if span.shape[1] + 2 > len(regressors):
        raise ValueError(
            f"drift and confounds ({regressors.shape[1]} regressors) leave nothing of {len(regressors)} volumes"
        )
    return np.asarray(span)


def without(regressors: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """Take what an orthonormal basis ``confounds`` spans out of regressors, (n_volumes, n_regressors)."""
    return np.asarray(regressors - confounds @ (confounds.T @ regressors))


def lss_weights(trials: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """Give the weights of least squares, separate: each trial beside one regressor of all others of the run.

    Parameters
    ----------
    trials : array of shape (n_volumes, n_trials)
        A regressor per trial.
    confounds : array of shape (n_volumes, rank)
        Orthonormal basis of constant, drift and confounds.

    Returns
    -------
    array of shape (n_volumes, n_trials)
        A trial alone in its run has no others, and stands beside ``confounds`` only.

    Raises
    ------
    ValueError
        If a trial cannot be told from the others of its run.

    Notes
    -----
    Mumford et al. 2012, NeuroImage 59, 2636-2643. By Frisch, Waugh and Lovell, drift and confounds are taken out of
    the regressors once; the others of trial i are the sum of all less trial i, so that each fit is two by two.
    """
    residual = without(trials, confounds)
    residual_power = (residual**2).sum(axis=0)  # (n_trials,)
    if trials.shape[1] == 1:
        _check_apart(residual_power, (trials**2).sum(axis=0))
        return np.asarray(residual / residual_power)
    others_sum = residual.sum(axis=1, keepdims=True) - residual  # (n_volumes, n_trials): of all other trials together
    cross_power, others_power = (residual * others_sum).sum(axis=0), (others_sum**2).sum(axis=0)
    determinant = residual_power * others_power - cross_power**2
    unique_power = np.where(others_power > 0, determinant / np.where(others_power > 0, others_power, 1), residual_power)
    _check_apart(unique_power, (trials**2).sum(axis=0))
    return np.asarray((residual * others_power - others_sum * cross_power) / determinant)


def ridge_weights(trials: np.ndarray, confounds: np.ndarray, penalty: float) -> np.ndarray:
    """Give the weights of least squares, all trials at once, with or without a ridge.

    Parameters
    ----------
    trials, confounds : as for ``lss_weights``
    penalty : float
        Of the squared betas, in units of the mean squared length of the run's regressors, so that it means the same
        in runs of any length; 0 is least squares, all (LSA). Constant, drift and confounds are not penalised.

    Returns
    -------
    array of shape (n_volumes, n_trials)

    Raises
    ------
    ValueError
        If the penalty is 0 and a trial cannot be told from the others.
    """
    residual = without(trials, confounds)
    # right_vectors: (n_singular, n_trials)
    left_vectors, singular_values, right_vectors = np.linalg.svd(residual, full_matrices=False)
    if penalty == 0:
        in_rank = singular_values > RANK * singular_values.max(initial=0)
        inverse = (left_vectors[:, in_rank] / singular_values[in_rank]) @ right_vectors[in_rank]
        # a trial that takes no part in what is lost
        is_estimable = (right_vectors[in_rank] ** 2).sum(axis=0) > 1 - UNTOLD
        unique_power = np.where(is_estimable, 1 / np.maximum((inverse**2).sum(axis=0), np.finfo(float).tiny), 0)
        _check_apart(unique_power, (trials**2).sum(axis=0))
        return np.asarray(inverse)
    filters = singular_values / (singular_values**2 + penalty * unit(trials))
    return np.asarray((left_vectors * filters) @ right_vectors)


def unit(trials: np.ndarray) -> float:
    """Mean squared length of the regressors of a run: what penalties are multiples of."""
    return float((trials**2).sum(axis=0).mean())


def betas(weights: Sequence[np.ndarray], series: np.ndarray, set_of_vertex: np.ndarray | None = None) -> np.ndarray:
    """Apply weights to series, each vertex its own set.

    Parameters
    ----------
    weights : sequence of array of shape (n_volumes, n_trials)
    series : array of shape (n_volumes, n_vertices)
        Any scale; the constant is among what weights are orthogonal to.
    set_of_vertex : int array of shape (n_vertices,), optional
        Which set each vertex takes; by default the first.

    Returns
    -------
    float64 array of shape (n_trials, n_vertices)
        What is not finite in a vertex stays in that vertex.
    """
    n_vertices = series.shape[1]
    estimates = np.empty((weights[0].shape[1], n_vertices))
    set_numbers = np.zeros(n_vertices, dtype=int) if set_of_vertex is None else set_of_vertex
    with np.errstate(invalid="ignore"):
        for columns in blocks(n_vertices):
            block = series[:, columns].astype(np.float64)  # (n_volumes, n_block)
            block -= block[0]  # the baseline is much larger than what is looked for
            block_sets = set_numbers[columns]  # (n_block,)
            if (block_sets == block_sets[0]).all():
                estimates[:, columns] = weights[block_sets[0]].T @ block
                continue
            for number in np.unique(block_sets):
                estimates[:, np.flatnonzero(block_sets == number) + columns.start] = (
                    weights[number].T @ block[:, block_sets == number]
                )
    return estimates


def spread(series: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """Sample standard deviation of each vertex after constant, drift and confounds are taken out.

    Parameters
    ----------
    series : array of shape (n_volumes, n_vertices)
    confounds : array of shape (n_volumes, rank)

    Returns
    -------
    float64 array of shape (n_vertices,)
        NaN where a vertex is constant or holds a value that is not finite.
    """
    deviation = np.empty(series.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        for columns in blocks(series.shape[1]):
            block = series[:, columns].astype(np.float64)
            floor = RANK * np.abs(block).max(axis=0)
            sd = without(block - block[0], confounds).std(axis=0, ddof=1)
            deviation[columns] = np.where(sd > floor, sd, np.nan)
    return deviation


def left_out_errors(
    designs: Sequence[np.ndarray],
    regressors: np.ndarray,
    series: np.ndarray,
    penalties: Sequence[float],
    units: Sequence[float],
) -> np.ndarray:
    """Predict each volume by a ridge that has not seen it, for each design and penalty.

    Parameters
    ----------
    designs : sequence of array of shape (n_volumes, n_trials)
        Regressors of the trials, one design per haemodynamic response; rows are the volumes that may be seen.
    regressors : array of shape (n_volumes, n_regressors)
        Constant, drift, confounds at the same volumes.
    series : array of shape (n_volumes, n_vertices)
    penalties : sequence of float
        As for ``ridge_weights``, of at least ``NEVER_ZERO`` (smaller ones are raised to it).
    units : sequence of float
        ``unit`` of each design's whole run.

    Returns
    -------
    float64 array of shape (n_designs, n_penalties, n_vertices)
        Sum of squared errors, as a share of the same without any trial; NaN where a vertex is constant or not finite.

    Raises
    ------
    ValueError
        If drift and confounds leave nothing of the volumes.

    Notes
    -----
    The error of a volume that was left out is its residual over 1 - leverage, exactly: the penalty is on the trials
    only, and nothing is fitted again (Golub, Heath and Wahba 1979, Technometrics 21, 215-223).
    """
    confounds = basis(regressors)
    leverage = (confounds**2).sum(axis=1)  # (n_volumes,)
    testable = leverage < 1 - APART  # a volume with a regressor of its own is predicted by nothing
    design_parts = []
    for trials, penalty_unit in zip(designs, units, strict=True):
        modes, singular_values, _ = np.linalg.svd(without(trials, confounds), full_matrices=False)
        filters = [
            singular_values**2 / (singular_values**2 + max(penalty, NEVER_ZERO) * penalty_unit) for penalty in penalties
        ]
        design_parts.append(
            (
                modes,
                filters,
                [1 - leverage - (modes**2 * penalty_filter).sum(axis=1) for penalty_filter in filters],
            )
        )
    errors = np.empty((len(designs), len(penalties), series.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for columns in blocks(series.shape[1]):
            block = series[:, columns].astype(np.float64)
            floor = RANK * np.abs(block).max(axis=0)
            residual = without(block - block[0], confounds)
            null_error = ((residual / (1 - leverage)[:, None])[testable] ** 2).sum(axis=0)  # (n_block,)
            null_error = np.where(residual.std(axis=0) > floor, null_error, np.nan)
            for design, (modes, filters, free_shares) in enumerate(design_parts):
                loadings = modes.T @ residual  # (n_singular, n_block)
                for penalty, (shrinkage, free_share) in enumerate(zip(filters, free_shares, strict=True)):
                    error = (residual - modes @ (shrinkage[:, None] * loadings))[testable] / free_share[testable, None]
                    errors[design, penalty, columns] = (error**2).sum(axis=0) / null_error
    return errors


def shares(trials: np.ndarray, full_trials: np.ndarray) -> np.ndarray:
    """Share of each trial's response that lies in its run, (n_trials,): of the squares of a longer run's regressors."""
    energy = (full_trials**2).sum(axis=0)
    return np.asarray((trials**2).sum(axis=0) / np.where(energy > 0, energy, np.inf))


def blocks(n_vertices: int) -> Iterator[slice]:
    """Cut columns into blocks."""
    for start in range(0, n_vertices, BLOCK):
        yield slice(start, min(start + BLOCK, n_vertices))


def _check_apart(unique_power: np.ndarray, power: np.ndarray) -> None:
    """Refuse trials of whose regressors the others (with drift and confounds) leave nothing."""
    lost_trials = np.flatnonzero(~(unique_power > APART * power))
    if len(lost_trials):
        raise ValueError(
            f"{len(lost_trials)} of {len(power)} trials cannot be told from the others, the first is trial "
            f"{lost_trials[0] + 1}: {unique_power[lost_trials[0]]:.1e} of its regressor's squares "
            f"({power[lost_trials[0]]:.1e}) are left, a share of {APART:g} is "
            "needed; do two trials coincide, or does a confound follow them?"
        )
