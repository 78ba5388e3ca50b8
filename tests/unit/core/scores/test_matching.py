"""Matched units: a permuted copy is found again, chance is not, and pairs are one to one."""

import itertools

import numpy as np
import pytest

from boldflow.core.scores.matching import match_units


def codes(seed, n=80, n_units=6, noise=0.3):
    """A code, and the same with its units in another order, scaled, with noise of its own and two units more."""
    rng = np.random.default_rng(seed)
    a, order = np.maximum(rng.normal(size=(n, n_units)), 0), rng.permutation(n_units)
    b = 3 * a[:, order] + noise * rng.normal(size=a.shape)
    return a, np.hstack([b, rng.normal(size=(n, 2))]), order


def halves(n):
    return np.arange(n) % 2 == 0


def test_the_units_of_a_shuffled_code_are_found_again_on_other_pictures():
    a, b, order = codes(0)
    found = match_units(a, b, halves(80), 50, 0)
    assert {tuple(pair) for pair in zip(found.second, found.first, strict=True)} == set(enumerate(order))
    assert (np.diff(found.r) <= 0).all() and found.stability > 0.9 and found.p == pytest.approx(1 / 51)
    for one, other, r in zip(found.first, found.second, found.held_out, strict=True):
        assert r == pytest.approx(np.corrcoef(a[1::2, one], b[1::2, other])[0, 1])


def test_the_assignment_is_the_best_of_all():
    """Witness: every way to pair four units."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 20, 4))
    r = np.corrcoef(a[::2].T, b[::2].T)[:4, 4:]
    best = max(r[range(4), list(order)].sum() for order in itertools.permutations(range(4)))
    assert match_units(a, b, halves(20), 0, 0).r.sum() == pytest.approx(best)


def test_on_codes_that_have_nothing_in_common_pairs_fall_apart_and_p_is_even():
    p, stability = [], []
    for seed in range(40):
        a, b = np.random.default_rng(seed).normal(size=(2, 24, 5))
        found = match_units(a, b, halves(24), 19, seed)
        p.append(found.p)
        stability.append(found.stability)
    assert abs(np.mean(stability)) < 0.06 and 0.35 < np.mean(p) < 0.65 and np.sum(np.array(p) <= 0.05) <= 7


def test_units_that_do_not_vary_have_no_partner():
    a, b, _ = codes(2)
    a[:, 0], b[:, 1] = 0, 5
    found = match_units(a, b, halves(80), 0, 0)
    assert 0 not in found.first and 1 not in found.second and len(found.first) == 5 and np.isnan(found.p)


def test_too_few_pictures_are_refused():
    a, b, _ = codes(3, n=5)
    with pytest.raises(ValueError, match="codes of 5 and 5 pictures, 3 of them"):
        match_units(a, b, halves(5), 0, 0)


def test_a_unit_that_is_constant_over_the_pictures_held_out_is_counted_and_not_zero():
    rng = np.random.default_rng(5)
    a = rng.normal(size=(40, 3))
    matching = np.arange(40) % 2 == 0
    b = a + 0.01 * rng.normal(size=a.shape)
    b[~matching, 0] = 1.0
    matches = match_units(a, b, matching, 0, 0)
    assert matches.n_undefined == 1 and matches.stability == pytest.approx(np.nanmean(matches.held_out))
    assert matches.stability > 0.99
    b[~matching] = 1.0
    silent = match_units(a, b, matching, 19, 0)
    assert silent.n_undefined == 3 and np.isnan(silent.stability) and np.isnan(silent.p)
