"""The null distribution of a model's scores: labels of images permuted in training and test, and the model refitted."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.core.linear.scaling import scale, unscale
from boldflow.core.records.test_sets import TestSet
from boldflow.core.records.training import TrainingData
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.core.scores.statistics import permute_within, trade_runs
from boldflow.models import Model, Refits
from boldflow.settings import Entry
from boldflow.stages._aligned import Aligned
from boldflow.stages.models._inputs import inputs_and_targets, scaled, training_data

Refit = Callable[[np.ndarray], np.ndarray]
Permuted = tuple[np.ndarray, np.ndarray | None]  # predictions, and the image that each test image is held against
WHOLE_RUNS = "whole runs"  # what trades labels where these come in blocks within runs


@dataclass(frozen=True)
class Null:
    """Scores under permuted labels.

    ``scores`` (n_permutations, n_scores), in the order of ``scorer.measure``; ``vertex_r`` (n_permutations, n_vertices)
    float32: Pearson r of each vertex, of refitted encoders alone.
    """

    scores: np.ndarray
    vertex_r: np.ndarray | None = None


def null_values(
    plugin: Model,
    settings: Entry,
    data: Aligned,
    test: TestSet,
    rows: np.ndarray,
    scorer: ClassScorer | RetrievalScorer | EncodingScorer,
    n_permutations: int,
    seed: int,
    block: str,
) -> Null:
    """Refit and score under permuted labels.

    All trials of an image get the same other image's label. Images trade labels within their part of the split, or
    within their run where there are no pictures. Where labels come in blocks within runs, whole runs trade.

    Parameters
    ----------
    plugin, settings : the model's plug-in and what its entry says of fitting
    data : Aligned
    test : TestSet
    rows : int array of shape (n_test_trials,)
        Rows of the test trials in ``data.trials``.
    scorer : of the observed result
    n_permutations : how many refits are made
    seed : int
    block : {"part", "run", "whole runs"}

    Returns
    -------
    Null
    """
    by_unit = _refits_by_run if block == WHOLE_RUNS else _refits_by_image
    in_units = not isinstance(scorer, RetrievalScorer)
    predictions = by_unit(plugin, settings, data, test, rows, in_units, n_permutations, seed, block)
    n_vertices = scorer.measured.shape[1] if isinstance(scorer, EncodingScorer) else 0
    vertex_r = np.empty((n_permutations, n_vertices), dtype=np.float32) if n_vertices else None
    return _null_of(predictions, scorer, n_permutations, f"permute {settings['name']}", vertex_r)


def rescored_values(
    predicted: np.ndarray,
    data: Aligned,
    test: TestSet,
    rows: np.ndarray,
    scorer: ClassScorer | RetrievalScorer | EncodingScorer,
    n_permutations: int,
    seed: int,
    block: str,
) -> Null:
    """Score the same predictions under permuted test labels, without a refit: this tests dependence only.

    Parameters and result as for ``null_values``, with ``predicted`` as ``scorer.measure`` takes them.
    """
    by_unit = _rescored_by_run if block == WHOLE_RUNS else _rescored_by_image
    predictions = by_unit(predicted, data, test, rows, n_permutations, seed, block)
    return _null_of(predictions, scorer, n_permutations, "permute test labels")


def _null_of(
    predictions: Iterable[Permuted],
    scorer: ClassScorer | RetrievalScorer | EncodingScorer,
    n_permutations: int,
    title: str,
    vertex_r: np.ndarray | None = None,
) -> Null:
    """Score what was predicted under each permutation; ``vertex_r`` is filled with r of each vertex."""
    scores: list[list[float]] = []
    permutations = tqdm(predictions, desc=title, unit="permutation", total=n_permutations)
    for number, (predicted, true_image) in enumerate(permutations):
        scores.append([measure.value for measure in scorer.measure(predicted, true_image)])
        if vertex_r is not None and isinstance(scorer, EncodingScorer):
            vertex_r[number] = scorer.correlation(predicted)
    return Null(np.array(scores), vertex_r)


def _refits_by_image(
    plugin: Model,
    settings: Entry,
    data: Aligned,
    test: TestSet,
    rows: np.ndarray,
    in_units: bool,
    n_permutations: int,
    seed: int,
    block: str,
) -> Iterator[Permuted]:
    """Refit with labels that images trade within blocks."""
    image, first_rows, trading_block, image_of_test = exchangeable(data, test, rows, block)
    picture = data.trials["picture"].to_numpy()[first_rows]
    predictors = _predictors(plugin, settings, data, seed, in_units)
    for rng in _generators(seed, n_permutations):
        permuted_image = permute_within(np.arange(len(first_rows)), trading_block, rng)  # whose label each image gets
        predicted = np.concatenate([predict(picture[permuted_image][image]) for predict in predictors])
        # what an encoder predicts carries the permuted labels already; what a decoder is held against does not
        yield predicted, None if settings["direction"] == "encode" else _true(image_of_test, permuted_image, test)


def _refits_by_run(
    plugin: Model,
    settings: Entry,
    data: Aligned,
    test: TestSet,
    rows: np.ndarray,
    in_units: bool,
    n_permutations: int,
    seed: int,
    block: str,
) -> Iterator[Permuted]:
    """Refit with the labels of other runs, place by place; for a decoder it is the responses that change places."""
    run, pictures = _runs_of(data), data.trials["picture"].to_numpy()
    encodes = settings["direction"] == "encode"
    encoders = _predictors(plugin, settings, data, seed, in_units) if encodes else []
    for rng in _generators(seed, n_permutations):
        traded = trade_runs(run, rng)
        moved = data if encodes else replace(data, responses=np.asarray(data.responses)[traded])
        predictors = encoders or _predictors(plugin, settings, moved, seed, in_units)
        yield np.concatenate([predict(pictures[traded] if encodes else pictures) for predict in predictors]), None


def _rescored_by_image(
    predicted: np.ndarray, data: Aligned, test: TestSet, rows: np.ndarray, n_permutations: int, seed: int, block: str
) -> Iterator[Permuted]:
    """Hold the same predictions against labels that test images trade."""
    _, first_rows, trading_block, image_of_test = exchangeable(data, test, rows, block)
    for rng in _generators(seed, n_permutations):
        permuted_image = permute_within(np.arange(len(first_rows)), trading_block, rng)
        yield predicted, _true(image_of_test, permuted_image, test)


def _rescored_by_run(
    predicted: np.ndarray, data: Aligned, test: TestSet, rows: np.ndarray, n_permutations: int, seed: int, block: str
) -> Iterator[Permuted]:
    """Hold predictions of other tested runs against the labels, place by place."""
    order = np.argsort(rows, kind="stable")  # as acquired
    run = _runs_of(data)[rows[order]]
    for rng in _generators(seed, n_permutations):
        traded = np.empty_like(order)
        traded[order] = order[trade_runs(run, rng)]
        yield predicted[traded], None


def _generators(seed: int, n_permutations: int) -> Iterator[np.random.Generator]:
    """Give each permutation a generator of its own."""
    return (np.random.default_rng([seed, permutation]) for permutation in range(n_permutations))


def _predictors(plugin: Model, settings: Entry, data: Aligned, seed: int, in_units: bool) -> list[Refit]:
    """Make the function from labels to predictions of each fold's test trials."""
    if settings["direction"] == "encode":
        return [_encoder(plugin, settings, data, fold, seed) for fold in range(data.n_folds)]
    return [_decoder(plugin, settings, data, fold, seed, in_units) for fold in range(data.n_folds)]


