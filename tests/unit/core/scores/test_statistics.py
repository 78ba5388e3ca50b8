"""Bootstrap against plain resampling, and its coverage by simulation."""

import numpy as np
import pytest

from boldflow.core.scores import statistics


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


def test_holm_is_the_textbook_procedure():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert statistics.holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # Holm 1979, by hand


def test_permutation_p_counts_the_observed_one_and_knows_which_way_is_better():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert statistics.permutation_p(0.35, null) == pytest.approx(2 / 5)
    assert statistics.permutation_p(0.15, null, larger_is_better=False) == pytest.approx(2 / 5)
    assert statistics.permutation_p(9.0, null) == pytest.approx(1 / 5)


def test_labels_are_traded_within_blocks_only_and_all_are_kept():
    names, block = np.arange(12), np.repeat([0, 1, 2], 4)
    found = statistics.permute_within(names, block, np.random.default_rng(0))
    assert sorted(found) == list(names) and (found != names).any()
    np.testing.assert_array_equal(block[found], block)


def test_whole_runs_trade_places_and_trials_keep_theirs():
    run = np.repeat([0, 1, 2, 3], 5)
    seen = set()
    for seed in range(60):
        traded = statistics.trade_runs(run, np.random.default_rng(seed))
        assert sorted(traded) == list(range(20)) and (traded % 5 == np.arange(20) % 5).all()
        assert all(len(set(run[traded[run == k]])) == 1 for k in range(4))
        seen.add(tuple(run[traded[::5]]))
    assert len(seen) > 15
    with pytest.raises(ValueError, match=r"runs of \[4, 5\] trials cannot trade places"):
        statistics.trade_runs(run[:-1], np.random.default_rng(0))
