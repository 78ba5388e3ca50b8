"""Ridge against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit

from boldflow.core.linear.ridge import fit_ridge, group_folds


@pytest.mark.parametrize(("n", "p"), [(60, 20), (30, 80)])
@pytest.mark.parametrize("alpha", [0.1, 50.0])
def test_weights_are_scikit_learns(n, p, alpha):
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 1, (n, p)), rng.normal(-1, 3, (n, 5))
    found = fit_ridge(x, y, np.array([alpha]), np.arange(n), selection="kfold")
    wanted = Ridge(alpha=alpha).fit(x, y)
    np.testing.assert_allclose(found.weights, wanted.coef_.T, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(x @ found.weights + found.intercept, wanted.predict(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "p"), [(60, 20), (40, 90)])
def test_alphas_are_those_of_a_plain_loop_over_folds(n, p):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, p))
    y = x @ rng.normal(size=(p, 12)) * rng.uniform(0, 1, 12) + 3 * rng.normal(size=(n, 12))
    groups = np.repeat(np.arange(n // 2), 2)
    alphas = np.array([1e-1, 1e1, 1e2, 1e3])
    folds = group_folds(groups, 4, 0)
    errors = np.zeros((4, 12))
    for train, test in PredefinedSplit(folds).split():
        for a, alpha in enumerate(alphas):
            errors[a] += ((Ridge(alpha=alpha).fit(x[train], y[train]).predict(x[test]) - y[test]) ** 2).sum(axis=0)
    found = fit_ridge(x, y, alphas, groups, n_folds=4, seed=0, selection="kfold")
    np.testing.assert_array_equal(found.alphas, alphas[errors.argmin(axis=0)])
    np.testing.assert_allclose(found.errors, errors / n, rtol=2e-6)
    shared = fit_ridge(x, y, alphas, groups, n_folds=4, seed=0, alpha_per="model", selection="kfold")
    assert set(shared.alphas) == {alphas[errors.sum(axis=1).argmin()]}


def test_a_group_never_parts_ways():
    groups = np.random.default_rng(2).integers(0, 15, 100)
    folds = group_folds(groups, 5, 3)
    assert all(len(set(folds[groups == g])) == 1 for g in np.unique(groups))
    assert len(set(folds)) == 5


def test_constant_inputs_get_no_weight():
    rng = np.random.default_rng(3)
    x = np.hstack([rng.normal(size=(30, 2)), np.full((30, 1), 7.0)])
    found = fit_ridge(x, x[:, :1], np.array([1e-3, 1.0]), np.arange(30), selection="kfold")
    assert abs(found.weights[2, 0]) < 1e-6


def test_bad_alphas_and_inputs_are_refused():
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"alphas must be positive, found \[0.0, 1.0\]"):
        fit_ridge(x, x, np.array([1.0, 0.0]), np.arange(4), selection="kfold")
    with pytest.raises(ValueError, match="finite"):
        fit_ridge(np.full((4, 2), np.nan), x, np.array([1.0]), np.arange(4), selection="kfold")
    with pytest.raises(ValueError, match="two groups of trials or more, found 1"):
        fit_ridge(x, x, np.array([1.0, 2.0]), np.zeros(4, int), selection="kfold")
