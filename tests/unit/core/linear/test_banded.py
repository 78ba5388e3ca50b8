"""Banded ridge against himalaya, scikit-learn and our own ridge; variance partition where the truth is planted."""

import numpy as np
import pytest
from himalaya.ridge import GroupRidgeCV
from himalaya.scoring import r2_score, r2_score_split
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit

from boldflow.core.linear import banded, partition
from boldflow.core.linear.ridge import fit_ridge, group_folds
from boldflow.core.networks.progress import Nowhere, Progress, Stopped
from boldflow.core.records.training import Band, TrainingData
from boldflow.models import banded_ridge
from boldflow.registry import literal

ALPHAS = np.logspace(-1, 4, 6)
BANDS = (Band("a", 0, 12), Band("b", 12, 30))
GROUPS = np.arange(100) // 2


def made(seed=0, n=100, noise=3.0):
    """Half of the targets follow band a, half band b."""
    rng = np.random.default_rng(seed)
    x = rng.normal(1, [1.0] * 12 + [2.0] * 18, size=(n, 30))
    y = np.hstack([x[:, :12] @ rng.normal(size=(12, 8)), x[:, 12:] @ rng.normal(size=(18, 8)) / 2])
    return x, y + noise * rng.normal(size=y.shape) + 1


def fitted(x, y, bands=BANDS, **more):
    return banded.fit_banded(x, y, bands, ALPHAS, GROUPS, more.pop("keeper", Nowhere()), **more)


@pytest.mark.parametrize("alpha_per", ["target", "model"])
def test_it_is_himalayas_search_over_the_same_draws(alpha_per):
    x, y = made()
    found = fitted(x, y, n_iter=10, alpha_per=alpha_per)
    peer = GroupRidgeCV(
        groups="input",
        fit_intercept=True,
        cv=PredefinedSplit(group_folds(GROUPS, 5, 0)),
        solver_params={
            "n_iter": found.draws, "alphas": ALPHAS, "local_alpha": alpha_per == "target", "progress_bar": False,
            "warn": False,
        },
    ).fit([x[:, :12], x[:, 12:]], y)  # fmt: skip
    assert len(np.unique(found.gammas, axis=1).T) > 2 and found.draws.shape == (10, 2)
    np.testing.assert_allclose(found.alphas, peer.best_alphas_, rtol=1e-9)
    np.testing.assert_allclose(found.gammas / found.alphas, np.exp(peer.deltas_), rtol=1e-9)
    np.testing.assert_allclose(found.errors, -peer.cv_scores_, rtol=1e-9)
    np.testing.assert_allclose(found.weights, peer.coef_, atol=2e-6)
    np.testing.assert_allclose(found.intercept, peer.intercept_, atol=1e-5)


def test_draws_begin_equal_sum_to_one_and_follow_the_seed():
    draws = banded.draw_gammas(20, 3, seed=5)
    np.testing.assert_allclose(draws[0], 1 / 3)
    np.testing.assert_allclose(draws.sum(axis=1), 1)
    assert (draws > 0).all() and draws.max() > 0.95
    np.testing.assert_array_equal(draws, banded.draw_gammas(20, 3, seed=5))
    assert (draws[1:] != banded.draw_gammas(20, 3, seed=6)[1:]).any()


@pytest.mark.parametrize("alpha_per", ["target", "model"])
def test_one_band_is_our_ridge(alpha_per):
    x, y = made()
    found = fitted(x, y, (Band("all", 0, 30),), alpha_per=alpha_per)
    ours = fit_ridge(
        x, y, ALPHAS, GROUPS, alpha_per=alpha_per, selection="kfold"
    )  # folds of one size: both average alike
    assert found.draws.tolist() == [[1.0]]
    np.testing.assert_array_equal(found.alphas, ours.alphas)
    np.testing.assert_allclose(found.weights, ours.weights, atol=1e-5)
    np.testing.assert_allclose(found.intercept, ours.intercept, atol=1e-5)
    if alpha_per == "target":
        np.testing.assert_allclose(found.errors[0], ours.errors.min(axis=0), rtol=2e-6)  # of single precision


