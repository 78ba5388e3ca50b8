"""Metrics: what each is called, which way is better, and which results have it. One record each, and no second list."""

from dataclasses import dataclass
from enum import StrEnum


class Order(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"  # neither: no p, and no model is the best by it


class Scale(StrEnum):
    """On which scale an interval of a metric is made."""

    PLAIN = "plain"
    SHARE = "share"  # 0 to 1, or to the largest rank
    COUNT = "count"  # a share of queries, each of which hits or misses
    CORRELATION = "correlation"
    POSITIVE = "positive"


@dataclass(frozen=True)
class Metric:
    """One metric.

    ``name`` stands in tables, ``label`` in figures and pages; ``digits`` after the point are shown. ``kinds`` are the
    kinds of result that have it: "encode", "represent", "embedding" and "classes" (of decoded features), "wins" (of two
    encoders), "separation" (of codes). ``median``: it is the median over queries, where others are the mean. ``scale``:
    of its interval. ``strays_over_folds``: it lies off its chance without signal where the models of folds were trained
    on what others are tested on, since the length of a prediction then depends on the responses of the other folds.
    """

    name: str
    label: str
    kinds: tuple[str, ...]
    order: Order = Order.HIGHER
    digits: int = 3
    median: bool = False
    scale: Scale = Scale.PLAIN
    strays_over_folds: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("top1", "Top-1 accuracy", ("embedding",), scale=Scale.COUNT),
        Metric("top5", "Top-5 accuracy", ("embedding",), scale=Scale.COUNT),
        Metric("top10", "Top-10 accuracy", ("embedding",), scale=Scale.COUNT),
        Metric("inv_norm_rank", "Inverse normalised rank", ("embedding",), scale=Scale.SHARE),
        Metric("inv_norm_rank_median", "Inverse normalised rank, median", ("embedding",), median=True),
        Metric("mean_rank", "Mean rank", ("embedding",), Order.LOWER, digits=2, scale=Scale.SHARE),
        Metric("median_rank", "Median rank", ("embedding",), Order.LOWER, digits=2, median=True),
        Metric("sd_rank", "Standard deviation of ranks", ("embedding",), Order.NONE, digits=2),
        Metric("two_way", "2-way identification", ("embedding",), scale=Scale.SHARE),
        Metric("nway50", "50-way top-1 accuracy", ("embedding",), scale=Scale.SHARE),
        Metric("feature_r", "Pearson r of features", ("embedding",), scale=Scale.CORRELATION, strays_over_folds=True),
        Metric("accuracy", "Accuracy", ("classes",), scale=Scale.COUNT),
        Metric("auc", "ROC-AUC", ("classes", "separation"), scale=Scale.SHARE),
        Metric("r", "Pearson r", ("encode", "represent"), scale=Scale.CORRELATION, strays_over_folds=True),
        Metric("r_pooled", "Pooled r of a region", ("encode",), scale=Scale.CORRELATION, strays_over_folds=True),
        Metric("r2", "Signed r²", ("encode",), strays_over_folds=True),
        Metric("R2", "R² of held-out trials", ("encode", "represent")),
        Metric("mse", "Mean squared error", ("encode", "represent"), Order.LOWER, scale=Scale.POSITIVE),
        Metric("explained_share", "Explained share", ("encode",)),
        Metric("ceiling", "Noise ceiling NC", ("encode",), Order.NONE, scale=Scale.SHARE),
        Metric("zeros", "Share of zeros", ("represent",), Order.NONE, scale=Scale.SHARE),
        Metric("dead_units", "Dead units", ("represent",), Order.NONE),
        Metric("win_share", "Win share", ("wins",)),
        Metric("norm_p", "p of the lengths of codes", ("separation",), Order.NONE),
    )
}


LOWER_IS_BETTER = tuple(name for name, metric in METRICS.items() if metric.order is Order.LOWER)


def metric_named(name: str) -> Metric:
    """Give the record of a metric.

    Raises
    ------
    ValueError
        If there is no such metric; names those there are.
    """
    if name not in METRICS:
        raise ValueError(f"no metric is called {name!r}; there are: {', '.join(METRICS)}")
    return METRICS[name]


def of_kind(kind: str) -> tuple[str, ...]:
    """Name the metrics that a kind of result has, such as "encode"; none of an unknown kind."""
    return tuple(metric.name for metric in METRICS.values() if kind in metric.kinds)


def views_of(kind: str, has_pictures: bool) -> tuple[str, ...]:
    """Name the views in which a kind of result is scored, as far as facts tell.

    Encoders are scored on averaged repeats alone; without pictures nothing is repeated, and each trial is scored.
    """
    if kind == "encode":
        return ("image",)
    return ("trial", "image") if has_pictures else ("trial",)


def label(name: str) -> str:
    """Write a metric's name out; an unknown one is returned as it is."""
    return METRICS[name].label if name in METRICS else name


def digits(name: str) -> int:
    """Digits after the point of a value that is shown."""
    return metric_named(name).digits


def has_order(name: str) -> bool:
    """Tell whether one value of a metric is better than another."""
    return metric_named(name).order is not Order.NONE


def lower_is_better(name: str) -> bool:
    """Tell whether lower values of a metric are better."""
    return metric_named(name).order is Order.LOWER
