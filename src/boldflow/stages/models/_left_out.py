"""Scores without each fold in turn, of models that are refitted without it: what an interval over folds is made of.

Where the test pictures of one fold train the models of the others, predictions of different folds depend on each other:
drawing pictures again, with predictions as they are, gives intervals that are too narrow by a third. Leaving out a fold
here leaves its trials out of all training as well.
"""

from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.intervals import FEWEST_UNITS
from boldflow.core.scores.reconstruction import ReconstructionScorer
from boldflow.models import Model
from boldflow.registry import plugin_of
from boldflow.settings import Entry
from boldflow.stages._aligned import Aligned
from boldflow.stages.models._null import refitted
from boldflow.stages.models._scorers import Scorer, as_scored, scorer_of
from boldflow.stages.models._tested import Scoring, Tested

MOST_GROUPS = 20  # of folds that are left out together where there are more folds


def left_out_of(scoring: Scoring, test_data: Tested, scorer: Scorer, seed: int) -> np.ndarray | None:
    """Scores of refits without each fold, (n_groups, n_scores); None where there is one fold, or no refit is made."""
    is_refitted = scoring.p_kind == "refit" and not scoring.pooled and not isinstance(scorer, ReconstructionScorer)
    if test_data.test.n_folds < 2 or not is_refitted:
        return None
    entry = scoring.notes.entry
    return left_out_values(scoring, test_data, cast(Model, plugin_of("models", entry)), entry, seed)


def left_out_values(scoring: Scoring, test_data: Tested, plugin: Model, entry: Entry, seed: int) -> np.ndarray | None:
    """Score refits without each group of folds.

    Parameters
    ----------
    scoring, tested : the result, and the test trials of its subject
    plugin, entry : the model's plug-in and what its entry says of fitting
    seed : of the fit

    Returns
    -------
    array of shape (n_groups, n_scores), in the order of the scorer's measures; None where there are too few folds
        NaN for scores that are not drawn.
    """
    data, test = test_data.data, test_data.test
    group_of_fold = np.arange(data.n_folds) % MOST_GROUPS  # (n_folds,)
    n_groups = len(np.unique(group_of_fold))
    if n_groups < FEWEST_UNITS:
        return None
    of_groups = replace(test, unit=group_of_fold[test.image_fold])
    scorer = scorer_of(scoring, replace(test_data, test=of_groups))
    values = []
    for group in tqdm(range(n_groups), desc=f"refit {entry['name']} without a fold", unit="fold"):
        left = np.flatnonzero(group_of_fold == group)
        predicted = _predictions_without(left, data, test, plugin, entry, seed, scorer, scoring)
        counts = (np.arange(n_groups) != group).astype(int)[None]
        values.append([m.draw(counts)[0] if m.draw else np.nan for m in scorer.measure(predicted)])
    return np.array(values)


def without_folds(data: Aligned, folds: np.ndarray) -> Aligned:
    """Leave out folds, and their test trials from the training of the others; folds that stay are numbered anew."""
    split = data.split
    left_rows = split.loc[split["fold"].isin(folds) & (split["part"] == "test"), "row"]
    kept = split[~split["fold"].isin(folds)]
    part = np.where(kept["row"].isin(left_rows) & (kept["part"] != "test"), "drop", kept["part"])
    return replace(data, split=kept.assign(part=part, fold=pd.factorize(kept["fold"], sort=True)[0]))


def _predictions_without(
    left: np.ndarray,
    data: Aligned,
    test: TestSet,
    plugin: Model,
    entry: Entry,
    seed: int,
    scorer: Scorer,
    scoring: Scoring,
) -> np.ndarray:
    """Predict test trials of the other folds, (n_test_trials, n_targets), as the scorer takes them; the rest is 0."""
    reduced = without_folds(data, left)
    kept_folds = np.setdiff1d(np.arange(data.n_folds), left)
    predicted: np.ndarray | None = None
    for number, fold in enumerate(kept_folds):
        of_fold = refitted(plugin, entry, reduced, number, seed)
        if predicted is None:
            predicted = np.zeros((len(test.image), of_fold.shape[1]))
        predicted[test.fold == fold] = of_fold
    assert predicted is not None
    return as_scored(scorer, predicted, scoring.weights)
