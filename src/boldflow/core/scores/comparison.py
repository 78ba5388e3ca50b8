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


def compare(
    values: np.ndarray,
    draws: np.ndarray,
    n_units: int,
    level: float = 0.05,
    reference: int | None = None,
    over_folds: bool = False,
) -> list[Difference]:
    """Compare each pair of models, or each model with one of them.

    Parameters
    ----------
    values : array of shape (n_models,)
    draws : array of shape (n_models, n_draws)
        Draw d of every model holds the same pictures.
    n_units : int
        Pictures (or blocks) that were drawn.
    level : float
        Of the family of pairs.
    reference : int, optional
        Number of the model that all others are compared with; the family is then of these pairs alone.
    over_folds : bool
        Whether ``draws`` are scores without each fold in turn, of models that were refitted without it.

    Returns
    -------
    list of Difference
    """
    pairs = list(itertools.combinations(range(len(values)), 2))
    if reference is not None:
        pairs = [(number, reference) for number in range(len(values)) if number != reference]

    def test_of(a: int, b: int) -> statistics.Paired:
        if over_folds:
            return statistics.paired_over_folds(values[a] - values[b], draws[a] - draws[b], 1 - level)
        return statistics.paired(values[a] - values[b], draws[a] - draws[b], n_units, 1 - level)

    tests = [test_of(a, b) for a, b in pairs]
    p_holm = statistics.holm(np.array([test.p for test in tests])) if tests else np.empty(0)
    differences = []
    for (a, b), test, adjusted_p in zip(pairs, tests, p_holm, strict=True):
        tied = not (adjusted_p <= level and not test.ci_low <= 0 <= test.ci_high)  # also where p is undefined
        value = float(values[a] - values[b])
        differences.append(Difference(a, b, value, test.ci_low, test.ci_high, test.p, float(adjusted_p), tied))
    return differences


