"""Haemodynamic responses, and the regressor of each trial, as nilearn makes them.

A kernel is a response to an instant, sampled ``OVERSAMPLING`` times per TR from the event on, of sum 1 (nilearn's
convention). A library is a list of kernels. Volume k is at k times the TR plus an offset (nilearn's
``slice_time_ref``, times the TR).
"""

import itertools

import numpy as np
from scipy import stats

OVERSAMPLING = 50  # nilearn's default
LENGTH_S = 32.0  # nilearn's default
MIN_ONSET_S = -24.0  # nilearn's default: earlier events cannot be placed
# Of the library: gamma densities of shape delay / dispersion and scale dispersion, which peak at delay - dispersion;
# the undershoot comes 10 s later, as in SPM's, and has a sixth of the weight.
DELAYS_S = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
DISPERSIONS_S = (0.6, 1.0, 1.6)
CANONICAL = (6.0, 1.0)
# How far responses lie from the canonical one, before anything is seen: s.d. of delays, s, and of log dispersions.
# Peaks differ by about a second between people and between areas (Handwerker et al. 2004, NeuroImage 21, 1639-1651).
DELAY_SD_S, LOG_DISPERSION_SD = 1.0, 0.5
UNDERSHOOT_S, RATIO = 10.0, 0.167


def double_gamma(tr_s: float, delay_s: float, dispersion_s: float) -> np.ndarray:
    """Sample a response that is the difference of two gamma densities.

    Parameters
    ----------
    tr_s : float
        Repetition time, seconds.
    delay_s, dispersion_s : float
        Of the first density, seconds; (6, 1) is nilearn's ``spm`` to the last bits.

    Returns
    -------
    array of shape (n_samples,)

    Notes
    -----
    nilearn 0.13, ``glm.first_level.hemodynamic_models``; the form is that of spm_hrf.m (Friston et al. 1998,
    NeuroImage 7, 30-40).
    """
    step = tr_s / OVERSAMPLING
    time = np.linspace(0, LENGTH_S, int(np.rint(LENGTH_S / step)))
    peak = stats.gamma.pdf(time, delay_s / dispersion_s, loc=step, scale=dispersion_s)
    undershoot = stats.gamma.pdf(time, (delay_s + UNDERSHOOT_S), loc=step, scale=1.0)
    response = peak - RATIO * undershoot
    return np.asarray(response / response.sum())


def canonical(tr_s: float) -> list[np.ndarray]:
    """Give a library of one: SPM's canonical response."""
    return [double_gamma(tr_s, *CANONICAL)]


def family(tr_s: float) -> list[np.ndarray]:
    """Give the library of double gammas: all pairs of ``DELAYS_S`` and ``DISPERSIONS_S``, delays outermost."""
    return [double_gamma(tr_s, *shape) for shape in _shapes()]


def canonical_of_family() -> int:
    """Give the place of SPM's canonical response in the library."""
    return _shapes().index(CANONICAL)


def prior_of_family() -> np.ndarray:
    """Give the probability of each response of the library before anything is seen, (n_kernels,)."""
    delay, dispersion = np.array(_shapes()).T
    log_density = -0.5 * ((delay - CANONICAL[0]) / DELAY_SD_S) ** 2
    density = np.exp(log_density - 0.5 * (np.log(dispersion / CANONICAL[1]) / LOG_DISPERSION_SD) ** 2)
    return np.asarray(density / density.sum())


def _shapes() -> list[tuple[float, float]]:
    return list(itertools.product(DELAYS_S, DISPERSIONS_S))


def peak(kernel: np.ndarray, duration_s: float, tr_s: float) -> float:
    """Give the peak of the response to an event: over it, amplitudes by different kernels are in one unit.

    Parameters
    ----------
    kernel : array of shape (n_samples,)
    duration_s : float
        Of the event, seconds; 0 is one sample long.
    tr_s : float
    """
    n_on = max(1, round(duration_s / (tr_s / OVERSAMPLING)))
    kernel_sum = np.cumsum(np.concatenate([np.zeros(n_on), kernel]))
    return float((kernel_sum - np.concatenate([np.zeros(n_on), kernel_sum[:-n_on]])).max())


