"""Cleaning of a run's time series and windows after each event.

Volume k is at k times the TR plus an offset: the time within the TR to which slice timing has moved its slices.
"""

import numpy as np

HALF = 1e-6  # of a volume: what rounding may take from a half
RANK = 1e-10  # singular values below this share of the largest are rounding


class OutsideRunError(ValueError):
    """A trial's response lies outside its run."""


def detrend_and_standardise(series: np.ndarray) -> np.ndarray:
    """Take the straight line out of each column and divide by what is left.

    Parameters
    ----------
    series : array of shape (n_volumes, n_vertices)

    Returns
    -------
    array of shape (n_volumes, n_vertices)
        Mean 0, sample standard deviation 1 (nilearn's ``zscore_sample``). Columns that are constant or hold a value
        that is not finite become NaN: the caller masks and counts them.

    Raises
    ------
    ValueError
        If there are fewer than three volumes.
    """
    n_volumes = len(series)
    if n_volumes < 3:
        raise ValueError(f"a run of {n_volumes} volumes cannot be detrended: 3 are needed")
    time = np.linspace(-1, 1, n_volumes)
    with np.errstate(invalid="ignore"):
        centred = series - series.mean(axis=0)  # (n_volumes, n_vertices)
        centred = centred - np.outer(time, time @ centred / (time @ time))
        spread = centred.std(axis=0, ddof=1)  # (n_vertices,)
        # what rounding leaves of a constant column is no signal
        floor = 1e-10 * np.abs(series).max(axis=0)
    spread = np.where(spread > floor, spread, np.nan)
    return centred / spread


