"""Section of what was run: models, data sets, splits and duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from boldflow.report.cells import MISSING, Fold, Table, dataset_name, linked, mark_of, text_of
from boldflow.report.provenance import Provenance, Source, Split

NEEDS = ["leaderboard", "receipts", "splits"]
RESULT = ["dataset", "response", "direction", "feature", "model", "split", "protocol"]
PARTS = ("train", "val", "test", "drop")
MANY = 20  # duplicate groups listed by name
MANY_RUNS = 12  # results of a study that are listed openly


@dataclass(frozen=True)
class Duplicates:
    """Groups of duplicates of one split, the first ones by name; ``more`` of them are not listed."""

    summary: str
    groups: list[str]
    more: int


@dataclass(frozen=True)
class Runs:
    """What the section shows."""

    models: Fold
    datasets: Table
    splits: list[Table]
    duplicates: list[Duplicates]


def runs_of(leaderboard: pd.DataFrame, provenance: Provenance) -> Runs:
    """Make the section."""
    flagged = leaderboard.loc[leaderboard["simulated"].fillna(False).astype(bool), "dataset"]
    simulated = {*map(str, flagged), *(source.name for source in provenance.sources if source.simulated)}
    duplicates = [_duplicates(split) for split in provenance.splits if split.duplicate_groups]
    return Runs(_models(leaderboard), _datasets(provenance.sources), _splits(provenance.splits, simulated), duplicates)


def _models(leaderboard: pd.DataFrame) -> Fold:
    """One row per result, with its subjects and seeds."""
    rows = []
    for key, part in leaderboard.groupby(RESULT, sort=False, dropna=False):
        value_of = dict(zip(RESULT, key, strict=True))
        subjects, seeds = (sorted(part[name].dropna().astype(str).unique()) for name in ("subject", "seed"))
        rows.append(
            [
                *(text_of(value_of[name]) for name in ("model", "direction", "feature", "response")),
                dataset_name(value_of["dataset"], part["simulated"].iloc[0]),
                *(", ".join(labels) or MISSING for labels in (subjects, seeds)),
                *(text_of(value_of[name]) for name in ("split", "protocol")),
            ]
        )
    columns = ["Model", "Direction", "Feature", "Response", "Data set", "Subjects", "Seeds", "Split", "Protocol"]
    caption, mark = "Models that were trained and scored", mark_of(leaderboard["simulated"])
    summary = f"{len(rows)} models were trained and scored" if len(rows) > MANY_RUNS else ""
    return Fold(summary, [Table(caption, columns, rows, mark=mark)], mark)


def _datasets(sources: Sequence[Source]) -> Table:
    rows = [
        [
            text_of(source.name),
            "simulated" if source.simulated else "measured",
            text_of(source.version),
            *(linked(text) for text in (source.licence, source.citation, source.origin)),
            text_of(source.commit),
        ]
        for source in sources
    ]
    columns = ["Data set", "Kind", "Version", "Licence", "Citation", "Origin", "Commit"]
    return Table("Data sets", columns, rows, mark=mark_of(source.simulated for source in sources))


def _splits(splits: Sequence[Split], simulated_datasets: set[str]) -> list[Table]:
    """Say how each split was made, and count trials by subject and part."""
    if not splits:
        return []
    rule_rows, trial_rows = [], []
    for split in splits:
        name, dataset = text_of(split.name), dataset_name(split.dataset, split.dataset in simulated_datasets)
        rule = "; ".join(f"{key}: {value}" for key, value in sorted(split.rule.items()) if key != "name")
        rule_rows.append(
            [
                *(name, dataset, text_of(rule), text_of(split.unit), text_of(split.n_folds)),
                *(str(split.units.get(part, 0)) for part in PARTS),
                str(len(split.duplicate_groups)),
                ", ".join(split.grouped_by) or MISSING,
            ]
        )
        for subject, n_by_part in split.trials.items():
            dropped = split.dropped.get(subject, {})
            reasons = "; ".join(f"{n} {reason}" for reason, n in dropped.items()) or MISSING
            trial_rows.append([subject, dataset, name, *(str(n_by_part.get(part, 0)) for part in PARTS), reasons])
    mark = mark_of(split.dataset in simulated_datasets for split in splits)
    heads = ["Split", "Data set", "Rule", "Unit", "Folds", *(f"Units: {part}" for part in PARTS)]
    heads += ["Duplicate groups", "Duplicates found by"]
    count_heads = ["Subject", "Data set", "Split", *(f"Trials: {part}" for part in PARTS), "Dropped since"]
    caption = "Splits: no unit (an image with its duplicates, or a run) is on both sides"
    return [
        Table(caption, heads, rule_rows, frozenset(range(4, 10)), mark),
        Table("Trials in each part, summed over folds", count_heads, trial_rows, frozenset(range(3, 7)), mark),
    ]


def _duplicates(split: Split) -> Duplicates:
    groups = split.duplicate_groups
    alike_text = (
        f"; {len(split.alike)} pairs in them look like copies and differ in pixels, such as "
        f"{' = '.join(split.alike[0])} (splits.{split.name}.duplicates: identical keeps them apart)"
        if split.alike
        else ""
    )
    return Duplicates(
        summary=f"{len(groups)} duplicate groups of {text_of(split.dataset)}, {text_of(split.name)}{alike_text}",
        groups=[", ".join(map(str, group)) for group in groups[:MANY]],
        more=max(0, len(groups) - MANY),
    )
