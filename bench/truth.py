"""Do scores, intervals, tests and ceilings hold what they say, over simulated studies whose truth is known?"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import special
from tqdm import tqdm

from bench import _chance, _lines, _maps, _refits
from bench._lines import Line
from boldflow.core.compute import fixed_threads
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import intervals, statistics
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.comparison import compare
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.group_means import group_interval
from boldflow.core.scores.measures import Measure
from boldflow.core.scores.prevalence import prevalence
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.vocabulary.metrics import metric_named

SEED = 20
N_DRAWS = 1000
COVERED_IN_THE_MEAN, COVERED_BY_COUNTS_IN_THE_MEAN = (0.94, 0.965), (0.93, 1.0)
COVERED, COVERED_BY_COUNTS, COVERED_OVER_FOLDS = (0.92, 0.985), (0.89, 1.0), (0.93, 1.0)
table = _lines.table


def run(quick: bool = False) -> list[Line]:
    """Simulate studies for each line.

    Parameters
    ----------
    quick : bool
        Few studies of the smaller shapes, and bands wider by three standard errors.

    Returns
    -------
    list of Line
    """
    with fixed_threads(1):
        return list(tqdm(_all_lines(quick), desc="truth", unit="line", total=None))


def _all_lines(quick: bool) -> Iterator[Line]:
    coverage = list(tqdm(_coverage(quick), desc="coverage", unit="line"))
    yield from coverage
    yield from _mean_coverage(coverage, quick)
    yield from _families(quick)
    yield from _power(quick)
    yield from _ceilings(quick)
    yield from _shares(quick)
    yield from _folds(quick)
    yield from _prevalence()
    yield from _people(quick)
    yield from _chance.lines(SEED, quick)
    yield from _maps.lines(SEED, quick)
    yield from _refits.lines(SEED, quick)


def _one_fold(n_images: int, repeats: int) -> TestSet:
    image = np.repeat(np.arange(n_images), repeats)
    return TestSet(np.zeros(len(image), int), image, np.zeros(n_images, int), np.arange(n_images))


def _interval(measure: Measure, n_units: int) -> intervals.Interval:
    assert measure.draw is not None
    left_out = measure.draw(1 - np.eye(n_units, dtype=int))
    return intervals.jackknife(measure.value, left_out, metric_named(measure.metric).scale)


def _decoded(n_images: int, repeats: int, strength: float, rng: np.random.Generator) -> list[Measure]:
    """Retrieval of decoded features: noise over the truth."""
    targets = rng.normal(size=(n_images, 20))
    test = _one_fold(n_images, repeats)
    predicted = strength * targets[test.image] + rng.normal(size=(len(test.image), 20))
    return RetrievalScorer(test, targets).measure(predicted)


def _encoded(n_images: int, repeats: int, strength: float, rng: np.random.Generator) -> list[Measure]:
    """Prediction of 20 vertices that go together."""
    test = _one_fold(n_images, repeats)
    signal = rng.normal(size=(n_images, 20)) + rng.normal(size=(n_images, 1))
    responses = 0.5 * signal[test.image] + rng.normal(size=(len(test.image), 20))
    predicted = strength * signal + rng.normal(size=signal.shape)
    return EncodingScorer(test, responses, {"all": np.ones(20, dtype=bool)}).measure(predicted[test.image])


def _classified(n_images: int, repeats: int, strength: float, rng: np.random.Generator) -> list[Measure]:
    """Evidence of four classes."""
    test = _one_fold(n_images, repeats)
    classes = rng.permutation(np.arange(n_images) % 4)
    evidence = strength * np.eye(4)[classes[test.image]] + rng.normal(size=(len(test.image), 4))
    return ClassScorer(test, classes).measure(evidence)


Studies = Callable[[int, int, float, np.random.Generator], list[Measure]]
KINDS: tuple[tuple[Studies, tuple[str, ...], tuple[float, ...]], ...] = (
    (_decoded, ("inv_norm_rank", "two_way", "top1", "top5"), (0.0, 0.1, 0.25, 0.45)),
    (_encoded, ("r", "r_pooled", "explained_share", "ceiling"), (0.0, 0.3, 1.0, 3.0)),
    (_classified, ("auc", "accuracy"), (0.0, 0.5, 1.5)),
)
COUNTS = ("top1", "top5", "accuracy")


def _coverage(quick: bool) -> Iterator[Line]:
    """How often intervals hold the expected score; the truth of a cell is the mean over its studies."""
    shapes = ((24, 2), (60, 1)) if quick else ((24, 1), (24, 4), (60, 2), (113, 3), (500, 1))
    n_studies = 150 if quick else 2000
    for simulate, metrics, strengths in KINDS:
        for n_images, repeats in shapes:
            for strength in strengths[:2] if quick else strengths:
                rng = np.random.default_rng([SEED, n_images, repeats, round(100 * strength)])
                scores: dict[str, list[tuple[float, intervals.Interval]]] = {}
                for _ in range(n_studies if n_images < 500 else n_studies // 4):
                    for measure in _last_views(simulate(n_images, repeats, strength, rng)):
                        if measure.metric in metrics:
                            pair = (measure.value, _interval(measure, n_images))
                            scores.setdefault(measure.metric, []).append(pair)
                for metric, pairs in scores.items():
                    truth = float(np.mean([value for value, _ in pairs]))
                    if metric_named(metric).scale.value in ("share", "count") and truth > 0.98:
                        continue  # beyond the range that is asked for
                    ends = [interval for _, interval in pairs if interval.exists]
                    if not ends:
                        continue  # such as a ceiling without repeats
                    hits = [end.low <= truth <= end.high for end in ends]
                    band = COVERED_BY_COUNTS if metric in COUNTS else COVERED
                    cell = f"{metric} {truth:.3f}, {n_images} x {repeats}"
                    yield _lines.share("coverage", cell, SEED, hits, band, quick)


def _mean_coverage(cells: Sequence[Line], quick: bool) -> Iterator[Line]:
    """Average each metric's coverage over its cells."""
    by_metric: dict[str, list[Line]] = {}
    for line in cells:
        by_metric.setdefault(line.cell.split()[0], []).append(line)
    for metric, of_metric in by_metric.items():
        value = float(np.mean([line.value for line in of_metric]))
        error = float(np.sqrt(np.sum([line.error**2 for line in of_metric]))) / len(of_metric)
        low, high = COVERED_BY_COUNTS_IN_THE_MEAN if metric in COUNTS else COVERED_IN_THE_MEAN
        slack = 3 * error if quick else 0.0
        n_studies = sum(line.studies for line in of_metric)
        yield Line(
            "mean coverage",
            f"{metric}, {len(of_metric)} cells",
            SEED,
            n_studies,
            value,
            error,
            low - slack,
            high + slack,
        )


