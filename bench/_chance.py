"""Lines of `truth` for scores without signal: each metric's mean against its chance, under every kind of split."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench import _lines
from bench._lines import Line
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.measures import Measure
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.core.splits.assignment import make_split
from boldflow.vocabulary.metrics import has_order, metric_named

N_RUNS, PER_RUN, N_VERTICES, N_FEATURES, N_CLASSES, N_REFITS = 6, 16, 12, 8, 4, 20
N_TWICE = 12  # pictures of the last runs that are shown twice, where pictures are the unit
PENALTY = 10.0
SPLITS: Mapping[str, tuple[dict[str, Any], str]] = {
    "repeated": ({"test": "repeated", "min_repeats": 2, "val_fraction": 0.0, "seed": 0}, "image"),
    "named": ({"test": "named", "val_fraction": 0.0, "seed": 0}, "image"),
    "run": ({"test": "run", "val_fraction": 0.0, "seed": 0}, "run"),
    "runs": ({"test": "runs", "test_fraction": 1 / 3, "val_fraction": 0.0, "seed": 0}, "run"),
    "folds": ({"test": "folds", "n_folds": 5, "val_fraction": 0.0, "seed": 0}, "image"),
}


def lines(seed: int, quick: bool) -> Iterator[Line]:
    """Score an encoder, a decoder and a classifier that have nothing to learn; value less chance, over studies."""
    for number, (name, (rule, unit)) in enumerate(SPLITS.items()):
        rng = np.random.default_rng([seed, number])
        trials = _trials(unit)
        named = sorted(trials["image_id"].unique())[-N_TWICE:]
        split = make_split(trials, {image: image for image in trials["image_id"]}, rule, unit, named)
        n_studies = 30 if quick else 500
        strays: dict[str, list[float]] = {}
        for _ in range(n_studies):
            for metric, stray in _study(trials, split, rng):
                strays.setdefault(metric, []).append(stray)
        for metric, values in strays.items():
            yield _lines.mean("mean without signal less chance", f"{metric}, {name}", seed, values, (0.0, 0.0))


def _trials(unit: str) -> pd.DataFrame:
    """Trials of one subject; pictures come once, or the last twelve twice where pictures are the unit of the split."""
    n_trials = N_RUNS * PER_RUN
    picture = np.arange(n_trials)
    if unit == "image":
        order = np.random.default_rng(0).permutation(n_trials)
        picture[order[:N_TWICE]] = picture[order[-N_TWICE:]] = np.arange(n_trials, n_trials + N_TWICE)
    return pd.DataFrame(
        {
            "subject": "sub-01",
            "session": "ses-01",
            "run": [f"run-{number // PER_RUN:02d}" for number in range(n_trials)],
            "trial": np.arange(n_trials) % PER_RUN,
            "image_id": [f"picture-{number:03d}" for number in picture],
            "usable": True,
        }
    )


def _study(trials: pd.DataFrame, split: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield (metric, score less its chance) of one made subject."""
    image = pd.factorize(trials["image_id"])[0]
    n_images = image.max() + 1
    features = rng.normal(size=(n_images, N_FEATURES))
    classes = np.eye(N_CLASSES)[rng.permutation(np.arange(n_images) % N_CLASSES)]
    responses = rng.normal(size=(len(image), N_VERTICES))
    folds, test, tested = _folds(trials, split, image)
    shown = np.empty(test.n_images, dtype=int)
    shown[test.image] = image[tested]
    encoding = EncodingScorer(test, responses[tested], {"all": np.ones(N_VERTICES, dtype=bool)})

    def encode(label: np.ndarray) -> list[Measure]:
        return encoding.measure(_predicted(features[label][image], responses, folds))

    def decode(label: np.ndarray) -> list[Measure]:
        decoded = _predicted(responses, features[label][image], folds)
        return RetrievalScorer(test, features[label][shown]).measure(decoded)

    def classify(label: np.ndarray) -> list[Measure]:
        evidence = _predicted(responses, classes[label][image], folds)
        return ClassScorer(test, np.argmax(classes[label][shown], axis=1)).measure(evidence)

    own = np.arange(n_images)
    for score in (encode, decode, classify):
        measures = score(own)
        if test.n_folds > 1 and any(metric_named(measure.metric).strays_over_folds for measure in measures):
            null = [[measure.value for measure in score(rng.permutation(own))] for _ in range(N_REFITS)]
            yield from _strays(measures, np.mean(null, axis=0))
        else:
            yield from _strays(measures, None)


def _strays(measures: list[Measure], refitted: np.ndarray | None) -> Iterator[tuple[str, float]]:
    """Yield scores less their chance, which is that of a table of scores: the mean over refits where that is asked."""
    for number, measure in enumerate(measures):
        chance = measure.chance
        if refitted is not None and metric_named(measure.metric).strays_over_folds:
            chance = float(refitted[number])
        if chance is not None and has_order(measure.metric) and np.isfinite(measure.value):
            gallery = f" in {measure.gallery}" if measure.gallery else ""
            yield f"{measure.metric} by {measure.view}{gallery}", measure.value - chance


def _folds(
    trials: pd.DataFrame, split: pd.DataFrame, image: np.ndarray
) -> tuple[list[tuple[np.ndarray, np.ndarray]], TestSet, np.ndarray]:
    """Rows (train, test) of each fold, the test set over folds, and its rows (n_test_trials,)."""
    place = {key: row for row, key in enumerate(zip(trials["run"], trials["trial"], strict=True))}
    rows = np.array([place[key] for key in zip(split["run"], split["trial"], strict=True)])
    part, number = split["part"].to_numpy(), split["fold"].to_numpy()
    folds = [
        (np.sort(rows[(number == fold) & (part == "train")]), np.sort(rows[(number == fold) & (part == "test")]))
        for fold in np.unique(number)
    ]
    fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    tested = np.concatenate([test for _, test in folds])
    pairs, image_number = np.unique(np.stack([fold, image[tested]], axis=1), axis=0, return_inverse=True)
    unit = pd.factorize(pairs[:, 1])[0]
    return folds, TestSet(fold, image_number.ravel(), pairs[:, 0], unit), tested


def _predicted(x: np.ndarray, y: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Predictions of a ridge for the test rows of each fold in turn."""
    predicted = []
    for train, test in folds:
        mean_x, mean_y = x[train].mean(axis=0), y[train].mean(axis=0)
        centred = x[train] - mean_x
        weights = np.linalg.solve(centred.T @ centred + PENALTY * np.eye(x.shape[1]), centred.T @ (y[train] - mean_y))
        predicted.append((x[test] - mean_x) @ weights + mean_y)
    return np.concatenate(predicted)
