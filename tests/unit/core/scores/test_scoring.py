"""Scorers against plain loops, and comparisons between models by simulation."""

from pathlib import Path

import numpy as np
import pytest

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import statistics
from boldflow.core.scores.comparison import compare
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.core.scores.win_shares import win_draws, win_shares


def retrieval(seed=0, n_images=12, repeats=3, n_features=30, noise=2.0, extra=20):
    rng = np.random.default_rng(seed)
    everything = rng.normal(size=(n_images + extra, n_features))
    image = rng.permutation(np.repeat(np.arange(n_images), repeats))
    test = TestSet(np.zeros(len(image), int), image, np.zeros(n_images, int), np.arange(n_images))
    predicted = everything[image] + noise * rng.normal(size=(len(image), n_features))
    scorer = RetrievalScorer(test, everything[:n_images], [everything], np.arange(n_images))
    return scorer, predicted, image


def by_key(measures):
    return {m.key: m for m in measures}


def test_every_view_and_gallery_is_a_plain_loop():
    scorer, predicted, image = retrieval()
    averaged = np.stack([predicted[image == i].mean(axis=0) for i in range(12)])
    found = by_key(scorer.measure(predicted))
    for view, queries, own in (("trial", predicted, image), ("image", averaged, np.arange(12))):
        for gallery, candidates in (("test", scorer.targets), ("full", scorer.everything[0])):
            cosine = queries @ (candidates / np.linalg.norm(candidates, axis=1, keepdims=True)).T
            place = np.array([(row > row[t]).sum() for row, t in zip(cosine, own, strict=True)])
            wanted = {"top1": (place < 1).mean(), "top5": (place < 5).mean(), "mean_rank": place.mean()}
            wanted |= {"median_rank": np.median(place), "inv_norm_rank": (1 - place / (len(candidates) - 1)).mean()}
            for metric, value in wanted.items():
                one = found[(view, metric, None, gallery)]
                assert one.value == pytest.approx(value), (view, metric, gallery)
                assert one.gallery_size == len(candidates)


# What versions 0.2.3 and 0.4.0 of NeuralBench call their scores: ours, but for view and gallery, which endings tell.
NEURALBENCH = {
    "median_retrieval_rank": "median_rank",
    "mean_retrieval_rank": "mean_rank",
    "std_retrieval_rank": "sd_rank",
    **{f"top{k}_acc": f"top{k}" for k in (1, 5, 10)},
    "inv_norm_rank_mean": "inv_norm_rank",
    "inv_norm_rank_median": "inv_norm_rank_median",
}
OF_BATCHES = ("median_rank", "mean_rank", "std_rank", "inv_norm_rank_mean", "inv_norm_rank_median")
OF_BATCHES = tuple(f"batch_{name}" for name in (*OF_BATCHES, "top1_acc", "top5_acc", "top10_acc"))


def reduced(name, ranks, sizes):
    """By the name of a score, from ranks in galleries of these sizes; ties are rare enough to share."""
    places = 1 - ranks / (sizes - 1)
    known = {"inv_norm_rank_mean": np.mean(places), "inv_norm_rank_median": np.median(places)}
    known |= {"median": np.median(ranks), "mean": np.mean(ranks), "std": np.std(ranks, ddof=1)}
    known |= {f"top{k}_acc": np.mean(ranks < k) for k in (1, 5, 10)}
    return next(value for part, value in known.items() if name.startswith(part))


def place(query, candidates, own):
    """Mean of the ranks with and without what is level, one candidate after the other."""
    scores = [float(query @ one) / float(np.linalg.norm(one)) for one in candidates]
    above = sum(one > scores[own] for one in scores)
    return (above + sum(one >= scores[own] for one in scores) - 1) / 2


