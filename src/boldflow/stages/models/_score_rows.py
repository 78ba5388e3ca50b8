"""Rows of the table of scores: value, chance, ceiling, interval and p of each measure, and its bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import statistics
from boldflow.core.scores.measures import Measure
from boldflow.stages.models._tested import Row, Scoring
from boldflow.vocabulary.metrics import has_order, lower_is_better

FEWEST_UNITS = 4  # from which on a jackknife says something


@dataclass(frozen=True)
class ScoreRows:
    """Rows of one subject's scores, and of each its draws (n_draws,), in the same order.

    ``about``: columns that all share; ``counts`` (n_draws, n_units): how often each unit of ``test`` is in each draw;
    ``unit``: what is drawn, in words.
    """

    scoring: Scoring
    about: Row
    test: TestSet
    counts: np.ndarray
    unit: str
    rows: list[Row] = field(default_factory=list)
    draws: list[np.ndarray] = field(default_factory=list)

    def add(self, measures: Sequence[Measure], seed: int | str, null: np.ndarray | None = None, **more: object) -> None:
        """Add the scores of one seed.

        Parameters
        ----------
        measures : of the scorer
        seed : whose
        null : array of shape (n_permutations, n_measures), optional
            The same scores under permuted labels, of those that have a null; further measures have no p.
        **more
            Columns that are other than those that all share.
        """
        jackknife_counts = 1 - np.eye(self.test.n_units)  # (n_units, n_units): each without one
        for column, measure in enumerate(measures):
            draws = measure.draw(self.counts) if measure.draw and measure.method == "bootstrap" else None
            constant_draws = np.full(self.counts.shape[0], np.nan_to_num(measure.value))
            self.draws.append(constant_draws if draws is None else draws)
            row = {**self.about, "seed": str(seed), "fold": "all", **self._values(measure)}
            row |= _interval(measure, draws, jackknife_counts, self.unit)
            self.rows.append(row | self._significance(measure, None if null is None else null[:, column]) | more)

    def _values(self, measure: Measure) -> Row:
        return {
            "view": measure.view,
            "metric": measure.metric,
            "value": float(measure.value),
            "chance": measure.chance,
            "ceiling": measure.ceiling,
            "roi": measure.roi,
            "gallery": measure.gallery,
            "gallery_size": measure.gallery_size,
            "n_test_images": self.test.n_images,
            "n_repeats_averaged": float(self.test.repeats.mean()) if measure.view == "image" else 1.0,
        }

    def _significance(self, measure: Measure, null: np.ndarray | None) -> Row:
        """Give p from the score under permuted labels, (n_permutations,), where there are any."""
        if null is None or not has_order(measure.metric):
            return {}
        p = statistics.permutation_p(measure.value, null, not lower_is_better(measure.metric))
        return {"p": p, "p_kind": self.scoring.p_kind, "n_permutations": len(null)}


def _interval(measure: Measure, draws: np.ndarray | None, jackknife_counts: np.ndarray, unit: str) -> Row:
    """Give the 95 % interval of a score and how it was found."""
    if draws is not None:
        low, high = statistics.percentile_interval(draws)
        return {"ci_low": low, "ci_high": high, "ci_method": f"percentile bootstrap over {unit}"}
    if measure.draw is None or measure.method == "none" or len(jackknife_counts) < FEWEST_UNITS:
        return {}
    low, high = statistics.jackknife_interval(measure.value, measure.draw(jackknife_counts))
    return {"ci_low": low, "ci_high": high, "ci_method": f"jackknife over {unit}"}
