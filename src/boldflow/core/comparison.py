"""Differences between models of one subject, from bootstrap draws over the same pictures."""

import itertools
from dataclasses import dataclass

import numpy as np

from boldflow.core import statistics


@dataclass(frozen=True)
class Difference:
    """Score of ``first`` minus score of ``second`` (positions of the models compared), with its paired interval.

    ``p_holm`` is adjusted over all pairs compared together; ``tied`` unless the interval excludes 0 and ``p_holm`` is
    at most .05.
    """

    first: int
    second: int
    value: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    tied: bool


def compare(values: np.ndarray, draws: np.ndarray, level: float = 0.05) -> list[Difference]:
    """Compare each pair of models.

    Parameters
    ----------
    values : array of shape (n_models,)
    draws : array of shape (n_models, n_draws)
        Draw d of every model holds the same pictures.
    level : float
        Of the family of pairs.

    Returns
    -------
    list of Difference
    """
    pairs = list(itertools.combinations(range(len(values)), 2))
    differences = [draws[a] - draws[b] for a, b in pairs]
    p = np.array([statistics.bootstrap_p(d) for d in differences])
    adjusted = statistics.holm(p) if len(p) else p
    found = []
    for (a, b), d, plain, held in zip(pairs, differences, p, adjusted, strict=True):
        low, high = statistics.percentile_interval(d, 1 - level)
        tied = bool(low <= 0 <= high or held > level)
        found.append(Difference(a, b, float(values[a] - values[b]), low, high, float(plain), float(held), tied))
    return found
