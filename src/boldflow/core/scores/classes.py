"""Scores of class evidence: how often the right class wins, and how well each is told from the others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import metrics
from boldflow.core.scores.measures import Measure, query_measure

Array = np.ndarray


@dataclass(frozen=True)
class ClassScorer:
    """Score class evidence: accuracy and area under the ROC curve.

    ``classes`` (n_images,): true class of each test image.
    """

    test: TestSet
    classes: Array

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_classes).

        ``true`` (n_images,): image whose class counts as true for each image, under permuted labels.
        """
        classes = self.classes if true is None else self.classes[true]
        measures = []
        for view, evidence, image in self.test.views(predicted):
            true_class, unit, fold = classes[image], self.test.unit[image], self.test.image_fold[image]
            hits = metrics.class_hits(evidence, true_class)
            chance = metrics.class_hits_by_chance(evidence, true_class, fold)
            measures.append(query_measure(view, "accuracy", hits, unit, chance=chance))
            area = metrics.class_auc(evidence, true_class, fold)
            draw = _auc_draws(evidence, true_class, unit, fold)
            measures.append(Measure(view, "auc", area, draw, chance=0.5, remark=_untold(true_class, fold)))
        return measures


def _auc_draws(scores: Array, classes: Array, unit: Array, fold: Array) -> Callable[[Array], Array]:
    def draw_auc(counts: Array) -> Array:
        row_draws = (np.repeat(np.arange(len(classes)), draw[unit].astype(int)) for draw in counts)
        return np.array([metrics.class_auc(scores[rows], classes[rows], fold[rows]) for rows in row_draws])

    return draw_auc


def _untold(classes: Array, fold: Array) -> str:
    """Say how many folds hold one class only, which no area tells from another."""
    numbers = np.unique(fold)
    n_untold = sum(len(np.unique(classes[fold == number])) < 2 for number in numbers)
    return f"{n_untold} of {len(numbers)} folds hold one class only" if n_untold else ""
