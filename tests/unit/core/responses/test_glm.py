"""Single-trial betas against nilearn's own loop, scikit-learn, and fits that leave a volume out one by one."""

import numpy as np
import pytest
from nilearn.glm.first_level.hemodynamic_models import compute_regressor, spm_hrf
from sklearn.linear_model import Ridge

from boldflow.core.responses import glm, hrf
from tests.made.glm import TR_S, by_nilearn, far, lss_by_nilearn


def run_of(seed, n_trials=18, slot_s=4.0, n_volumes=60, tr_s=TR_S, n_vertices=7):
    """Onsets, durations, confounds and a series on a baseline of 1000, of trials that overlap."""
    rng = np.random.default_rng(seed)
    onsets = 4 + slot_s * np.arange(n_trials) + rng.uniform(0, slot_s / 2, n_trials)
    durations = rng.choice([0.0, 1.0, 2.5], n_trials)
    series = 1000 + 10 * rng.normal(size=(n_volumes, n_vertices)).cumsum(axis=0)
    return onsets, durations, rng.normal(size=(n_volumes, 2)), series


def designed(onsets, durations, more, tr_s=TR_S, drift="cosine", order=1):
    n = len(more)
    trials = hrf.regressors(onsets, durations, n, tr_s, hrf.canonical(tr_s)[0])
    return trials, glm.basis(np.hstack([glm.nuisance(n, tr_s, drift, 0.01, order), more]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tr_s", [0.72, 4 / 3, 1.6, 2.0])
def test_regressors_are_nilearns_for_any_onset_duration_and_repetition_time(tr_s):
    rng = np.random.default_rng(0)
    kernel = hrf.canonical(tr_s)[0]
    np.testing.assert_array_equal(kernel, spm_hrf(tr_s, hrf.OVERSAMPLING))
    for n in (2, 30, 101):
        onsets = np.concatenate([rng.uniform(-20, n * tr_s, 12), [0.0, 2 * tr_s, 6.0]])
        durations = rng.choice([0.0, 0.1, 2.5, 20.0], len(onsets))
        found = hrf.regressors(onsets, durations, n, tr_s, kernel)
        frames = tr_s * np.arange(n)
        for trial in range(len(onsets)):
            event = np.array([[onsets[trial]], [durations[trial]], [1.0]])
            wanted = compute_regressor(event, "spm", frames)[0][:, 0]
            np.testing.assert_allclose(found[:, trial], wanted, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("seed", "how"),
    [(0, {}), (1, {"tr_s": 1.6}), (2, {"drift": "polynomial", "order": 3}), (3, {"drift": None})],
)
def test_lss_and_lsa_are_nilearns_to_a_millionth_where_responses_overlap(seed, how):
    tr_s, drift, order = how.get("tr_s", TR_S), how.get("drift", "cosine"), how.get("order", 1)
    onsets, durations, more, series = run_of(seed)
    trials, known = designed(onsets, durations, more, tr_s, drift or "none", order)
    found = glm.betas([glm.lss_weights(trials, known)], series)
    assert far(found, lss_by_nilearn(onsets, durations, more, series, **how)) < 1e-9
    names = [f"trial{k:02d}" for k in range(len(onsets))]
    wanted = by_nilearn(onsets, durations, more, series, names, names, **how)
    assert far(glm.betas([glm.ridge_weights(trials, known, 0.0)], series), wanted) < 1e-9
    # float32 as files hold it: within its own rounding
    assert far(glm.betas([glm.lss_weights(trials, known)], series.astype(np.float32)), found) < 1e-4


@pytest.mark.filterwarnings("ignore")
def test_a_trial_alone_in_its_run_and_one_whose_response_is_cut_are_nilearns_too():
    onsets, durations, more, series = run_of(4, n_trials=1)
    trials, known = designed(onsets, durations, more)
    wanted = by_nilearn(onsets, durations, more, series, ["this"], ["this"])
    assert far(glm.betas([glm.lss_weights(trials, known)], series), wanted) < 1e-9
    assert far(glm.betas([glm.ridge_weights(trials, known, 0.0)], series), wanted) < 1e-9
    onsets, durations, more, series = run_of(5)
    onsets[-1] = TR_S * len(series) - 5
    trials, known = designed(onsets, durations, more)
    wanted = lss_by_nilearn(onsets, durations, more, series)
    assert far(glm.betas([glm.lss_weights(trials, known)], series), wanted) < 1e-9
    long = hrf.regressors(onsets, durations, len(series) + 30, TR_S, hrf.canonical(TR_S)[0])
    shares = glm.shares(trials, long)
    assert shares[-1] < 0.3 and shares[:-1].min() > 0.9


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_ridge_is_scikit_learns_after_drift_is_taken_out(penalty):
    onsets, durations, more, series = run_of(6)
    trials, known = designed(onsets, durations, more)
    peer = Ridge(alpha=penalty * (trials**2).sum(axis=0).mean(), fit_intercept=False)
    wanted = peer.fit(glm.without(trials, known), glm.without(series, known)).coef_.T
    assert far(glm.betas([glm.ridge_weights(trials, known, penalty)], series), wanted) < 1e-9


def test_each_vertex_takes_its_own_weights_across_blocks_and_bad_vertices_stay_alone(monkeypatch):
    monkeypatch.setattr(glm, "BLOCK", 3)
    onsets, durations, more, series = run_of(7, n_vertices=11)
    trials, known = designed(onsets, durations, more)
    sets = [glm.ridge_weights(trials, known, one) for one in (0.0, 1.0, 5.0)]
    chosen = np.array([0, 0, 0, 1, 2, 1, 2, 2, 0, 1, 1])
    series[:, 4], series[3, 6] = 5.0, np.nan
    found, spread = glm.betas(sets, series, chosen), glm.spread(series, known)
    for vertex in np.delete(np.arange(11), [4, 6]):
        np.testing.assert_allclose(found[:, vertex], sets[chosen[vertex]].T @ series[:, vertex], atol=1e-8)
        rest = series[:, vertex] - known @ np.linalg.lstsq(known, series[:, vertex], rcond=None)[0]
        assert spread[vertex] == pytest.approx(rest.std(ddof=1))
    assert np.flatnonzero(np.isnan(spread)).tolist() == [4, 6]


def test_errors_of_volumes_left_out_are_those_of_fits_without_them():
    """Witness: each volume is left out in turn and predicted by a fit of all the others."""
    onsets, durations, _, series = run_of(8, n_trials=6, slot_s=8.0, n_volumes=30, n_vertices=3)
    regressors = glm.nuisance(30, TR_S, "cosine", 0.01, 1)
    designs = [hrf.regressors(onsets, durations, 30, TR_S, kernel) for kernel in hrf.family(TR_S)[:2]]
    penalties, units = [0.05, 1.0], [glm.unit(one) for one in designs]
    found = glm.left_out_errors(designs, regressors, series, penalties, units)

    def left_out(trials, penalty):
        errors = []
        for volume in range(30):
            rest = np.delete(np.arange(30), volume)
            joint = np.hstack([regressors, trials])
            square = np.diag([0.0] * regressors.shape[1] + [penalty] * trials.shape[1])
            weights = np.linalg.solve(joint[rest].T @ joint[rest] + square, joint[rest].T @ series[rest])
            errors.append(series[volume] - joint[volume] @ weights)
        return (np.array(errors) ** 2).sum(axis=0)

    plain = left_out(np.empty((30, 0)), 0.0)
    for k, trials in enumerate(designs):
        for p, penalty in enumerate(penalties):
            np.testing.assert_allclose(found[k, p], left_out(trials, penalty * units[k]) / plain, rtol=1e-7)


def test_responses_that_were_planted_are_chosen_and_noise_asks_for_more_ridge():
    rng = np.random.default_rng(9)
    family = hrf.family(TR_S)
    total, planted = 0.0, np.repeat([1, 7, 13], 20)
    noise = np.tile([0.02, 0.6], 30)
    for _ in range(4):
        onsets, durations = 6 + 6.0 * np.arange(30) + rng.uniform(0, 2, 30), np.full(30, 2.0)
        designs = [hrf.regressors(onsets, durations, 110, TR_S, one) for one in family]
        amplitudes = 1 + rng.normal(size=(30, 60))
        series = np.stack([designs[k] @ amplitudes[:, v] for v, k in enumerate(planted)], axis=1)
        series += 100 + noise * rng.normal(size=series.shape)
        regressors = glm.nuisance(110, TR_S, "cosine", 0.01, 1)
        units = [glm.unit(one) for one in designs]
        total = total + glm.left_out_errors(designs, regressors, series, glm.PENALTIES, units)
    kernel, penalty = np.divmod(total.reshape(-1, 60).argmin(axis=0), len(glm.PENALTIES))
    assert (kernel == planted)[noise < 0.1].mean() > 0.9
    assert penalty[noise > 0.1].mean() > penalty[noise < 0.1].mean() + 1


def test_what_cannot_be_told_apart_or_placed_is_refused_with_the_trial():
    onsets, durations, more, _ = run_of(10)
    durations[:] = 2.0
    twice = np.concatenate([onsets, onsets[4:5]])
    trials, known = designed(twice, np.full(len(twice), 2.0), more)
    with pytest.raises(ValueError, match=r"2 of 19 trials cannot be told from the others, the first is trial 5"):
        glm.ridge_weights(trials, known, 0.0)
    pair, known = designed(np.array([10.0, 10.0]), np.array([2.0, 2.0]), more)
    with pytest.raises(ValueError, match=r"2 of 2 trials cannot be told from the others, the first is trial 1"):
        glm.lss_weights(pair, known)
    trials, known = designed(onsets, durations, np.column_stack([more, trials[:, 3]]))
    with pytest.raises(ValueError, match="trial 4"):
        glm.lss_weights(trials, known)
    with pytest.raises(ValueError, match="regressor 2 is not finite"):
        glm.basis(np.column_stack([np.ones(9), [*range(8), np.nan]]))
    with pytest.raises(ValueError, match="leave nothing of 4 volumes"):
        glm.basis(np.eye(4)[:, :3])
    kernel = hrf.canonical(TR_S)[0]
    with pytest.raises(ValueError, match=r"trial 2 has onset -30 s and duration 1 s"):
        hrf.regressors(np.array([0.0, -30.0]), np.ones(2), 9, TR_S, kernel)


def test_a_table_of_responses_is_read_between_its_samples_and_refused_where_it_is_none():
    time = 0.1 * np.arange(321)
    table = np.column_stack([np.interp(time, [0, 5, 12, 32], [0, 1, 0, 0]), np.exp(-((time - 6) ** 2) / 4)])
    found = hrf.from_table(table, 0.1, 1.6)
    step = 1.6 / hrf.OVERSAMPLING
    for one, column in zip(found, table.T, strict=True):
        assert one.sum() == pytest.approx(1)
        assert step * one.argmax() == pytest.approx(0.1 * column.argmax(), abs=step + 0.05)
    wide = hrf.regressors(np.array([0.0]), np.array([1.6]), 12, 1.6, found[1])[:, 0]
    np.testing.assert_allclose(wide[4] / wide[3], table[48:64, 1].sum() / table[32:48, 1].sum(), rtol=0.06)
    with pytest.raises(ValueError, match="row 3, column 2"):
        hrf.from_table(np.where((np.arange(10) == 5).reshape(5, 2), np.nan, 1.0), 0.1, 2.0)
    with pytest.raises(ValueError, match="column 1 of the table of responses has sum -11"):
        hrf.from_table(-np.ones((5, 1)), 0.1, 2.0)
