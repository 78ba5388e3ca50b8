"""Simulated BOLD, a picture every 4 s: ridge betas follow the truth more than the mean of a window; LSS does not."""

import numpy as np
from scipy import stats

from boldflow.core.responses import blup, blup_choices, cleaning, glm, hrf
from boldflow.core.simulation import bold

SEEDS, N_RUNS, N_TRIALS, N_VOXELS, TR_S, SLOT_S, SHOWN_S = 5, 3, 40, 60, 2.0, 4.0, 2.5
NOISE_SD = 1.5  # in s.d. of the signal, as in the simulated data set


def followed(seed):
    """Mean correlation over voxels with the amplitudes that were put in: window, LSS, ridge, prediction."""
    rng = np.random.default_rng([7, seed])
    onsets = 6 + SLOT_S * np.arange(N_TRIALS)
    n, scale = round((6 + SLOT_S * N_TRIALS + 12) / TR_S), np.full(N_VOXELS, NOISE_SD * bold.SIGNAL)
    smooth = bold.smooth_map(np.ones((N_VOXELS, 1, 1), dtype=bool), np.diag([4.0, 4.0, 4.0, 1.0]))
    trials = hrf.regressors(onsets, np.full(N_TRIALS, SHOWN_S), n, TR_S, hrf.canonical(TR_S)[0])
    known = glm.basis(glm.nuisance(n, TR_S, "cosine", 0.01, 1))
    weights = {"lss": glm.lss_weights(trials, known), "ridge": None}
    nuisance, total, kept = glm.nuisance(n, TR_S, "cosine", 0.01, 1), 0.0, []
    true, found = [], {"window": [], **{name: [] for name in weights}}
    for _ in range(N_RUNS):
        amplitudes = rng.normal(size=(N_TRIALS, N_VOXELS))
        series = bold.BASELINE + bold.SIGNAL * bold.design(onsets, n, TR_S, SHOWN_S) @ amplitudes
        series = series + bold.noise(n, scale, smooth, rng) + bold.drift(n, scale, rng)
        true.append(amplitudes)
        cleaned = cleaning.detrend_and_standardise(series)
        found["window"].append(cleaning.windows(cleaned, onsets, 4.0, 3, TR_S).mean(axis=1))
        found["lss"].append(glm.betas([weights["lss"]], series))
        total = total + glm.left_out_errors([trials], nuisance, series, glm.PENALTIES, [glm.unit(trials)])[0]
        kept.append(series)
    sets = [glm.ridge_weights(trials, known, one) for one in glm.PENALTIES]
    found["ridge"] = [glm.betas(sets, series, total.argmin(axis=0)) for series in kept]
    found["predicted"] = predicted(kept, onsets, nuisance)
    truth = np.concatenate(true)
    r = {name: np.concatenate(one) for name, one in found.items()}
    return {
        name: np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, truth.T, strict=True)]) for name, one in r.items()
    }


def predicted(runs, onsets, nuisance):
    """Betas of each run, averaged over the library, from all volumes and without labels."""
    kernels = [kernel / hrf.peak(kernel, SHOWN_S, TR_S) for kernel in hrf.family(TR_S)]
    n, shown = len(nuisance), np.full(N_TRIALS, SHOWN_S)
    trials = [hrf.regressors(onsets, shown, n, TR_S, kernel) for kernel in kernels]
    design = blup.Design(trials, nuisance, np.ones(n, dtype=bool))
    choice = blup_choices.choose([design] * len(runs), runs, hrf.canonical_of_family(), hrf.prior_of_family())
    designs = [
        design.beside(blup_choices.components(design, series[:, choice.pool], choice.n_components)) for series in runs
    ]
    models = [blup.Model(each, choice.noise) for each in designs]
    weights = blup.posterior(
        sum(blup.gains(model, series) for model, series in zip(models, runs, strict=True)), hrf.prior_of_family()
    )
    return [model.betas(series, weights) for model, series in zip(models, runs, strict=True)]


def interval(gains):
    """95 % interval of a mean over seeds, paired."""
    return stats.t.interval(0.95, len(gains) - 1, np.mean(gains), stats.sem(gains))


def test_ridge_betas_follow_the_true_signal_more_than_the_windows_mean_paired_over_five_seeds():
    """What docs/betas.md says: the interval of the gain over seeds lies above 0.015, that of LSS below 0."""
    seeds = [followed(seed) for seed in range(SEEDS)]
    ridge, lss = ([one[name] - one["window"] for one in seeds] for name in ("ridge", "lss"))
    assert min(ridge) > 0 and interval(ridge)[0] > 0.015
    assert interval(lss)[1] < 0


def test_predicted_betas_that_have_to_find_the_response_come_near_to_ridge_which_has_it():
    """The worst case for prediction: 120 trials, 60 voxels, ridge with the very response that was put in."""
    seeds = [followed(seed) for seed in range(SEEDS)]
    assert np.mean([of_seed["predicted"] - of_seed["ridge"] for of_seed in seeds]) > -0.01
    assert np.mean([of_seed["predicted"] - of_seed["window"] for of_seed in seeds]) > 0
