"""Scores of decoded features: where the seen picture stands in a gallery, of test pictures or of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import metrics
from boldflow.core.scores.galleries import Gallery, Rows
from boldflow.core.scores.measures import Measure, query_measure

TOP = (1, 5, 10)
N_WAY = 50
DRAWN = (250, 300)  # sizes of the random galleries that papers report
N_DRAWN = 30
N_NEAREST = 5
BATCH = 64  # test trials among which each is sought, in their order: NeuralBench's batches
BATCHES = f"batch{BATCH}"  # name of that gallery
FREQUENT = 250  # pictures of NeuralBench's smaller gallery

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
        shown = np.arange(self.test.n_images) if true is None else true
        measures: list[Measure] = []
        for view, decoded, image in self.test.views(predicted):
            measures += self._test_gallery(view, decoded, image, shown)
            measures += self._frequent(view, decoded, image, shown)
            if self.everything:
                measures += self._full_gallery(view, decoded, image, shown)
        return [*measures, *self._batches(predicted, shown), self._features(predicted, shown)]

    def nearest(self, predicted: Array) -> tuple[Array, Array, Array]:
        """Rank and best candidates of each query of the last view.

        Returns
        -------
        rank : array (n_queries,)
        best : int array (n_queries, N_NEAREST)
            Test images, best first; -1 where the gallery is smaller.
        score : array (n_queries, N_NEAREST)
        """
        _, decoded, image = self.test.views(predicted)[-1]
        n = len(image)
        rank, best = np.empty(n), np.full((n, N_NEAREST), -1)
        score = np.full((n, N_NEAREST), np.nan)
        for queries, there, scores in self._folds(decoded, image):
            ranked = metrics.ranks(scores, np.searchsorted(there, image[queries]))
            rank[queries] = ranked.rank
            k = min(N_NEAREST, len(there))
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            best[queries, :k] = there[order]
            score[queries, :k] = np.take_along_axis(scores, order, axis=1)
        return rank, best, score

    @property
    def gallery_size(self) -> int:
        """Test images of a fold.

        Raises
        ------
        ValueError
            If folds differ: their ranks cannot be pooled.
        """
        sizes = np.unique(np.bincount(self.test.image_fold))
        if len(sizes) > 1:
            raise ValueError(f"folds have galleries of different sizes {sizes.tolist()}: their ranks cannot be pooled")
        return int(sizes[0])

    def _folds(self, decoded: Array, image: Array) -> list[tuple[Array, Array, Array]]:
        """Give (queries, gallery, scores) of each fold."""
        folds = []
        for fold in np.unique(self.test.image_fold):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            there = np.flatnonzero(self.test.image_fold == fold)
            folds.append((queries, there, metrics.identification_scores(decoded[queries], self.targets[there])))
        return folds

    def _test_gallery(self, view: str, decoded: Array, image: Array, shown: Array) -> list[Measure]:
        size, unit = self.gallery_size, self.test.unit[image]
        above, tied = np.empty(len(image), int), np.empty(len(image), int)
        pairs = np.empty(len(image))
        drawn: dict[tuple[int, str], Array] = {}
        for queries, there, scores in self._folds(decoded, image):
            true = np.searchsorted(there, shown[image[queries]])
            ranked = metrics.ranks(scores, true)
            above[queries], tied[queries] = ranked.above, ranked.tied
            pairs[queries] = metrics.two_way(decoded[queries], self.targets[there], true)
            for n in (n for n in DRAWN if n < size):
                for name, values in _drawn(scores, true, n).items():
                    drawn.setdefault((n, name), np.empty(len(image)))[queries] = values
        measures = _rank_measures(view, metrics.Ranks(above, tied, size), unit, "test")
        measures.append(query_measure(view, "two_way", pairs, unit, chance=0.5, gallery="test", gallery_size=size))
        for (n, name), values in drawn.items():
            more = {"chance": int(name[3:]) / n, "gallery": f"draws{n}", "gallery_size": n}
            measures.append(query_measure(view, name, values, unit, **more))
        return measures

    def _frequent(self, view: str, decoded: Array, image: Array, shown: Array) -> list[Measure]:
        """Find the pictures that are tested most often (of equal ones the first) among each other."""
        if self.gallery_size <= FREQUENT:
            return []
        often = self.test.repeats if self.frequency is None else self.frequency
        above, tied, rows = [], [], []
        for fold in np.unique(self.test.image_fold):
            there = np.flatnonzero(self.test.image_fold == fold)
            chosen = np.sort(there[np.argsort(-often[there], kind="stable")[:FREQUENT]])
            queries = np.flatnonzero(np.isin(image, chosen))
            scores = metrics.identification_scores(decoded[queries], self.targets[shown[chosen]])
            ranked = metrics.ranks(scores, np.searchsorted(chosen, image[queries]))
            above.append(ranked.above)
            tied.append(ranked.tied)
            rows.append(queries)
        together = metrics.Ranks(np.concatenate(above), np.concatenate(tied), FREQUENT)
        return _rank_measures(view, together, self.test.unit[image[np.concatenate(rows)]], f"frequent{FREQUENT}")

    def _batches(self, predicted: Array, shown: Array) -> list[Measure]:
        """Find each trial among those of its batch; trials of the same picture are level, and share their rank."""
        target = self.targets[shown[self.test.image]]
        above, tied, size = (np.empty(len(target), int) for _ in range(3))
        for fold in np.unique(self.test.fold):
            whole = np.flatnonzero(self.test.fold == fold)
            for rows in (whole[k : k + BATCH] for k in range(0, len(whole), BATCH)):
                scores = metrics.identification_scores(predicted[rows], target[rows])
                ranked = metrics.ranks(scores, np.arange(len(rows)))
                above[rows], tied[rows], size[rows] = ranked.above, ranked.tied, len(rows)
        ranked = metrics.Ranks(above, tied, int(size.max()))
        places = np.where(size > 1, 1 - ranked.rank / np.maximum(size - 1, 1), 0.5)
        return _rank_measures("trial", ranked, self.test.unit[self.test.image], BATCHES, size, places)

    def _features(self, predicted: Array, shown: Array) -> Measure:
        """Correlate each feature with the decoded one over trials, mean over features."""
        image = self.test.image
        target = self.targets[shown[image]]

        def draws(counts: Array) -> Array:
            weights = counts[:, self.test.unit[image]].astype(np.float64)
            return metrics.weighted_correlation(predicted, target, weights).mean(axis=1)

        return Measure("trial", "feature_r", float(metrics.correlation(predicted, target).mean()), draws, 0.0)

    def _full_gallery(self, view: str, decoded: Array, image: Array, shown: Array) -> list[Measure]:
        assert self.row is not None
        above, tied = np.empty(len(image), int), np.empty(len(image), int)
        for fold, gallery in enumerate(self.galleries):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            ranked = gallery.ranks(decoded[queries], self.row[shown[image[queries]]])
            above[queries], tied[queries] = ranked.above, ranked.tied
        ranked = metrics.Ranks(above, tied, self.galleries[0].size)
        return _rank_measures(view, ranked, self.test.unit[image], "full")


def _rank_measures(
    view: str,
    ranked: metrics.Ranks,
    unit: Array,
    gallery: str,
    sizes: Array | None = None,
    places: Array | None = None,
) -> list[Measure]:
    """Make the measures of ranks; ``sizes`` and ``places`` (n_queries,) where each query has a gallery of its own."""
    size = ranked.gallery_size
    every = np.array([size]) if sizes is None else sizes
    places = metrics.inverse_normalised_rank(ranked) if places is None else places
    measures = {f"top{k}": (metrics.top_k(ranked, k), np.minimum(k / every, 1).mean()) for k in TOP if k < size}
    measures["inv_norm_rank"] = measures["inv_norm_rank_median"] = (places, 0.5)
    measures["mean_rank"] = measures["median_rank"] = (ranked.rank, (every.mean() - 1) / 2)
    if size >= N_WAY and sizes is None:
        measures["nway50"] = (metrics.n_way_top1(ranked, N_WAY), 1 / N_WAY)
    more = {"gallery": gallery, "gallery_size": size}
    made = [query_measure(view, name, v, unit, chance=float(chance), **more) for name, (v, chance) in measures.items()]
    # how far ranks lie apart is neither better nor worse: no interval, no p
    spread = float(ranked.rank.std(ddof=1)) if len(ranked.rank) > 1 else 0.0
    return [*made, Measure(view, "sd_rank", spread, method="none", **more)]  # type: ignore[arg-type]


def _drawn(scores: Array, true: Array, n: int) -> dict[str, Array]:
    """Top-1 and top-5 of each query among its own candidate and ``n - 1`` others, mean over fixed draws."""
    rng = np.random.default_rng(n)
    total = {f"top{k}": np.zeros(len(true)) for k in (1, 5)}
    true_score = scores[np.arange(len(true)), true][:, None]
    above, level = scores > true_score, scores == true_score
    level[np.arange(len(true)), true] = False
    for _ in range(N_DRAWN):
        # the true one is always in; of a draw that holds it already one candidate more is left out
        pick = np.zeros(scores.shape[1], dtype=bool)
        pick[rng.permutation(scores.shape[1])[:n]] = True
        spare = int(np.flatnonzero(pick)[0])
        sets = np.repeat(pick[None], len(true), axis=0)
        sets[~pick[true], spare] = False
        ranked = metrics.Ranks((above & sets).sum(axis=1), (level & sets).sum(axis=1) + 1, n)
        for k in (1, 5):
            total[f"top{k}"] += metrics.top_k(ranked, k)
    return {name: values / N_DRAWN for name, values in total.items()}