@pytest.mark.parametrize("smaller", [False, True], ids=["all pictures", "size=250"])
@pytest.mark.parametrize("ending", ["", "_subject-agg"])
def test_scores_of_neuralbench_by_their_names_are_plain_loops_over_the_pictures(ending, smaller):
    """One subject: instance-agg is subject-agg, and subject-ind the plain score."""
    rng = np.random.default_rng(5)
    n, repeats = 260, rng.integers(1, 4, 260)
    image = rng.permutation(np.repeat(np.arange(n), repeats))
    targets = rng.normal(size=(n, 8))
    predicted = targets[image] + 2 * rng.normal(size=(len(image), 8))
    test = TestSet(np.zeros(len(image), int), image, np.zeros(n, int), np.arange(n))
    found = by_key(RetrievalScorer(test, targets).measure(predicted))
    there = sorted(sorted(range(n), key=lambda one: -repeats[one])[:250]) if smaller else list(range(n))
    if ending:
        queries = [(predicted[image == one].mean(axis=0), there.index(one)) for one in there]
    else:
        queries = [(row, there.index(one)) for row, one in zip(predicted, image, strict=True) if one in there]
    ranks = np.array([place(query, targets[there], own) for query, own in queries])
    where = ("image" if ending else "trial", None, "frequent250" if smaller else "test")
    for name, metric in NEURALBENCH.items():
        one = found[where[0], metric, *where[1:]]
        assert one.value == pytest.approx(reduced(name, ranks, np.float64(len(there)))), (name, ending)
        assert one.gallery_size == len(there)


