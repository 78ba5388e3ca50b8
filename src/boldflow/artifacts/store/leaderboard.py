"""The tidy table of scores: one number, one row, and the same columns everywhere."""

from pathlib import Path

import pandas as pd

from boldflow.artifacts.store import tables

COLUMNS = [
    *("study", "dataset", "dataset_version", "subject", "response", "roi", "direction", "feature", "model", "seed"),
    *("split", "fold", "view", "metric", "primary", "value", "ci_low", "ci_high", "ci_method", "chance", "ceiling"),
    *("p", "p_kind", "n_permutations", "null_sd", "n_test_images", "n_repeats_averaged", "gallery", "gallery_size"),
    *("transductive", "protocol", "simulated", "inference", "remarks", "published_value", "published_source"),
    *("code_digest", "config_digest", "data_digest", "id"),
]
ID = "id"
NAMING = [
    *["dataset", "subject", "response", "feature", "model", "split"],
    *["seed", "fold", "view", "metric", "roi", "gallery"],
]
NUMBERS = ["value", "ci_low", "ci_high", "chance", "ceiling", "p", "null_sd", "n_repeats_averaged", "published_value"]
COUNTS = ["n_permutations", "n_test_images", "gallery_size"]


def tidy(rows: list[dict[str, object]] | pd.DataFrame) -> pd.DataFrame:
    """Put rows into the columns of the leaderboard with fixed types; what a row does not say is missing.

    Parameters
    ----------
    rows : list of dict, or DataFrame

    Returns
    -------
    DataFrame with ``COLUMNS``
        ``id`` is made from the columns ``NAMING``.

    Raises
    ------
    ValueError
        If a row has a column that the table does not know.
    """
    table = pd.DataFrame(rows)
    unknown_columns = sorted(set(table.columns) - set(COLUMNS))
    if unknown_columns:
        raise ValueError(f"the leaderboard has no columns {unknown_columns}; there are: {COLUMNS}")
    table = table.reindex(columns=COLUMNS)
    text_columns = [name for name in COLUMNS if name not in (*NUMBERS, *COUNTS, "primary", "simulated")]
    column_types = {name: "float64" for name in NUMBERS} | {name: "Int64" for name in COUNTS}
    table = table.astype(column_types | {"primary": "boolean", "simulated": "boolean"})
    for name in text_columns:
        table[name] = table[name].astype("string")
    return table.assign(**{ID: ids(table)})


def ids(table: pd.DataFrame) -> pd.Series:
    """Name each score by what tells it from all others: its columns ``NAMING``, joined by /; "-" where one is empty.

    Parameters
    ----------
    table : DataFrame
        With the columns ``NAMING``.

    Returns
    -------
    Series of str, such as "sim/sub-01/bold/gabor/ridge/repeated/0/all/image/top1/-/test"
    """
    id_parts = [table[name].astype("string").fillna("-") for name in NAMING]
    return id_parts[0].str.cat(id_parts[1:], sep="/")


def read(path: str | Path) -> pd.DataFrame:
    """Read a table of scores and see that each row's id is of the row.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    DataFrame with ``COLUMNS``

    Raises
    ------
    ValueError
        If the table lacks ids, an id says other than the columns of its row, or an id comes twice; names the first.
    """
    table = tables.read(path)
    if ID not in table:
        raise ValueError(f"{path} has no column {ID!r}; make it again with: snakemake --profile cpu -f {path}")
    expected = ids(table)
    is_wrong = table[ID].astype("string").fillna("") != expected
    if is_wrong.any():
        row = int(is_wrong.to_numpy(dtype=bool).argmax())
        raise ValueError(
            f"{path}: the id of row {row} is {table[ID].iloc[row]!r}, its columns say {expected.iloc[row]!r}"
        )
    is_repeated = table[ID].duplicated()
    if is_repeated.any():
        raise ValueError(f"{path}: the id {table[ID][is_repeated].iloc[0]!r} comes twice; each score has its own")
    return table
