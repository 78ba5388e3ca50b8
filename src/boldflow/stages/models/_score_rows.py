"""Rows of the table of scores: value, chance, ceiling, interval and p of each measure, and its bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import intervals, statistics
from boldflow.core.scores.measures import Measure
from boldflow.stages.models._tested import Row, Scoring
from boldflow.vocabulary.metrics import Scale, has_order, lower_is_better, metric_named
from boldflow.vocabulary.results import REFITTED

OF_FOLDS = "no interval: test pictures of one fold train another, and only closed-form models are refitted"


@dataclass(frozen=True)
class ScoreRows:
    """Rows of one subject's scores, and of each its draws (n_draws,), in the same order.

    ``result_columns``: columns that all share; ``counts`` (n_draws, n_units): how often each unit of ``test`` is in
    each draw; ``unit``: what is drawn, in words; ``n_pictures``: distinct test pictures (or blocks).
    """

    scoring: Scoring
    result_columns: Row
    test: TestSet
    counts: np.ndarray
    unit: str
    n_pictures: int
    rows: list[Row] = field(default_factory=list)
    draws: list[np.ndarray] = field(default_factory=list)

    def add(
        self,
        measures: Sequence[Measure],
        seed: int | str,
        null: np.ndarray | None = None,
        left_out: np.ndarray | None = None,
        **more: object,
    ) -> None:
        """Add the scores of one seed.

        Parameters
        ----------
        measures : of the scorer
        seed : whose
        null : array of shape (n_permutations, n_measures), optional
            The same scores under permuted labels, of those that have a null; further measures have no p.
        left_out : array of shape (n_groups, n_measures), optional
            Where there are folds: the same scores of refits without each.
        **more
            Columns that are other than those that all share.
        """
        jackknife_counts = 1 - np.eye(self.test.n_units, dtype=int)  # (n_units, n_units): each without one
        for column, measure in enumerate(measures):
            if self.test.n_folds > 1:
                values = None if left_out is None else left_out[:, column]
                draws, interval = self._of_folds(measure, values)
            else:
                draws, interval = self._of_pictures(measure, jackknife_counts)
            self.draws.append(draws)
            row = {**self.result_columns, "seed": str(seed), "fold": "all", **self._values(measure), **interval}
            row["remarks"] = "; ".join(filter(None, [self.scoring.warning, str(row.get("remarks") or "")]))
            self.rows.append(row | self._significance(measure, None if null is None else null[:, column]) | more)

    def _of_pictures(self, measure: Measure, jackknife_counts: np.ndarray) -> tuple[np.ndarray, Row]:
        """Give draws of the pictures, (n_draws,), and the interval over them."""
        if measure.draw is None:
            return self._no_draws, {"remarks": measure.remark}
        metric, draws = metric_named(measure.metric), measure.draw(self.counts)
        n_undefined = int(np.isnan(draws).sum())
        remark = f"undefined in {n_undefined} of {len(draws)} draws" if n_undefined else ""
        if metric.median:
            method, interval = f"percentile bootstrap over {self.unit}", intervals.percentile(draws)
        else:
            left_out = measure.draw(jackknife_counts)
            method = f"{'Wilson' if metric.scale is Scale.COUNT else 'jackknife'} over {self.unit}"
            interval = intervals.jackknife(measure.value, left_out, metric.scale, _span(measure))
        return draws, {"inference": "pictures", **_interval_row(interval, method, measure.remark, remark)}

    def _of_folds(self, measure: Measure, left_out: np.ndarray | None) -> tuple[np.ndarray, Row]:
        """Give the scores without each fold in the place of draws, and the interval over folds; none without refits."""
        draws = self._no_draws
        if measure.draw is None or left_out is None or metric_named(measure.metric).median:
            remark = OF_FOLDS if measure.draw is not None else ""
            return draws, {"remarks": "; ".join(filter(None, [measure.remark, remark]))}
        draws[: len(left_out)] = left_out[: len(draws)]
        interval = intervals.jackknife(measure.value, left_out, metric_named(measure.metric).scale, _span(measure))
        return draws, {"inference": "refit", **_interval_row(interval, REFITTED, measure.remark)}

    @property
    def _no_draws(self) -> np.ndarray:
        return np.full(len(self.counts), np.nan)

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
            "n_test_images": self.n_pictures,
            "n_repeats_averaged": float(self.test.repeats.mean()) if measure.view == "image" else 1.0,
        }

    def _significance(self, measure: Measure, null: np.ndarray | None) -> Row:
        """Give p from the score under permuted labels, (n_permutations,), where there are any."""
        if null is None or not has_order(measure.metric):
            return {}
        if not np.isfinite(measure.value):
            return {}
        p = statistics.permutation_p(measure.value, null, not lower_is_better(measure.metric))
        row: Row = {"p": p, "p_kind": self.scoring.p_kind, "n_permutations": len(null), "null_sd": float(np.std(null))}
        if self.test.n_folds > 1 and measure.chance is not None and metric_named(measure.metric).strays_over_folds:
            row["chance"] = float(np.mean(null))
        return row


def _span(measure: Measure) -> float:
    """Largest value on the scale of a share."""
    return measure.gallery_size - 1.0 if measure.metric == "mean_rank" and measure.gallery_size else 1.0


def _interval_row(interval: intervals.Interval, method: str, *remarks: str) -> Row:
    row: Row = {"remarks": "; ".join(filter(None, [*remarks, interval.remark]))}
    if not interval.exists:
        return row
    return row | {"ci_low": interval.low, "ci_high": interval.high, "ci_method": method}
