"""Predicted betas against dense normal densities, Henderson's equations, a ridge, and what was planted."""

import numpy as np
import pytest
from scipy import linalg, stats

from boldflow.core.responses import blup, blup_choices, glm, hrf
from boldflow.core.responses.blup import Design, Model, Noise

TR_S = 2.0


def design_of(seed, n_trials=10, n_volumes=50, slot_s=6.0, kernels=None, seen=None):
    rng = np.random.default_rng(seed)
    onsets, durations = 4 + slot_s * np.arange(n_trials) + rng.uniform(0, 2, n_trials), np.full(n_trials, 2.0)
    kernels = hrf.canonical(TR_S) if kernels is None else kernels
    trials = [
        hrf.regressors(onsets, durations, n_volumes, TR_S, kernel / hrf.peak(kernel, 2.0, TR_S)) for kernel in kernels
    ]
    nuisance = np.hstack([glm.nuisance(n_volumes, TR_S, "cosine", 0.01, 1), rng.normal(size=(n_volumes, 1))])
    return Design(trials, nuisance, np.ones(n_volumes, dtype=bool) if seen is None else seen)


def covariances(design, noise, mean_ratio, variance_ratio):
    """Of noise and of betas, at the volumes that are seen, noise variance 1."""
    lags = np.abs(np.subtract.outer(np.arange(len(design.seen)), np.arange(len(design.seen))))
    of_noise = noise.share * noise.decay**lags + (1 - noise.share) * (lags == 0)
    n_trials = design.trials[0].shape[1]
    of_betas = np.eye(n_trials) + mean_ratio * np.ones((n_trials, n_trials))
    unit = (design.trials[0] ** 2).sum(axis=0).mean()
    return of_noise[design.seen][:, design.seen], variance_ratio / unit * of_betas


def series_of(rng, design, noise, n_vertices=3, strength=1.0):
    """Betas (n_trials, n_vertices) of mean 1, and a series on a baseline, of the design's first kernel."""
    betas = strength * (1 + rng.normal(size=(design.trials[0].shape[1], n_vertices)))
    lags = np.arange(len(design.seen))
    of_noise = linalg.toeplitz(noise.share * noise.decay**lags + (1 - noise.share) * (lags == 0))
    drawn = np.linalg.cholesky(of_noise) @ rng.normal(size=(len(lags), n_vertices))
    return betas, 1000 + design.trials[0] @ betas + drawn


@pytest.mark.parametrize("noise", [Noise(0.0, 0.0), Noise(1.0, 0.45), Noise(0.5, 0.9)])
@pytest.mark.parametrize("some_seen", [False, True])
def test_log_likelihoods_are_those_of_contrasts_under_a_dense_normal_density(noise, some_seen):
    """Witness: contrasts orthogonal to nuisance, their multivariate normal density at the best noise variance."""
    rng = np.random.default_rng(1)
    design = design_of(1, seen=rng.random(50) < 0.8 if some_seen else None)
    _, series = series_of(rng, design, noise)
    mean_ratios, variance_ratios = (3.0, 30.0), np.array([0.0, 0.3, 5.0])
    found = Model(design, noise, mean_ratios, variance_ratios).log_likelihoods(series)
    contrasts = linalg.null_space(design.nuisance[design.seen].T)  # (n_seen, n_free)
    data, n_free = contrasts.T @ series[design.seen], contrasts.shape[1]
    for m, mean_ratio in enumerate(mean_ratios):
        for v, variance_ratio in enumerate(variance_ratios):
            of_noise, of_betas = covariances(design, noise, mean_ratio, variance_ratio)
            trials = design.trials[0][design.seen]
            covariance = contrasts.T @ (of_noise + trials @ of_betas @ trials.T) @ contrasts
            for vertex, values in enumerate(data.T):
                variance = values @ np.linalg.solve(covariance, values) / n_free
                density = stats.multivariate_normal(np.zeros(n_free), variance * covariance).logpdf(values)
                constant = -0.5 * n_free * (1 + np.log(2 * np.pi))
                assert found[0, m, v, vertex] == pytest.approx(density - constant, rel=1e-9)


