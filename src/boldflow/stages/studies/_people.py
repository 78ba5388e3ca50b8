"""What a study says of people: in how many its result would be found, and their mean score."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from boldflow.artifacts.store import leaderboard
from boldflow.core.scores.group_means import FEWEST_PEOPLE, group_interval
from boldflow.core.scores.prevalence import LEVEL, prevalence

FEWEST_PERMUTATIONS = 19  # whose smallest p is .05
SAME = [name for name in leaderboard.NAMING if name != "subject"]
PREVALENCE = ["n_tested", "n_significant", "value", "ci_low", "ci_high"]
MEAN = ["mean", "mean_low", "mean_high", "mean_remarks"]
COLUMNS = [*SAME, "primary", "simulated", "n_subjects", *PREVALENCE, *MEAN]
Draws = Callable[[str], np.ndarray]  # id of a score -> its draws, (n_draws,)


def people_of(scores: pd.DataFrame, draws_of: Draws) -> pd.DataFrame:
    """Count the subjects whose score is significant, infer the share of people, and give their mean score.

    Parameters
    ----------
    scores : DataFrame
        Columns of the leaderboard.
    draws_of : callable
        Gives the draws of a score by its id; draw d holds the same pictures for all.

    Returns
    -------
    DataFrame with ``COLUMNS``
        A row per score that two or more subjects have with p by ``FEWEST_PERMUTATIONS`` refits or more, or
        ``FEWEST_PEOPLE`` or more at all. ``value`` is the most probable share of people in whom a test of these
        pictures finds an effect; ``mean`` that of the scores, with an interval over people and pictures.
    """
    rows = []
    for key, part in scores.groupby(SAME, sort=False, dropna=False):
        prevalence_columns = _prevalence_of(part)
        if prevalence_columns or len(part) >= FEWEST_PEOPLE:
            flags = {name: bool(part[name].any()) for name in ("primary", "simulated")}
            result_columns: dict[str, object] = {**flags, "n_subjects": len(part)}
            rows.append(
                dict(zip(SAME, key, strict=True)) | result_columns | prevalence_columns | _mean_of(part, draws_of)
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _prevalence_of(part: pd.DataFrame) -> dict[str, object]:
    """Infer the share of people from the subjects whose p is by refits; nothing from fewer than two."""
    is_tested = (part["p_kind"] == "refit").fillna(False) & part["p"].notna()
    tested_rows = part[is_tested & (part["n_permutations"] >= FEWEST_PERMUTATIONS).fillna(False)]
    if len(tested_rows) < 2:
        return {}
    inferred = prevalence(int((tested_rows["p"] <= LEVEL).sum()), len(tested_rows))
    values = (inferred.n_subjects, inferred.n_significant, inferred.estimate, inferred.ci_low, inferred.ci_high)
    return dict(zip(PREVALENCE, values, strict=True))


def _mean_of(part: pd.DataFrame, draws_of: Draws) -> dict[str, object]:
    """Average the scores of people; an interval where there are enough of them, who were shown as many pictures."""
    values = part["value"].to_numpy(dtype=float)  # (n_people,)
    if len(part) < FEWEST_PEOPLE:
        return {"mean_remarks": group_interval(values, np.empty((len(values), 0)), 0).remark}
    n_images = part["n_test_images"].unique()
    if len(n_images) > 1:
        return {"mean_remarks": f"no group interval: numbers of test pictures differ, {sorted(map(int, n_images))}"}
    if part["inference"].eq("refit").any():
        return {"mean_remarks": "no group interval: over folds there are no draws of pictures"}
    draws = np.stack([draws_of(score_id) for score_id in part[leaderboard.ID]])  # (n_people, n_draws)
    interval = group_interval(values, draws, int(n_images[0]))
    return dict(zip(MEAN, (values.mean(), interval.low, interval.high, interval.remark), strict=True))
