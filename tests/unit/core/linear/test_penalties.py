"""Penalties that fit inputs of any scale, and a word where the best one may lie beyond the grid."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from boldflow.core.linear.banded import fit_banded
from boldflow.core.linear.penalties import RELATIVE_GRID, penalty_grid, remarks_on_penalties
from boldflow.core.linear.ridge import fit_ridge, refit_ridge
from boldflow.core.networks.progress import Nowhere
from boldflow.core.records.training import Band


def made(n=80, p=30, n_targets=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    y = x @ rng.normal(size=(p, n_targets)) * rng.uniform(0, 0.5, n_targets) + rng.normal(size=(n, n_targets))
    return x, y


@pytest.mark.parametrize("shape", [(80, 30), (40, 90)])
def test_the_grid_is_at_the_mean_eigenvalue_of_the_gram_matrix(shape):
    x = np.random.default_rng(1).normal(size=shape) + 5
    centred = x - x.mean(axis=0)
    small_gram = centred @ centred.T if shape[0] < shape[1] else centred.T @ centred
    fitted = fit_ridge(x, made(n=shape[0])[1], None, np.arange(shape[0]))
    np.testing.assert_allclose(fitted.grid, RELATIVE_GRID * np.linalg.eigvalsh(small_gram).mean(), rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
@pytest.mark.parametrize("fit", ["ridge", "refit", "banded"])
def test_predictions_do_not_depend_on_the_unit_of_the_inputs(scale, fit):
    x, y = made()

    def predicted(inputs):
        groups = np.arange(len(x)) // 2
        if fit == "refit":
            return refit_ridge(inputs, inputs[:9], None, groups)(y)
        if fit == "banded":
            bands = [Band("a", 0, 10), Band("b", 10, 30)]
            fitted = fit_banded(inputs, y, bands, None, groups, Nowhere(), n_iter=3)
        else:
            fitted = fit_ridge(inputs, y, None, groups)
        return inputs[:9] @ fitted.weights + fitted.intercept

    np.testing.assert_allclose(predicted(scale * x), predicted(x), rtol=1e-4, atol=1e-4)


def test_nothing_is_dealt_by_default_and_each_trial_left_out_gives_scikit_learns_choice():
    x, y = made()
    alphas = np.logspace(-1, 4, 6)
    fitted = fit_ridge(x, y, alphas, np.arange(len(x)), seed=0)
    peer = RidgeCV(alphas, alpha_per_target=True).fit(x, y)
    np.testing.assert_array_equal(fitted.alphas, peer.alpha_)
    np.testing.assert_array_equal(fitted.alphas, fit_ridge(x, y, alphas, np.arange(len(x)), seed=7).alphas)


def test_the_intercept_is_in_double_precision():
    x, y = made()
    fitted = fit_ridge(x, y + 1e9, [10.0], np.arange(len(x)))
    assert fitted.intercept.dtype == np.float64
    np.testing.assert_allclose((x @ fitted.weights + fitted.intercept).mean(axis=0), (y + 1e9).mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("alphas", [[], [0.0, 1.0], [-1.0]])
def test_penalties_that_are_not_positive_are_refused(alphas):
    with pytest.raises(ValueError, match="alphas must be positive, found"):
        penalty_grid(np.array(alphas), 1.0, 3, 4)


def test_inputs_that_never_vary_have_a_grid_too():
    np.testing.assert_array_equal(penalty_grid(None, 0.0, 5, 3), RELATIVE_GRID)


def test_many_targets_at_an_end_of_the_grid_are_told():
    grid, weights = np.array([1.0, 10.0, 100.0]), np.ones((2, 100))
    alphas = np.repeat([1.0, 10.0, 100.0], [5, 55, 40])
    assert remarks_on_penalties([weights], [alphas], [grid]) == [
        "5% of targets have the smallest penalty of the grid",
        "40% of targets have the largest penalty of the grid",
    ]
    few = np.repeat([1.0, 10.0], [4, 96])
    assert remarks_on_penalties([weights], [few], [grid]) == []
    # over folds; targets that never vary have no weights and do not count
    silent = np.where(np.arange(100) < 50, 0.0, weights)
    assert remarks_on_penalties([weights, silent], [few, few], [grid, grid]) == []
    assert remarks_on_penalties([silent], [np.repeat([1.0, 10.0], [60, 40])], [grid]) == [
        "20% of targets have the smallest penalty of the grid"
    ]
    assert remarks_on_penalties([weights], [alphas], [grid[:1]]) == [], "one penalty was not chosen"