def test_the_fit_is_scikit_learns_ridge_on_scaled_bands_and_without_a_band_on_the_others():
    x, y = made(1)
    found = fitted(x, y, n_iter=8, leave_out=True)
    new = made(2)[0][:9]
    for target in (0, 3, 9, 15):
        root = np.repeat(np.sqrt(found.gammas[:, target]), [12, 18])
        peer = Ridge(alpha=found.alphas[target]).fit(x * root, y[:, target])
        predicted = new @ found.weights[:, target] + found.intercept[target]
        np.testing.assert_allclose(predicted, peer.predict(new * root), atol=1e-4)
        for out, kept in ((0, slice(12, 30)), (1, slice(0, 12))):
            peer = Ridge(alpha=found.alphas[target]).fit(x[:, kept] * root[kept], y[:, target])
            predicted = new @ found.without[out][:, target] + found.without_intercept[out][target]
            np.testing.assert_allclose(predicted, peer.predict(new[:, kept] * root[kept]), atol=1e-4)


def test_single_precision_searches_alike():
    x, y = made(3)
    double, single = (fitted(x, y, n_iter=6, dtype=dtype) for dtype in ("float64", "float32"))
    np.testing.assert_allclose(single.errors, double.errors, rtol=1e-4)


class Place:
    """Keeps each step, and stops at one."""

    def __init__(self, stop_at=None, kept=None):
        self.stop_at, self.kept = stop_at, kept

    def part(self, name):
        return self

    def load(self):
        return self.kept

    def boundary(self, step, total, progress):
        found = progress()
        self.kept = Progress(found.step, {k: v.copy() for k, v in found.state.items()}, list(found.rows))
        if step == self.stop_at:
            raise Stopped


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(step):
    x, y = made(4)
    whole = fitted(x, y, n_iter=8)
    place = Place(stop_at=step)
    with pytest.raises(Stopped):
        fitted(x, y, n_iter=8, keeper=place)
    assert place.kept.step == step
    again = fitted(x, y, n_iter=8, keeper=Place(kept=place.kept))
    np.testing.assert_array_equal(again.weights, whole.weights)
    np.testing.assert_array_equal(again.errors, whole.errors)


@pytest.mark.parametrize(
    ("bands", "told"),
    [
        ((), "found none"),
        ((Band("a", 0, 12),), "a 0..12"),
        ((Band("a", 0, 12), Band("b", 11, 30)), "b 11..30"),
        ((Band("a", 0, 30), Band("b", 30, 30)), "b 30..30"),
    ],
)
def test_bands_that_do_not_cover_the_inputs_are_refused(bands, told):
    with pytest.raises(ValueError, match=f"bands must cover the 30 inputs.*{told}"):
        fitted(*made(), bands)


