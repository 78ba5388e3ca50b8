"""Scores of reconstructions: against scikit-learn, and counts of zeros by hand."""

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.reconstruction import ReconstructionScorer, code_measures


def made(repeats=2):
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(9), repeats)
    test = TestSet(np.zeros(len(image), int), image, np.zeros(9, int), np.arange(9))
    measured = rng.normal(size=(len(image), 7)) + 0.3
    return test, measured, measured + 0.5 * rng.normal(size=measured.shape)


def by(measures, view, metric, roi="all"):
    return next(m for m in measures if (m.view, m.metric, m.roi) == (view, metric, roi))


@pytest.mark.parametrize("repeats", [1, 2])
def test_scores_are_scikit_learns(repeats):
    test, measured, given = made(repeats)
    regions = {"all": np.ones(7, bool), "few": np.arange(7) < 3}
    found = ReconstructionScorer(test, measured, regions).measure(given)
    averaged = [np.stack([x[test.image == k].mean(axis=0) for k in range(9)]) for x in (measured, given)]
    for view, (true, predicted) in (("trial", (measured, given)), ("image", averaged)):
        for roi, mask in regions.items():
            true_, predicted_ = true[:, mask], predicted[:, mask]
            assert by(found, view, "mse", roi).value == pytest.approx(mean_squared_error(true_, predicted_))
            wanted = r2_score(true_, predicted_, multioutput="variance_weighted")
            assert by(found, view, "R2", roi).value == pytest.approx(wanted)
            r = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(true_.T, predicted_.T, strict=True)])
            assert by(found, view, "r", roi).value == pytest.approx(r)


def test_draws_are_scores_of_the_drawn_trials():
    """Witness: rows written out as often as they were drawn."""
    test, measured, given = made()
    found = ReconstructionScorer(test, measured, {"all": np.ones(7, bool)}).measure(given)
    counts = np.random.default_rng(1).multinomial(9, np.full(9, 1 / 9), size=4)
    for draw, row in enumerate(counts):
        rows = np.repeat(np.arange(len(measured)), row[test.image])
        wanted = r2_score(measured[rows], given[rows], multioutput="variance_weighted")
        assert by(found, "trial", "R2").draw(counts)[draw] == pytest.approx(wanted)
        assert by(found, "trial", "mse").draw(counts)[draw] == pytest.approx(((measured - given)[rows] ** 2).mean())


def test_zeros_and_dead_units_are_counted():
    test = TestSet(np.array([0, 0, 1]), np.arange(3), np.array([0, 0, 1]), np.arange(3))
    codes = [np.array([[0, 0, 1.0, 2], [0, 3, 0, 0]]), np.array([[0, 0, 0, 1.0]])]
    zeros, dead = code_measures(codes, test)
    assert zeros.value == pytest.approx((2 / 4 + 3 / 4 + 3 / 4) / 3)
    assert dead.value == pytest.approx((1 / 4 + 3 / 4) / 2)
