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
from boldflow.core.scores.reference import is_reference
from boldflow.settings import read_settings
from boldflow.stages.studies._people import people_of
from boldflow.stages.studies._published import beside
from boldflow.vocabulary import metrics
from boldflow.vocabulary.metrics import lower_is_better
from boldflow.vocabulary.results import REFITTED

ORDER = ["dataset", "direction", "feature", "model", "subject", "roi", "seed", "view", "gallery", "metric"]


def run(
    scores: list[str],
    draws: list[str],
    draws_indexes: list[str],
    published_: str,
    leaderboard_: str,
    csv: str,
    comparisons: str,
    people: str,
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
    comparisons : path of the CSV to write: a row per pair of models of a subject, for every metric that has draws;
        of several seeds the means
    people : path of the CSV to write: of scores that several subjects have with p by refits, how many are significant
        and what share of people that speaks for; from 8 subjects on the mean score with an interval over people
    elsewhere : path of the CSV to write: published figures of the study's data sets and models, with the reason of each
        that stands beside none of ours
    study : its name, its primary metric and, where it has one, its reference, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no row has the study's primary metric (names those there are), draws and scores do not go together, the
        reference is no model or several models of a comparison, or the table of published figures is wrong.
    """
    settings = read_settings(study)
    score_rows = pd.concat([leaderboard.read(path) for path in scores], ignore_index=True)
    score_draws = _Draws.read(draws, draws_indexes)
    score_draws.check(score_rows)
    table = _ordered(_with_primary(score_rows, settings["name"], **settings["primary"]))
    differences = _compare(table, score_draws, settings.get("reference"))
    table, unmatched_figures = beside(table, published.read(published_))
    tables.write(leaderboard_, table, {"study": settings, "code": code})
    tables.write_csv(csv, table)
    tables.write_csv(comparisons, differences)
    tables.write_csv(people, people_of(table, score_draws.of))
    tables.write_csv(elsewhere, unmatched_figures)


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
        file_draws: list[np.ndarray] = []
        rows: dict[str, int] = {}
        path_of_id: dict[str, str] = {}
        for path, index in zip(paths, indexes, strict=True):
            draws, keys = keyed.read(path, index, ndim=2)
            ids = keys[leaderboard.ID].tolist()
            repeated_id = next((score_id for score_id in ids if score_id in path_of_id), None)
            if repeated_id is not None:
                raise ValueError(
                    f"the score {repeated_id!r} has draws in {path_of_id[repeated_id]} and in {path}: each has them "
                    "once"
                )
            rows |= dict(zip(ids, range(len(rows), len(rows) + len(ids)), strict=True))
            path_of_id |= dict.fromkeys(ids, path)
            file_draws.append(draws)
        return cls(np.concatenate(file_draws), rows)

    def check(self, table: pd.DataFrame) -> None:
        """See that scores and draws are of the same ids, each once.

        Raises
        ------
        ValueError
            If a score comes twice or has no draws, or draws have no score; names the first.
        """
        repeated_ids = table.loc[table[leaderboard.ID].duplicated(), leaderboard.ID]
        if len(repeated_ids):
            raise ValueError(f"the score {repeated_ids.iloc[0]!r} comes twice in the study; each is there once")
        ids = set(table[leaderboard.ID])
        undrawn_ids = [score_id for score_id in table[leaderboard.ID] if score_id not in self.rows]
        scoreless_ids = [score_id for score_id in self.rows if score_id not in ids]
        if undrawn_ids or scoreless_ids:
            example = (
                f"the score {undrawn_ids[0]!r} has none"
                if undrawn_ids
                else f"those of {scoreless_ids[0]!r} have no score"
            )
            raise ValueError(
                f"{len(undrawn_ids)} scores have no bootstrap draws and {len(scoreless_ids)} draws have no score: "
                f"{example}; score again"
            )

    def exist(self, score_id: str) -> bool:
        """Tell whether a score has draws; one of folds that train each other has none."""
        return bool(np.isfinite(self.values[self.rows[score_id]]).any())

    def of(self, score_id: str) -> np.ndarray:
        """Give the draws of a score, (n_draws,)."""
        return np.asarray(self.values[self.rows[score_id]], dtype=np.float64)

    def mean(self, table: pd.DataFrame) -> np.ndarray:
        """Average the draws of some scores, (n_draws,)."""
        rows = [self.rows[score_id] for score_id in table[leaderboard.ID]]
        mean: np.ndarray = self.values[rows].mean(axis=0, dtype=np.float64)
        return mean


def _with_primary(score_rows: pd.DataFrame, study: str, metric: str, view: str) -> pd.DataFrame:
    """Mark the rows of the primary metric.

    Raises
    ------
    ValueError
        If there are none.
    """
    among_test_pictures = score_rows["gallery"].isna() | (score_rows["gallery"] == "test")
    is_primary = (score_rows["metric"] == metric) & (score_rows["view"] == view) & among_test_pictures
    if not is_primary.any():
        available = sorted({f"{m} ({v})" for m, v in zip(score_rows["metric"], score_rows["view"], strict=True)})
        raise ValueError(f"study {study}: no score is the primary metric {metric} ({view}); there are: {available}")
    return leaderboard.tidy(score_rows.assign(study=study, primary=is_primary))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Put rows of the primary metric first, those of the best model first among them."""
    sign = 1 if lower_is_better(table.loc[table["primary"], "metric"].iloc[0]) else -1
    means = table["value"].where(table["primary"]).groupby([table[n] for n in MODEL]).transform("mean")
    table = table.assign(best=sign * means.where(table["primary"], 0.0))
    ascending = [False, *[True] * (1 + len(ORDER))]
    table = table.sort_values(["primary", "best", *ORDER], ascending=ascending, kind="stable")
    return table.drop(columns="best").reset_index(drop=True)


def _compare(table: pd.DataFrame, score_draws: _Draws, reference: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Compare all pairs of models, or each with the reference alone; Holm over the pairs of a subject and metric.

    Where there are several seeds, each model's mean over its own is compared: a model in which nothing is left to
    chance has one seed, which others may not have.
    """
    rows: list[dict[str, object]] = []
    has_order = table["metric"].map(metrics.has_order)
    with_draws = table[has_order & table[leaderboard.ID].map(score_draws.exist).astype(bool)]
    group_columns = [name for name in SAME if name != SEED]
    for key, group_rows in with_draws.groupby(group_columns, sort=False, dropna=False):
        model_scores = [scores for _, scores in group_rows.groupby(MODEL, sort=False, dropna=False)]
        seeds = group_rows[SEED].unique()
        identity = dict(zip(group_columns, key, strict=True)) | {SEED: seeds[0] if len(seeds) == 1 else OVER_SEEDS}
        means = pd.DataFrame([scores.iloc[0].to_dict() | {"value": scores["value"].mean()} for scores in model_scores])
        reference_row = _reference_row(means, reference) if reference else None
        if reference and reference_row is None:
            continue
        draws = np.stack([score_draws.mean(scores) for scores in model_scores])  # (n_models, n_draws)
        over_folds = (group_rows["ci_method"] == REFITTED).fillna(False).any()
        if over_folds:  # as many as there are groups of folds
            draws = draws[:, np.isfinite(draws).any(axis=0)]
        n_units = int(group_rows["n_test_images"].iloc[0])
        values = means["value"].to_numpy()
        differences = compare(values, draws, n_units, reference=reference_row, over_folds=bool(over_folds))
        identity |= {"against_reference": reference is not None}
        rows += [identity | _of_pair(pair, means.iloc[pair.first], means.iloc[pair.second]) for pair in differences]
    return pair_tables.tidy(pd.DataFrame(rows))


def _reference_row(means: pd.DataFrame, reference: Mapping[str, str]) -> int | None:
    """Give the position of the reference among the models of a comparison; None where it is not among them.

    Raises
    ------
    ValueError
        If several are meant.
    """
    positions = np.flatnonzero(is_reference(means, reference))
    if len(positions) > 1:
        titles = [" · ".join(str(means.iloc[position][name]) for name in MODEL) for position in positions]
        raise ValueError(f"the reference {dict(reference)} means {len(titles)} models of one comparison: {titles}")
    return int(positions[0]) if len(positions) else None


def _of_pair(pair: Difference, row_a: pd.Series, row_b: pd.Series) -> dict[str, object]:
    """Columns of a pair of models, given a row of each."""
    model_columns = {f"{n}_a": row_a[n] for n in MODEL} | {f"{n}_b": row_b[n] for n in MODEL}
    estimates = {"difference": pair.value, "ci_low": pair.ci_low, "ci_high": pair.ci_high}
    verdict = {"p": pair.p, "p_holm": pair.p_holm, "tied": pair.tied}
    return model_columns | estimates | verdict | {"primary": row_a["primary"], "simulated": row_a["simulated"]}