def test_betas_solve_hendersons_mixed_model_equations():
    """Witness: fixed effects, deviations and the mean as unknowns of one dense system; the mean is left out."""
    rng, noise = np.random.default_rng(2), Noise(0.75, 0.8)
    design = design_of(2)
    _, series = series_of(rng, design, noise)
    found = Model(design, noise, (3.0,), np.array([0.4])).betas(series, np.ones((1, 1, 1, 3)))
    of_noise, _ = covariances(design, noise, 3.0, 0.4)
    trials, inverse = design.trials[0], np.linalg.inv(of_noise)
    variance = 0.4 / (trials**2).sum(axis=0).mean()
    effects = np.hstack([design.nuisance, trials, trials.sum(axis=1, keepdims=True)])
    n_fixed, n_trials = design.nuisance.shape[1], trials.shape[1]
    precision = np.diag([0.0] * n_fixed + [1 / variance] * n_trials + [1 / (3 * variance)])
    solved = np.linalg.solve(effects.T @ inverse @ effects + precision, effects.T @ inverse @ series)
    np.testing.assert_allclose(found, solved[n_fixed : n_fixed + n_trials], rtol=1e-6, atol=1e-9)


def test_one_response_one_ratio_and_white_noise_are_a_ridge():
    rng = np.random.default_rng(3)
    design = design_of(3)
    _, series = series_of(rng, design, Noise(0.0, 0.0))
    found = Model(design, Noise(0.0, 0.0), (0.0,), np.array([0.5])).betas(series, np.ones((1, 1, 1, 3)))
    weights = glm.ridge_weights(design.trials[0], glm.basis(design.nuisance), 2.0)
    np.testing.assert_allclose(found, glm.betas([weights], series), rtol=1e-8)


def test_posterior_sums_to_one_and_its_prior_follows_what_most_vertices_say():
    log_likelihoods = np.zeros((3, 1, 2, 50))
    log_likelihoods[1, 0, 1, :40] = 9.0  # most vertices have a view, ten have none
    weights = blup.posterior(log_likelihoods)
    np.testing.assert_allclose(weights.sum(axis=(0, 1, 2)), 1, rtol=1e-12)
    assert (weights[1, 0, 1] > 0.9).all() and weights.min() > 0
    assert blup.posterior(log_likelihoods.astype(np.float32)).dtype == np.float32
    begun = blup.posterior(np.zeros((3, 1, 2, 5)), np.array([1.0, 2.0, 1.0]))  # nothing is seen: the start stays
    np.testing.assert_allclose(begun.sum(axis=(1, 2)), np.repeat([[0.25], [0.5], [0.25]], 5, axis=1), atol=1e-4)