def test_scores_within_batches_are_plain_loops_and_trials_of_one_picture_are_level():
    scorer, predicted, image = retrieval(6, n_images=30, repeats=5)
    assert len(image) == 150  # two whole batches and one of 22
    found = by_key(scorer.measure(predicted))
    ranks, sizes = np.empty(150), np.empty(150)
    for first in (0, 64, 128):
        rows = image[first : first + 64]
        for number in range(len(rows)):
            ranks[first + number] = place(predicted[first + number], scorer.targets[rows], number)
            sizes[first + number] = len(rows)
    for name in (name for name in OF_BATCHES if "top" not in name):
        ours = {"std_rank": "sd_rank", "inv_norm_rank_mean": "inv_norm_rank"}.get(name[6:], name[6:])
        one = found["trial", ours, None, "batch64"]
        assert one.value == pytest.approx(reduced(name[6:], ranks, sizes)), name
    for k in (1, 5, 10):  # a true one that is level with others counts by its share of the first k places
        hits = []
        for first in (0, 64, 128):
            rows = image[first : first + 64]
            for number in range(len(rows)):
                cosine = scorer.targets[rows] @ predicted[first + number]
                cosine = cosine / np.linalg.norm(scorer.targets[rows], axis=1)
                above = (cosine > cosine[number] + 1e-9).sum()
                hits.append(np.clip((k - above) / (rows == rows[number]).sum(), 0, 1))
        one = found["trial", f"top{k}", None, "batch64"]
        assert one.value == pytest.approx(np.mean(hits)) and one.chance == pytest.approx(k * 3 / 150, abs=0.02)
    columns = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, scorer.targets[image].T, strict=True)]
    r = found["trial", "feature_r", None, None]
    assert r.value == pytest.approx(np.mean(columns))
    counts = statistics.bootstrap_counts(30, 5, 0)
    for drawn, count in zip(r.draw(counts), counts, strict=True):
        rows = np.repeat(np.arange(150), count[image])
        pairs = zip(predicted[rows].T, scorer.targets[image[rows]].T, strict=True)
        assert drawn == pytest.approx(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


def test_smaller_galleries_and_batches_follow_permuted_labels():
    """Predictions of other pictures: with their labels permuted alike the scores are the same."""
    rng = np.random.default_rng(7)
    scorer, predicted, _ = retrieval(7, n_images=260, repeats=2, n_features=8)
    order = rng.permutation(260)
    other = RetrievalScorer(scorer.test, scorer.targets[order])
    plain = RetrievalScorer(scorer.test, scorer.targets)
    wanted, found = by_key(other.measure(predicted)), by_key(plain.measure(predicted, order))
    for gallery in ("frequent250", "batch64"):
        for metric in ("top5", "mean_rank"):
            assert found["trial", metric, None, gallery].value == wanted["trial", metric, None, gallery].value
    assert found["trial", "feature_r", None, None].value == wanted["trial", "feature_r", None, None].value


def test_the_page_of_neuralbenchs_metrics_has_each_of_their_names():
    page = (Path(__file__).parents[4] / "docs/neuralbench.md").read_text(encoding="utf-8")
    endings = ("_subject-agg", "_instance-agg", "_subject-ind", "_size=250")
    for name in (*NEURALBENCH, *OF_BATCHES, "batch_pearson_corr", *endings):
        assert f"`{name}`" in page, name


def test_bootstrap_draws_are_the_measure_of_the_resampled_images():
    scorer, predicted, image = retrieval(1)
    counts = statistics.bootstrap_counts(12, 20, 0)
    one = by_key(scorer.measure(predicted))[("trial", "top5", None, "test")]
    cosine = predicted @ (scorer.targets / np.linalg.norm(scorer.targets, axis=1, keepdims=True)).T
    hit = np.array([(row > row[t]).sum() < 5 for row, t in zip(cosine, image, strict=True)])
    wanted = [np.repeat(hit, draw[image]).mean() for draw in counts]
    np.testing.assert_allclose(one.draw(counts), wanted)


def test_drawn_galleries_are_like_small_test_sets():
    """Witness: galleries of 250 drawn anew, many of them."""
    scorer, predicted, _ = retrieval(2, n_images=320, repeats=1, n_features=8, noise=1.5, extra=0)
    found = by_key(scorer.measure(predicted))[("trial", "top1", None, "draws250")]
    rng = np.random.default_rng(0)
    cosine = (
        scorer.measure.__self__
        and predicted @ (scorer.targets / np.linalg.norm(scorer.targets, axis=1, keepdims=True)).T
    )
    image, hits = scorer.test.image, []
    for _ in range(60):
        pick = rng.permutation(320)[:250]
        rows = np.flatnonzero(np.isin(image, pick))
        hits.append((pick[cosine[rows][:, pick].argmax(axis=1)] == image[rows]).mean())
    assert found.gallery_size == 250
    assert found.value == pytest.approx(np.mean(hits), abs=0.01)


def test_permuted_labels_change_what_is_true_and_nothing_else():
    scorer, predicted, _ = retrieval(3)
    identity = by_key(scorer.measure(predicted, np.arange(12)))
    assert {k: m.value for k, m in identity.items()} == {
        k: m.value for k, m in by_key(scorer.measure(predicted)).items()
    }
    other = by_key(scorer.measure(predicted, np.roll(np.arange(12), 1)))
    assert other[("image", "top1", None, "test")].value < identity[("image", "top1", None, "test")].value


def test_nearest_gives_the_ranks_of_the_image_view():
    scorer, predicted, _ = retrieval(4)
    rank, best, score = scorer.nearest(predicted)
    assert rank.mean() == pytest.approx(by_key(scorer.measure(predicted))[("image", "mean_rank", None, "test")].value)
    first = rank == 0
    np.testing.assert_array_equal(best[first, 0], np.flatnonzero(first))
    assert (np.diff(score, axis=1) <= 0).all()


def test_galleries_of_different_sizes_have_each_their_own_chance():
    rng = np.random.default_rng(8)
    fold = np.repeat([0, 1, 2], [7, 4, 1])
    test = TestSet(fold, np.arange(12), fold, np.arange(12))
    targets = rng.normal(size=(12, 5))
    predicted = targets + rng.normal(size=(12, 5))
    scores = by_key(RetrievalScorer(test, targets).measure(predicted))
    ranks, sizes = [], np.repeat([7, 4], [7, 4])
    for rows in (np.arange(7), np.arange(7, 11)):
        ranks += [place(predicted[row], targets[rows], number) for number, row in enumerate(rows)]
    hits = np.array(ranks) < 5
    top5 = scores["trial", "top5", None, "test"]
    assert top5.value == pytest.approx(hits.mean()) and top5.chance == pytest.approx((7 * 5 / 7 + 4 * 1) / 11)
    normalised = scores["trial", "inv_norm_rank", None, "test"]
    assert normalised.value == pytest.approx(np.mean(1 - np.array(ranks) / (sizes - 1))) and normalised.chance == 0.5
    assert normalised.gallery_size is None and "galleries of 1 to 7" in normalised.remark
    assert not any(key[1] in ("median_rank", "mean_rank", "nway50") and key[3] == "test" for key in scores)


def test_a_picture_alone_in_its_fold_has_no_rank():
    test = TestSet(np.arange(3), np.arange(3), np.arange(3), np.arange(3))
    scores = by_key(RetrievalScorer(test, np.eye(3)).measure(np.eye(3)))
    rank = scores["trial", "inv_norm_rank", None, "test"]
    assert np.isnan(rank.value) and "alone in its fold" in rank.remark


def test_encoding_draws_are_the_correlations_of_resampled_images():
    rng = np.random.default_rng(5)
    image = np.repeat(np.arange(15), 2)
    test = TestSet(np.zeros(30, int), image, np.zeros(15, int), np.arange(15))
    truth = rng.normal(size=(15, 6))
    scorer = EncodingScorer(
        test, truth[image] + rng.normal(size=(30, 6)), {"all": np.ones(6, bool), "two": np.arange(6) < 2}
    )
    found = {m.key: m for m in scorer.measure(truth[image])}
    counts = statistics.bootstrap_counts(15, 8, 0)
    for region, columns in (("all", slice(None)), ("two", slice(2))):
        draws = found[("image", "r", region, None)].draw(counts)
        for draw, value in zip(counts, draws, strict=True):
            rows = np.repeat(np.arange(15), draw)
            r = [np.corrcoef(truth[rows, v], scorer.measured[rows, v])[0, 1] for v in range(6)]
            assert value == pytest.approx(np.mean(r[columns]))


def test_equal_models_are_tied_and_different_ones_are_not():
    rng = np.random.default_rng(6)
    counts = statistics.bootstrap_counts(60, 1000, 0)
    false, true = 0, 0
    for _ in range(60):
        common = rng.normal(size=60)
        scores = np.stack([common + 0.3 * rng.normal(size=60) for _ in range(3)])
        better = np.vstack([scores, common + 0.4 + 0.3 * rng.normal(size=60)])
        draws = counts @ better.T / 60
        for one in compare(better.mean(axis=1), draws.T, n_units=60):
            if one.second == 3:
                true += not one.tied
            else:
                false += not one.tied
    assert true > 0.95 * 180
    assert false <= 0.05 * 60 + 4  # of 60 families of pairs, at most about 5 % hold a false difference


def encoders(seed=0, n=20, v=9):
    rng = np.random.default_rng(seed)
    measured = rng.normal(size=(n, v))
    return measured, [measured + noise * rng.normal(size=(n, v)) for noise in (0.5, 1.0, 3.0)]


def test_win_draws_are_a_plain_loop_over_vertices_of_the_drawn_images():
    measured, predicted = encoders()
    predicted[1][:, 4] = predicted[0][:, 4]  # a tie counts half
    regions = [np.ones(9, bool), np.arange(9) > 3]
    counts = statistics.bootstrap_counts(20, 6, 0)
    found = win_draws(predicted, measured, regions, counts)
    assert found.shape == (3, 6, 2)
    for draw, count in enumerate(counts):
        rows = np.repeat(np.arange(20), count)
        r = [[np.corrcoef(one[rows, v], measured[rows, v])[0, 1] for v in range(9)] for one in predicted]
        for pair, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
            won = [
                1.0 if x > y + 1e-12 else 0.5 if abs(x - y) < 1e-12 else 0.0 for x, y in zip(r[a], r[b], strict=True)
            ]
            assert found[pair, draw] == pytest.approx([np.mean(won), np.mean(np.array(won)[4:])])


def test_win_shares_span_the_draws_and_the_value_and_judge_with_holm():
    rng = np.random.default_rng(0)
    draws = np.stack([rng.normal(0.7, 0.05, 999), rng.normal(0.5, 0.05, 999), rng.normal(0.56, 0.05, 999)])
    found = win_shares(3, np.array([0.85, 0.5, 0.58]), draws)
    assert [(one.first, one.second) for one in found] == [(0, 1), (0, 2), (1, 2)]
    assert [one.tied for one in found] == [False, True, True]
    assert found[0].ci_low == pytest.approx(np.quantile(draws[0], 0.025))
    assert found[0].ci_high == pytest.approx(min(1, np.quantile(draws[0], 0.975) + 0.85 - draws[0].mean()))
    for one, drawn in zip(found, draws, strict=True):
        assert one.p == pytest.approx(statistics.bootstrap_p(drawn - 0.5))
        assert 0 <= one.ci_low <= one.value <= one.ci_high <= 1 and one.p_holm >= one.p


def test_win_shares_of_equal_encoders_exclude_one_half_as_seldom_as_they_say():
    """Simulation: two predictions of one quality; vertices are few and go together."""
    wrong, studies = 0, 120
    for seed in range(studies):
        rng = np.random.default_rng([5, seed])
        load = rng.normal(size=(6, 30))
        signal, a, b = (rng.normal(size=(40, 6)) @ load for _ in range(3))
        measured = signal + rng.normal(size=(40, 30))
        counts = np.concatenate([np.ones((1, 40), int), statistics.bootstrap_counts(40, 200, 0)])
        draws = win_draws([signal + a, signal + b], measured, [np.ones(30, bool)], counts)[:, :, 0]
        (one,) = win_shares(2, draws[:, 0], draws[:, 1:])
        wrong += not one.ci_low <= 0.5 <= one.ci_high
    assert wrong / studies <= 0.1


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.2])
def test_a_published_ncsnr_gives_the_ceiling_of_means_of_so_many_trials(ratio):
    """Witness: how well means of three noisy trials correlate with the signal in them."""
    rng = np.random.default_rng(0)
    signal = ratio * rng.normal(size=200_000)
    measured = signal + rng.normal(size=(3, signal.size)).mean(axis=0)
    explained = np.corrcoef(signal, measured)[0, 1] ** 2 if ratio else 0.0
    image = np.repeat(np.arange(40), 3)
    test = TestSet(np.zeros(120, int), image, np.zeros(40, int), np.arange(40))
    responses = rng.normal(size=(120, 5)) * np.arange(1, 6)  # noise alone: what repeats say is another thing
    regions = {"all": np.ones(5, bool)}
    scorer = EncodingScorer(test, responses, regions, np.full(5, ratio))
    assert scorer.ceiling == pytest.approx(explained, abs=0.005)
    (measure,) = [one for one in scorer.measure(rng.normal(size=(120, 5))) if one.metric == "ceiling"]
    assert measure.value == pytest.approx(explained, abs=0.005)
    plain = EncodingScorer(test, responses, regions)
    np.testing.assert_array_equal(plain.signal, scorer.signal)  # the share explained is as measured
    assert plain.ceiling.mean() < 0.3


def test_a_published_ncsnr_is_used_where_nothing_is_repeated_and_refused_where_it_is_none():
    rng = np.random.default_rng(0)
    test = TestSet(np.zeros(9, int), np.arange(9), np.zeros(9, int), np.arange(9))
    scorer = EncodingScorer(test, rng.normal(size=(9, 2)), {"all": np.ones(2, bool)}, np.array([1.0, 2.0]))
    np.testing.assert_allclose(scorer.ceiling, [0.5, 0.8])
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match="1 of 2 ncsnr are no ratio of two spreads"):
            EncodingScorer(test, rng.normal(size=(9, 2)), {"all": np.ones(2, bool)}, np.array([1.0, wrong]))
