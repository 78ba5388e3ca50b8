"""Scores of decoded features: where the seen picture stands in a gallery, of test pictures or of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import metrics
from boldflow.core.scores.galleries import Gallery, Rows
from boldflow.core.scores.measures import Measure, query_measure
from boldflow.core.scores.moments import moments

TOP = (1, 5, 10)
N_WAY = 50
DRAWN = (250, 300)  # sizes of the random galleries that papers report
N_DRAWN = 30
N_NEAREST = 5
BATCH = 64  # test trials among which each is sought, in their order: NeuralBench's batches
BATCHES = f"batch{BATCH}"  # name of that gallery
FREQUENT = 250  # pictures of NeuralBench's smaller gallery

OF_ONE_SIZE = ("mean_rank", "median_rank", "sd_rank", "nway50")  # mean nothing over galleries of several sizes
ALONE = "no rank: each picture is alone in its fold"

Array = np.ndarray


@dataclass(frozen=True)
class RetrievalScorer:
    """Score decoded features by finding the seen picture in a gallery.

    ``targets`` (n_images, n_features): features of the test images in the scale of their fold's training targets.
    ``everything``: per fold, features of all stimuli in that scale, (n_stimuli, n_features), read in blocks; ``row``
    (n_images,): the stimulus of each test image. ``frequency`` (n_images,): how often each is tested, by all who are
    tested; by default as often as here.
    """

    test: TestSet
    targets: Array
    everything: Sequence[Rows] = field(default_factory=list)
    row: Array | None = None
    frequency: Array | None = None

    @cached_property
    def galleries(self) -> list[Gallery]:
        """Of all stimuli, one per fold: found to be distinct once, for all views and permutations."""
        return [Gallery(rows) for rows in self.everything]

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_features); ``true`` as in ``ClassScorer``."""
        shown_image = np.arange(self.test.n_images) if true is None else true
        measures: list[Measure] = []
        for view, decoded, image in self.test.views(predicted):
            measures += self._test_gallery(view, decoded, image, shown_image)
            measures += self._frequent(view, decoded, image, shown_image)
            if self.everything:
                measures += self._full_gallery(view, decoded, image, shown_image)
        return [*measures, *self._batches(predicted, shown_image), self._features(predicted, shown_image)]

    def nearest(self, predicted: Array) -> tuple[Array, Array, Array]:
        """Rank and best candidates of each query of the last view.

        Returns
        -------
        rank : array (n_queries,)
        best_images : int array (n_queries, N_NEAREST)
            Test images, best first; -1 where the gallery is smaller.
        score : array (n_queries, N_NEAREST)
        """
        _, decoded, image = self.test.views(predicted)[-1]
        n_queries = len(image)
        rank, best_images = np.empty(n_queries), np.full((n_queries, N_NEAREST), -1)
        score = np.full((n_queries, N_NEAREST), np.nan)
        for queries, gallery, scores in self._folds(decoded, image):
            ranked = metrics.ranks(scores, np.searchsorted(gallery, image[queries]))
            rank[queries] = ranked.rank
            k = min(N_NEAREST, len(gallery))
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            best_images[queries, :k] = gallery[order]
            score[queries, :k] = np.take_along_axis(scores, order, axis=1)
        return rank, best_images, score

    @cached_property
    def gallery_sizes(self) -> Array:
        """Test images of the fold of each test image, (n_images,): among so many it is sought."""
        return np.bincount(self.test.image_fold)[self.test.image_fold]

    def _folds(self, decoded: Array, image: Array) -> list[tuple[Array, Array, Array]]:
        """Give (queries, gallery, scores) of each fold."""
        folds = []
        for fold in np.unique(self.test.image_fold):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            gallery = np.flatnonzero(self.test.image_fold == fold)
            folds.append((queries, gallery, metrics.identification_scores(decoded[queries], self.targets[gallery])))
        return folds

    def _test_gallery(self, view: str, decoded: Array, image: Array, shown_image: Array) -> list[Measure]:
        """Find each picture among those of its fold; one that is alone in its fold has no rank."""
        sizes = self.gallery_sizes[image]
        n_above, n_tied = np.zeros(len(image), int), np.ones(len(image), int)
        two_way = np.full(len(image), np.nan)
        draw_values: dict[tuple[int, str], Array] = {}
        for queries, gallery, scores in self._folds(decoded, image):
            if len(gallery) < 2:
                continue
            true = np.searchsorted(gallery, shown_image[image[queries]])
            ranked = metrics.ranks(scores, true)
            n_above[queries], n_tied[queries] = ranked.above, ranked.tied
            two_way[queries] = metrics.two_way(decoded[queries], self.targets[gallery], true)
            for n in (n for n in DRAWN if n < sizes.min()):
                for name, values in _drawn(scores, true, n).items():
                    draw_values.setdefault((n, name), np.empty(len(image)))[queries] = values
        has_rank = np.flatnonzero(sizes > 1)
        unit = self.test.unit[image]
        if not len(has_rank):
            return [Measure(view, "inv_norm_rank", float("nan"), chance=0.5, gallery="test", remark=ALONE)]
        ranked = metrics.Ranks(n_above[has_rank], n_tied[has_rank], int(sizes.max()))
        if sizes.min() == sizes.max():
            measures = _rank_measures(view, ranked, unit, "test")
        else:
            places = 1 - ranked.rank / (sizes[has_rank] - 1)
            by_size = _rank_measures(view, ranked, unit[has_rank], "test", sizes[has_rank], places)
            remark = f"galleries of {sizes.min()} to {sizes.max()} pictures, chance is their mean"
            measures = [replace(m, gallery_size=None, remark=remark) for m in by_size if m.metric not in OF_ONE_SIZE]
        fields = {"gallery": "test", "gallery_size": measures[0].gallery_size, "remark": measures[0].remark}
        measures.append(query_measure(view, "two_way", two_way[has_rank], unit[has_rank], chance=0.5, **fields))
        for (n, name), values in draw_values.items():
            chance = int(name[3:]) / n
            measure = query_measure(view, name, values, unit, chance=chance, gallery=f"draws{n}", gallery_size=n)
            measures.append(measure)
        return measures

    def _frequent(self, view: str, decoded: Array, image: Array, shown_image: Array) -> list[Measure]:
        """Find the pictures that are tested most often (of equal ones the first) among each other."""
        if self.gallery_sizes.min() <= FREQUENT:
            return []
        frequency = self.test.repeats if self.frequency is None else self.frequency
        n_above, n_tied, query_rows = [], [], []
        for fold in np.unique(self.test.image_fold):
            fold_images = np.flatnonzero(self.test.image_fold == fold)
            frequent_images = np.sort(fold_images[np.argsort(-frequency[fold_images], kind="stable")[:FREQUENT]])
            queries = np.flatnonzero(np.isin(image, frequent_images))
            scores = metrics.identification_scores(decoded[queries], self.targets[shown_image[frequent_images]])
            ranked = metrics.ranks(scores, np.searchsorted(frequent_images, image[queries]))
            n_above.append(ranked.above)
            n_tied.append(ranked.tied)
            query_rows.append(queries)
        all_ranked = metrics.Ranks(np.concatenate(n_above), np.concatenate(n_tied), FREQUENT)
        return _rank_measures(
            view, all_ranked, self.test.unit[image[np.concatenate(query_rows)]], f"frequent{FREQUENT}"
        )

    def _batches(self, predicted: Array, shown_image: Array) -> list[Measure]:
        """Find each trial among those of its batch; trials of the same picture are level, and share their rank."""
        targets = self.targets[shown_image[self.test.image]]
        n_above, n_tied, batch_sizes = (np.empty(len(targets), int) for _ in range(3))
        for fold in np.unique(self.test.fold):
            fold_rows = np.flatnonzero(self.test.fold == fold)
            for rows in (fold_rows[k : k + BATCH] for k in range(0, len(fold_rows), BATCH)):
                scores = metrics.identification_scores(predicted[rows], targets[rows])
                ranked = metrics.ranks(scores, np.arange(len(rows)))
                n_above[rows], n_tied[rows], batch_sizes[rows] = ranked.above, ranked.tied, len(rows)
        ranked = metrics.Ranks(n_above, n_tied, int(batch_sizes.max()))
        inverse_ranks = np.where(batch_sizes > 1, 1 - ranked.rank / np.maximum(batch_sizes - 1, 1), 0.5)
        return _rank_measures("trial", ranked, self.test.unit[self.test.image], BATCHES, batch_sizes, inverse_ranks)

    def _features(self, predicted: Array, shown_image: Array) -> Measure:
        """Correlate each feature with the decoded one over trials, mean over the features that vary."""
        image, fold = self.test.image, self.test.fold if self.test.n_folds > 1 else None
        targets = self.targets[shown_image[image]]

        def mean_r(weights: Array) -> tuple[Array, Array]:
            summed = moments(predicted, targets, weights, fold)
            n_varying = summed.varies_y.sum(axis=1)
            r = np.where(summed.varies_y, summed.correlation(), 0.0).sum(axis=1)
            return np.divide(r, n_varying, out=np.full(len(r), np.nan), where=n_varying > 0), n_varying

        def draw(counts: Array) -> Array:
            return mean_r(counts[:, self.test.unit[image]].astype(np.float64))[0]

        value, n_varying = (column[0] for column in mean_r(np.ones((1, len(image)))))
        n_features = targets.shape[1]
        remark = f"over the {n_varying} of {n_features} features that vary" if n_varying < n_features else ""
        return Measure("trial", "feature_r", float(value), draw, 0.0, remark=remark)

    def _full_gallery(self, view: str, decoded: Array, image: Array, shown_image: Array) -> list[Measure]:
        assert self.row is not None
        n_above, n_tied = np.empty(len(image), int), np.empty(len(image), int)
        for fold, gallery in enumerate(self.galleries):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            ranked = gallery.ranks(decoded[queries], self.row[shown_image[image[queries]]])
            n_above[queries], n_tied[queries] = ranked.above, ranked.tied
        ranked = metrics.Ranks(n_above, n_tied, self.galleries[0].size)
        return _rank_measures(view, ranked, self.test.unit[image], "full")


