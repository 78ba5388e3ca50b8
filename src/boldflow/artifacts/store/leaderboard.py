"""The tidy table of scores: one number, one row, and the same columns everywhere."""

import pandas as pd

COLUMNS = [
    *("study", "dataset", "dataset_version", "subject", "response", "roi", "direction", "feature", "model", "seed"),
    *("split", "fold", "view", "metric", "primary", "value", "ci_low", "ci_high", "ci_method", "chance", "ceiling"),
    *("p", "p_kind", "n_permutations", "n_test_images", "n_repeats_averaged", "gallery", "gallery_size"),
    *("transductive", "protocol", "simulated", "published_value", "published_source"),
    *("code_digest", "config_digest", "data_digest"),
]
NUMBERS = ["value", "ci_low", "ci_high", "chance", "ceiling", "p", "n_repeats_averaged", "published_value"]
COUNTS = ["n_permutations", "n_test_images", "gallery_size"]
LOWER_IS_BETTER = ("mean_rank", "median_rank", "mse")


def tidy(rows: list[dict[str, object]] | pd.DataFrame) -> pd.DataFrame:
    """Put rows into the columns of the leaderboard with fixed types; what a row does not say is missing.

    Parameters
    ----------
    rows : list of dict, or DataFrame

    Returns
    -------
    DataFrame with ``COLUMNS``

    Raises
    ------
    ValueError
        If a row has a column that the table does not know.
    """
    table = pd.DataFrame(rows)
    unknown = sorted(set(table.columns) - set(COLUMNS))
    if unknown:
        raise ValueError(f"the leaderboard has no columns {unknown}; there are: {COLUMNS}")
    table = table.reindex(columns=COLUMNS)
    texts = [name for name in COLUMNS if name not in (*NUMBERS, *COUNTS, "primary", "simulated")]
    types = {name: "float64" for name in NUMBERS} | {name: "Int64" for name in COUNTS}
    table = table.astype(types | {"primary": "boolean", "simulated": "boolean"})
    for name in texts:
        table[name] = table[name].astype("string")
    return table
