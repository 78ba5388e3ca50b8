"""How ridge chooses alphas, against plain refits by scikit-learn and against himalaya."""

import tracemalloc

import numpy as np
import pytest
from himalaya.ridge import RidgeCV as HimalayaRidgeCV
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, PredefinedSplit

from boldflow.core.linear import folds, operations, ridge
from boldflow.core.linear.ridge import fit_ridge, group_folds, refit_ridge

ALPHAS = np.array([1e-2, 1.0, 1e1, 1e2, 1e3, 1e4])


def made(kind, seed=0):
    """Inputs, targets of all grades of signal, groups of one to four trials, some far apart."""
    rng = np.random.default_rng(seed)
    n, p = {"n < p": (50, 130), "n = p": (60, 60), "a little n > p": (70, 64)}.get(kind, (120, 35))
    x = rng.normal(2, 1, (n, p))
    groups = rng.integers(0, n // 2, n)
    if kind == "ill-conditioned":
        x = x @ np.diag(np.logspace(0, -6, p)) @ np.linalg.qr(rng.normal(size=(p, p)))[0] + 3
    elif kind == "constant columns":
        x[:, [0, 7]] = 4, 0
    elif kind == "repeated images":
        x = x[groups]  # what is shown again is the same
    elif kind == "a fold of its own":
        x[:, 3] = np.where(groups == groups[0], 5, 0)  # varies in one fold only
    y = (x - x.mean(axis=0)) @ rng.normal(size=(p, 25)) * rng.uniform(0, 1, 25) + 4 * rng.normal(size=(n, 25)) - 5
    return x, y, groups


KINDS = (
    "n > p",
    "n < p",
    "n = p",
    "a little n > p",
    "ill-conditioned",
    "constant columns",
    "repeated images",
    "a fold of its own",
)


def errors_of(x, y, splits, alphas=ALPHAS):
    """Mean squared errors of fits made again for every split and alpha."""
    errors = np.zeros((len(alphas), y.shape[1]))
    for train, test in splits:
        for number, alpha in enumerate(alphas):
            model = Ridge(alpha=alpha, solver="svd").fit(x[train], y[train])
            errors[number] += ((model.predict(x[test]) - y[test]) ** 2).sum(axis=0)
    return errors / len(y)


@pytest.fixture
def in_double_only(monkeypatch):
    """Tell alphas apart in double precision from the beginning, as where folds are too large to be kept."""
    monkeypatch.setattr(ridge, "KEPT_BYTES", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_folds_are_those_of_refits_in_double_precision(kind, in_double_only):
    x, y, groups = made(kind)
    found = fit_ridge(x, y, ALPHAS, groups, selection="kfold")
    splits = PredefinedSplit(group_folds(groups, 5, 0)).split()
    np.testing.assert_allclose(found.errors, errors_of(x, y, splits), rtol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 1e-120, 1e120])
@pytest.mark.parametrize("n_eigen", [3, 400])
def test_rounding_in_single_precision_stays_within_its_bound(scale, n_eigen):
    rng = np.random.default_rng(n_eigen)
    basis, shrink = rng.normal(size=(70, n_eigen)), [rng.normal(size=n_eigen) ** power for power in (0, 6)]
    rotated, wanted = scale * rng.normal(size=(n_eigen, 500)), 10 * scale * rng.normal(size=(70, 500))
    rotated[:, :20], wanted[:, 10:30] = 0, 0
    found, rounding = np.zeros((2, 500)), np.zeros((2, 500))
    folds._Screen(operations.operations("float64", "cpu"), basis, shrink).add(
        rotated.copy(), wanted.copy(), found, rounding
    )
    exact = np.array([((basis * one @ rotated - wanted) ** 2).sum(axis=0) for one in shrink])
    assert (np.abs(found - exact) <= rounding).all() and (found[:, 10:20] == 0).all()
    assert np.abs(found - exact).max() > 0 and (rounding[:, 30:] < 1e-4 * exact[:, 30:]).all()


def test_targets_that_single_precision_cannot_hold_beside_their_predictions_are_left_open():
    rng = np.random.default_rng(0)
    basis, shrink = rng.normal(size=(70, 9)), [np.ones(9)]
    rotated, wanted = 1e20 * rng.normal(size=(9, 50)), rng.normal(size=(70, 50))
    wanted[:, 0] = rotated[:, 0] = 0
    found, rounding = np.zeros((1, 50)), np.zeros((1, 50))
    folds._Screen(operations.operations("float64", "cpu"), basis, shrink).add(rotated, wanted, found, rounding)
    assert np.isinf(rounding[0, 1:]).all() and rounding[0, 0] == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_inputs_does_not_change_what_is_chosen(scale):
    x, y, groups = made("n > p")
    found = fit_ridge(scale * x, y, scale**2 * ALPHAS, groups, selection="kfold")
    np.testing.assert_allclose(
        found.alphas, scale**2 * fit_ridge(x, y, ALPHAS, groups, selection="kfold").alphas, rtol=1e-12
    )


@pytest.mark.parametrize(("n", "p"), [(90, 30), (45, 80)])
def test_what_single_precision_cannot_tell_apart_is_decided_in_double(n, p, monkeypatch):
    """A target is moved to where its best alpha changes: errors of two alphas are there the same to eleven digits."""
    rng = np.random.default_rng(6)
    x, groups = rng.normal(size=(n, p)), np.arange(n) // 2
    signal, noise = x @ rng.normal(size=(p, 8)), 4 * rng.normal(size=(n, 8))

    def fitted(share):
        return fit_ridge(x, share * signal + noise, ALPHAS, groups, selection="kfold")

    monkeypatch.setattr(ridge, "KEPT_BYTES", 0)
    low, high = np.zeros(8), np.ones(8)
    first = fitted(low).alphas
    moves = fitted(high).alphas != first
    assert moves.sum() >= 5
    signal, noise, low, high, first = signal[:, moves], noise[:, moves], low[moves], high[moves], first[moves]
    for _ in range(45):
        middle = (low + high) / 2
        same = fitted(middle).alphas == first
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    wanted = [fitted(low - 1e-11), fitted(high + 1e-11)]
    for one in wanted:
        best, second = np.sort(one.errors, axis=0)[:2]
        assert (second / best - 1 < 1e-9).all()
    monkeypatch.undo()
    found = [fitted(low - 1e-11), fitted(high + 1e-11)]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.alphas, theirs.alphas)
        np.testing.assert_allclose(ours.errors, theirs.errors, rtol=1e-10)
    assert (found[0].alphas != found[1].alphas).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("selection", ["kfold", "loo"])
