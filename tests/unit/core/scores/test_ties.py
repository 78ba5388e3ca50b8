"""Ties: two models share a group exactly when they are tied, whatever the pattern of ties."""

import itertools

import numpy as np
import pandas as pd
import pytest

from boldflow.core.scores import comparison, statistics
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


def test_the_tails_p_is_that_of_a_paired_t_test_and_never_above_the_counted_one():
    rng = np.random.default_rng(4)
    from scipy import stats

    for shift in (0.05, 0.45, 3.0):
        d = rng.normal(shift, 1, 80)
        draws = statistics.bootstrap_counts(80, 1000, 0) @ d / 80
        p = statistics.paired_p(d.mean(), draws, 80)
        assert statistics.SMALLEST <= p <= statistics.bootstrap_p(draws)
        if shift == 0.45:
            assert np.log10(p) == pytest.approx(np.log10(stats.ttest_1samp(d, 0).pvalue), rel=0.15)
    assert p == statistics.SMALLEST
    assert statistics.paired_p(0.0, np.zeros(1000), 24) == 1.0
    assert statistics.paired_p(0.2, np.full(1000, 0.2), 24) == statistics.bootstrap_p(np.full(1000, 0.2))
