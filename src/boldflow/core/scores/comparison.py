"""Differences between models of one subject, from bootstrap draws over the same pictures."""

import itertools
import string
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.core.scores import statistics

LETTERS = string.ascii_letters
SEED, OVER_SEEDS = "seed", "mean"  # where models have several seeds, their means are compared: in the place of a seed


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


def compare(values: np.ndarray, draws: np.ndarray, n_units: int, level: float = 0.05) -> list[Difference]:
    """Compare each pair of models.

    Parameters
    ----------
    values : array of shape (n_models,)
    draws : array of shape (n_models, n_draws)
        Draw d of every model holds the same pictures.
    n_units : int
        Pictures (or blocks) that were drawn.
    level : float
        Of the family of pairs.

    Returns
    -------
    list of Difference
    """
    pairs = list(itertools.combinations(range(len(values)), 2))
    differences = [draws[a] - draws[b] for a, b in pairs]
    p = np.array(
        [statistics.paired_p(values[a] - values[b], d, n_units) for (a, b), d in zip(pairs, differences, strict=True)]
    )
    adjusted = statistics.holm(p) if len(p) else p
    results = []
    for (a, b), d, plain, held in zip(pairs, differences, p, adjusted, strict=True):
        low, high = statistics.percentile_interval(d, 1 - level)
        tied = bool(low <= 0 <= high or held > level)
        results.append(Difference(a, b, float(values[a] - values[b]), low, high, float(plain), float(held), tied))
    return results


