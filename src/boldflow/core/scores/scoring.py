"""Scorers: everything that is measured of one model's predictions, once for the result and once per permutation.

A scorer is made from the test trials and what is true of them. ``measure`` takes predictions of the test trials and
gives, for each view, metric and region, the values that a mean (or median) turns into the score; ``summarise`` adds the
bootstrap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from boldflow.core import averaging
from boldflow.core.records.test_sets import TestSet
from boldflow.core.responses import ceilings
from boldflow.core.scores import metrics, statistics
from boldflow.core.scores.retrieval import Gallery, Rows
from boldflow.vocabulary.metrics import metric_named

TOP = (1, 5, 10)
N_WAY = 50
DRAWN = (250, 300)  # sizes of the random galleries that papers report
N_DRAWN = 30
BLOCK = 2048  # vertices at a time in the bootstrap of maps
N_NEAREST = 5
BATCH = 64  # test trials among which each is sought, in their order: NeuralBench's batches
BATCHES = f"batch{BATCH}"  # name of that gallery
FREQUENT = 250  # pictures of NeuralBench's smaller gallery
BOOTSTRAP_SEED = 0  # the same draws for every model, so that models can be compared draw by draw

Array = np.ndarray


@dataclass(frozen=True)
class Measure:
    """One score in the making.

    ``value`` is the score itself. ``draw`` gives it under counts of the units, (n_draws, n_units): how often each is
    in. ``method`` says how an interval comes from that: "bootstrap", "jackknife", or "none".
    """

    view: str
    metric: str
    value: float
    draw: Callable[[Array], Array] | None = None
    chance: float | None = None
    ceiling: float | None = None
    roi: str | None = None
    gallery: str | None = None
    gallery_size: int | None = None
    method: str = "bootstrap"

    @property
    def key(self) -> tuple[str, str, str | None, str | None]:
        """What tells this score from the others of a result."""
        return self.view, self.metric, self.roi, self.gallery


def query_measure(view: str, metric: str, values: Array, unit: Array, **more: object) -> Measure:
    """Make a measure that averages over queries (or takes their median, where the metric is one)."""
    median = metric_named(metric).median
    value = float(np.median(values) if median else np.mean(values))
    of = statistics.median_draws if median else statistics.mean_draws
    return Measure(view, metric, value, lambda counts: of(values, unit, counts), **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ClassScorer:
    """Score class evidence: accuracy and area under the ROC curve.

    ``classes`` (n_images,): true class of each test image; ``n_classes``.
    """

    test: TestSet
    classes: Array
    n_classes: int

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_classes).

        ``true`` (n_images,): image whose class counts as true for each image, under permuted labels.
        """
        classes = self.classes if true is None else self.classes[true]
        found = []
        for view, given, image in self.test.views(predicted):
            wanted, unit = classes[image], self.test.unit[image]
            hits = metrics.class_hits(given, wanted)
            found.append(query_measure(view, "accuracy", hits, unit, chance=1 / self.n_classes))
            area = metrics.class_auc(given, wanted)
            found.append(Measure(view, "auc", area, _auc_draws(given, wanted, unit), chance=0.5))
        return found