def from_table(table: np.ndarray, step_s: float, tr_s: float) -> list[np.ndarray]:
    """Turn the columns of a table into a library, by straight lines between its samples.

    Parameters
    ----------
    table : array of shape (n_samples, n_responses)
        Responses to an instant, the first row at the event.
    step_s : float
        Seconds from row to row.
    tr_s : float
        Repetition time, seconds.

    Returns
    -------
    list of array

    Raises
    ------
    ValueError
        If a value is not finite, there are fewer than two rows, or the sum of a response is not above 0.
    """
    if table.ndim != 2 or len(table) < 2 or not table.shape[1]:
        raise ValueError(f"a table of responses has shape {table.shape}: two rows and one column are needed at least")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0] + 1
        raise ValueError(f"row {row}, column {column} of the table of responses is not finite")
    length_s, step = step_s * (len(table) - 1), tr_s / OVERSAMPLING
    time = np.arange(int(np.floor(length_s / step)) + 1) * step
    responses = [np.interp(time, step_s * np.arange(len(table)), column) for column in table.T]
    for number, response in enumerate(responses, start=1):
        if response.sum() <= 0:
            raise ValueError(
                f"column {number} of the table of responses has sum {response.sum():.3g}, expected above 0"
            )
    return [response / response.sum() for response in responses]


def regressors(
    onsets_s: np.ndarray,
    durations_s: np.ndarray,
    n_volumes: int,
    tr_s: float,
    kernel: np.ndarray,
    offset_s: float = 0.0,
) -> np.ndarray:
    """Give the regressor of each trial, of amplitude 1, as nilearn's ``compute_regressor`` does.

    Parameters
    ----------
    onsets_s, durations_s : array of shape (n_trials,)
        Seconds from the start of the run; a duration of 0 is one sample long.
    n_volumes : int
        Of the run, two or more.
    tr_s : float
    kernel : array of shape (n_samples,)
    offset_s : float
        Of each volume from k times the TR, seconds.

    Returns
    -------
    float64 array of shape (n_volumes, n_trials)

    Raises
    ------
    ValueError
        If an onset is not finite or lies more than 24 s (``MIN_ONSET_S``) before the first volume, a duration is
        negative or not finite, or there are fewer than two volumes.

    Notes
    -----
    A box convolved with a kernel is the difference of two values of the kernel's running sum, so that no convolution
    is needed.
    """
    onsets_s, durations_s = np.asarray(onsets_s, dtype=float), np.asarray(durations_s, dtype=float)
    if n_volumes < 2:
        raise ValueError(f"a run of {n_volumes} volumes has no regressors: 2 are needed")
    min_onset_s = MIN_ONSET_S + offset_s
    is_wrong = ~((onsets_s >= min_onset_s) & np.isfinite(onsets_s) & np.isfinite(durations_s) & (durations_s >= 0))
    if is_wrong.any():
        trial = int(np.argmax(is_wrong))
        raise ValueError(
            f"trial {trial + 1} has onset {onsets_s[trial]:g} s and duration {durations_s[trial]:g} s: expected an "
            f"onset from {min_onset_s:g} s on and a duration of 0 or more"
        )
    frames_s = offset_s + tr_s * np.arange(n_volumes)
    stop = frames_s[-1] * (1 + 1.0 / (n_volumes - 1))
    n_samples = (n_volumes - 1) / (frames_s[-1] - frames_s[0]) * (stop - frames_s[0] - MIN_ONSET_S) * OVERSAMPLING + 1
    time = np.linspace(frames_s[0] + MIN_ONSET_S, stop, int(np.rint(n_samples)))
    last_sample = len(time) - 1
    first_sample = np.minimum(np.searchsorted(time, onsets_s), last_sample)  # (n_trials,)
    end_sample = np.minimum(np.searchsorted(time, onsets_s + durations_s), last_sample)
    end_sample = end_sample + ((end_sample == first_sample) & (end_sample < last_sample))
    kernel_sum = np.concatenate([[0.0], np.cumsum(kernel)])  # (n_kernel + 1,)

    def box_response(sample: np.ndarray) -> np.ndarray:
        """Response at a sample to all that is on from ``first_sample`` to ``end_sample``, (n_volumes, n_trials)."""
        n_since = [np.clip(sample[:, None] - edge[None] + 1, 0, len(kernel)) for edge in (first_sample, end_sample)]
        return np.asarray(kernel_sum[n_since[0]] - kernel_sum[n_since[1]])

    next_sample = np.searchsorted(time, frames_s).clip(1, last_sample)  # (n_volumes,)
    next_share = (frames_s - time[next_sample - 1]) / (time[next_sample] - time[next_sample - 1])
    return np.asarray(
        (1 - next_share)[:, None] * box_response(next_sample - 1) + next_share[:, None] * box_response(next_sample)
    )
