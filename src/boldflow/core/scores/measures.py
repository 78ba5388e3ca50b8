"""Measures: one score in the making, with what a bootstrap or a jackknife needs of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
    in; without it there is no interval. ``remark`` says what a reader of the row has to know, such as why there is no
    ceiling.
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
    remark: str = ""

    @property
    def key(self) -> tuple[str, str, str | None, str | None]:
        """What tells this score from the others of a result."""
        return self.view, self.metric, self.roi, self.gallery


@dataclass
class SharedDraws:
    """Scores under counts of the units, where regions and metrics share one pass over the same counts.

    ``sums``: weights (n_draws, n_rows) -> region -> metric -> (n_draws,); ``unit`` (n_rows,): unit of each row.
    """

    sums: Callable[[Array], dict[str, dict[str, Array]]]
    unit: Array
    passes: list[tuple[Array, dict[str, dict[str, Array]]]] = field(default_factory=list)

    def of(self, region: str, metric: str) -> Callable[[Array], Array]:
        """Give a metric of a region as a function of counts (n_draws, n_units)."""

        def draw(counts: Array) -> Array:
            for summed_counts, sums in self.passes:
                if summed_counts is counts:
                    return sums[region][metric]
            self.passes.append((counts, self.sums(counts[:, self.unit].astype(np.float64))))
            return self.passes[-1][1][region][metric]

        return draw


def query_measure(view: str, metric: str, values: Array, unit: Array, **fields: object) -> Measure:
    """Make a measure that averages over queries (or takes their median, where the metric is one)."""
    median = metric_named(metric).median
    value = float(np.median(values) if median else np.mean(values))
    draws_of = statistics.median_draws if median else statistics.mean_draws
    return Measure(view, metric, value, lambda counts: draws_of(values, unit, counts), **fields)  # type: ignore[arg-type]