def _auc_draws(scores: Array, classes: Array, unit: Array) -> Callable[[Array], Array]:
    def draws(counts: Array) -> Array:
        rows = np.arange(len(classes))
        picked = (np.repeat(rows, draw[unit]) for draw in counts)
        return np.array([metrics.class_auc(scores[p], classes[p]) for p in picked])

    return draws


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
        own = np.arange(self.test.n_images) if true is None else true
        found: list[Measure] = []
        for view, given, image in self.test.views(predicted):
            found += self._test_gallery(view, given, image, own)
            found += self._frequent(view, given, image, own)
            if self.everything:
                found += self._full_gallery(view, given, image, own)
        return [*found, *self._batches(predicted, own), self._features(predicted, own)]

    def nearest(self, predicted: Array) -> tuple[Array, Array, Array]:
        """Rank and best candidates of each query of the last view.

        Returns
        -------
        rank : array (n_queries,)
        best : int array (n_queries, N_NEAREST)
            Test images, best first; -1 where the gallery is smaller.
        score : array (n_queries, N_NEAREST)
        """
        _, given, image = self.test.views(predicted)[-1]
        n = len(image)
        rank, best = np.empty(n), np.full((n, N_NEAREST), -1)
        score = np.full((n, N_NEAREST), np.nan)
        for queries, there, scores in self._folds(given, image):
            found = metrics.ranks(scores, np.searchsorted(there, image[queries]))
            rank[queries] = found.rank
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

    def _folds(self, given: Array, image: Array) -> list[tuple[Array, Array, Array]]:
        """Give (queries, gallery, scores) of each fold."""
        found = []
        for fold in np.unique(self.test.image_fold):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            there = np.flatnonzero(self.test.image_fold == fold)
            found.append((queries, there, metrics.identification_scores(given[queries], self.targets[there])))
        return found

    def _test_gallery(self, view: str, given: Array, image: Array, own: Array) -> list[Measure]:
        size, unit = self.gallery_size, self.test.unit[image]
        above, tied = np.empty(len(image), int), np.empty(len(image), int)
        pairs = np.empty(len(image))
        drawn: dict[tuple[int, str], Array] = {}
        for queries, there, scores in self._folds(given, image):
            true = np.searchsorted(there, own[image[queries]])
            ranked = metrics.ranks(scores, true)
            above[queries], tied[queries] = ranked.above, ranked.tied
            pairs[queries] = metrics.two_way(given[queries], self.targets[there], true)
            for n in (n for n in DRAWN if n < size):
                for name, values in _drawn(scores, true, n).items():
                    drawn.setdefault((n, name), np.empty(len(image)))[queries] = values
        measures = _rank_measures(view, metrics.Ranks(above, tied, size), unit, "test")
        measures.append(query_measure(view, "two_way", pairs, unit, chance=0.5, gallery="test", gallery_size=size))
        for (n, name), values in drawn.items():
            more = {"chance": int(name[3:]) / n, "gallery": f"draws{n}", "gallery_size": n}
            measures.append(query_measure(view, name, values, unit, **more))
        return measures

    def _frequent(self, view: str, given: Array, image: Array, own: Array) -> list[Measure]:
        """Find the pictures that are tested most often (of equal ones the first) among each other."""
        if self.gallery_size <= FREQUENT:
            return []
        often = self.test.repeats if self.frequency is None else self.frequency
        above, tied, rows = [], [], []
        for fold in np.unique(self.test.image_fold):
            there = np.flatnonzero(self.test.image_fold == fold)
            chosen = np.sort(there[np.argsort(-often[there], kind="stable")[:FREQUENT]])
            queries = np.flatnonzero(np.isin(image, chosen))
            scores = metrics.identification_scores(given[queries], self.targets[own[chosen]])
            ranked = metrics.ranks(scores, np.searchsorted(chosen, image[queries]))
            above.append(ranked.above)
            tied.append(ranked.tied)
            rows.append(queries)
        found = metrics.Ranks(np.concatenate(above), np.concatenate(tied), FREQUENT)
        return _rank_measures(view, found, self.test.unit[image[np.concatenate(rows)]], f"frequent{FREQUENT}")

    def _batches(self, predicted: Array, own: Array) -> list[Measure]:
        """Find each trial among those of its batch; trials of the same picture are level, and share their rank."""
        target = self.targets[own[self.test.image]]
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

    def _features(self, predicted: Array, own: Array) -> Measure:
        """Correlate each feature with the decoded one over trials, mean over features."""
        image = self.test.image
        target = self.targets[own[image]]

        def draws(counts: Array) -> Array:
            weights = counts[:, self.test.unit[image]].astype(np.float64)
            return metrics.weighted_correlation(predicted, target, weights).mean(axis=1)

        return Measure("trial", "feature_r", float(metrics.correlation(predicted, target).mean()), draws, 0.0)

    def _full_gallery(self, view: str, given: Array, image: Array, own: Array) -> list[Measure]:
        assert self.row is not None
        above, tied = np.empty(len(image), int), np.empty(len(image), int)
        for fold, gallery in enumerate(self.galleries):
            queries = np.flatnonzero(self.test.image_fold[image] == fold)
            ranked = gallery.ranks(given[queries], self.row[own[image[queries]]])
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
    found = [query_measure(view, name, v, unit, chance=float(chance), **more) for name, (v, chance) in measures.items()]
    # how far ranks lie apart is neither better nor worse: no interval, no p
    spread = float(ranked.rank.std(ddof=1)) if len(ranked.rank) > 1 else 0.0
    return [*found, Measure(view, "sd_rank", spread, method="none", **more)]  # type: ignore[arg-type]


def _drawn(scores: Array, true: Array, n: int) -> dict[str, Array]:
    """Top-1 and top-5 of each query among its own candidate and ``n - 1`` others, mean over fixed draws."""
    rng = np.random.default_rng(n)
    total = {f"top{k}": np.zeros(len(true)) for k in (1, 5)}
    own = scores[np.arange(len(true)), true][:, None]
    above, level = scores > own, scores == own
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


