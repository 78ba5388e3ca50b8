"""Scores of pooled subjects together: predictions of a picture averaged over who saw it, and over all its trials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from boldflow.core.averaging import average_by, average_over_subjects
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import statistics
from boldflow.core.scores.measures import BOOTSTRAP_SEED
from boldflow.core.scores.retrieval import BATCHES
from boldflow.stages._predictions import Predictions
from boldflow.stages.models._codes import in_training_scale
from boldflow.stages.models._score_rows import ScoreRows
from boldflow.stages.models._scorers import retrieval_scorer
from boldflow.stages.models._tested import Scoring, Tested
from boldflow.vocabulary.results import ResultKey


@dataclass(frozen=True)
class _Together:
    """Test images of all subjects as one test set, an image a trial.

    ``keys``: of each subject the name of each of its images, (n_images_of_subject,); ``picture`` (n_images,): row of
    the features; ``instance`` (n_trials of all subjects,): the image of each trial.
    """

    test: TestSet
    keys: list[np.ndarray]
    picture: np.ndarray
    instance: np.ndarray


def score_over_subjects(
    scoring: Scoring, everyone: Sequence[Tested], predictions: Predictions, result: ResultKey
) -> ScoreRows:
    """Score predictions averaged over an image's repeats, then over who saw it, and over all its trials at once.

    Parameters
    ----------
    scoring : Scoring
    everyone : test trials of each subject
    predictions : of the same subjects in the same order
    result : what the rows are of; its subject stands for all

    Returns
    -------
    ScoreRows
        In the views ``subjects`` and ``instances``.
    """
    pooled_test = _together(everyone)
    n_images = pooled_test.test.n_images
    scorer = replace(
        retrieval_scorer(everyone[0].data, pooled_test.test, pooled_test.picture, scoring.weights),
        frequency=np.bincount(pooled_test.instance),
    )
    counts = statistics.bootstrap_counts(pooled_test.test.n_units, scoring.n_draws, BOOTSTRAP_SEED)
    score_rows = ScoreRows(scoring, scoring.result_columns(result), pooled_test.test, counts, "images", n_images)
    n_trials = sum(len(test_data.test.image) for test_data in everyone) / n_images
    for seed_number, seed in enumerate(scoring.notes.entry["seeds"]):
        scaled_predictions = [
            in_training_scale(
                np.asarray(predictions.of(seed_number, subject_number), dtype=np.float64),
                test_data.test.fold,
                scoring.weights,
            )
            for subject_number, test_data in enumerate(everyone)
        ]  # of each subject (n_test_trials, n_features)
        image_means = [
            average_by(predicted, test_data.test.image, test_data.test.n_images)
            for predicted, test_data in zip(scaled_predictions, everyone, strict=True)
        ]
        views = {"subjects": average_over_subjects(image_means, pooled_test.keys)[0]}
        views["instances"] = average_by(np.concatenate(scaled_predictions), pooled_test.instance, n_images)
        for view, averaged in views.items():
            # pictures are no batches of trials
            measures = [replace(m, view=view) for m in scorer.measure(averaged) if m.gallery != BATCHES]
            score_rows.add(measures, seed, n_repeats_averaged=n_trials)
    return score_rows


def _together(everyone: Sequence[Tested]) -> _Together:
    """Number the images of all subjects, by fold and name."""
    keys, pictures, units = [], [], []
    for test_data in everyone:
        data, test, test_rows = test_data.data, test_data.test, test_data.rows
        first_rows = np.unique(test.image, return_index=True)[1]  # a trial of each image
        unit_of_row = data.split.drop_duplicates("row").set_index("row")["unit"]
        folds_and_names = zip(test.image_fold, test_data.image_id, strict=True)
        keys.append(np.array([f"{fold:06d} {name}" for fold, name in folds_and_names]))
        pictures.append(data.trials["picture"].to_numpy()[test_rows[first_rows]])
        units.append(unit_of_row.loc[test_rows[first_rows]].to_numpy())
    distinct_keys, first_index = np.unique(np.concatenate(keys), return_index=True)
    fold = np.array([int(key[:6]) for key in distinct_keys])
    unit_of_image = np.asarray(pd.factorize(np.concatenate(units)[first_index])[0])
    test = TestSet(fold, np.arange(len(distinct_keys)), fold, unit_of_image)
    trial_keys = [subject_keys[test_data.test.image] for subject_keys, test_data in zip(keys, everyone, strict=True)]
    instance = np.unique(np.concatenate(trial_keys), return_inverse=True)[1]
    return _Together(test, keys, np.concatenate(pictures)[first_index], instance)
