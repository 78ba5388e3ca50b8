"""The table of differences between models, a row per pair of models of a subject: CSV with fixed types."""

from pathlib import Path

import pandas as pd

# models are compared where all of these are equal
SAME = [
    *["dataset", "subject", "direction", "split", "fold", "seed", "view", "metric", "roi", "gallery", "gallery_size"],
    *["n_test_images", "n_repeats_averaged"],
]
MODEL = ["response", "feature", "model"]
COUNTS = ["gallery_size", "n_test_images"]
NUMBERS = ["n_repeats_averaged", "difference", "ci_low", "ci_high", "p", "p_holm"]
FLAGS = ["tied", "against_reference", "primary", "simulated"]  # the second: the study fixed model b beforehand
COLUMNS = [
    *SAME,
    *(f"{name}_a" for name in MODEL),
    *(f"{name}_b" for name in MODEL),
    *["difference", "ci_low", "ci_high", "p", "p_holm", *FLAGS],
]


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Put rows into the columns of the table with fixed types; what a row does not say is missing.

    Parameters
    ----------
    table : DataFrame
        With or without rows.

    Returns
    -------
    DataFrame with ``COLUMNS``

    Raises
    ------
    ValueError
        If a column is unknown.
    """
    unknown_columns = sorted(set(table.columns) - set(COLUMNS))
    if unknown_columns:
        raise ValueError(f"the table of comparisons has no columns {unknown_columns}; there are: {COLUMNS}")
    table = table.reindex(columns=COLUMNS)
    column_types = {name: "Int64" for name in COUNTS} | {name: "float64" for name in NUMBERS}
    column_types |= {name: "boolean" for name in FLAGS}
    return table.astype({name: column_types.get(name, "string") for name in COLUMNS})


def read(path: str | Path) -> pd.DataFrame:
    """Read the table.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    DataFrame with ``COLUMNS``

    Raises
    ------
    ValueError
        If the file is not such a table; names it.
    """
    try:
        # as text: a seed is a name
        return tidy(pd.read_csv(path, dtype={name: "string" for name in COLUMNS if name not in (*NUMBERS, *FLAGS)}))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no table of comparisons: {error}") from None