class EncodingScorer:
    """Score predicted responses per vertex and region: correlation, error, share explained, ceiling.

    Parameters
    ----------
    test : TestSet
    responses : array of shape (n_test_trials, n_vertices)
        Measured.
    regions : dict
        Name -> bool array (n_vertices,).
    ncsnr : array of shape (n_vertices,), optional
        Published noise ceiling signal-to-noise ratio: standard deviation of the signal over that of the noise of single
        trials. Ceilings are computed from it where it is given, else from the repeats among the test trials.

    Raises
    ------
    ValueError
        If a ratio is negative or not finite.
    """

    def __init__(self, test: TestSet, responses: Array, regions: dict[str, Array], ncsnr: Array | None = None) -> None:
        """Average the repeats and estimate variance components, once."""
        self.test, self.regions = test, regions
        self.measured = averaging.average_by(responses, test.image, test.n_images)
        self.signal, self.noise = ceilings.variance_components(responses.astype(np.float64), test.image)
        self._signal, self._noise = self.signal, self.noise  # of ceilings
        if ncsnr is not None:
            total = np.var(responses, axis=0, dtype=np.float64, ddof=1)
            self._signal, self._noise = ceilings.split_variance(total, ncsnr)
        self.ceiling = ceilings.noise_ceiling(self._signal, self._noise, test.repeats)

    def pooled_ceiling(self, mask: Array) -> float:
        """Noise ceiling of a region, bool (n_vertices,), as a share of the variance of the scored rows."""
        return ceilings.pooled_ceiling(self._signal[mask], self._noise[mask], self.test.repeats)

    def correlation(self, predicted: Array) -> Array:
        """Pearson r of each vertex over test images, repeats averaged, (n_vertices,)."""
        expected = averaging.average_by(predicted, self.test.image, self.test.n_images)
        return metrics.correlation(expected, self.measured)

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_vertices).

        ``true`` (n_images,): image whose measured response is held against each image's prediction, under permuted
        labels; where a model was refitted to them they are in the predictions already.
        """
        measured = self.measured if true is None else self.measured[true]
        expected = averaging.average_by(predicted, self.test.image, self.test.n_images)
        plain = self._sums(expected, measured, np.ones((1, self.test.n_images)))
        known: list[tuple[Array, dict[str, Array]]] = []  # regions and metrics share one pass over the same draws

        def drawn(region: str, number: int) -> Callable[[Array], Array]:
            def draws(counts: Array) -> Array:
                for given, sums in known:
                    if given is counts:
                        return sums[region][number]
                known.append((counts, self._sums(expected, measured, counts[:, self.test.unit].astype(np.float64))))
                return known[-1][1][region][number]

            return draws

        found = []
        by_chance = 1 / (self.test.n_images - 1)  # expected r^2 of two unrelated columns
        for region, mask in self.regions.items():
            upper = self.pooled_ceiling(mask)
            values = plain[region][:, 0]
            found += [
                Measure("image", "r", values[0], drawn(region, 0), 0.0, float(np.sqrt(upper)), region),
                Measure("image", "r2", values[1], drawn(region, 1), by_chance, upper, region, method="jackknife"),
                Measure("image", "mse", values[2], drawn(region, 2), roi=region),
                Measure("image", "ceiling", upper, roi=region, method="none"),
            ]
            if np.isfinite(values[3]):
                share = Measure("image", "explained_share", values[3], drawn(region, 3), 0.0, 1.0, region)
                found.append(replace(share, method="jackknife"))
        return found

    def _sums(self, expected: Array, measured: Array, weights: Array) -> dict[str, Array]:
        """Region means of r, r^2 and MSE, and the share explained, under each weighting: (4, n_draws) by region."""
        member = np.stack([mask.astype(np.float64) for mask in self.regions.values()], axis=1)
        sums = np.zeros((4, len(weights), len(self.regions)))
        total = weights.sum(axis=1, keepdims=True)
        for start in range(0, measured.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            x, y = expected[:, block], measured[:, block]
            r = metrics.weighted_correlation(x, y, weights)
            error = weights @ (x - y) ** 2 / total
            centred = y - y.mean(axis=0)
            variance = (weights @ centred**2 / total - (weights @ centred / total) ** 2) * total / (total - 1)
            fit = (r**2 - (1 - r**2) / np.where(total > 2, total - 2, np.nan)) * variance
            for number, values in enumerate((r, r**2, error, fit)):
                sums[number] += values @ member[block]
        sums[:3] /= member.sum(axis=0)
        signal = self.signal @ member
        sums[3] /= np.where(signal > 0, signal, np.nan)
        return {name: sums[:, :, number] for number, name in enumerate(self.regions)}
