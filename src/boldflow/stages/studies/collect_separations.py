"""What the codes of a study's models say of a class: all subjects in one table, p adjusted over them."""

import numpy as np
import pandas as pd

from boldflow.artifacts.store import tables
from boldflow.core.scores.latents import adjusted

FAMILY = ["dataset", "response", "feature", "model", "split", "seed", "metric", "protocol"]  # its subjects are adjusted


def run(separations: list[str], table: str, csv: str, code: str) -> None:
    """Join the separations of all results and adjust p over subjects (Benjamini-Hochberg).

    Parameters
    ----------
    separations : paths of the tables of single results (``stages.latents``)
    table, csv : paths of the Parquet and the CSV to write: the same columns, with ``q``, the adjusted p, and
        ``n_subjects``, over how many
    code : digests of the modules of this stage, JSON text
    """
    joined = pd.concat([tables.read(path) for path in separations], ignore_index=True)
    p = joined["p"].astype("float64")
    q = np.full(len(joined), np.nan)
    n_subjects = np.zeros(len(joined), dtype=int)
    for rows in joined.groupby(FAMILY, sort=False).indices.values():
        tested_rows = rows[p.iloc[rows].notna().to_numpy()]
        n_subjects[rows] = len(tested_rows)
        if len(tested_rows):
            q[tested_rows] = adjusted(p.iloc[tested_rows].to_numpy())
    joined.insert(joined.columns.get_loc("p") + 1, "q", q)
    joined.insert(joined.columns.get_loc("q") + 1, "n_subjects", n_subjects)
    tables.write(table, joined, {"code": code, "units": {"value": "see metric"}})
    tables.write_csv(csv, joined)