def tie_groups(n_models: int, tied: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Gather models into groups of ties.

    Two models share a group exactly when they are tied. Ties are not transitive (a may be tied with b, and b with c,
    while a and c differ), so that a model may be in several groups.

    Parameters
    ----------
    n_models : int
        Models are numbered from 0, best first.
    tied : iterable of pairs of int

    Returns
    -------
    list of lists of int
        Sorted by their best members; each model is in one group or more, alone where it is tied with none.

    Raises
    ------
    ValueError
        If a pair names a model that does not exist, or one model twice.

    Notes
    -----
    A greedy cover of the pairs by cliques: at most as many groups as pairs, where all maximal cliques may be
    exponentially many.
    """
    beside: list[set[int]] = [set() for _ in range(n_models)]
    for a, b in tied:
        if a == b or not (0 <= a < n_models and 0 <= b < n_models):
            raise ValueError(f"({a}, {b}) is no pair of {n_models} models")
        beside[a].add(b)
        beside[b].add(a)
    covered: set[tuple[int, int]] = set()
    groups = [[n] for n in range(n_models) if not beside[n]]
    for a in range(n_models):
        for b in sorted(other for other in beside[a] if other > a):
            if (a, b) not in covered:
                group = _clique_with(a, b, beside)
                covered.update(itertools.combinations(group, 2))
                groups.append(group)
    return sorted(groups)


def _clique_with(a: int, b: int, beside: Sequence[set[int]]) -> list[int]:
    """Add to a pair of ties each model in turn that is tied with all so far, sorted."""
    group = [a, b]
    for other in range(len(beside)):
        if other not in group and beside[other].issuperset(group):
            group.append(other)
    return sorted(group)


def letter(number: int) -> str:
    """Name a group of ties: a to z, A to Z, then further letters; always one character."""
    return LETTERS[number] if number < len(LETTERS) else chr(0x100 + number - len(LETTERS))


def tie_letters(
    rows: pd.DataFrame, pairs: pd.DataFrame, same: Sequence[str], model: Sequence[str], lower: Collection[str]
) -> pd.Series:
    """Give models letters: within a comparison two models share a letter exactly when they are tied.

    Parameters
    ----------
    rows : DataFrame
        Columns ``same``, ``model``, ``metric`` and ``value``, a row per score. Where means over seeds are compared, all
        rows of a model have the letters of its mean.
    pairs : DataFrame
        Columns ``same``, ``model`` with ``_a`` and ``_b``, and ``tied``; pairs of which a model has no row are left
        out.
    same : sequence of str
        Models are compared where these columns are equal; missing values are equal.
    model : sequence of str
        Columns that name a model.
    lower : collection of str
        Metrics of which lower is better.

    Returns
    -------
    Series of str
        Index of ``rows``; the letter a is the best model's; empty where a row was compared with no other.

    Raises
    ------
    ValueError
        If two rows would be one model of a comparison.
    """
    letters = pd.Series("", index=rows.index, dtype=object)
    seeds = compared_seeds(rows, pairs, same)
    rows = rows if seeds is None else rows.assign(**{SEED: seeds})
    where, who = key_of(rows, same), key_of(rows, model)
    compared = _pairs_by_comparison(pairs, same, model)
    for key, index in where.groupby(where, sort=False).groups.items():
        part = rows.loc[index]
        names = _best_first(part, who[index], lower)
        place = {name: n for n, name in enumerate(names)}
        here = [(place[a], place[b], tied) for a, b, tied in compared.get(key, []) if a in place and b in place]
        if here and len(place) < len(part) and (seeds is None or seeds[index[0]] != OVER_SEEDS):
            raise ValueError(f"two rows would be one model of the comparison {key!r}")
        letters[index] = who[index].map(_letters_of(names, here))
    return letters


def _pairs_by_comparison(
    pairs: pd.DataFrame, same: Sequence[str], model: Sequence[str]
) -> dict[object, list[tuple[str, str, bool]]]:
    """Give the pairs of each comparison: both models and whether they are tied."""
    sides = {f"_{side}": key_of(pairs, [f"{name}_{side}" for name in model]) for side in ("a", "b")}
    return {
        key: list(zip(part["_a"], part["_b"], part["tied"].astype(bool), strict=True))
        for key, part in pairs.assign(**sides).groupby(key_of(pairs, same), sort=False)
    }


def _best_first(rows: pd.DataFrame, who: pd.Series, lower: Collection[str]) -> list[str]:
    """Name the models of a comparison, the best by its mean first."""
    sign = 1 if rows["metric"].iloc[0] in lower else -1
    means = (sign * rows["value"].astype(float)).groupby(who, sort=False).mean()
    return list(means.sort_values(kind="stable").index)


def _letters_of(names: Sequence[str], pairs: Sequence[tuple[int, int, bool]]) -> dict[str, str]:
    """Give the letters of models; ``pairs`` of their places among ``names``, and whether they are tied."""
    places = sorted({place for a, b, _ in pairs for place in (a, b)})
    number = {place: k for k, place in enumerate(places)}
    groups = tie_groups(len(places), [(number[a], number[b]) for a, b, tied in pairs if tied])
    letters = dict.fromkeys(names, "")
    for k, group in enumerate(groups):
        for n in group:
            letters[names[places[n]]] += letter(k)
    return letters


def compared_seeds(rows: pd.DataFrame, pairs: pd.DataFrame, same: Sequence[str]) -> pd.Series | None:
    """Name the seed of each row's comparison: its own, or ``OVER_SEEDS`` where means over seeds are compared.

    Parameters
    ----------
    rows, pairs : DataFrame
        Columns ``same``.
    same : sequence of str

    Returns
    -------
    Series of str, or None if seeds are not among ``same``
    """
    if SEED not in same:
        return None
    apart = [name for name in same if name != SEED]
    over = pairs[pairs[SEED].eq(OVER_SEEDS).fillna(False)]
    return rows[SEED].where(~key_of(rows, apart).isin(set(key_of(over, apart))), OVER_SEEDS)


def key_of(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Join columns to one text per row, with missing values as empty ones.

    Parameters
    ----------
    table : DataFrame
    columns : sequence of str

    Returns
    -------
    Series of str
    """
    parts = [table[name].astype("string").fillna("") for name in columns]
    joined = parts[0].str.cat(parts[1:], sep="\x1f") if len(parts) > 1 else parts[0]
    return joined.astype(object)
