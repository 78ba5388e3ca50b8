"""Single-trial betas of a simulated subject by the package's own methods, each (n_all_trials, n_vertices)."""

from collections.abc import Callable

import numpy as np

from bench._rapid_bold import RARE_PARTS, Recording
from boldflow.core.responses import blup, blup_choices, cleaning, glm, hrf

WINDOW_S = (4.0, 6.0)  # start and length: responses' defaults


def window(recording: Recording) -> np.ndarray:
    """Mean over the window, runs detrended and standardised."""
    tr_s = recording.world.tr_s
    return np.concatenate(
        [
            cleaning.windows(
                cleaning.detrend_and_standardise(series.astype(np.float64)), onsets, WINDOW_S[0], _n_window(tr_s), tr_s
            ).mean(axis=1)
            for series, onsets in zip(recording.series, recording.onsets_s, strict=True)
        ]
    )


def lss(recording: Recording) -> np.ndarray:
    """Least squares, separate."""
    return _by_weights(recording, lambda trials, nuisance: [glm.lss_weights(trials, nuisance)])


def lsa(recording: Recording) -> np.ndarray:
    """Least squares, all."""
    return _by_weights(recording, lambda trials, nuisance: [glm.ridge_weights(trials, nuisance, 0.0)])


def ridge(recording: Recording) -> np.ndarray:
    """All at once, with the ridge that predicts volumes left out, per vertex."""
    errors = np.zeros((len(glm.PENALTIES), recording.world.n_vertices))
    for run, series in enumerate(recording.series):
        trials = _trials(recording, run, hrf.canonical(recording.world.tr_s)[0])
        nuisance = _nuisance(recording, run)
        errors += glm.left_out_errors([trials], nuisance, series, glm.PENALTIES, [glm.unit(trials)])[0]
    return _by_weights(
        recording,
        lambda trials, nuisance: [glm.ridge_weights(trials, nuisance, penalty) for penalty in glm.PENALTIES],
        errors.argmin(axis=0),
    )


def predicted(recording: Recording, strict: bool) -> np.ndarray:
    """Best linear unbiased prediction; ``strict``: nothing is chosen in the windows of test trials."""
    designs = [_design(recording, run, strict) for run in range(len(recording.series))]
    choice = blup_choices.choose(designs, recording.series, hrf.canonical_of_family(), hrf.prior_of_family())
    if choice.n_components:
        parts = [
            blup_choices.components(design, series[:, choice.pool], choice.n_components)
            for design, series in zip(designs, recording.series, strict=True)
        ]
        designs = [design.beside(part) for design, part in zip(designs, parts, strict=True)]
    runs = list(zip(designs, recording.series, strict=True))
    gains = blup.gains(blup.Model(designs[0], choice.noise), recording.series[0])
    for design, series in runs[1:]:
        gains += blup.gains(blup.Model(design, choice.noise), series)
    posterior = blup.posterior(gains, hrf.prior_of_family())
    return np.concatenate(
        [
            blup.Model(design.every_volume(), choice.noise).betas(series, posterior)
            / glm.spread(series, glm.basis(design.nuisance))
            for design, series in runs
        ]
    )


def _by_weights(
    recording: Recording,
    weights: Callable[[np.ndarray, np.ndarray], list[np.ndarray]],
    set_of_vertex: np.ndarray | None = None,
) -> np.ndarray:
    kernel, betas = hrf.canonical(recording.world.tr_s)[0], []
    for run, series in enumerate(recording.series):
        nuisance = glm.basis(_nuisance(recording, run))
        estimates = glm.betas(weights(_trials(recording, run, kernel), nuisance), series, set_of_vertex)
        betas.append(estimates / glm.spread(series, nuisance))
    return np.concatenate(betas)


def _design(recording: Recording, run: int, strict: bool) -> blup.Design:
    tr_s, shown_s = recording.world.tr_s, recording.world.shown_s
    kernels = [kernel / hrf.peak(kernel, shown_s, tr_s) for kernel in hrf.family(tr_s)]
    seen = np.ones(len(recording.series[run]), dtype=bool)
    if strict:
        test_onsets = recording.onsets_s[run][recording.pictures[run] % RARE_PARTS == 0]
        seen = ~cleaning.covered(test_onsets, WINDOW_S[0], _n_window(tr_s), tr_s, len(seen))
    return blup.Design([_trials(recording, run, kernel) for kernel in kernels], _nuisance(recording, run), seen)


def _trials(recording: Recording, run: int, kernel: np.ndarray) -> np.ndarray:
    onsets, world = recording.onsets_s[run], recording.world
    durations = np.full(len(onsets), world.shown_s)
    return hrf.regressors(onsets, durations, len(recording.series[run]), world.tr_s, kernel)


def _nuisance(recording: Recording, run: int) -> np.ndarray:
    """Constant and drift, with the motion where there is some."""
    drift = glm.nuisance(len(recording.series[run]), recording.world.tr_s, "cosine", 0.01, 1)
    return np.hstack([drift, recording.motion[run]]) if recording.world.motion else drift


def _n_window(tr_s: float) -> int:
    return cleaning.window_volumes(*WINDOW_S, tr_s)[1]
