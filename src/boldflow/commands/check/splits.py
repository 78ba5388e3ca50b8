"""Which splits of the catalogue the trials of a folder allow: tried on names of pictures alone, without duplicates."""

from dataclasses import dataclass

import pandas as pd

from boldflow.commands.check.draft import Draft
from boldflow.commands.check.findings import Findings, Place
from boldflow.core.splits import assignment, left_out

TRIED = ("repeated", "tenth-of-runs", "leave-one-run-out")
UNIT = "image"
OTHER = "write a split that suits under splits of config/config.yaml, such as fifths: {test: folds, n_folds: 5}"


@dataclass(frozen=True)
class SplitTrial:
    """What a split would make of the trials; ``refusal`` says why it would not."""

    name: str
    n_folds: int = 0
    n_train: int = 0
    n_test: int = 0
    remarks: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def text(self) -> str:
        """Say it in one line; of remarks on several subjects the first stands for all."""
        if self.refusal:
            return self.refusal
        fold_text = f" in {self.n_folds} folds together" if self.n_folds > 1 else ""
        n_more = len(self.remarks) - 1
        more = [f"further remarks of this kind: {n_more} (--json)"] if n_more > 0 else []
        return "; ".join([f"{self.n_train} trials train, {self.n_test} test{fold_text}", *self.remarks[:1], *more])


def look(draft: Draft, trials: pd.DataFrame, findings: Findings) -> list[SplitTrial]:
    """Try splits of the catalogue on the trials of all subjects, and warn where none would do.

    Parameters
    ----------
    draft : Draft
    trials : DataFrame
        subject, session, run, trial, image_id, usable.
    findings : Findings
        Grows.
    """
    names = [name for name in TRIED if name in draft.config["splits"]]
    split_trials = [_tried(draft, name, trials) for name in names]
    if all(split.refusal for split in split_trials):
        refusals = "; ".join(f"{split.name}: {split.refusal}" for split in split_trials)
        findings.add(Place(), f"no split of {', '.join(names)} suits the trials ({refusals})", OTHER, stops=False)
    return split_trials


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
