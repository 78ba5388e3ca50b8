"""Cleaning against nilearn, windows against slices."""

import numpy as np
import pytest
from nilearn.signal import clean

from boldflow.core import cleaning


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


def test_a_window_that_leaves_the_run_names_trial_and_volumes():
    with pytest.raises(ValueError, match=r"first is trial 2: volumes 9 to 11, the run has 0 to 9"):
        cleaning.windows(np.zeros((10, 1)), np.array([0.0, 14.0]), 4.0, 3, 2.0)


def test_a_window_shorter_than_half_a_tr_is_refused():
    with pytest.raises(ValueError, match="holds no volume"):
        cleaning.window_volumes(4.0, 0.5, 2.0)
