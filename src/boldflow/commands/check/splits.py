"""Which splits of the catalogue the trials of a folder allow: tried on names of pictures alone, without duplicates."""

from dataclasses import dataclass

import pandas as pd

from boldflow.commands.check.draft import Draft
from boldflow.core.splits import assignment, left_out

TRIED = ("repeated", "tenth-of-runs", "leave-one-run-out")
UNIT = "image"


@dataclass(frozen=True)
class SplitTrial:
    """What a split would make of the trials; ``refusal`` says why it would not."""

    name: str
    n_folds: int = 0
    n_train: int = 0
    n_test: int = 0
    remarks: tuple[str, ...] = ()
    refusal: str = ""


def possible(draft: Draft, trials: pd.DataFrame) -> list[SplitTrial]:
    """Try splits of the catalogue on the trials of all subjects.

    Parameters
    ----------
    draft : Draft
    trials : DataFrame
        subject, session, run, trial, image_id, usable.
    """
    names = [name for name in TRIED if name in draft.config["splits"]]
    return [_tried(draft, name, trials) for name in names]


def _tried(draft: Draft, name: str, trials: pd.DataFrame) -> SplitTrial:
    rule = draft.setting("splits", name)
    try:
        table = assignment.make_split(trials, {str(name): str(name) for name in trials["image_id"]}, rule, UNIT)
    except ValueError as error:
        return SplitTrial(name, refusal=str(error).partition(" (rule ")[0])
    counts = table["part"].value_counts()
    reason = left_out.reasons(trials, table, rule, UNIT)
    return SplitTrial(
        name,
        int(table["fold"].max()) + 1,
        int(counts.get("train", 0)),
        int(counts.get("test", 0)),
        tuple(left_out.sentences(table, reason)),
    )