def test_errors_and_alphas_are_those_of_refits(kind, selection):
    x, y, groups = made(kind)
    if selection == "kfold":
        splits = PredefinedSplit(group_folds(groups, 5, 0)).split()
    else:
        splits = LeaveOneGroupOut().split(x, y, groups)
    wanted = errors_of(x, y, splits)
    found = fit_ridge(x, y, ALPHAS, groups, selection=selection)
    np.testing.assert_allclose(found.errors, wanted, rtol=2e-6 if selection == "kfold" else 1e-8)
    np.testing.assert_array_equal(found.alphas, ALPHAS[wanted.argmin(axis=0)])
    shared = fit_ridge(x, y, ALPHAS, groups, selection=selection, alpha_per="model")
    assert set(shared.alphas) == {ALPHAS[wanted.mean(axis=1).argmin()]}
    model = Ridge(alpha=found.alphas, solver="svd").fit(x, y)
    predicted = refit_ridge(x, x[:9] + 1, ALPHAS, groups, selection=selection)(y)
    np.testing.assert_allclose(predicted, model.predict(x[:9] + 1), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.weights, model.coef_.T, rtol=1e-5, atol=1e-6 * np.abs(model.coef_).max())


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_out_single_trials_is_ridge_cv_of_scikit_learn(kind):
    x, y, _ = made(kind)
    peer = RidgeCV(alphas=ALPHAS, alpha_per_target=True, store_cv_results=True).fit(x, y)
    found = fit_ridge(x, y, ALPHAS, np.arange(len(x)), selection="loo")
    np.testing.assert_allclose(found.errors, peer.cv_results_.mean(axis=0).T, rtol=1e-6)
    np.testing.assert_array_equal(found.alphas, peer.alpha_)
    np.testing.assert_allclose(found.weights, peer.coef_.T, rtol=1e-5, atol=1e-6 * np.abs(peer.coef_).max())


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_of_leaving_out_is_the_formula_of_golub_heath_and_wahba(kind):
    x, y, groups = made(kind)
    n = len(x)
    found = fit_ridge(x, y, ALPHAS, groups, selection="gcv")
    centred = x - x.mean(axis=0)
    for number, alpha in enumerate(ALPHAS):
        inner = np.linalg.solve(centred @ centred.T + alpha * np.eye(n), np.eye(n))
        hat = centred @ centred.T @ inner + 1 / n
        wanted = n * ((y - hat @ y) ** 2).sum(axis=0) / (n - np.trace(hat)) ** 2
        np.testing.assert_allclose(found.errors[number], wanted, rtol=1e-6)


