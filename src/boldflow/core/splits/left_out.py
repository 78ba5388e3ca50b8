"""Why trials are in no part of a split: counted by subject and reason, so that nobody wonders where they are."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from boldflow.core.splits.assignment import TRIAL, concepts

TESTED = "the picture, or a copy of it, is tested in that fold"
TESTED_RUN = "the run is tested in that fold"
CONCEPT = "another picture of the concept is tested"
VALIDATED = "the picture is validated on in another run"
UNUSABLE = "not usable"
OVERLAPS = "the window shares a volume with that of a test trial"
CLOSE = "the onset is close to that of a test trial"


def reasons(trials: pd.DataFrame, split: pd.DataFrame, rule: Mapping[str, Any], unit: str) -> pd.Series:
    """Say why each trial that a split drops is dropped.

    Parameters
    ----------
    trials : DataFrame
        Of all subjects: subject, session, run, trial, image_id, usable.
    split : DataFrame
        From ``assignment.make_split`` with ``rule`` and ``unit``; before windows are kept apart.

    Returns
    -------
    Series of str
        Of the dropped rows of ``split``, by its index.
    """
    rows = split.reset_index().merge(trials[[*TRIAL, "image_id", "usable"]], on=TRIAL).set_index("index")
    reason = pd.Series(VALIDATED, index=rows.index)
    concept = concepts(rows["image_id"], rule["concept"]) if rule.get("concept") else pd.Series(pd.NA, index=rows.index)
    for fold, is_test in (rows["part"] == "test").groupby(rows["fold"]):
        in_fold, test_rows = rows["fold"] == fold, rows.loc[is_test[is_test].index]
        reason[in_fold & concept.isin(concept[test_rows.index].dropna())] = CONCEPT
        reason[in_fold & rows["unit"].isin(test_rows["unit"])] = TESTED if unit == "image" else TESTED_RUN
    reason[~rows["usable"]] = UNUSABLE
    return reason[rows["part"] == "drop"]


def counts(split: pd.DataFrame, reason: pd.Series) -> dict[str, dict[str, int]]:
    """Count dropped trials by subject and reason, summed over folds."""
    table = pd.crosstab(split.loc[reason.index, "subject"], reason)
    return {
        str(subject): {str(name): int(n) for name, n in row.items() if n} for subject, row in table.iterrows()
    }  # fmt: skip


def add(by_subject: dict[str, dict[str, int]], reason: str, n_dropped: Mapping[str, int]) -> None:
    """Add the trials that were dropped for a further reason to counts by subject, in place; none are not named."""
    for subject, n in n_dropped.items():
        if n:
            by_subject.setdefault(subject, {})[reason] = n


def sentences(split: pd.DataFrame, reason: pd.Series) -> list[str]:
    """Say of each subject how many trials of a fold are left out, and why."""
    n_folds = int(split["fold"].max()) + 1
    fold_text = f" (mean of {n_folds} folds)" if n_folds > 1 else ""
    n_trials = (split["subject"].value_counts() / n_folds).to_dict()
    return [
        f"{n / n_folds:g} of {n_trials[subject]:g} trials of {subject} are in no part{fold_text}: {name}"
        for subject, n_by_reason in counts(split, reason).items()
        for name, n in n_by_reason.items()
    ]
