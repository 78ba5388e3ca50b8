"""Section of published figures: those that stand beside none of ours, with the reason."""

from dataclasses import dataclass

import pandas as pd

from boldflow.report.cells import MISSING, Fold, Table
from boldflow.vocabulary import metrics

NEEDS = ["leaderboard", "published"]
UNITS = {"1": "", "percent": " %"}
COLUMNS = ["Model", "Data set", "Subject", "ROI", "Split", "Published", "Why not beside ours", "Source", "Note"]


@dataclass(frozen=True)
class Published:
    """Figures beside none of ours, folded; ``n_beside`` rows of ours have one."""

    apart: list[Fold]
    n_beside: int


def published_of(leaderboard: pd.DataFrame, published: pd.DataFrame | None) -> Published:
    """Make the section: a fold per system, metric and view."""
    n_beside = int(leaderboard["published_value"].notna().sum())
    if published is None:
        return Published([], n_beside)
    uncompared_rows = published[published["reason"].ne("")]
    groups = uncompared_rows.groupby(["system", "metric", "view"], sort=False)
    folds = [_fold(name, f"{metrics.label(metric)}, {view} view", part) for (name, metric, view), part in groups]
    return Published(folds, n_beside)


def _fold(system: str, label: str, part: pd.DataFrame) -> Fold:
    rows = [
        [
            *(figure[name] or MISSING for name in ("model", "dataset", "subject", "roi", "split")),
            str(figure["value"]) + UNITS.get(figure["unit"], ""),
            *(figure[name] or MISSING for name in ("reason", "source", "note")),
        ]
        for figure in part.to_dict("records")
    ]
    caption = f"Published by others, not comparable with ours: {system}, {label}"
    summary = f"{system}: {label}, {len(part)} published figures"
    return Fold(summary, [Table(caption, COLUMNS, rows, frozenset({5}))])