def _rank_measures(
    view: str,
    ranked: metrics.Ranks,
    unit: Array,
    gallery: str,
    gallery_sizes: Array | None = None,
    inverse_ranks: Array | None = None,
) -> list[Measure]:
    """Make the measures of ranks; ``gallery_sizes``, ``inverse_ranks`` (n_queries,) where each query has a gallery."""
    gallery_size = ranked.gallery_size
    each_size = np.array([gallery_size]) if gallery_sizes is None else gallery_sizes
    inverse_ranks = metrics.inverse_normalised_rank(ranked) if inverse_ranks is None else inverse_ranks
    query_values = {
        f"top{k}": (metrics.top_k(ranked, k), np.minimum(k / each_size, 1).mean()) for k in TOP if k < gallery_size
    }
    query_values["inv_norm_rank"] = query_values["inv_norm_rank_median"] = (inverse_ranks, 0.5)
    query_values["mean_rank"] = (ranked.rank, (each_size.mean() - 1) / 2)
    query_values["median_rank"] = (ranked.rank, metrics.median_rank_by_chance(each_size))
    if gallery_size >= N_WAY and gallery_sizes is None:
        query_values["nway50"] = (metrics.n_way_top1(ranked, N_WAY), 1 / N_WAY)
    fields = {"gallery": gallery, "gallery_size": gallery_size}
    measures = [
        query_measure(view, name, values, unit, chance=float(chance), **fields)
        for name, (values, chance) in query_values.items()
    ]
    # how far ranks lie apart is neither better nor worse: no interval, no p
    spread = float(ranked.rank.std(ddof=1)) if len(ranked.rank) > 1 else 0.0
    return [*measures, Measure(view, "sd_rank", spread, **fields)]  # type: ignore[arg-type]


def _drawn(scores: Array, true: Array, n: int) -> dict[str, Array]:
    """Top-1 and top-5 of each query among its own candidate and ``n - 1`` others, mean over fixed draws."""
    rng = np.random.default_rng(n)
    totals = {f"top{k}": np.zeros(len(true)) for k in (1, 5)}
    true_score = scores[np.arange(len(true)), true][:, None]
    is_above, is_level = scores > true_score, scores == true_score
    is_level[np.arange(len(true)), true] = False
    for _ in range(N_DRAWN):
        # the true one is always in; of a draw that holds it already one candidate more is left out
        is_picked = np.zeros(scores.shape[1], dtype=bool)
        is_picked[rng.permutation(scores.shape[1])[:n]] = True
        spare_candidate = int(np.flatnonzero(is_picked)[0])
        in_draw = np.repeat(is_picked[None], len(true), axis=0)
        in_draw[~is_picked[true], spare_candidate] = False
        ranked = metrics.Ranks((is_above & in_draw).sum(axis=1), (is_level & in_draw).sum(axis=1) + 1, n)
        for k in (1, 5):
            totals[f"top{k}"] += metrics.top_k(ranked, k)
    return {name: values / N_DRAWN for name, values in totals.items()}
