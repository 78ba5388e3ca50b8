"""The mean over people: an interval that holds for new people and new pictures."""

import numpy as np
import pytest

from boldflow.core.scores.group_means import group_interval
from boldflow.core.scores.statistics import bootstrap_counts


@pytest.mark.parametrize("spread", [(0.1, 0.3, 0.3), (0.1, 0.05, 0.3), (0.02, 0.3, 0.6)])
def test_it_holds_the_truth_where_a_t_over_people_does_not(spread):
    """Scores of people, pictures that are hard for all, and noise; 400 studies of 8 people and 24 pictures."""
    rng, n, n_images, truth = np.random.default_rng(0), 8, 24, 0.5
    counts = bootstrap_counts(n_images, 300, 0)
    hits = []
    for _ in range(400):
        shape = ((n, 1), (1, n_images), (n, n_images))
        scores = truth + sum(sd * rng.normal(size=size) for sd, size in zip(spread, shape, strict=True))
        interval = group_interval(scores.mean(axis=1), scores @ counts.T / n_images, n_images)
        hits.append(interval.low <= truth <= interval.high)
    assert 0.91 <= np.mean(hits) <= 0.995


def test_without_pictures_that_matter_it_is_students_over_people():
    from scipy import stats

    values = np.random.default_rng(1).normal(size=12)
    interval = group_interval(values, np.repeat(values[:, None], 50, axis=1), 24)
    witness = stats.ttest_1samp(values, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((witness.low, witness.high))


def test_too_few_people_or_no_draws_have_none_and_say_so():
    assert "7 people, 8 are needed" in group_interval(np.ones(7), np.ones((7, 9)), 24).remark
    interval = group_interval(np.arange(8.0), np.full((8, 9), np.nan), 24)
    assert not interval.exists and "no draws" in interval.remark
