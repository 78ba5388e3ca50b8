"""The leaderboard of a study: all rows in one tidy table."""

import pandas as pd

from boldflow.artifacts import leaderboard, tables
from boldflow.stages._arrival import read_settings


def run(scores: list[str], leaderboard_: str, csv: str, study: str, code: str) -> None:
    """Concatenate score tables and mark the study's primary metric.

    Parameters
    ----------
    scores : paths of score tables
    leaderboard_, csv : paths of the Parquet and the CSV to write
    study : the study, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no row has the study's primary metric; names those there are.
    """
    wanted = read_settings(study)
    rows = pd.concat([tables.read(path) for path in scores], ignore_index=True)
    metric, view = wanted["primary"]["metric"], wanted["primary"]["view"]
    primary = (rows["metric"] == metric) & (rows["view"] == view)
    if not primary.any():
        there = sorted({f"{m} ({v})" for m, v in zip(rows["metric"], rows["view"], strict=True)})
        raise ValueError(
            f"study {wanted['name']}: no score is the primary metric {metric} ({view}); there are: {there}"
        )
    table = leaderboard.tidy(rows.assign(study=wanted["name"], primary=primary))
    order = ["dataset", "direction", "feature", "model", "subject", "roi", "seed", "view", "metric"]
    table = table.sort_values(["primary", *order], ascending=[False, *[True] * len(order)], kind="stable")
    table = table.reset_index(drop=True)
    tables.write(leaderboard_, table, {"study": wanted, "code": code})
    tables.write_csv(csv, table)
