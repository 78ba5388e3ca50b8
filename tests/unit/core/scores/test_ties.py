"""Ties: two models share a group exactly when they are tied, whatever the pattern of ties."""

import itertools

import numpy as np
import pandas as pd
import pytest

from boldflow.core.scores import comparison, reference, statistics
from boldflow.core.scores.comparison import tie_groups, tie_letters


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95, 1.0])
def test_two_models_share_a_group_exactly_when_they_are_tied(share):
    rng = np.random.default_rng(int(share * 100))
    for n in (1, 2, 5, 17):
        tied = [pair for pair in itertools.combinations(range(n), 2) if rng.random() < share]
        groups = tie_groups(n, [pair if rng.random() < 0.5 else pair[::-1] for pair in tied])
        shared = {pair for group in groups for pair in itertools.combinations(sorted(group), 2)}
        assert shared == set(tied)
        assert set(itertools.chain(*groups)) == set(range(n))
        assert groups == sorted(groups)


def test_ties_that_are_not_transitive_make_two_groups():
    assert tie_groups(4, [(0, 1), (1, 2)]) == [[0, 1], [1, 2], [3]]


def test_a_group_may_not_name_a_model_that_does_not_exist():
    with pytest.raises(ValueError, match=r"\(0, 3\) is no pair of 3 models"):
        tie_groups(3, [(0, 3)])


def board(values, metric="top5", subject="sub-01"):
    names = [f"m{n}" for n in range(len(values))]
    return pd.DataFrame({"subject": subject, "metric": metric, "roi": None, "model": names, "value": values})


def pairs(tied, metric="top5", subject="sub-01", n=3):
    every = list(itertools.combinations(range(n), 2))
    table = pd.DataFrame({"subject": subject, "metric": metric, "roi": None}, index=range(len(every)))
    names = {"model_a": [f"m{a}" for a, _ in every], "model_b": [f"m{b}" for _, b in every]}
    return table.assign(**names, tied=[pair in tied for pair in every])


def letters(rows, table):
    return tie_letters(rows, table, ["subject", "metric", "roi"], ["model"], ("mse",)).tolist()


def test_the_first_letter_is_the_best_models():
    assert letters(board([0.2, 0.9, 0.5]), pairs([(0, 2)])) == ["b", "a", "b"]
    assert letters(board([0.2, 0.9, 0.5], "mse"), pairs([(0, 2)], "mse")) == ["a", "b", "a"]
    assert letters(board([0.2, 0.9, 0.5]), pairs([(0, 2), (1, 2)])) == ["b", "a", "ab"]


def test_letters_are_of_one_comparison_and_empty_where_there_was_none():
    rows = pd.concat([board([0.1, 0.2, 0.3]), board([0.3, 0.2, 0.1], subject="sub-02")], ignore_index=True)
    assert letters(rows, pairs([], subject="sub-02")) == ["", "", "", "a", "b", "c"]
    # a model of which no pair was made, and pairs of which a model has no row
    assert letters(board([0.1, 0.2, 0.3, 0.4]), pairs([(0, 1)])) == ["b", "b", "a", ""]
    assert letters(board([0.1, 0.2]), pairs([(0, 1)])) == ["a", "a"]


def test_a_model_that_is_twice_in_a_comparison_is_refused():
    with pytest.raises(ValueError, match="two rows would be one model"):
        letters(pd.concat([board([0.1, 0.2, 0.3])] * 2, ignore_index=True), pairs([]))


def test_letters_never_run_out():
    assert len({comparison.letter(n) for n in range(300)}) == 300
    assert all(len(comparison.letter(n)) == 1 for n in range(300))


@pytest.mark.parametrize("kind", ["normal", "hits"])
def test_ten_models_can_differ_and_equal_ones_rarely_do(kind):
    """45 pairs: no counted p of 1,000 draws survives Holm's adjustment over them, the tail's does."""
    rng = np.random.default_rng(3)
    n, counts = 24, statistics.bootstrap_counts(24, 1000, 0) / 24
    false, true = 0, []
    for _ in range(60):
        scores = rng.normal(size=(10, n)) if kind == "normal" else (rng.random((10, n)) < 0.3).astype(float)
        false += any(not one.tied for one in comparison.compare(scores.mean(axis=1), scores @ counts.T, n))
        scores[0] = rng.normal(1.7, 1, n) if kind == "normal" else rng.random(n) < 0.95
        found = comparison.compare(scores.mean(axis=1), scores @ counts.T, n)
        true += [not one.tied for one in found if one.first == 0]
    assert false <= 0.05 * 60 + 4
    assert np.mean(true) > 0.85


def test_a_difference_is_tested_by_t_with_the_spread_of_its_draws():
    rng = np.random.default_rng(4)
    from scipy import stats

    for shift in (0.05, 0.45, 3.0):
        d = rng.normal(shift, 1, 80)
        tested = statistics.paired(d.mean(), statistics.bootstrap_counts(80, 1000, 0) @ d / 80, 80)
        witness = stats.ttest_1samp(d, 0)
        assert np.log10(tested.p) == pytest.approx(np.log10(max(witness.pvalue, statistics.SMALLEST)), rel=0.15)
        interval = witness.confidence_interval()
        assert (tested.ci_low, tested.ci_high) == pytest.approx((interval.low, interval.high), abs=0.02)
    assert tested.p == statistics.SMALLEST


def test_what_never_varies_is_counted_and_what_is_undefined_has_no_p():
    assert statistics.paired(0.0, np.zeros(1000), 24) == statistics.Paired(1.0, 0.0, 0.0)
    assert statistics.paired(0.2, np.full(1000, 0.2), 24).p == statistics.bootstrap_p(np.full(1000, 0.2))
    assert np.isnan(statistics.paired(0.2, np.full(1000, np.nan), 24).p)
    draws = np.random.default_rng(0).normal(0.2, 0.1, 1000)
    some = np.where(np.arange(1000) % 50, draws, np.nan)
    assert statistics.paired(0.2, some, 24).p == pytest.approx(statistics.paired(0.2, draws, 24).p, rel=0.2)


def test_models_are_held_against_one_of_them():
    values, draws = np.array([0.5, 0.1, 0.3]), np.random.default_rng(1).normal([[0.5], [0.1], [0.3]], 0.05, (3, 1000))
    pairs = comparison.compare(values, draws, 30, reference=2)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2), (1, 2)]
    assert all(pair.p_holm <= 2 * pair.p for pair in pairs)


@pytest.mark.parametrize("metric", ["top5", "mse"])
def test_marks_against_a_reference_say_which_is_better_and_make_no_letters(metric):
    rows = board([0.5, 0.9, 0.2, 0.55, 0.1], metric)
    compared = [("m1", 0.4, False), ("m2", -0.3, False), ("m3", 0.05, True)]
    table = pd.DataFrame({"subject": "sub-01", "metric": metric, "roi": None}, index=range(3)).assign(
        **{"model_a": [name for name, _, _ in compared], "model_b": "m0", "against_reference": True},
        difference=[difference for _, difference, _ in compared],
        tied=[tied for _, _, tied in compared],
    )
    marks = reference.marks_against_reference(rows, table, ["subject", "metric", "roi"], ["model"], ("mse",))
    higher, lower = ("worse", "better") if metric == "mse" else ("better", "worse")
    assert marks.tolist() == ["reference", higher, lower, "tied", ""]
    assert letters(rows, table) == [""] * 5
    plain = pairs([(0, 2)])
    assert set(reference.marks_against_reference(rows, plain, ["subject", "metric", "roi"], ["model"], ())) == {""}