def test_log_marginal_is_the_log_of_a_mean():
    log_likelihoods = np.random.default_rng(4).normal(0, 3, (2, 3, 4, 5))
    expected = np.log(np.exp(log_likelihoods).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(blup.log_marginal(log_likelihoods - 900), expected - 900)


def test_blocks_of_vertices_make_no_difference(monkeypatch):
    rng, noise = np.random.default_rng(5), Noise(1.0, 0.3)
    design = design_of(5, kernels=hrf.family(TR_S)[:4])
    _, series = series_of(rng, design, noise, n_vertices=11)
    model = Model(design, noise)
    whole = model.log_likelihoods(series)
    betas = model.betas(series, blup.posterior(whole))
    monkeypatch.setattr(glm, "BLOCK", 3)
    np.testing.assert_allclose(model.log_likelihoods(series), whole, rtol=1e-10)
    np.testing.assert_allclose(model.betas(series, blup.posterior(whole)), betas, rtol=1e-8, atol=1e-10)


def study(seed, n_common, n_runs=3, n_vertices=160, n_silent=80):
    """Runs with ``n_common`` loud time courses that vertices share; the last vertices are silent."""
    rng, noise, kernels = np.random.default_rng([6, seed]), Noise(1.0, 0.3), hrf.family(TR_S)
    designs, runs, truth = [], [], []
    for run in range(n_runs):
        design = design_of([seed, run], n_trials=30, n_volumes=110, kernels=kernels, slot_s=6.0)
        ours = Design([design.trials[hrf.canonical_of_family() + 3]], design.nuisance, design.seen)
        strength = np.where(np.arange(n_vertices) < n_vertices - n_silent, 1.0, 0.0)
        betas, series = series_of(rng, ours, noise, n_vertices, strength)
        common = rng.normal(size=(110, n_common))
        runs.append(series + common @ rng.normal(size=(n_common, n_vertices)))
        designs.append(design)
        truth.append(betas)
    return designs, runs, truth


def predicted(designs, runs):
    choice = blup_choices.choose(designs, runs, hrf.canonical_of_family())
    parts = [
        blup_choices.components(design, series[:, choice.pool], choice.n_components)
        for design, series in zip(designs, runs, strict=True)
    ]
    full = [design.beside(part) for design, part in zip(designs, parts, strict=True)]
    weights = blup.posterior(blup_choices.total_log_likelihoods(full, runs, choice.noise))
    return choice, [
        Model(design.every_volume(), choice.noise).betas(series, weights)
        for design, series in zip(full, runs, strict=True)
    ]


@pytest.mark.parametrize("n_common", [0, 3])
def test_what_was_planted_is_chosen_and_silent_vertices_have_nothing_in_common(n_common):
    designs, runs, truth = study(n_common, n_common)
    choice, betas = predicted(designs, runs)
    assert choice.n_components == n_common
    assert choice.kernel == hrf.canonical_of_family() + 3
    assert choice.noise.share == 1.0 and 0.1 < choice.noise.decay < 0.5
    assert choice.pool[80:].sum() > 0.8 * choice.pool.sum()
    follows = [
        stats.pearsonr(ours[:, v], true[:, v])[0] for ours, true in zip(betas, truth, strict=True) for v in range(80)
    ]
    assert np.mean(follows) > 0.6
    silent = [stats.pearsonr(betas[0][:, v], betas[1][:, v])[0] for v in range(80, 160)]
    assert abs(np.mean(silent)) < 0.06
    assert betas[0][:, 80:].std() < 0.15 * betas[0][:, :80].std()  # shrunk to next to nothing


def test_volumes_that_are_not_seen_decide_nothing_and_few_of_anything_ask_for_no_components():
    designs, runs, _ = study(9, 2, n_runs=2)
    rng = np.random.default_rng(7)
    seen = [rng.random(110) < 0.7 for _ in runs]
    designs = [Design(one.trials, one.nuisance, rows) for one, rows in zip(designs, seen, strict=True)]
    nonsense = [
        np.where(rows[:, None], series, 1e5 * rng.normal(size=series.shape))
        for rows, series in zip(seen, runs, strict=True)
    ]
    was, now = (blup_choices.choose(designs, series, 0) for series in (runs, nonsense))
    assert (was.noise, was.kernel, was.n_components) == (now.noise, now.kernel, now.n_components)
    np.testing.assert_array_equal(was.pool, now.pool)
    assert was.n_components == 2
    parts = [blup_choices.components(designs[0], series[0][:, was.pool], 2) for series in (runs, nonsense)]
    np.testing.assert_allclose(parts[0][seen[0]], parts[1][seen[0]], atol=1e-8)
    assert (parts[0][seen[0]] ** 2).mean(axis=0) == pytest.approx([1, 1])
    few = [series[:, : blup_choices.LEAST_VERTICES - 1] for series in runs]
    assert blup_choices.choose(designs, few, 0).n_components == 0
    short = [Design(one.trials, one.nuisance, np.arange(110) < 12) for one in designs]
    assert blup_choices.most_components(short) == 0 < blup_choices.most_components(designs)


def test_responses_of_all_kernels_of_the_library_peak_at_one():
    onsets = np.arange(0.0, 2.0, 0.05) + 4  # one of them peaks at a volume
    for duration in (0.0, 2.0, 12.0):
        for kernel in hrf.family(TR_S):
            scaled = kernel / hrf.peak(kernel, duration, TR_S)
            regressors = hrf.regressors(onsets, np.full(len(onsets), duration), 40, TR_S, scaled)
            assert regressors.max() == pytest.approx(1, abs=0.002)
    np.testing.assert_array_equal(hrf.family(TR_S)[hrf.canonical_of_family()], hrf.double_gamma(TR_S, *hrf.CANONICAL))
    prior = hrf.prior_of_family()
    assert prior.argmax() == hrf.canonical_of_family() and prior.sum() == pytest.approx(1)
