"""Section of people: in how many of them what the study found would be found."""

from dataclasses import dataclass

import pandas as pd

from boldflow.report.cells import Table, mark_of, number, text_of
from boldflow.report.scores import HEADINGS

NEEDS = ["people"]
KEYS = ["dataset", "response", "feature", "model", "split", "roi", "seed", "gallery"]


@dataclass(frozen=True)
class People:
    """What the section shows: a row per model, of the primary metric."""

    table: Table


def people_of(people: pd.DataFrame | None) -> People | None:
    """Make the section, where two or more subjects have p of the primary metric by refits."""
    rows = people[people["primary"].astype(str) == "True"] if people is not None else None
    if rows is None or rows.empty:
        return None
    shown = [name for name in KEYS if name in ("feature", "model") or len(rows[name].unique()) > 1]
    cells = [
        [
            *(text_of(row[name]) for name in shown),
            f"{row['n_significant']} of {row['n_subjects']}",
            f"{number(float(row['value']), '.2f')} "
            f"[{number(float(row['ci_low']), '.2f')}, {number(float(row['ci_high']), '.2f')}]",
        ]
        for row in rows.to_dict("records")
    ]
    heads = [*(HEADINGS[name] for name in shown), "Subjects with p <= .05", "Share of people [95 % interval]"]
    numeric = frozenset((len(shown), len(shown) + 1))
    mark = mark_of(rows["simulated"].astype(str) == "True")
    return People(Table("Prevalence by the primary metric", heads, cells, numeric, mark))
