"""The leaderboard of a study: all rows in one tidy table, and which models differ."""

import numpy as np
import pandas as pd

from boldflow.artifacts.releases import published
from boldflow.artifacts.store import arrays, leaderboard, tables
from boldflow.artifacts.store import comparisons as pair_tables
from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.core.scores.comparison import OVER_SEEDS, SEED, compare
from boldflow.settings import read_settings
from boldflow.stages.studies._published import beside
from boldflow.vocabulary.metrics import lower_is_better


def run(
    scores: list[str],
    draws: list[str],
    published_: str,
    leaderboard_: str,
    csv: str,
    comparisons: str,
    elsewhere: str,
    study: str,
    code: str,
) -> None:
    """Concatenate score tables, mark the primary metric, compare models and set published figures beside.

    Parameters
    ----------
    scores, draws : paths of score tables and of their bootstrap draws, in the same order
    published_ : path of the table of published figures
    leaderboard_, csv : paths of the Parquet and the CSV to write
    comparisons : path of the CSV to write: a row per pair of models of a subject, for every metric with an interval;
        of several seeds the means
    elsewhere : path of the CSV to write: published figures of the study's data sets and models, with the reason of each
        that stands beside none of ours
    study : the study, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no row has the study's primary metric; names those there are. If the table of published figures is wrong.
    """
    wanted = read_settings(study)
    parts = [tables.read(path) for path in scores]
    rows = pd.concat(parts, ignore_index=True)
    drawn = np.concatenate([arrays.read(path, ndim=2) for path in draws])
    metric, view = wanted["primary"]["metric"], wanted["primary"]["view"]
    own = rows["gallery"].isna() | (rows["gallery"] == "test")
    primary = (rows["metric"] == metric) & (rows["view"] == view) & own
    if not primary.any():
        there = sorted({f"{m} ({v})" for m, v in zip(rows["metric"], rows["view"], strict=True)})
        raise ValueError(
            f"study {wanted['name']}: no score is the primary metric {metric} ({view}); there are: {there}"
        )
    table = leaderboard.tidy(rows.assign(study=wanted["name"], primary=primary))
    order = ["dataset", "direction", "feature", "model", "subject", "roi", "seed", "view", "gallery", "metric"]
    sign = 1 if lower_is_better(metric) else -1
    means = table["value"].where(table["primary"]).groupby([table[n] for n in MODEL]).transform("mean")
    table = table.assign(best=sign * means.where(table["primary"], 0.0))
    table = table.sort_values(["primary", "best", *order], ascending=[False, *[True] * (1 + len(order))], kind="stable")
    table = table.drop(columns="best")
    differences = _compare(table, drawn)
    table, others = beside(table.reset_index(drop=True), published.read(published_))
    tables.write(leaderboard_, table, {"study": wanted, "code": code})
    tables.write_csv(csv, table)
    tables.write_csv(comparisons, differences)
    tables.write_csv(elsewhere, others)


def _compare(table: pd.DataFrame, drawn: np.ndarray) -> pd.DataFrame:
    """Compare all pairs of models, Holm over the pairs of a subject and metric; the table's index is the draws' row.

    Where there are several seeds, each model's mean over its own is compared: a model in which nothing is left to
    chance has one seed, which others may not have.
    """
    found = []
    with_interval = table[table["ci_method"].str.contains("bootstrap").fillna(False)]
    apart = [name for name in SAME if name != SEED]
    for key, part in with_interval.groupby(apart, sort=False, dropna=False):
        own = [rows for _, rows in part.groupby(MODEL, sort=False, dropna=False)]
        seeds = part[SEED].unique()
        about = dict(zip(apart, key, strict=True)) | {SEED: seeds[0] if len(seeds) == 1 else OVER_SEEDS}
        means = pd.DataFrame([rows.iloc[0].to_dict() | {"value": rows["value"].mean()} for rows in own])
        draws = np.stack([drawn[rows.index].mean(axis=0, dtype=np.float64) for rows in own])
        for one in compare(means["value"].to_numpy(), draws, int(part["n_test_images"].iloc[0])):
            first, second = means.iloc[one.first], means.iloc[one.second]
            models = {f"{n}_a": first[n] for n in MODEL} | {f"{n}_b": second[n] for n in MODEL}
            values = {"difference": one.value, "ci_low": one.ci_low, "ci_high": one.ci_high}
            verdict = {"p": one.p, "p_holm": one.p_holm, "tied": one.tied}
            flags = {"primary": first["primary"], "simulated": first["simulated"]}
            found.append(about | models | values | verdict | flags)
    return pair_tables.tidy(pd.DataFrame(found))
