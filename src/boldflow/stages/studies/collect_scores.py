"""The leaderboard of a study: all rows in one tidy table, and which models differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.artifacts.releases import published
from boldflow.artifacts.store import comparisons as pair_tables
from boldflow.artifacts.store import keyed, leaderboard, tables
from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.core.scores.comparison import OVER_SEEDS, SEED, Difference, compare
from boldflow.settings import read_settings
from boldflow.stages.studies._published import beside
from boldflow.vocabulary.metrics import lower_is_better

ORDER = ["dataset", "direction", "feature", "model", "subject", "roi", "seed", "view", "gallery", "metric"]


def run(
    scores: list[str],
    draws: list[str],
    draws_indexes: list[str],
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
    scores : paths of score tables
    draws, draws_indexes : paths of the bootstrap draws of all these scores and of the ids of their rows, two by two
    published_ : path of the table of published figures
    leaderboard_, csv : paths of the Parquet and the CSV to write
    comparisons : path of the CSV to write: a row per pair of models of a subject, for every metric with an interval;
        of several seeds the means
    elsewhere : path of the CSV to write: published figures of the study's data sets and models, with the reason of each
        that stands beside none of ours
    study : its name and primary metric, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no row has the study's primary metric (names those there are), draws and scores do not go together, or the
        table of published figures is wrong.
    """
    settings = read_settings(study)
    rows = pd.concat([leaderboard.read(path) for path in scores], ignore_index=True)
    drawn = _Draws.read(draws, draws_indexes)
    drawn.check(rows)
    table = _ordered(_with_primary(rows, settings["name"], **settings["primary"]))
    differences = _compare(table, drawn)
    table, others = beside(table, published.read(published_))
    tables.write(leaderboard_, table, {"study": settings, "code": code})
    tables.write_csv(csv, table)
    tables.write_csv(comparisons, differences)
    tables.write_csv(elsewhere, others)


@dataclass(frozen=True)
class _Draws:
    """Bootstrap draws of scores: ``values`` (n_scores, n_draws), and the row of each score's id."""

    values: np.ndarray
    rows: Mapping[str, int]

    @classmethod
    def read(cls, paths: Sequence[str], indexes: Sequence[str]) -> "_Draws":
        """Read the draws of several results.

        Raises
        ------
        ValueError
            If a file and its table of ids do not belong together, or an id is in two of them; names both.
        """
        parts: list[np.ndarray] = []
        rows: dict[str, int] = {}
        of: dict[str, str] = {}
        for path, index in zip(paths, indexes, strict=True):
            values, keys = keyed.read(path, index, ndim=2)
            ids = keys[leaderboard.ID].tolist()
            again = next((name for name in ids if name in of), None)
            if again is not None:
                raise ValueError(f"the score {again!r} has draws in {of[again]} and in {path}: each has them once")
            rows |= dict(zip(ids, range(len(rows), len(rows) + len(ids)), strict=True))
            of |= dict.fromkeys(ids, path)
            parts.append(values)
        return cls(np.concatenate(parts), rows)

    def check(self, table: pd.DataFrame) -> None:
        """See that scores and draws are of the same ids, each once.

        Raises
        ------
        ValueError
            If a score comes twice or has no draws, or draws have no score; names the first.
        """
        again = table.loc[table[leaderboard.ID].duplicated(), leaderboard.ID]
        if len(again):
            raise ValueError(f"the score {again.iloc[0]!r} comes twice in the study; each is there once")
        ids = set(table[leaderboard.ID])
        without = [name for name in table[leaderboard.ID] if name not in self.rows]
        spare = [name for name in self.rows if name not in ids]
        if without or spare:
            first = f"the score {without[0]!r} has none" if without else f"those of {spare[0]!r} have no score"
            raise ValueError(
                f"{len(without)} scores have no bootstrap draws and {len(spare)} draws have no score: {first}; score "
                "again"
            )

    def mean(self, table: pd.DataFrame) -> np.ndarray:
        """Average the draws of some scores, (n_draws,)."""
        rows = [self.rows[name] for name in table[leaderboard.ID]]
        mean: np.ndarray = self.values[rows].mean(axis=0, dtype=np.float64)
        return mean


def _with_primary(rows: pd.DataFrame, study: str, metric: str, view: str) -> pd.DataFrame:
    """Mark the rows of the primary metric.

    Raises
    ------
    ValueError
        If there are none.
    """
    among_test_pictures = rows["gallery"].isna() | (rows["gallery"] == "test")
    primary = (rows["metric"] == metric) & (rows["view"] == view) & among_test_pictures
    if not primary.any():
        there = sorted({f"{m} ({v})" for m, v in zip(rows["metric"], rows["view"], strict=True)})
        raise ValueError(f"study {study}: no score is the primary metric {metric} ({view}); there are: {there}")
    return leaderboard.tidy(rows.assign(study=study, primary=primary))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Put rows of the primary metric first, those of the best model first among them."""
    sign = 1 if lower_is_better(table.loc[table["primary"], "metric"].iloc[0]) else -1
    means = table["value"].where(table["primary"]).groupby([table[n] for n in MODEL]).transform("mean")
    table = table.assign(best=sign * means.where(table["primary"], 0.0))
    ascending = [False, *[True] * (1 + len(ORDER))]
    table = table.sort_values(["primary", "best", *ORDER], ascending=ascending, kind="stable")
    return table.drop(columns="best").reset_index(drop=True)


def _compare(table: pd.DataFrame, drawn: _Draws) -> pd.DataFrame:
    """Compare all pairs of models, Holm over the pairs of a subject and metric.

    Where there are several seeds, each model's mean over its own is compared: a model in which nothing is left to
    chance has one seed, which others may not have.
    """
    rows: list[dict[str, object]] = []
    with_interval = table[table["ci_method"].str.contains("bootstrap").fillna(False)]
    apart = [name for name in SAME if name != SEED]
    for key, part in with_interval.groupby(apart, sort=False, dropna=False):
        models = [scores for _, scores in part.groupby(MODEL, sort=False, dropna=False)]
        seeds = part[SEED].unique()
        about = dict(zip(apart, key, strict=True)) | {SEED: seeds[0] if len(seeds) == 1 else OVER_SEEDS}
        means = pd.DataFrame([scores.iloc[0].to_dict() | {"value": scores["value"].mean()} for scores in models])
        draws = np.stack([drawn.mean(scores) for scores in models])  # (n_models, n_draws)
        differences = compare(means["value"].to_numpy(), draws, int(part["n_test_images"].iloc[0]))
        rows += [about | _of_pair(pair, means.iloc[pair.first], means.iloc[pair.second]) for pair in differences]
    return pair_tables.tidy(pd.DataFrame(rows))


def _of_pair(pair: Difference, first: pd.Series, second: pd.Series) -> dict[str, object]:
    """Columns of a pair of models, given a row of each."""
    models = {f"{n}_a": first[n] for n in MODEL} | {f"{n}_b": second[n] for n in MODEL}
    values = {"difference": pair.value, "ci_low": pair.ci_low, "ci_high": pair.ci_high}
    verdict = {"p": pair.p, "p_holm": pair.p_holm, "tied": pair.tied}
    return models | values | verdict | {"primary": first["primary"], "simulated": first["simulated"]}