def test_values_that_are_not_finite_are_refused():
    x, y = made()
    y[3, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        fitted(x, y)


def settings(**given):
    schema = literal("models", "banded_ridge", "SETTINGS")
    return {key: one["default"] for key, one in schema.items() if "default" in one} | given


def planted(noise, seed=0, n=600, n_test=300):
    """Vertices 0-19 follow band a, 20-39 band b, 40-59 nothing; the bands are independent of each other."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + n_test, 30))
    signal = np.zeros((n + n_test, 60))
    signal[:, :20] = x[:, :12] @ rng.normal(size=(12, 20))
    signal[:, 20:40] = x[:, 12:] @ rng.normal(size=(18, 20))
    signal[:, :40] /= signal[:, :40].std(axis=0)
    y = signal + noise * rng.normal(size=signal.shape)
    data = TrainingData(x[:n], y[:n], np.arange(n) // 2, np.zeros(n, bool), BANDS)
    state = banded_ridge.fit([data], settings(n_iter=10, unique=True), [0], "cpu", None).states[0]
    return state, x[n:], y[n:]


def test_shares_of_planted_bands_are_recovered():
    """Witness: the share of variance that was planted, 1 / (1 + noise^2), for the band that drives a vertex."""
    noise = 0.7
    state, x, y = planted(noise)
    parts = banded_ridge.parts(state, x)
    predicted = banded_ridge.predict(state, x)
    np.testing.assert_allclose(parts.sum(axis=0) + state["intercept"], predicted, atol=1e-5)
    shares = partition.product_measure(y, parts)
    truth = 1 / (1 + noise**2)
    own, other = (slice(0, 20), slice(20, 40)), (slice(20, 40), slice(0, 20))
    for band in (0, 1):
        assert shares[band, own[band]].mean() == pytest.approx(truth, abs=0.04)
        assert abs(shares[band, other[band]].mean()) < 0.02
        assert abs(shares[band, 40:].mean()) < 0.02
    joint = partition.product_measure(y, predicted[None])[0]
    for band, left in enumerate(banded_ridge.without(state, x)):
        unique = joint - partition.product_measure(y, left[None])[0]
        np.testing.assert_allclose(unique[own[band]], shares[band, own[band]], atol=0.1)
        assert abs(unique[other[band]].mean()) < 0.02


def test_the_history_counts_each_target_once_and_names_the_bands():
    x, y = made()
    data = TrainingData(x, y, GROUPS, np.zeros(100, bool), BANDS)
    found = banded_ridge.fit([data], settings(n_iter=4), [0, 1], "cpu", None)
    assert len(found.history) == 8 and {"weight_a", "weight_b", "seed"} <= set(found.history[0])
    for seed in (0, 1):
        assert sum(row["n_targets"] for row in found.history if row["seed"] == seed) == 16
    assert banded_ridge.without(found.states[0], x) is None


def test_a_gpu_is_refused():
    with pytest.raises(ValueError, match="on the CPU, not on 'cuda'"):
        banded_ridge.fit([TrainingData(*made(), GROUPS, np.zeros(100, bool))], settings(), [0], "cuda", None)


def parts_and_measured(seed=0, n=40, v=7):
    rng = np.random.default_rng(seed)
    parts = rng.normal(2, 1, size=(3, n, v))
    return parts, parts.sum(axis=0) + 2 * rng.normal(size=(n, v)) - 5


def test_the_product_measure_is_himalayas_and_adds_up_to_r_squared():
    parts, y = parts_and_measured()
    found = partition.product_measure(y, parts)
    centred, each = y - y.mean(axis=0), parts - parts.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, r2_score_split(centred, each))
    np.testing.assert_allclose(found.sum(axis=0), r2_score(centred, each.sum(axis=0)))
    np.testing.assert_allclose(found, partition.product_measure(y + 100, parts - 3))


def test_a_measured_column_that_does_not_vary_has_no_shares():
    parts, y = parts_and_measured()
    y[:, 2] = 0.1
    found = partition.product_measure(y, parts)
    assert (found[:, 2] == 0).all() and np.isfinite(found).all()
    everything = np.zeros((7, 1))
    everything[2] = 1
    assert (partition.pooled_product_measure(y, parts, everything, np.ones((1, 40))) == 0).all()


def test_pooled_shares_of_a_draw_are_sums_over_its_rows_and_the_regions_vertices():
    parts, y = parts_and_measured(1)
    member = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0, 0]], dtype=float).T
    rng = np.random.default_rng(2)
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=5)
    found = partition.pooled_product_measure(y, parts, member, counts.astype(float))
    assert found.shape == (3, 5, 2)
    for draw, count in enumerate(counts):
        rows = np.repeat(np.arange(40), count)
        own, each = y[rows] - y[rows].mean(axis=0), parts[:, rows] - parts[:, rows].mean(axis=1, keepdims=True)
        brings = ((2 * own - each.sum(axis=0)) * each).sum(axis=1)  # (n_parts, n_vertices)
        np.testing.assert_allclose(found[:, draw], brings @ member / ((own**2).sum(axis=0) @ member))
