"""Cleaning against nilearn, windows against slices."""

import numpy as np
import pytest
from nilearn.signal import clean

from boldflow.core.responses import cleaning


def test_detrended_z_scores_are_nilearns():
    series = np.random.default_rng(0).normal(1000, 20, (120, 7)) + np.linspace(0, 90, 120)[:, None]
    wanted = clean(series, detrend=True, standardize="zscore_sample", standardize_confounds=False)
    np.testing.assert_allclose(cleaning.detrend_and_standardise(series), wanted, atol=1e-8)


def test_constant_straight_and_broken_columns_become_nan_and_others_do_not():
    series = np.random.default_rng(1).normal(size=(50, 5))
    series[:, 1] = 3.0
    series[:, 2] = np.linspace(0, 1, 50)
    series[7, 3] = np.nan
    found = np.isnan(cleaning.detrend_and_standardise(series)).all(axis=0)
    np.testing.assert_array_equal(found, [False, True, True, True, False])


@pytest.mark.parametrize(("tr_s", "n"), [(2.0, 4), (1.5, 5), (1.6, 4), (4 / 3, 5)])
def test_the_number_of_volumes_follows_from_the_tr(tr_s, n):
    """Published numbers of volumes for a 7 s window (NeuralBench at four repetition times)."""
    assert cleaning.window_volumes(2.0, 7.0, tr_s) == (2.0, n)


def test_windows_hold_the_volumes_after_each_onset():
    series = np.arange(30.0)[:, None]
    found = cleaning.windows(series, np.array([0.0, 10.02, 39.98]), 4.0, 3, 2.0)
    np.testing.assert_array_equal(found[..., 0], [[2, 3, 4], [7, 8, 9], [22, 23, 24]])


def test_like_trials_have_like_windows_also_at_half_volumes():
    """Onsets .5 volumes late, some of them a rounding error less: rounding to even numbers would take turns."""
    onsets = np.arange(6) * 4.0 + 1.0
    onsets[2:4] -= 1e-9
    found = cleaning.windows(np.arange(40.0)[:, None], onsets, 4.0, 1, 2.0)
    np.testing.assert_array_equal(found[:, 0, 0], np.arange(6) * 2 + 3)
    assert cleaning.window_volumes(0.0, 5.0, 2.0)[1] == 3


def test_a_window_that_leaves_the_run_names_trial_and_volumes():
    with pytest.raises(ValueError, match=r"first is trial 2 at 14 s: volumes 9 to 11, the run has 0 to 9"):
        cleaning.windows(np.zeros((10, 1)), np.array([0.0, 14.0]), 4.0, 3, 2.0)


def test_a_window_shorter_than_half_a_tr_is_refused():
    with pytest.raises(ValueError, match="holds no volume"):
        cleaning.window_volumes(4.0, 0.5, 2.0)


def made(n=120, v=6, seed=0):
    rng = np.random.default_rng(seed)
    nuisance = rng.normal(size=(n, 4)) * [1, 10, 0.01, 1e3]  # nilearn leaves its cosines out where one resembles them
    series = rng.normal(1000, 20, (n, v)) + nuisance @ rng.normal(size=(4, v)) + np.linspace(0, 90, n)[:, None]
    return series, nuisance


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("high_pass", [None, 0.008, 0.02])
@pytest.mark.parametrize("with_confounds", [True, False])
def test_confounds_and_slow_cosines_are_taken_out_as_nilearn_does(high_pass, with_confounds):
    series, nuisance = made()
    slow = np.empty((120, 0)) if high_pass is None else cleaning.cosines(120, 2.0, high_pass)
    regressors = np.hstack([slow, nuisance]) if with_confounds else slow
    filtering = {"filter": False} if high_pass is None else {"filter": "cosine", "high_pass": high_pass, "t_r": 2.0}
    wanted = clean(
        series,
        detrend=True,
        standardize="zscore_sample",
        standardize_confounds=True,
        confounds=nuisance if with_confounds else None,
        **filtering,
    )
    np.testing.assert_allclose(cleaning.regress_and_standardise(series, regressors), wanted, atol=1e-8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_censored_volumes_have_no_part_in_what_the_others_become():
    """Witness: nilearn, told the line, the constant and the cosines as confounds, with a sample mask."""
    series, nuisance = made(seed=1)
    kept = np.random.default_rng(2).random(120) > 0.2
    slow = cleaning.cosines(120, 2.0, 0.01)
    told = np.column_stack([np.ones(120), np.arange(120), slow, nuisance])
    wanted = clean(
        series,
        detrend=False,
        standardize="zscore_sample",
        standardize_confounds=False,
        confounds=told,
        sample_mask=kept,
        filter=False,
    )
    found = cleaning.regress_and_standardise(series, np.hstack([slow, nuisance]), kept)
    np.testing.assert_allclose(found[kept], wanted, atol=1e-8)
    other = series.copy()
    other[~kept] += 1e5
    np.testing.assert_allclose(
        cleaning.regress_and_standardise(other, np.hstack([slow, nuisance]), kept)[kept], found[kept], atol=1e-8
    )


def test_without_regressors_it_is_the_line_alone_and_regressors_that_repeat_each_other_change_nothing():
    series, nuisance = made(seed=3)
    alone = cleaning.regress_and_standardise(series, np.empty((120, 0)))
    np.testing.assert_allclose(alone, cleaning.detrend_and_standardise(series), atol=1e-9)
    once = cleaning.regress_and_standardise(series, nuisance)
    repeated = np.hstack([nuisance, nuisance[:, :1] - nuisance[:, 3:], np.zeros((120, 1)), np.ones((120, 1))])
    np.testing.assert_allclose(cleaning.regress_and_standardise(series, repeated), once, atol=1e-7)


def test_bad_columns_are_nan_and_what_leaves_nothing_is_refused():
    series, nuisance = made(seed=4)
    series[:, 1] = 3.0
    series[:, 2] = np.linspace(0, 1, 120)
    series[7, 3] = np.nan
    series[8, 4] = np.inf
    found = np.isnan(cleaning.regress_and_standardise(series, nuisance))
    np.testing.assert_array_equal(found.all(axis=0), [False, True, True, True, True, False])
    np.testing.assert_array_equal(found.any(axis=0), found.all(axis=0))
    with pytest.raises(ValueError, match=r"4 regressors leave nothing of 7 fitted volumes \(of 120\); take fewer"):
        cleaning.regress_and_standardise(series, nuisance, np.arange(120) < 7)
    with pytest.raises(ValueError, match="regressor 2 is not finite"):
        cleaning.regress_and_standardise(series, np.where(np.arange(4) == 1, np.nan, nuisance))
    with pytest.raises(ValueError, match="120 volumes, 119 rows of regressors"):
        cleaning.regress_and_standardise(series, nuisance[1:])
    for wrong in (0.0, 0.25):
        with pytest.raises(ValueError, match=r"is not between 0 and 0.25 Hz at a TR of 2.0 s"):
            cleaning.cosines(120, 2.0, wrong)


def test_covered_volumes_are_those_of_windows():
    found = cleaning.covered(np.array([0.0, 10.02, 36.0]), 4.0, 3, 2.0, 22)
    np.testing.assert_array_equal(np.flatnonzero(found), [2, 3, 4, 7, 8, 9, 20, 21])
