"""How many people would show what a study found: prevalence from each subject's p by refits."""

import pandas as pd

from boldflow.artifacts.store import leaderboard
from boldflow.core.scores.prevalence import LEVEL, prevalence

FEWEST_PERMUTATIONS = 19  # whose smallest p is .05
SAME = [name for name in leaderboard.NAMING if name != "subject"]
COLUMNS = [*SAME, "primary", "simulated", "n_subjects", "n_significant", "value", "ci_low", "ci_high"]


def people_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Count the subjects whose score is significant, and infer the share of people.

    Parameters
    ----------
    scores : DataFrame
        Columns of the leaderboard.

    Returns
    -------
    DataFrame with ``COLUMNS``
        A row per score that two or more subjects have with p by ``FEWEST_PERMUTATIONS`` refits or more; ``value`` is
        the most probable share of people in whom a test of these pictures finds an effect.
    """
    is_tested = (scores["p_kind"] == "refit").fillna(False) & scores["p"].notna()
    tested = scores[is_tested & (scores["n_permutations"] >= FEWEST_PERMUTATIONS).fillna(False)]
    rows = []
    for key, part in tested.groupby(SAME, sort=False, dropna=False):
        if len(part) < 2:
            continue
        inferred = prevalence(int((part["p"] <= LEVEL).sum()), len(part))
        about = {"primary": bool(part["primary"].any()), "simulated": bool(part["simulated"].any())}
        counts = {"n_subjects": inferred.n_subjects, "n_significant": inferred.n_significant}
        ends = {"value": inferred.estimate, "ci_low": inferred.ci_low, "ci_high": inferred.ci_high}
        rows.append(dict(zip(SAME, key, strict=True)) | about | counts | ends)
    return pd.DataFrame(rows, columns=COLUMNS)
