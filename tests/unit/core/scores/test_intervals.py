"""Intervals against scipy, and their coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from boldflow.core.scores import intervals
from boldflow.vocabulary.metrics import Scale


def left_out(values: np.ndarray) -> np.ndarray:
    return (values.sum() - values) / (len(values) - 1)


def test_on_a_plain_scale_it_is_the_textbook_t_interval():
    values = np.random.default_rng(2).normal(size=40)
    interval = intervals.jackknife(values.mean(), left_out(values), Scale.PLAIN)
    witness = stats.ttest_1samp(values, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((witness.low, witness.high))


@pytest.mark.parametrize(("n_hits", "n"), [(0, 10), (1, 24), (7, 24), (10, 10), (112, 113)])
def test_counts_have_wilsons_interval_also_where_all_hit_or_miss(n_hits: int, n: int):
    hits = (np.arange(n) < n_hits).astype(float)
    interval = intervals.jackknife(hits.mean(), left_out(hits), Scale.COUNT)
    witness = stats.binomtest(n_hits, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((witness.low, witness.high), abs=1e-9)
    assert interval.high > interval.low


def test_trials_of_a_picture_that_hit_together_count_as_fewer():
    hits = (np.arange(30) < 12).astype(float)  # each picture thrice, all alike: as good as one
    interval = intervals.jackknife(hits.mean(), left_out(hits), Scale.COUNT)
    witness = stats.binomtest(12, 30).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((witness.low, witness.high), abs=1e-9)


def test_ends_stay_on_their_scale():
    high = np.r_[np.full(23, 1.0), 0.9]
    share = intervals.jackknife(high.mean(), left_out(high), Scale.SHARE)
    assert 0 < share.low < high.mean() < share.high <= 1
    ranks = intervals.jackknife(3.0, np.linspace(2.9, 3.1, 20), Scale.SHARE, span=59)
    assert 0 < ranks.low < 3 < ranks.high < 59
    r = intervals.jackknife(0.97, np.linspace(0.94, 0.98, 24), Scale.CORRELATION)
    assert -1 < r.low < 0.97 < r.high < 1
    error = intervals.jackknife(0.01, np.linspace(0.005, 0.02, 24), Scale.POSITIVE)
    assert 0 < error.low < 0.01 < error.high


def test_undefined_values_are_counted_and_too_many_leave_none():
    values = np.random.default_rng(3).random(40)
    some = left_out(values)
    some[7] = np.nan
    assert "undefined without 1 of 40 units" in intervals.jackknife(values.mean(), some, Scale.SHARE).remark
    some[:10] = np.nan
    none = intervals.jackknife(values.mean(), some, Scale.SHARE)
    assert not none.exists and none.remark == "no interval: undefined without 10 of 40 units"


@pytest.mark.parametrize(
    ("value", "n_units", "words"),
    [(0.5, 3, "3 units, from 4 on"), (float("nan"), 20, "the score is undefined"), (0.5, 20, "the same without any")],
)
def test_where_there_is_no_interval_the_row_says_why(value: float, n_units: int, words: str):
    interval = intervals.jackknife(value, np.full(n_units, value), Scale.PLAIN)
    assert not interval.exists and words in interval.remark


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_shares_near_the_top_of_the_scale_are_covered_at_24_pictures(share: float):
    """Values of a beta distribution, skewed as normalised ranks are; a percentile bootstrap covers .83 to .91 there."""
    rng = np.random.default_rng(5)
    n_covered = 0
    for _ in range(1000):
        values = rng.beta(2 * share / (1 - share), 2, 24)
        interval = intervals.jackknife(values.mean(), left_out(values), Scale.SHARE)
        n_covered += interval.low <= share <= interval.high
    assert 0.92 <= n_covered / 1000 <= 0.985


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("n", [24, 113])
def test_correlations_are_covered(rho: float, n: int):
    rng = np.random.default_rng(6)
    n_covered = 0
    for _ in range(600):
        x = rng.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)
        without = np.array([np.corrcoef(np.delete(x, k), np.delete(y, k))[0, 1] for k in range(n)])
        interval = intervals.jackknife(np.corrcoef(x, y)[0, 1], without, Scale.CORRELATION)
        n_covered += interval.low <= rho <= interval.high
    assert 0.92 <= n_covered / 600 <= 0.985
