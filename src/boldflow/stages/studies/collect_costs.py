"""Costs of a study: seconds and memory of its jobs, in a table of their own."""

from pathlib import Path

import pandas as pd

from boldflow.artifacts.store import tables
from boldflow.runs import costs as costs_of_work


def run(costs: str, benchmarks: list[str], code: str) -> None:
    """Read the benchmark files that are there and write one row per job.

    Parameters
    ----------
    costs : path of the Parquet to write: rule, job, seconds (wall), max_rss_mb
    benchmarks : paths of Snakemake's benchmark files; a job that was not run on this machine has none
    code : digests of the modules of this stage, JSON text
    """
    rows = []
    for path in map(Path, benchmarks):
        if path.is_file():
            last_row = pd.read_csv(costs_of_work.benchmark(path), sep="\t", na_values="-").iloc[-1]
            rows.append(
                {
                    "rule": path.parent.name,
                    "job": path.stem,
                    "seconds": last_row["s"],
                    "max_rss_mb": last_row["max_rss"],
                }
            )
    table = pd.DataFrame(rows, columns=["rule", "job", "seconds", "max_rss_mb"])
    tables.write(
        costs,
        table.astype({"seconds": float, "max_rss_mb": float}),
        {"units": {"seconds": "s"}, "code": code},
    )
