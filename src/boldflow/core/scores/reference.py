"""One model that all others are compared with: which rows are it, and how the others stand against it."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from boldflow.core.scores.comparison import compared_seeds, key_of

REFERENCE, BETTER, WORSE, TIED = "reference", "better", "worse", "tied"


def is_reference(rows: pd.DataFrame, reference: Mapping[str, str]) -> pd.Series:
    """Tell which rows are of the model that a reference names, such as ``{"model": "ridge", "feature": "gabor"}``.

    Parameters
    ----------
    rows : DataFrame
        With the columns that the reference names.
    reference : mapping of str to str

    Returns
    -------
    Series of bool
    """
    names = list(reference)
    return (rows[names].astype("string") == pd.Series(reference, dtype="string")[names]).fillna(False).all(axis=1)


def marks_against_reference(
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    comparison_columns: Sequence[str],
    model_columns: Sequence[str],
    lower: Collection[str],
) -> pd.Series:
    """Say of each row how its model stands against the reference that it was compared with.

    Parameters
    ----------
    rows : DataFrame
        Columns ``comparison_columns``, ``model_columns`` and ``metric``, a row per score.
    pairs : DataFrame
        Columns ``comparison_columns``, ``model_columns`` with ``_a`` and ``_b``, ``difference``, ``tied``, and
        ``against_reference``: whether ``_b`` is the reference.
    comparison_columns, model_columns : sequence of str
        As ``comparison.tie_letters`` has them.
    lower : collection of str
        Metrics of which lower is better.

    Returns
    -------
    Series of str
        Index of ``rows``: ``REFERENCE``, ``BETTER``, ``WORSE`` or ``TIED``; empty where there was no reference.
    """
    if "against_reference" not in pairs:
        return pd.Series("", index=rows.index, dtype=object)
    pairs = pairs[pairs["against_reference"].fillna(False).astype(bool)]
    seeds = compared_seeds(rows, pairs, comparison_columns)
    keyed_rows = rows if seeds is None else rows.assign(seed=seeds)
    row_keys = key_of(keyed_rows, [*comparison_columns, *model_columns])
    verdicts: dict[str, str] = {}
    for side in ("b", "a"):
        names = {f"{name}_{side}": name for name in model_columns}
        sides = pairs[[*comparison_columns, *names]].rename(columns=names)
        pair_keys = key_of(sides, [*comparison_columns, *model_columns])
        words = [REFERENCE] * len(pairs) if side == "b" else [_verdict(pair, lower) for _, pair in pairs.iterrows()]
        verdicts |= dict(zip(pair_keys, words, strict=True))
    return pd.Series([verdicts.get(key, "") for key in row_keys], index=rows.index, dtype=object)


def _verdict(pair: pd.Series, lower: Collection[str]) -> str:
    if pair["tied"]:
        return TIED
    return BETTER if (pair["difference"] < 0) == (pair["metric"] in lower) else WORSE