def runs_can_trade(data: Aligned) -> bool:
    """Tell whether whole runs can trade labels: they have as many trials, and no picture comes again."""
    n_trials = np.unique(_runs_of(data), return_counts=True)[1]
    return len(set(n_trials)) == 1 and data.trials["image_id"].is_unique


def _runs_of(data: Aligned) -> np.ndarray:
    return np.asarray(pd.factorize(data.trials["session"] + "|" + data.trials["run"])[0])


def refitted(plugin: Model, settings: Entry, data: Aligned, fold: int, seed: int) -> np.ndarray:
    """Refit a model to a fold's training trials, and predict its test trials in the units of their targets."""
    pictures = data.trials["picture"].to_numpy()
    if settings["direction"] == "encode":
        return _encoder(plugin, settings, data, fold, seed)(pictures)
    return _decoder(plugin, settings, data, fold, seed, True)(pictures)


def exchangeable(
    data: Aligned, test: TestSet, rows: np.ndarray, block: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the images of all trials and say which may trade their labels.

    Gives the image of each trial, the first trial of each image that is used in some fold, the block within which each
    image may trade its label, and the image behind each test image.
    """
    image = pd.factorize(data.trials["image_id"])[0]
    is_dropped = data.split.groupby("row")["part"].agg(lambda parts: (parts == "drop").all()).loc[range(len(image))]
    order = np.argsort(is_dropped.to_numpy(), kind="stable")  # a presentation that is used nowhere says nothing
    first_rows = order[np.unique(image[order], return_index=True)[1]]
    if block == "run":
        block_names = data.trials["session"] + "|" + data.trials["run"]
    else:
        # a picture is in one part in a fold; over folds, its parts together say which pictures are like it
        merged_split = data.split.assign(tested=data.split["part"].replace({"val": "train"}))
        block_names = (
            merged_split.sort_values(["row", "fold"]).groupby("row")["tested"].agg("|".join).loc[range(len(image))]
        )
    image_of_test = np.empty(test.n_images, dtype=int)
    image_of_test[test.image] = image[rows]
    return image, first_rows, np.asarray(pd.factorize(block_names.to_numpy()[first_rows])[0]), image_of_test


def _true(image_of_test: np.ndarray, permuted_image: np.ndarray, test: TestSet) -> np.ndarray:
    """Test image whose label each test image got, in the numbering of the test set (fold by fold)."""
    test_number = {
        (int(f), int(i)): number for number, (f, i) in enumerate(zip(test.image_fold, image_of_test, strict=True))
    }
    pairs = zip(test.image_fold, permuted_image[image_of_test], strict=True)
    return np.array([test_number[(int(fold), int(image))] for fold, image in pairs])


def _decoder(plugin: Model, settings: Entry, data: Aligned, fold: int, seed: int, in_units: bool) -> Refit:
    """Make a function from labels (rows of the features, by trial) to decoded features of a fold's test trials.

    They come as the scorer takes them: in their own units, or in the scale of their training targets.
    """
    readers = inputs_and_targets(data, "decode")
    training, input_scaler, _ = training_data(data, fold, readers, settings)
    refit = _refit(plugin, settings, training, scale(readers[0](data.rows(fold, "test")), input_scaler), seed)
    training_rows = data.rows(fold, "train", "val")

    def predict(labels: np.ndarray) -> np.ndarray:
        targets_of = inputs_and_targets(data, "decode", labels)[1]
        targets, target_scaler = scaled(targets_of, training_rows, settings["scale_targets"])
        predicted = refit(targets)
        return unscale(predicted, target_scaler) if in_units else predicted

    return predict


def _encoder(plugin: Model, settings: Entry, data: Aligned, fold: int, seed: int) -> Refit:
    """Make a function from labels to predicted responses of a fold's test trials, in their own units."""
    training, _, target_scaler = training_data(data, fold, inputs_and_targets(data, "encode"), settings)
    training_rows, test_rows = data.rows(fold, "train", "val"), data.rows(fold, "test")

    def predict(labels: np.ndarray) -> np.ndarray:
        inputs_of = inputs_and_targets(data, "encode", labels)[0]
        inputs, input_scaler = scaled(inputs_of, training_rows, settings["scale_inputs"])
        permuted = replace(training, inputs=inputs)
        refit = _refit(plugin, settings, permuted, scale(inputs_of(test_rows), input_scaler), seed)
        return unscale(refit(training.targets), target_scaler)

    return predict


def _refit(plugin: Model, settings: Entry, training: TrainingData, test_inputs: np.ndarray, seed: int) -> Refit:
    """Prepare refits to other targets: the plug-in's own way where it has one, else its fit and predict."""
    if hasattr(plugin, "refit"):
        refit: Refit = cast(Refits, plugin).refit(training.inputs, training.groups, test_inputs, settings, seed)
        return refit
    return _plain(plugin, settings, training, test_inputs, seed)


def _plain(plugin: Model, settings: Entry, training: TrainingData, test_inputs: np.ndarray, seed: int) -> Refit:
    """Refit by the model's own fit and predict."""

    def refit(targets: np.ndarray) -> np.ndarray:
        retargeted = replace(training, targets=targets)
        predicted: np.ndarray = plugin.predict(
            plugin.fit([retargeted], settings, [seed], "cpu", None).states[0], test_inputs
        )
        return predicted

    return refit
