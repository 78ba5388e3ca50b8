"""Ceilings: variance within and between images, against planted variances and SciPy."""

import numpy as np
import pytest
from scipy import stats

from boldflow.core.responses import ceilings


@pytest.mark.parametrize("repeats", [(2,) * 40, (1, 2, 3, 8) * 10])
def test_variance_components_find_the_planted_variances(repeats):
    """Witness: known variances, over seeds, untruncated, within two standard errors."""
    signals, noises = [], []
    image = np.repeat(np.arange(len(repeats)), repeats)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = 0.6 * rng.normal(size=(len(repeats), 300))[image] + 1.1 * rng.normal(size=(len(image), 300))
        signal, noise = ceilings.variance_components(values, image)
        signals.append(signal.mean())
        noises.append(noise.mean())
    for found, truth in ((signals, 0.36), (noises, 1.21)):
        assert abs(np.mean(found) - truth) < 2 * np.std(found, ddof=1) / np.sqrt(20) + 1e-3


def test_within_image_variance_is_scipys_anova_mean_square():
    rng = np.random.default_rng(5)
    image = np.repeat(np.arange(6), [2, 3, 4, 2, 5, 3])
    values = rng.normal(size=(len(image), 1))
    signal, noise = ceilings.variance_components(values, image)
    f = stats.f_oneway(*[values[image == i, 0] for i in range(6)]).statistic
    n0 = (19 - (np.bincount(image) ** 2).sum() / 19) / 5
    assert signal[0] * n0 / noise[0] + 1 == pytest.approx(f)


def test_without_repeats_there_are_no_components():
    signal, noise = ceilings.variance_components(np.zeros((5, 2)), np.arange(5))
    assert np.isnan(signal).all() and np.isnan(noise).all()


@pytest.mark.parametrize("repeats", [1, 3])
def test_noise_ceiling_is_what_the_true_signal_explains(repeats):
    """The witness shares no formula: simulate, average, correlate."""
    rng = np.random.default_rng(0)
    signal = 0.7 * rng.normal(size=200_000)
    averaged = signal + rng.normal(size=(repeats, signal.size)).mean(axis=0)
    explained = np.corrcoef(signal, averaged)[0, 1] ** 2
    found = ceilings.noise_ceiling(np.array([0.49]), np.array([1.0]), np.full(10, repeats))
    assert found == pytest.approx([explained], abs=0.005)


def test_noise_ceiling_refuses_no_repeats():
    with pytest.raises(ValueError, match="repeats must be 1 or more, found 0"):
        ceilings.noise_ceiling(np.ones(1), np.ones(1), np.array([0, 1]))


def test_the_ceiling_of_a_silent_region_is_near_zero_where_the_mean_over_vertices_is_not():
    rng = np.random.default_rng(6)
    image = np.repeat(np.arange(24), 4)
    signal, noise = ceilings.variance_components(rng.normal(size=(96, 4000)), image)
    repeats = np.full(24, 4)
    assert ceilings.pooled_ceiling(signal, noise, repeats) < 0.02
    assert ceilings.noise_ceiling(signal, noise, repeats).mean() > 0.08