@pytest.mark.parametrize(("n", "p"), [(90, 30), (45, 80)])
def test_folds_of_groups_agree_with_a_grid_search(n, p):
    rng = np.random.default_rng(3)
    x, groups = rng.normal(size=(n, p)), np.repeat(np.arange(n // 3), 3)
    y = x @ rng.normal(size=p) + 5 * rng.normal(size=n)
    folds = np.empty(n, int)
    for number, (_, test) in enumerate(GroupKFold(5).split(x, y, groups)):
        folds[test] = number
    search = GridSearchCV(
        Ridge(), {"alpha": ALPHAS}, scoring="neg_mean_squared_error", cv=PredefinedSplit(folds), refit=True
    ).fit(x, y)
    # folds themselves as groups: dealt one to a fold
    found = fit_ridge(x, y[:, None], ALPHAS, folds, n_folds=5, selection="kfold")
    assert found.alphas[0] == search.best_params_["alpha"]
    np.testing.assert_allclose(found.errors[:, 0], -search.cv_results_["mean_test_score"], rtol=2e-6)
    np.testing.assert_allclose(x @ found.weights[:, 0] + found.intercept, search.predict(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n", "p"), [(100, 30), (60, 100)])
def test_alphas_and_weights_are_himalayas(n, p):
    rng = np.random.default_rng(4)
    x = rng.normal(1, 1, size=(n, p))
    y = x @ rng.normal(size=(p, 40)) * rng.uniform(0, 0.5, 40) + 3 * rng.normal(size=(n, 40))
    groups = np.repeat(np.arange(n // 2), 2)
    folds = group_folds(groups, 5, 0)  # of equal size, so that himalaya's mean over folds is the mean over trials
    peer = HimalayaRidgeCV(
        alphas=ALPHAS, fit_intercept=True, cv=PredefinedSplit(folds), solver_params={"warn": False}
    ).fit(x, y)
    found = fit_ridge(x, y, ALPHAS, groups, selection="kfold")
    np.testing.assert_allclose(found.alphas, peer.best_alphas_, rtol=1e-12)  # himalaya takes logarithms on the way
    np.testing.assert_allclose(found.weights, peer.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.intercept, peer.intercept_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["n > p", "n < p"])
@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
def test_single_precision_differs_in_the_fourth_digit_at_most(kind, selection):
    x, y, groups = made(kind)
    double = fit_ridge(x, y, ALPHAS, groups, selection=selection)
    single = fit_ridge(x, y, ALPHAS, groups, selection=selection, dtype="float32")
    np.testing.assert_allclose(single.errors, double.errors, rtol=5e-4)  # the last bits are the processor's
    np.testing.assert_array_equal(single.alphas, double.alphas)
    np.testing.assert_allclose(single.weights, double.weights, atol=1e-4 * np.abs(double.weights).max())


@pytest.mark.parametrize("kind", ["n > p", "n < p", "repeated images"])
@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_torch_computes_the_same(kind, selection, dtype, monkeypatch):
    """The path of a GPU, on the processor."""
    x, y, groups = made(kind)
    wanted = fit_ridge(x, y, ALPHAS, groups, selection=selection, dtype=dtype)
    asked = []
    monkeypatch.setattr(ridge, "operations", lambda d, device: asked.append(device) or operations._OnDevice(d, "cpu"))
    found = fit_ridge(x, y, ALPHAS, groups, selection=selection, dtype=dtype, device="cuda")
    assert asked == ["cuda"]
    # of two libraries; what is beyond it changes with the processor
    tolerance = 1e-4 if dtype == "float32" else 2e-6 if selection == "kfold" else 1e-8
    np.testing.assert_array_equal(found.alphas, wanted.alphas)
    np.testing.assert_allclose(found.errors, wanted.errors, rtol=tolerance)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-4, atol=1e-4 * np.abs(wanted.weights).max())


def test_a_gpu_that_is_not_there_is_an_error_and_no_fallback():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    x, y, groups = made("n > p")
    with pytest.raises((RuntimeError, AssertionError)):
        fit_ridge(x, y, ALPHAS, groups, device="cuda", selection="kfold")


@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
def test_one_image_cannot_be_left_out(selection):
    x, y, _ = made("n > p")
    with pytest.raises(ValueError, match="two groups of trials or more, found 1"):
        fit_ridge(x, y, ALPHAS, np.zeros(len(x), int), selection=selection)
    found = fit_ridge(x, y, ALPHAS[:1], np.zeros(len(x), int), selection=selection)
    assert set(found.alphas) == {ALPHAS[0]}


@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
@pytest.mark.parametrize("alpha_per", ["target", "model"])
@pytest.mark.parametrize("kind", ["n > p", "n < p"])
def test_a_refit_is_the_fit(selection, alpha_per, kind):
    x, y, groups = made(kind)
    again = refit_ridge(x, x[::2] + 0.5, ALPHAS, groups, selection=selection, alpha_per=alpha_per)
    for targets in (y, y[::-1]):
        found = fit_ridge(x, targets, ALPHAS, groups, selection=selection, alpha_per=alpha_per)
        wanted = (x[::2] + 0.5) @ found.weights + found.intercept
        np.testing.assert_allclose(again(targets), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
@pytest.mark.parametrize("kind", ["n > p", "n < p"])
def test_blocks_of_targets_change_nothing(selection, kind, monkeypatch):
    x, y, groups = made(kind)
    whole = fit_ridge(x, y, ALPHAS, groups, selection=selection)
    monkeypatch.setattr(folds, "BLOCK", 3)
    monkeypatch.setattr(folds, "FOLD_BLOCKS", 2)
    blocked = fit_ridge(x, y, ALPHAS, groups, selection=selection)
    np.testing.assert_array_equal(blocked.alphas, whole.alphas)
    np.testing.assert_allclose(blocked.errors, whole.errors, rtol=1e-6 if selection == "kfold" else 1e-12)
    monkeypatch.setattr(ridge, "KEPT_BYTES", 0)
    again = fit_ridge(x, y, ALPHAS, groups, selection=selection)
    np.testing.assert_array_equal(again.alphas, whole.alphas)
    np.testing.assert_allclose(again.errors, whole.errors, rtol=1e-6 if selection == "kfold" else 1e-12)


def test_an_unknown_way_to_choose_is_refused():
    x, y, groups = made("n > p")
    with pytest.raises(ValueError, match="one of kfold, loo, gcv, not 'aic'"):
        fit_ridge(x, y, ALPHAS, groups, selection="aic")


@pytest.mark.parametrize("selection", ["kfold", "loo", "gcv"])
def test_targets_are_never_copied_whole(selection):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1200, 24), dtype="f4")
    y = rng.standard_normal((1200, 16_384), dtype="f4")
    tracemalloc.start()
    fit_ridge(x, y, ALPHAS[-2:], np.arange(1200) // 3, selection=selection)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < y.nbytes  # in double precision they would be twice that
