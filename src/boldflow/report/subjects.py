"""Section of each subject: every score in every view."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from boldflow.report.cells import Fold, mark_of, text_of
from boldflow.report.scores import FLAT, best_first, score_table
from boldflow.vocabulary import metrics

NEEDS = ["leaderboard"]
DIRECTIONS = {"decode": "Decoding", "encode": "Encoding", "represent": "Representation"}
DETAIL = [
    *("metric", "view", "model", "feature", "roi", "response", "split", "seed", "fold", "score", "ties", "chance"),
    *("ceiling", "p", "n_test_images", "n_repeats_averaged", "gallery", "gallery_size", "transductive", "protocol"),
    "published_value",
]


@dataclass(frozen=True)
class Subject:
    """Scores of one subject, behind one line: folds of each direction."""

    summary: str
    mark: str
    directions: list[list[Fold]]


def subjects_of(leaderboard: pd.DataFrame) -> Iterator[Subject]:
    """Give the scores of each subject, ``leaderboard`` with ``ties``."""
    for (dataset, subject), part in leaderboard.groupby(["dataset", "subject"], sort=True):
        directions = [
            _folds(f"{DIRECTIONS.get(direction, direction)} scores of {subject} ({dataset})", rows)
            for direction, rows in part.groupby("direction", sort=True)
        ]
        yield Subject(f"{text_of(subject)} of {text_of(dataset)}", mark_of(part["simulated"]), directions)


def _folds(caption: str, part: pd.DataFrame) -> list[Fold]:
    """All scores of a subject: one table, or a fold per metric and view where there are many."""
    if len(part) <= FLAT:
        return [Fold("", [score_table(caption, part, DETAIL)])]
    groups = list(part.groupby(["metric", "view"], sort=False))
    return [
        Fold(
            f"{metrics.label(metric)}, {view} view: {len(rows)} rows",
            [score_table(f"{caption}: {metrics.label(metric)}, {view} view, best first", best_first(rows), DETAIL)],
            mark_of(rows["simulated"]),
        )
        for (metric, view), rows in groups
    ]
