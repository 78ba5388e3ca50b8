"""Which scorer a result has, what it takes, and its scores under permuted labels."""

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, model_weights, tables
from boldflow.core.linear.scaling import ScaledRows
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.reconstruction import ReconstructionScorer
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.registry import plugin_of
from boldflow.stages._aligned import Aligned, regions_of
from boldflow.stages.models._codes import in_training_scale
from boldflow.stages.models._null import WHOLE_RUNS, Null, null_values, rescored_values, runs_can_trade
from boldflow.stages.models._tested import Scoring, Tested

NCSNR = "published_ncsnr"  # of each vertex, where the data set publishes it
Scorer = ClassScorer | RetrievalScorer | EncodingScorer | ReconstructionScorer


def scorer_of(scoring: Scoring, test_data: Tested) -> Scorer:
    """Choose the scorer by direction and by the kind of feature.

    Raises
    ------
    ValueError
        If the table of vertices has not a row per column of the responses.
    """
    data, test, test_rows = test_data.data, test_data.test, test_data.rows
    direction = scoring.notes.entry["direction"]
    if direction != "decode":
        measured = np.asarray(arrays.rows(data.responses, test_rows), dtype=np.float64)  # (n_test_trials, n_vertices)
        places = _places(test_data.vertices, measured.shape[1])
        if direction == "represent":
            return ReconstructionScorer(
                test, in_training_scale(measured, test.fold, scoring.weights), regions_of(places)
            )
        ncsnr = places[NCSNR].to_numpy() if NCSNR in places else None
        return EncodingScorer(test, measured, regions_of(places), ncsnr)
    picture = np.empty(test.n_images, dtype=int)
    picture[test.image] = data.trials["picture"].to_numpy()[test_rows]
    if scoring.notes.feature_kind == "classes":
        classes = np.argmax(data.features[picture], axis=1)
        return ClassScorer(test, classes)
    return retrieval_scorer(data, test, picture, scoring.weights)


def retrieval_scorer(data: Aligned, test: TestSet, picture: np.ndarray, weights: str) -> RetrievalScorer:
    """Make the scorer of decoded features; ``picture`` (n_images,): row of the features of each test image."""
    fold_galleries = [
        ScaledRows(data.features, model_weights.targets_scaler(weights, fold)) for fold in range(data.n_folds)
    ]
    targets = np.stack([fold_galleries[fold][row] for fold, row in zip(test.image_fold, picture, strict=True)])
    return RetrievalScorer(test, targets, fold_galleries, picture)


def as_scored(scorer: Scorer, predicted: np.ndarray, weights: str) -> np.ndarray:
    """Bring predictions to what the scorer takes, float64: its targets' own units, or the scale of training."""
    predicted_values = np.asarray(predicted, dtype=np.float64)
    if isinstance(scorer, RetrievalScorer | ReconstructionScorer):
        return in_training_scale(predicted_values, scorer.test.fold, weights)
    return predicted_values


def null_of(scoring: Scoring, test_data: Tested, scorer: Scorer, predicted: np.ndarray, seed: int) -> Null | None:
    """Scores under permuted labels, or None where the model has no p."""
    entry, settings, p_kind = scoring.notes.entry, scoring.settings, scoring.p_kind
    if isinstance(scorer, ReconstructionScorer):
        return None  # there are no labels that could be permuted
    if scoring.pooled and p_kind == "refit":
        return None  # a refit to one subject says nothing of a model of several
    data, test, test_rows = test_data.data, test_data.test, test_data.rows
    block = "part" if scoring.facts.images else "run"
    if scoring.label_in_blocks:
        if not runs_can_trade(data):
            return None
        block = WHOLE_RUNS
    if p_kind == "refit":
        plugin, n_permutations = plugin_of("models", entry), settings["permutations"]
        return null_values(plugin, entry, data, test, test_rows, scorer, n_permutations, seed=seed, block=block)
    if p_kind == "rescore":
        return rescored_values(predicted, data, test, test_rows, scorer, settings["rescorings"], seed=seed, block=block)
    return None


def _places(vertices: str, n_columns: int) -> pd.DataFrame:
    if not vertices:
        return pd.DataFrame(index=range(n_columns))
    places = tables.read(vertices)
    if len(places) != n_columns:
        raise ValueError(f"{vertices} has {len(places)} rows, the responses have {n_columns} columns: one for each")
    return places
