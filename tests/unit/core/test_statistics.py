"""Bootstrap against plain resampling, and its coverage by simulation."""

import numpy as np
import pytest

from boldflow.core import statistics


def test_draws_are_means_and_medians_of_the_resampled_queries():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(9), rng.integers(1, 4, 9))
    values = rng.integers(0, 6, len(unit)).astype(float)
    counts = statistics.bootstrap_counts(9, 25, seed=1)
    rows = [np.concatenate([np.tile(values[unit == u], c) for u, c in enumerate(draw)]) for draw in counts]
    np.testing.assert_allclose(statistics.mean_draws(values, unit, counts), [r.mean() for r in rows])
    np.testing.assert_allclose(statistics.median_draws(values, unit, counts), [np.median(r) for r in rows])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for seed in range(300):
        values = rng.normal(0.3, 1.0, 60)
        draws = statistics.mean_draws(values, np.arange(60), statistics.bootstrap_counts(60, 400, seed))
        low, high = statistics.percentile_interval(draws)
        inside += low <= 0.3 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_one_unit_cannot_be_resampled():
    with pytest.raises(ValueError, match="two units or more, found 1"):
        statistics.bootstrap_counts(1, 10, 0)
