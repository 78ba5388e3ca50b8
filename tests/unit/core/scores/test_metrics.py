"""Metrics against SciPy, scikit-learn and brute force, ties included."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from boldflow.core import averaging
from boldflow.core.scores import metrics
from boldflow.core.scores.statistics import permute_within


def brute_ranks(predictions, gallery, true):
    """Sort whole rows: mean place of the true one among candidates with the same score."""
    places = []
    for x, t in zip(predictions, true, strict=True):
        scores = cosine_similarity(x[None], gallery)[0].round(12)
        places.append(np.flatnonzero(np.isin(np.sort(scores)[::-1], scores[t])).mean())
    return np.array(places)


@pytest.mark.parametrize("seed", range(5))
def test_ranks_agree_with_sorting_even_with_ties(seed):
    rng = np.random.default_rng(seed)
    gallery = rng.integers(-2, 3, size=(12, 3)).astype(float)
    gallery[np.linalg.norm(gallery, axis=1) == 0] = 1
    gallery[5] = gallery[2]
    true = rng.integers(0, 12, size=30)
    predictions = rng.integers(-2, 3, size=(30, 3)).astype(float) + 0.25
    scores = metrics.identification_scores(predictions, gallery).round(12)
    np.testing.assert_allclose(metrics.ranks(scores, true).rank, brute_ranks(predictions, gallery, true))


@pytest.mark.parametrize("k", [1, 5, 7])
def test_all_equal_scores_give_chance_exactly(k):
    found = metrics.ranks(np.zeros((4, 7)), np.array([0, 3, 6, 2]))
    assert metrics.top_k(found, k) == pytest.approx(np.full(4, k / 7))
    assert metrics.inverse_normalised_rank(found) == pytest.approx(np.full(4, 0.5))


@pytest.mark.parametrize(("n", "size"), [(400, 5), (33, 7), (1536, 24)])
def test_copies_of_one_candidate_tie_exactly(n, size):
    rng = np.random.default_rng(0)
    scores = metrics.identification_scores(rng.normal(size=(7, n)), np.tile(rng.normal(size=n), (size, 1)))
    assert metrics.top_k(metrics.ranks(scores, np.full(7, size - 1)), 1) == pytest.approx(np.full(7, 1 / size))


def test_top_k_is_the_share_of_random_tie_breaks_that_succeed():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, size=(1, 10)).astype(float)
    broken = scores + 1e-6 * rng.random((20_000, 10))
    share = (np.argsort(-broken, axis=1)[:, :3] == 4).any(axis=1).mean()
    assert metrics.top_k(metrics.ranks(scores, np.array([4])), 3)[0] == pytest.approx(share, abs=0.02)


def test_ranks_are_the_same_in_single_and_double_precision():
    rng = np.random.default_rng(1)
    predictions, gallery = rng.normal(size=(50, 40)), rng.normal(size=(60, 40))
    true = np.arange(50)
    double = metrics.ranks(metrics.identification_scores(predictions, gallery), true)
    single = metrics.ranks(metrics.identification_scores(predictions.astype("f4"), gallery.astype("f4")), true)
    np.testing.assert_array_equal(double.rank, single.rank)


def test_a_nan_score_is_refused_because_it_would_rank_first():
    with pytest.raises(ValueError, match="1 queries have NaN"):
        metrics.ranks(np.array([[0.0, np.nan], [0.0, 1.0]]), np.array([0, 1]))


def test_class_hits_are_accuracy_where_nothing_ties():
    rng = np.random.default_rng(2)
    scores, true = rng.normal(size=(200, 8)), rng.integers(0, 8, 200)
    assert metrics.class_hits(scores, true).mean() == pytest.approx(accuracy_score(true, scores.argmax(axis=1)))
    assert metrics.class_hits(np.zeros((3, 8)), np.arange(3)) == pytest.approx(np.full(3, 1 / 8))


def test_weighted_correlation_is_scipys_on_the_resampled_rows():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 6)), rng.normal(size=(30, 6))
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=4)
    found = metrics.weighted_correlation(x, y, counts.astype(float))
    for draw, row in zip(counts, found, strict=True):
        where = np.repeat(np.arange(30), draw)
        wanted = [stats.pearsonr(x[where, v], y[where, v]).statistic for v in range(6)]
        np.testing.assert_allclose(row, wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_correlation_is_scipys_also_over_more_columns_than_a_block_holds(dtype):
    x = np.random.default_rng(5).normal(3.0, size=(30, 150)).astype(dtype)
    y = (0.5 * x + np.random.default_rng(6).normal(size=x.shape)).astype(dtype)
    wanted = [stats.pearsonr(a, b).statistic for a, b in zip(x.T.astype("f8"), y.T.astype("f8"), strict=True)]
    np.testing.assert_allclose(metrics.correlation(x, y), wanted, atol=1e-12)
    assert metrics.correlation(x[:, :0], y[:, :0]).shape == (0,)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_constant_prediction_correlates_zero(offset):
    y = np.random.default_rng(4).normal(size=(20, 2))
    x = np.full((20, 2), offset) + 0.1
    assert (metrics.weighted_correlation(x, y, np.ones((1, 20))) == 0).all()
    assert (metrics.correlation(x, y) == 0).all()
    assert (metrics.correlation(y, x) == 0).all()
    assert (metrics.correlation(x, 2 * x) == 0).all()


def test_two_way_is_a_plain_count_of_correlations():
    rng = np.random.default_rng(7)
    predictions, gallery = rng.normal(size=(15, 20)), rng.normal(size=(9, 20))
    gallery[4] = 2 * gallery[1] + 3  # correlates exactly as much
    true = rng.integers(0, 9, 15)
    wanted = []
    for x, t in zip(predictions, true, strict=True):
        r = np.array([stats.pearsonr(x, y).statistic for y in gallery]).round(10)
        others = np.delete(r, t)
        wanted.append((others < r[t]).mean() + 0.5 * (others == r[t]).mean())
    found = metrics.two_way(predictions, gallery, true)
    # the copy of another scale ties only up to rounding: it may fall to either side
    apart = ~np.isin(true, [1, 4])
    np.testing.assert_allclose(found[apart], np.array(wanted)[apart])


@pytest.mark.parametrize("n", [2, 5, 12])
def test_n_way_top1_is_what_random_draws_give(n):
    rng = np.random.default_rng(8)
    scores = rng.integers(0, 6, size=(4, 12)).astype(float)
    true = rng.integers(0, 12, 4)
    hits = np.zeros(4)
    for _ in range(8000):
        broken = scores + 1e-6 * rng.random((4, 12))
        for q, t in enumerate(true):
            others = rng.choice(np.delete(np.arange(12), t), n - 1, replace=False)
            hits[q] += broken[q, t] > broken[q, others].max()
    assert metrics.n_way_top1(metrics.ranks(scores, true), n) == pytest.approx(hits / 8000, abs=0.025)


def test_n_way_needs_a_gallery_large_enough():
    with pytest.raises(ValueError, match="50 candidates cannot be drawn from a gallery of 12"):
        metrics.n_way_top1(metrics.ranks(np.zeros((1, 12)), np.zeros(1, int)), 50)


def test_class_auc_is_scikit_learns():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(9)
    scores, true = rng.integers(0, 5, (60, 4)).astype(float), rng.integers(0, 4, 60)
    wanted = np.mean([roc_auc_score(true == c, scores[:, c]) for c in range(4)])
    assert metrics.class_auc(scores, true) == pytest.approx(wanted)
    assert metrics.class_auc(np.zeros((60, 4)), true) == pytest.approx(0.5)


def test_predictions_of_an_image_are_averaged_over_the_subjects_who_saw_it():
    import pandas as pd

    rng = np.random.default_rng(11)
    ids = [np.array(list("abc")), np.array(list("cad")), np.array(list("e"))]
    values = [rng.normal(size=(len(i), 3)) for i in ids]
    found, names = averaging.average_over_subjects(values, ids)
    wanted = pd.DataFrame(np.concatenate(values)).groupby(np.concatenate(ids)).mean()
    assert names.tolist() == wanted.index.tolist()
    np.testing.assert_allclose(found, wanted.to_numpy())
    with pytest.raises(ValueError, match="subject 1 has images more than once"):
        averaging.average_over_subjects([np.zeros((1, 2)), np.zeros((2, 2))], [np.array(["a"]), np.array(["b", "b"])])


def test_the_area_is_scikit_learns_to_the_last_but_one_digit():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    for _ in range(50):
        scores, inside = rng.integers(0, 20, 37).astype(float), rng.random(37) < 0.4
        assert metrics.area(scores, inside) == pytest.approx(roc_auc_score(inside, scores), rel=1e-14)


def test_accuracy_by_chance_is_the_mean_over_true_classes_that_trade_places_within_folds():
    rng = np.random.default_rng(4)
    fold, true = np.repeat([0, 1], [30, 12]), rng.choice(3, size=42, p=[0.6, 0.3, 0.1])
    evidence = rng.integers(0, 4, size=(42, 3)).astype(float)  # with ties
    traded = [metrics.class_hits(evidence, permute_within(true, fold, rng)).mean() for _ in range(4000)]
    by_chance = metrics.class_hits_by_chance(evidence, true, fold)
    assert abs(by_chance - np.mean(traded)) < 4 * np.std(traded) / np.sqrt(4000)


def test_accuracy_by_chance_is_one_of_all_classes_where_these_are_balanced_and_the_largest_share_of_a_constant_guess():
    fold, true = np.repeat([0, 1], 24), np.tile(np.arange(8), 6)
    evidence = np.random.default_rng(5).normal(size=(48, 8))
    assert metrics.class_hits_by_chance(evidence, true, fold) == 1 / 8
    constant = np.tile([0.7, 0.2, 0.1], (10, 1))
    skewed = np.repeat([0, 1, 2], [6, 3, 1])
    assert metrics.class_hits_by_chance(constant, skewed, np.zeros(10, dtype=int)) == pytest.approx(0.6)


@pytest.mark.parametrize("sizes", [[16], [17], [16, 17], [10, 22, 22], [2, 40]])
def test_median_rank_by_chance_is_that_of_uniform_ranks(sizes):
    queries = np.repeat(sizes, sizes)  # each picture of a gallery is looked for
    rng = np.random.default_rng(6)
    drawn = rng.integers(0, np.tile(queries, (4000, 1)))
    smooth = drawn + rng.uniform(-0.5, 0.5, size=drawn.shape)  # between ranks by share
    by_chance = metrics.median_rank_by_chance(queries)
    assert abs(by_chance - np.median(smooth)) < 0.1
    if len(sizes) == 1:
        assert by_chance == pytest.approx((sizes[0] - 1) / 2)
