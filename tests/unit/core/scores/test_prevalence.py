"""Bayesian prevalence against published numbers, and against the posterior on a grid."""

import numpy as np
import pytest

from boldflow.core.scores.prevalence import prevalence


@pytest.mark.parametrize(
    ("n_significant", "n_subjects", "estimate", "low", "high"),
    [(3, 3, 1.0, 0.37, 0.99), (0, 3, 0.0, 0.006, 0.60), (8, 8, 1.0, 0.65, 1.0), (7, 8, 0.868, 0.49, 0.97)],
)
def test_numbers_worked_out_elsewhere(n_significant: int, n_subjects: int, estimate: float, low: float, high: float):
    inferred = prevalence(n_significant, n_subjects)
    assert inferred.estimate == pytest.approx(estimate, abs=0.0005)
    assert (inferred.ci_low, inferred.ci_high) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(
    ("n_significant", "n_subjects", "level"), [(0, 1, 0.05), (2, 5, 0.05), (5, 9, 0.01), (20, 20, 0.1)]
)
def test_the_posterior_on_a_grid(n_significant: int, n_subjects: int, level: float):
    share = np.linspace(0, 1, 200_001)
    theta = level + (1 - level) * share
    density = theta**n_significant * (1 - theta) ** (n_subjects - n_significant)
    reached = np.cumsum(density) / density.sum()
    inferred = prevalence(n_significant, n_subjects, level)
    assert inferred.ci_low == pytest.approx(share[np.searchsorted(reached, 0.025)], abs=1e-4)
    assert inferred.ci_high == pytest.approx(share[np.searchsorted(reached, 0.975)], abs=1e-4)
    assert inferred.estimate == pytest.approx(share[density.argmax()], abs=1e-4)


@pytest.mark.parametrize(("n_significant", "n_subjects"), [(0, 0), (4, 3), (-1, 3)])
def test_what_cannot_be_is_refused(n_significant: int, n_subjects: int):
    with pytest.raises(ValueError, match=rf"{n_significant} of {n_subjects} subjects"):
        prevalence(n_significant, n_subjects)
