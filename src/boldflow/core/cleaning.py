"""Cleaning of a run's time series and windows after each event."""

import numpy as np


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
    n = len(series)
    if n < 3:
        raise ValueError(f"a run of {n} volumes cannot be detrended: 3 are needed")
    time = np.linspace(-1, 1, n)
    with np.errstate(invalid="ignore"):
        centred = series - series.mean(axis=0)
        centred = centred - np.outer(time, time @ centred / (time @ time))
        spread = centred.std(axis=0, ddof=1)
        # what rounding leaves of a constant column is no signal
        floor = 1e-10 * np.abs(series).max(axis=0)
    spread = np.where(spread > floor, spread, np.nan)
    return centred / spread


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
        Start, seconds, and number of volumes, ``round(duration_s / tr_s)``.

    Raises
    ------
    ValueError
        If the window holds no volume.
    """
    n = round(duration_s / tr_s)
    if n < 1:
        raise ValueError(f"a window of {duration_s} s holds no volume at a TR of {tr_s} s")
    return start_s, n


def windows(series: np.ndarray, onsets_s: np.ndarray, start_s: float, n_volumes: int, tr_s: float) -> np.ndarray:
    """Cut the volumes after each onset out of a run.

    Parameters
    ----------
    series : array of shape (n_run_volumes, n_vertices)
    onsets_s : array of shape (n_trials,)
        Seconds from the first volume.
    start_s : float
        Seconds after the onset; the first volume is ``round((onset + start) / tr_s)``.
    n_volumes : int
    tr_s : float

    Returns
    -------
    array of shape (n_trials, n_volumes, n_vertices)

    Raises
    ------
    ValueError
        If a window leaves the run; names the first such trial, its volumes and the run's.
    """
    first = np.rint((np.asarray(onsets_s) + start_s) / tr_s).astype(int)
    outside = (first < 0) | (first + n_volumes > len(series))
    if outside.any():
        trial = int(np.argmax(outside))
        found = f"volumes {first[trial]} to {first[trial] + n_volumes - 1}, the run has 0 to {len(series) - 1}"
        raise ValueError(f"{int(outside.sum())} windows leave the run, the first is trial {trial + 1}: {found}")
    return series[first[:, None] + np.arange(n_volumes)]
