"""Measures: one score in the making, with what a bootstrap or a jackknife needs of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boldflow.core.scores import statistics
from boldflow.vocabulary.metrics import metric_named

BLOCK = 2048  # vertices at a time in the bootstrap of maps
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


def query_measure(view: str, metric: str, values: Array, unit: Array, **fields: object) -> Measure:
    """Make a measure that averages over queries (or takes their median, where the metric is one)."""
    median = metric_named(metric).median
    value = float(np.median(values) if median else np.mean(values))
    draws_of = statistics.median_draws if median else statistics.mean_draws
    return Measure(view, metric, value, lambda counts: draws_of(values, unit, counts), **fields)  # type: ignore[arg-type]
