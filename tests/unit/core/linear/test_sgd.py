"""Linear least squares by steps, beside scikit-learn's ridge and a step taken by hand."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from boldflow.core.linear.sgd import fit_sgd
from boldflow.core.networks.progress import Nowhere, Progress


def data(n=60, p=5, v=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    return x, x @ rng.normal(size=(p, v)) + 0.3 * rng.normal(size=(n, v)) + 2


def fit(x, y, keeper=None, **more):
    given = {"alpha": 7.0, "n_epochs": 400, "batch_size": 60, "learning_rate": 0.5, "momentum": 0.9, "seed": 1} | more
    return fit_sgd(x, y, keeper=keeper or Nowhere(), **given)


def test_it_comes_to_scikit_learns_ridge():
    x, y = data()
    found, wanted = fit(x, y), Ridge(alpha=7.0).fit(x, y)
    np.testing.assert_allclose(found.state["weights"], wanted.coef_.T, atol=1e-6)
    np.testing.assert_allclose(found.state["intercept"], wanted.intercept_, atol=1e-6)
    small = fit(x, y, batch_size=7, n_epochs=600, learning_rate=0.1)
    np.testing.assert_allclose(small.state["weights"], wanted.coef_.T, atol=0.05)


def test_a_step_is_the_one_taken_by_hand():
    """One trial, one input, one target, from zero: the gradient of (wx + b - y)^2 / 2 is -yx and -y."""
    found = fit(np.array([[2.0]]), np.array([[3.0]]), alpha=0.0, n_epochs=1, batch_size=1, learning_rate=1.0)
    rate = 1.0 / (2.0**2 + 1)
    assert found.state["weights"].item() == pytest.approx(rate * 6)
    assert found.state["intercept"].item() == pytest.approx(rate * 3)
    assert found.rows == [{"epoch": 1, "mse": pytest.approx(9.0)}]


class Interrupted(Nowhere):
    """Ends the fit at given steps, as often as there are; hands back what was left."""

    def __init__(self, stops):
        self.stops, self.left = list(stops), None

    def load(self):
        return self.left

    def boundary(self, step, total, progress):
        if self.stops and step == self.stops[0]:
            self.stops.pop(0)
            kept = progress()
            state = {name: value.copy() for name, value in kept.state.items()}
            self.left = Progress(kept.step, state, [dict(row) for row in kept.rows])
            raise InterruptedError


def test_a_fit_that_was_stopped_gives_bit_for_bit_what_an_undisturbed_one_gives():
    x, y = data()
    place = Interrupted([1, 17, 39])
    for _ in range(3):
        with pytest.raises(InterruptedError):
            fit(x, y, place, n_epochs=40, batch_size=8)
    found, wanted = fit(x, y, place, n_epochs=40, batch_size=8), fit(x, y, n_epochs=40, batch_size=8)
    for name, value in wanted.state.items():
        np.testing.assert_array_equal(found.state[name], value)
    assert found.rows == wanted.rows


def test_another_seed_takes_other_steps_and_what_is_not_finite_is_refused():
    x, y = data()
    one, other = (fit(x, y, n_epochs=2, batch_size=8, seed=seed).state["weights"] for seed in (1, 2))
    assert not np.array_equal(one, other)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        fit(x, y)