def tie_groups(n_models: int, tied_pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Gather models into groups of ties.

    Two models share a group exactly when they are tied. Ties are not transitive (a may be tied with b, and b with c,
    while a and c differ), so that a model may be in several groups.

    Parameters
    ----------
    n_models : int
        Models are numbered from 0, best first.
    tied_pairs : iterable of pairs of int

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
    tied_with: list[set[int]] = [set() for _ in range(n_models)]
    for a, b in tied_pairs:
        if a == b or not (0 <= a < n_models and 0 <= b < n_models):
            raise ValueError(f"({a}, {b}) is no pair of {n_models} models")
        tied_with[a].add(b)
        tied_with[b].add(a)
    covered_pairs: set[tuple[int, int]] = set()
    groups = [[n] for n in range(n_models) if not tied_with[n]]
    for a in range(n_models):
        for b in sorted(model for model in tied_with[a] if model > a):
            if (a, b) not in covered_pairs:
                group = _clique_with(a, b, tied_with)
                covered_pairs.update(itertools.combinations(group, 2))
                groups.append(group)
    return sorted(groups)


def _clique_with(a: int, b: int, tied_with: Sequence[set[int]]) -> list[int]:
    """Add to a pair of ties each model in turn that is tied with all so far, sorted."""
    group = [a, b]
    for model in range(len(tied_with)):
        if model not in group and tied_with[model].issuperset(group):
            group.append(model)
    return sorted(group)


def letter(number: int) -> str:
    """Name a group of ties: a to z, A to Z, then further letters; always one character."""
    return LETTERS[number] if number < len(LETTERS) else chr(0x100 + number - len(LETTERS))


def tie_letters(
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    comparison_columns: Sequence[str],
    model_columns: Sequence[str],
    lower: Collection[str],
) -> pd.Series:
    """Give models letters: within a comparison two models share a letter exactly when they are tied.

    Parameters
    ----------
    rows : DataFrame
        Columns ``comparison_columns``, ``model_columns``, ``metric`` and ``value``, a row per score. Where means over
        seeds are compared, all rows of a model have the letters of its mean.
    pairs : DataFrame
        Columns ``comparison_columns``, ``model_columns`` with ``_a`` and ``_b``, and ``tied``; pairs of which a model
        has no row are left out, and so are those with a reference (``against_reference``), which make no groups.
    comparison_columns : sequence of str
        Models are compared where these columns are equal; missing values are equal.
    model_columns : sequence of str
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
    if "against_reference" in pairs:
        pairs = pairs[~pairs["against_reference"].fillna(False).astype(bool)]
    seeds = compared_seeds(rows, pairs, comparison_columns)
    rows = rows if seeds is None else rows.assign(**{SEED: seeds})
    comparison_key, model_key = key_of(rows, comparison_columns), key_of(rows, model_columns)
    compared_pairs = _pairs_by_comparison(pairs, comparison_columns, model_columns)
    for key, index in comparison_key.groupby(comparison_key, sort=False).groups.items():
        part = rows.loc[index]
        model_names = _best_first(part, model_key[index], lower)
        place_of_model = {name: n for n, name in enumerate(model_names)}
        place_pairs = [
            (place_of_model[a], place_of_model[b], tied)
            for a, b, tied in compared_pairs.get(key, [])
            if a in place_of_model and b in place_of_model
        ]
        if place_pairs and len(place_of_model) < len(part) and (seeds is None or seeds[index[0]] != OVER_SEEDS):
            raise ValueError(f"two rows would be one model of the comparison {key!r}")
        letters[index] = model_key[index].map(_letters_of(model_names, place_pairs))
    return letters


def _pairs_by_comparison(
    pairs: pd.DataFrame, comparison_columns: Sequence[str], model_columns: Sequence[str]
) -> dict[object, list[tuple[str, str, bool]]]:
    """Give the pairs of each comparison: both models and whether they are tied."""
    model_keys = {f"_{side}": key_of(pairs, [f"{name}_{side}" for name in model_columns]) for side in ("a", "b")}
    return {
        key: list(zip(part["_a"], part["_b"], part["tied"].astype(bool), strict=True))
        for key, part in pairs.assign(**model_keys).groupby(key_of(pairs, comparison_columns), sort=False)
    }


def _best_first(rows: pd.DataFrame, model_key: pd.Series, lower: Collection[str]) -> list[str]:
    """Name the models of a comparison, the best by its mean first."""
    sign = 1 if rows["metric"].iloc[0] in lower else -1
    means = (sign * rows["value"].astype(float)).groupby(model_key, sort=False).mean()
    return list(means.sort_values(kind="stable").index)


def _letters_of(model_names: Sequence[str], pairs: Sequence[tuple[int, int, bool]]) -> dict[str, str]:
    """Give the letters of models; ``pairs`` of their places among ``model_names``, and whether they are tied."""
    places = sorted({place for a, b, _ in pairs for place in (a, b)})
    number_of_place = {place: k for k, place in enumerate(places)}
    groups = tie_groups(len(places), [(number_of_place[a], number_of_place[b]) for a, b, tied in pairs if tied])
    letters = dict.fromkeys(model_names, "")
    for k, group in enumerate(groups):
        for n in group:
            letters[model_names[places[n]]] += letter(k)
    return letters


def compared_seeds(rows: pd.DataFrame, pairs: pd.DataFrame, comparison_columns: Sequence[str]) -> pd.Series | None:
    """Name the seed of each row's comparison: its own, or ``OVER_SEEDS`` where means over seeds are compared.

    Parameters
    ----------
    rows, pairs : DataFrame
        Columns ``comparison_columns``.
    comparison_columns : sequence of str

    Returns
    -------
    Series of str, or None if seeds are not among ``comparison_columns``
    """
    if SEED not in comparison_columns:
        return None
    other_columns = [name for name in comparison_columns if name != SEED]
    mean_pairs = pairs[pairs[SEED].eq(OVER_SEEDS).fillna(False)]
    return rows[SEED].where(~key_of(rows, other_columns).isin(set(key_of(mean_pairs, other_columns))), OVER_SEEDS)


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
    texts = [table[name].astype("string").fillna("") for name in columns]
    joined = texts[0].str.cat(texts[1:], sep="\x1f") if len(texts) > 1 else texts[0]
    return joined.astype(object)