def _last_views(measures: list[Measure]) -> list[Measure]:
    """Keep each metric in its last view, among test pictures."""
    kept = {m.metric: m for m in measures if m.gallery in (None, "test") and m.draw is not None}
    return list(kept.values())


def _models(n_models: int, n_images: int, kind: str, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Scores by picture, (n_models, n_images); pictures differ, models share that. The first is better by ``gain``.

    Continuous scores of two models differ with a standard deviation of .26 over pictures.
    """
    ease = rng.normal(size=n_images)
    latent = 0.775 * ease + 0.632 * rng.normal(size=(n_models, n_images))
    if kind == "continuous":
        scores = special.ndtr(latent)
        scores[0] += gain
        return scores
    threshold = np.zeros(n_models)
    threshold[0] = special.ndtri(0.5 + gain)
    return (latent + threshold[:, None] > 0).astype(float)


def _differences(scores: np.ndarray, counts: np.ndarray, reference: int | None = None) -> list[tuple[int, int, bool]]:
    n_images = scores.shape[1]
    pairs = compare(scores.mean(axis=1), scores @ counts.T / n_images, n_images, reference=reference)
    return [(pair.first, pair.second, pair.tied) for pair in pairs]


def _families(quick: bool) -> Iterator[Line]:
    """How often equal models are called different, in a family of all pairs."""
    n_studies = 400 if quick else 4000
    for kind in ("continuous", "counts"):
        for n_images in (24,) if quick else (24, 113, 500):
            counts = statistics.bootstrap_counts(n_images, N_DRAWS, 0)
            for n_models in (2, 3, 10):
                rng = np.random.default_rng([SEED, n_images, n_models, len(kind)])
                false = [
                    any(not tied for *_, tied in _differences(_models(n_models, n_images, kind, 0.0, rng), counts))
                    for _ in range(n_studies)
                ]
                most = 0.05 + 2 * np.sqrt(0.05 * 0.95 / n_studies)
                yield _lines.share(
                    "family-wise error", f"{kind}, {n_models} models, {n_images}", SEED, false, (0, most), quick
                )


def _power(quick: bool) -> Iterator[Line]:
    """How often a difference of .09 at 113 pictures is told, between one model and each other."""
    n_studies = 200 if quick else 2000
    counts = statistics.bootstrap_counts(113, N_DRAWS, 0)
    for n_models, reference, least in ((3, None, 0.85), (10, 0, 0.85), (10, None, 0.55)):
        rng = np.random.default_rng([SEED, n_models, int(reference is None)])
        told = []
        for _ in range(n_studies):
            pairs = _differences(_models(n_models, 113, "continuous", 0.09, rng), counts, reference)
            told += [not tied for first, second, tied in pairs if 0 in (first, second)]
        cell = f"{n_models} models" + (", against one" if reference is not None else ", all pairs") + ", sd .26"
        yield _lines.share("power", cell, SEED, told, (least, 1.0), quick)


def _ceilings(quick: bool) -> Iterator[Line]:
    """How far the mean ceiling lies from what the noise-free response reaches."""
    for n_images, repeats in ((24, 4), (113, 3)):
        for metric in ("r", "r_pooled"):
            rng = np.random.default_rng([SEED, n_images, len(metric)])
            gaps = []
            for _ in range(40 if quick else 200):
                test, share = _one_fold(n_images, repeats), np.linspace(0.15, 0.6, 60)
                signal = np.sqrt(share) * rng.normal(size=(n_images, 60))
                responses = signal[test.image] + np.sqrt(1 - share) * rng.normal(size=(len(test.image), 60))
                scores = EncodingScorer(test, responses, {"all": np.ones(60, dtype=bool)}).measure(signal[test.image])
                measure = next(m for m in scores if m.metric == metric)
                if measure.ceiling is not None:
                    gaps.append(measure.ceiling - measure.value)
            yield _lines.mean(
                "ceiling less what is reached", f"{metric}, {n_images} x {repeats}", SEED, gaps, (-0.02, 0.02)
            )


def _shares(quick: bool) -> Iterator[Line]:
    """Explained share of a prediction with a tenth of the signal's variance, and of its reverse."""
    for n_images, repeats, bias in ((24, 4, 0.06), (113, 3, 0.02)):
        rng = np.random.default_rng([SEED, n_images])
        found: dict[int, list[float]] = {1: [], -1: []}
        for _ in range(60 if quick else 500):
            test = _one_fold(n_images, repeats)
            signal = rng.normal(size=(n_images, 60))
            responses = signal[test.image] + rng.normal(size=(len(test.image), 60))
            predicted = np.sqrt(0.3) * signal + np.sqrt(0.7) * rng.normal(size=signal.shape)
            scorer = EncodingScorer(test, responses, {"all": np.ones(60, dtype=bool)})
            for sign, values in found.items():
                scores = scorer.measure(sign * predicted[test.image])
                values.append(next(m.value for m in scores if m.metric == "explained_share") - sign * 0.3)
        for sign, values in found.items():
            cell = f"{'plus' if sign > 0 else 'minus'} .3, {n_images} x {repeats}"
            yield _lines.mean("explained share less the truth", cell, SEED, values, (-bias, bias))


def _folds(quick: bool) -> Iterator[Line]:
    """Coverage and false differences of intervals over folds, with refits without each."""
    n_studies = 100 if quick else 1000
    for strength in (0.0, 0.35):
        rng = np.random.default_rng([SEED, round(100 * strength)])
        studies = [_leave_run_out(strength, rng) for _ in range(n_studies)]
        truth = np.mean([values[0] for values, _ in studies])
        scale = metric_named("r").scale
        ends = [intervals.jackknife(values[0], left[:, 0], scale) for values, left in studies]
        hits = [end.low <= truth <= end.high for end in ends]
        yield _lines.share("coverage over folds", f"r {truth:.3f}, 8 runs x 12", SEED, hits, COVERED_OVER_FOLDS, quick)
        if strength == 0.0:
            tests = [statistics.paired_over_folds(v[0] - v[1], left[:, 0] - left[:, 1]) for v, left in studies]
            false = [test.p <= 0.05 for test in tests]
            yield _lines.share(
                "false difference over folds", "two encoders, 8 runs x 12", SEED, false, (0, 0.06), quick
            )


def _leave_run_out(strength: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores (2,) of two ridges on features of their own, each run left out in turn; and without each run, (8, 2)."""
    run = np.repeat(np.arange(8), 12)
    features = [rng.normal(size=(96, 10)) for _ in range(2)]
    mixing = rng.normal(size=(10, 5)) / np.sqrt(10)
    responses = strength * (features[0] + features[1]) @ mixing + rng.normal(size=(96, 5))

    def score(stay: np.ndarray) -> np.ndarray:
        values = []
        for x in features:
            rows = np.isin(run, stay)
            predicted = np.concatenate([_ridge(x, responses, rows & (run != k), run == k) for k in stay])
            fold = np.searchsorted(stay, run[rows])
            test = TestSet(fold, np.arange(len(fold)), fold, np.arange(len(fold)))
            scores = EncodingScorer(test, responses[rows], {"all": np.ones(5, dtype=bool)}).measure(predicted)
            values.append(next(m.value for m in scores if m.metric == "r"))
        return np.array(values)

    runs = np.arange(8)
    return score(runs), np.stack([score(np.delete(runs, k)) for k in runs])


def _ridge(x: np.ndarray, y: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    mean_x, mean_y = x[inside].mean(axis=0), y[inside].mean(axis=0)
    centred = x[inside] - mean_x
    weights = np.linalg.solve(centred.T @ centred + 20 * np.eye(x.shape[1]), centred.T @ (y[inside] - mean_y))
    predicted: np.ndarray = (x[outside] - mean_x) @ weights + mean_y
    return predicted


def _people(quick: bool) -> Iterator[Line]:
    """How often the interval of a mean over people holds the truth, for new people and new pictures."""
    for n_people in (8,) if quick else (8, 12, 20):
        for n_images in (24,) if quick else (24, 113):
            rng = np.random.default_rng([SEED, n_people, n_images])
            counts = statistics.bootstrap_counts(n_images, 300, 0)
            hits = []
            for _ in range(200 if quick else 2000):
                shapes = ((n_people, 1), (1, n_images), (n_people, n_images))
                scores = sum(sd * rng.normal(size=shape) for sd, shape in zip((0.1, 0.2, 0.5), shapes, strict=True))
                interval = group_interval(np.mean(scores, axis=1), scores @ counts.T / n_images, n_images)
                hits.append(interval.low <= 0 <= interval.high)
            yield _lines.share(
                "coverage over people", f"{n_people} people, {n_images}", SEED, hits, (0.92, 0.98), quick
            )


def _prevalence() -> Iterator[Line]:
    """Numbers that were worked out elsewhere."""
    for k, n, low, high in ((3, 3, 0.37, 0.99), (0, 3, 0.006, 0.60), (8, 8, 0.65, 1.0), (7, 8, 0.49, 0.97)):
        inferred = prevalence(k, n)
        for name, value, expected in (("low", inferred.ci_low, low), ("high", inferred.ci_high, high)):
            yield Line("prevalence", f"{k} of {n}, {name}", 0, 1, value, 0.0, expected - 0.006, expected + 0.006)
