"""Section of costs: what each rule and each job took on the machine that ran it."""

from dataclasses import dataclass

import pandas as pd

from boldflow.report.cells import Table, number, seconds

NEEDS = ["costs"]


@dataclass(frozen=True)
class Costs:
    """What the section shows."""

    rules: Table
    jobs: Table


def costs_of(costs: pd.DataFrame) -> Costs:
    """Make the section; columns rule, job, seconds (wall), max_rss_mb (MB)."""
    return Costs(_rules(costs), _jobs(costs))


def _rules(costs: pd.DataFrame) -> Table:
    """Sum up the jobs of each rule."""
    rows = [_sum(str(rule), part) for rule, part in costs.groupby("rule", sort=True)]
    if rows:
        rows.append(_sum("all rules", costs))
    columns = ["Rule", "Jobs", "Time, summed", "Longest job", "Most memory (MB)"]
    return Table("Costs by rule", columns, rows, frozenset(range(1, 5)))


def _sum(name: str, part: pd.DataFrame) -> list[str]:
    times = (float(part["seconds"].sum()), float(part["seconds"].max()))
    return [name, str(len(part)), *map(seconds, times), number(part["max_rss_mb"].max(), ".0f")]


def _jobs(costs: pd.DataFrame) -> Table:
    ordered = costs.sort_values(["rule", "job"], kind="stable").to_dict("records")
    rows = [
        [row["job"], row["rule"], seconds(float(row["seconds"])), number(row["max_rss_mb"], ".0f")] for row in ordered
    ]
    return Table("Costs of each job", ["Job", "Rule", "Time", "Memory (MB)"], rows, frozenset({2, 3}))