def standardise_by(values: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the mean of some rows from each column and divide by their standard deviation.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
    reference : array of shape (n_some, n_columns)
        The rows that are measured, two or more.

    Returns
    -------
    (float32 array of shape (n_rows, n_columns), bool array of shape (n_columns,))
        With sample standard deviations; and which columns are constant in ``reference``: these become NaN.
    """
    mean = reference.mean(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        spread = reference.std(axis=0, ddof=1, dtype=np.float64)
        is_constant = (reference == reference[0]).all(axis=0)  # (n_vertices,)
        scaled = (values - mean) / np.where(is_constant, np.nan, spread)
    return scaled.astype(np.float32), is_constant


def cosines(n_volumes: int, tr_s: float, high_pass_hz: float) -> np.ndarray:
    """Make the slow cosines that a high-pass takes out.

    Parameters
    ----------
    n_volumes : int
    tr_s : float
        Repetition time, seconds.
    high_pass_hz : float

    Returns
    -------
    array of shape (n_volumes, n_cosines)
        The discrete cosines (DCT-II) of 1, 2, ... half periods in the run whose frequency is at most ``high_pass_hz``.

    Raises
    ------
    ValueError
        If the frequency is not between 0 and that of every second volume.
    """
    if not 0 < high_pass_hz < 0.5 / tr_s:
        raise ValueError(f"a high-pass of {high_pass_hz} Hz is not between 0 and {0.5 / tr_s:g} Hz at a TR of {tr_s} s")
    order = min(n_volumes - 1, int(np.floor(2 * n_volumes * high_pass_hz * tr_s)))
    return np.cos(np.pi / n_volumes * (np.arange(n_volumes)[:, None] + 0.5) * np.arange(1, order + 1))


def regress_and_standardise(series: np.ndarray, regressors: np.ndarray, fitted: np.ndarray | None = None) -> np.ndarray:
    """Take a straight line and regressors out of each column, together, and divide by what is left.

    Parameters
    ----------
    series : array of shape (n_volumes, n_vertices)
    regressors : array of shape (n_volumes, n_regressors)
        Confounds and slow cosines; in any units, and they may depend on each other.
    fitted : bool array of shape (n_volumes,), optional
        Volumes from which weights, mean and standard deviation are taken; by default all. The others are cleaned with
        these, and have no part in them.

    Returns
    -------
    array of shape (n_volumes, n_vertices)
        Over the fitted volumes: mean 0, sample standard deviation 1, orthogonal to line and regressors (one joint
        regression, as Lindquist et al. 2019, Hum. Brain Mapp. 40, 2358, ask for). Columns that are constant or hold a
        value that is not finite become NaN.

    Raises
    ------
    ValueError
        If lengths differ, a regressor is not finite, or line and regressors leave nothing of the fitted volumes.
    """
    n_volumes = len(series)
    fitted = np.ones(n_volumes, dtype=bool) if fitted is None else fitted
    if len(regressors) != n_volumes or fitted.shape != (n_volumes,):
        raise ValueError(
            f"{n_volumes} volumes, {len(regressors)} rows of regressors, {len(fitted)} of what is fitted: all one"
        )
    if not np.isfinite(regressors).all():
        raise ValueError(f"regressor {int(np.argmin(np.isfinite(regressors).all(axis=0))) + 1} is not finite")
    # (n_volumes, 2 + n_regressors)
    design = np.column_stack([np.ones(n_volumes), np.linspace(-1, 1, n_volumes), regressors])
    scale = np.abs(design[fitted]).max(axis=0) if fitted.any() else np.zeros(design.shape[1])
    design = design[:, scale > 0] / scale[scale > 0]
    left_vectors, singular_values, right_vectors = np.linalg.svd(design[fitted], full_matrices=False)
    rank = int((singular_values > RANK * singular_values.max(initial=0)).sum())
    if fitted.sum() < rank + 2:
        raise ValueError(
            f"a line and {regressors.shape[1]} regressors leave nothing of {int(fitted.sum())} fitted volumes (of "
            f"{n_volumes}); take fewer regressors, or censor less"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        # (n_design, n_vertices)
        weights = (right_vectors[:rank].T / singular_values[:rank]) @ (left_vectors[:, :rank].T @ series[fitted])
        cleaned = series - design @ weights
        spread = cleaned[fitted].std(axis=0, ddof=1)
        floor = 1e-10 * np.abs(series).max(axis=0)
    return cleaned / np.where(spread > floor, spread, np.nan)


def covered(
    onsets_s: np.ndarray, start_s: float, n_volumes: int, tr_s: float, n_run_volumes: int, offset_s: float = 0.0
) -> np.ndarray:
    """Mark the volumes that lie in a window after any of the onsets.

    Parameters
    ----------
    onsets_s : array of shape (n_trials,)
        Seconds from the start of the run.
    start_s : float
        Seconds after the onset.
    n_volumes, n_run_volumes : int
        Of a window, and of the run.
    tr_s : float
    offset_s : float
        Of each volume from k times the TR, seconds.

    Returns
    -------
    bool array of shape (n_run_volumes,)
    """
    first_volume = first_volumes(onsets_s, start_s, tr_s, offset_s)
    is_covered = np.zeros(n_run_volumes, dtype=bool)
    volumes = (first_volume[:, None] + np.arange(n_volumes)).ravel()  # (n_trials * n_volumes,)
    is_covered[volumes[(volumes >= 0) & (volumes < n_run_volumes)]] = True
    return is_covered


def first_volumes(onsets_s: np.ndarray, start_s: float, tr_s: float, offset_s: float = 0.0) -> np.ndarray:
    """Give the first volume of each window, the one nearest to onset + start, (n_trials,) int."""
    return np.asarray(nearest_volume((np.asarray(onsets_s) + start_s - offset_s) / tr_s), dtype=int)


def nearest_volume(position: np.ndarray | float) -> np.ndarray:
    """Round positions in volumes; halves go up, also where a rounding error is missing: like trials get like windows.

    NumPy and Python round halves to even numbers, so that of trials half a volume late every second had its window a
    volume earlier.
    """
    return np.floor(np.asarray(position) + 0.5 + HALF).astype(int)


def window_volumes(start_s: float, duration_s: float, tr_s: float) -> tuple[float, int]:
    """Turn a window into volumes, from the repetition time alone.

    Parameters
    ----------
    start_s, duration_s : float
        Window after the onset, seconds.
    tr_s : float
        Repetition time, seconds.

    Returns
    -------
    (float, int)
        Start, seconds, and number of volumes, as ``nearest_volume`` of ``duration_s / tr_s``.

    Raises
    ------
    ValueError
        If the window holds no volume.
    """
    n_volumes = int(nearest_volume(duration_s / tr_s))
    if n_volumes < 1:
        raise ValueError(f"a window of {duration_s} s holds no volume at a TR of {tr_s} s")
    return start_s, n_volumes


def windows(
    series: np.ndarray, onsets_s: np.ndarray, start_s: float, n_volumes: int, tr_s: float, offset_s: float = 0.0
) -> np.ndarray:
    """Cut the volumes after each onset out of a run.

    Parameters
    ----------
    series : array of shape (n_run_volumes, n_vertices)
    onsets_s : array of shape (n_trials,)
        Seconds from the start of the run.
    start_s : float
        Seconds after the onset; the first volume is ``round((onset + start - offset) / tr_s)``.
    n_volumes : int
    tr_s : float
    offset_s : float
        Of each volume from k times the TR, seconds.

    Returns
    -------
    array of shape (n_trials, n_volumes, n_vertices)

    Raises
    ------
    OutsideRunError
        If a window leaves the run; names the first such trial, its onset, its volumes and the run's.
    """
    first_volume = first_volumes(onsets_s, start_s, tr_s, offset_s)
    is_outside = (first_volume < 0) | (first_volume + n_volumes > len(series))  # (n_trials,)
    if is_outside.any():
        trial = int(np.argmax(is_outside))
        volumes_text = (
            f"volumes {first_volume[trial]} to {first_volume[trial] + n_volumes - 1}, "
            f"the run has 0 to {len(series) - 1}"
        )
        raise OutsideRunError(
            f"{int(is_outside.sum())} windows leave the run, the first is trial {trial + 1} at {onsets_s[trial]:g} s: "
            f"{volumes_text}"
        )
    return series[first_volume[:, None] + np.arange(n_volumes)]  # (n_trials, n_volumes, n_vertices)
