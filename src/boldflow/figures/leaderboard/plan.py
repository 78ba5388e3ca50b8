"""Which panels and rows are drawn, so that the figure stays legible, and what is said to be left out."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.core.scores.comparison import compared_seeds, key_of, tie_letters
from boldflow.core.scores.reference import marks_against_reference
from boldflow.drawing.tables import Tables
from boldflow.figures.leaderboard.brackets import bracket_ties
from boldflow.figures.leaderboard.room import Room, row_sizes, shared_order, subject_names
from boldflow.settings import Entry
from boldflow.vocabulary.metrics import LOWER_IS_BETTER, label

USUAL = ("inv_norm_rank", "top1", "top5", "two_way", "auc", "accuracy", "r", "explained_share")
ROW = ["direction", "model", "feature", "roi"]
# named in a row's label only where rows of a panel differ in it
MORE = ["dataset", "response", "split", "transductive", "protocol", "gallery_size"]
POINT = ["subject", "seed", "fold"]
NUMBERS = ["value", "ci_low", "ci_high", "chance", "ceiling", "published_value"]
MANY = 8  # subjects that differ in colour and marker; more of them have a panel each


@dataclass(frozen=True)
class Plan:
    """What is drawn and how: a panel per metric, or per metric and subject (``faceted``), and what to say below."""

    table: pd.DataFrame
    faceted: bool
    notes: tuple[str, ...]


def plan_of(tables: Tables, settings: Entry) -> Plan:
    """Choose panels and rows so that the figure stays legible, and say what was left out.

    Parameters and errors as ``source_table`` of the figure.
    """
    board = _chosen(tables["leaderboard"], settings)
    panels, n_fixed = _panels(board, settings)
    table = _rows(board, tables["comparisons"], panels, settings["baselines"])
    fixed_rows = table[table["panel"] < n_fixed]
    n_subjects = len(subject_names(table).unique())
    if n_subjects == 1 or (n_subjects <= MANY and _all_bracketed(fixed_rows)):
        for n in range(len(panels), n_fixed - 1, -1):
            part = table[table["panel"] < n]
            if Room(part, False).fits():
                return Plan(part.reset_index(drop=True), False, _left_out(panels[n:]))
    return _faceted(fixed_rows, settings["baselines"], _left_out(panels[n_fixed:]))


def _chosen(board: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Rows of the ROIs and subjects that the settings name."""
    board = board[board["gallery"].isna() | (board["gallery"] == "test")]
    if settings["rois"]:
        board = board[board["roi"].isna() | board["roi"].isin(settings["rois"])]
    if settings["subjects"]:
        all_subjects = sorted(board["subject"].dropna().unique())
        board = board[board["subject"].isin(settings["subjects"])]
        if board.empty:
            raise ValueError(f"leaderboard figure: no row is of {settings['subjects']}; there are: {all_subjects}")
    return board


def _panels(board: pd.DataFrame, settings: Entry) -> tuple[list[tuple[str, str]], int]:
    """Metric and view of each panel, the primary first, and how many must be there."""
    metric_views = set(zip(board["metric"], board["view"], strict=True))
    primary_panels = board.loc[board["primary"].fillna(False).astype(bool), ["metric", "view"]].drop_duplicates()
    panels = list(primary_panels.itertuples(index=False, name=None))
    if settings["panels"]:
        panels += [(panel["metric"], panel["view"]) for panel in settings["panels"]]
        n_fixed = len(dict.fromkeys(panels))
    else:
        n_fixed = max(1, len(panels))
        panel_metrics = {metric for metric, _ in panels}
        for metric in (name for name in USUAL if name not in panel_metrics):
            views = sorted(
                (view for name, view in metric_views if name == metric), key=lambda view: (view != "image", view)
            )
            panels += [(metric, view) for view in views[:1]]
    return list(dict.fromkeys(panels)), n_fixed


def _all_bracketed(table: pd.DataFrame) -> bool:
    """Tell whether each group of ties finds a column beside its panel."""
    parts = ((part, row_sizes(part, False)[int(panel)]) for panel, part in table.groupby("panel"))
    return all(bracket_ties(part, sizes)[1] == 0 for part, sizes in parts)


def _faceted(table: pd.DataFrame, baselines: list[str], omission_notes: tuple[str, ...]) -> Plan:
    """Give each subject a panel of its own; of many rows the best that fit are drawn, one at least."""
    facets = _facets(table)
    n_rows = int(facets.groupby("metric")["row"].nunique().max())
    overflow_index = bisect.bisect_left(
        range(2, n_rows + 1), True, key=lambda n: not Room(_best(facets, n, baselines), True).fits()
    )
    n_drawn = overflow_index + 1
    if n_drawn < n_rows:
        drawn_text = f"The best {n_drawn} of {n_rows} rows are drawn, baselines among them"
        omission_notes = (f"{drawn_text}; the report and leaderboard.csv have all.", *omission_notes)
    return Plan(_best(facets, n_drawn, baselines).reset_index(drop=True), True, omission_notes)


def _left_out(panels: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Say which metrics are not drawn."""
    names = ", ".join(label(metric) for metric, _ in panels)
    return (f"Not drawn, for want of room: {names}; the report and leaderboard.csv have them.",) if panels else ()


def _rows(
    board: pd.DataFrame, comparisons: pd.DataFrame, panels: list[tuple[str, str]], baselines: list[str]
) -> pd.DataFrame:
    """Collect the markers of each panel; panels with the same rows have them in the order of the first."""
    orders: dict[frozenset[str], list[str]] = {}
    parts = []
    for panel_number, (metric, view) in enumerate(panels):
        part = _markers(board, metric, view)
        pairs = comparisons[(comparisons["metric"] == metric) & (comparisons["view"] == view)]
        part = _compared(part, pairs).assign(panel=panel_number)
        order = orders.setdefault(frozenset(part["row"]), _order(part, metric, baselines))
        place_of_row = part["row"].map({name: n for n, name in enumerate(order)})
        part = part.assign(_row=place_of_row, _seed=pd.to_numeric(part["seed"], errors="coerce"))
        parts.append(part.sort_values(["_row", "subject", "_seed", "seed", "fold"], kind="stable"))
    columns = ["panel", "metric", "view", "primary", "direction", "row", *ROW[1:], *MORE, *POINT, *NUMBERS]
    table = pd.concat(parts, ignore_index=True)[[*columns, "comparison", "ties", "against", "simulated"]]
    return table.astype({name: "float64" for name in NUMBERS})


def _markers(board: pd.DataFrame, metric: str, view: str) -> pd.DataFrame:
    """Rows of a panel with their labels; each is one marker."""
    part = board[(board["metric"] == metric) & (board["view"] == view)]
    if part.empty:
        panel_texts = sorted({f"{m} ({v})" for m, v in zip(board["metric"], board["view"], strict=True)})
        raise ValueError(f"leaderboard figure: no row has {metric} ({view}); there are: {', '.join(panel_texts)}")
    part = part.assign(row=_labels(part))
    is_repeated = part.duplicated(["row", *POINT])
    if is_repeated.any():
        repeated_row = part[is_repeated].iloc[0]
        raise ValueError(
            f"leaderboard figure: {metric} ({view}) has more than one row for {repeated_row['row']!r}, "
            f"{repeated_row['subject']}, seed {repeated_row['seed']}, fold {repeated_row['fold']}"
        )
    return part


def _compared(part: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Number the comparison of each marker, and give it its letters and how it stands against a reference.

    Where models are compared by their means over seeds, the middle one of a model's markers stands for it.
    """
    ties = tie_letters(part, pairs, SAME, MODEL, LOWER_IS_BETTER)
    seeded_part = part.assign(seed=compared_seeds(part, pairs, SAME))
    order = part.assign(_seed=pd.to_numeric(part["seed"], errors="coerce")).sort_values(["_seed", "seed"]).index
    models = order.to_series().groupby(key_of(seeded_part, [*SAME, *MODEL]).loc[order], sort=False)
    middle_markers = [markers.iloc[len(markers) // 2] for _, markers in models]
    is_middle = part.index.isin(middle_markers)
    return part.assign(
        comparison=pd.factorize(key_of(seeded_part, SAME))[0],
        ties=ties.where(is_middle, ""),
        against=marks_against_reference(part, pairs, SAME, MODEL, LOWER_IS_BETTER).where(is_middle, ""),
    )


def _facets(table: pd.DataFrame) -> pd.DataFrame:
    """Give each subject a panel of its own; rows keep one order per metric."""
    keys = list(zip(table["panel"], subject_names(table), strict=True))
    number = {key: n for n, key in enumerate(sorted(set(keys)))}
    return table.assign(panel=[number[key] for key in keys]).sort_values("panel", kind="stable")


def _best(table: pd.DataFrame, n_rows: int, baselines: list[str]) -> pd.DataFrame:
    """Keep the first rows of each metric, and the baselines after them as far as they take half the room."""
    parts = []
    for _, part in table.groupby(["metric", "view"], sort=False):
        order = shared_order(part)
        baseline_rows = set(part.loc[part["model"].isin(baselines), "row"])
        drawn_baselines = [row for row in order if row in baseline_rows][: n_rows // 2]
        best_rows = [row for row in order if row not in drawn_baselines][: n_rows - len(drawn_baselines)]
        parts.append(part[part["row"].isin([*best_rows, *drawn_baselines])])
    return pd.concat(parts)


def _labels(part: pd.DataFrame) -> pd.Series:
    """Name rows by model, feature and ROI, and by what else differs within the panel."""
    names = ["model", "feature", "roi", *(name for name in MORE if len(part[name].unique()) > 1)]
    names += ["direction"] if len(part["direction"].unique()) > 1 else []
    text = part[names].astype("string")
    if "gallery_size" in names:
        text["gallery_size"] = "of " + text["gallery_size"]
    return text.apply(lambda row: " · ".join(value for value in row if not pd.isna(value) and value != "none"), axis=1)


def _order(part: pd.DataFrame, metric: str, baselines: list[str]) -> list[str]:
    """Sort rows by the mean of their result, ROIs of one result together (all of them first), baselines last."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    result_keys = ["model", "feature", *MORE]
    score = sign * part.groupby(result_keys, dropna=False)["value"].transform("mean").astype(float)
    sorted_rows = part.assign(
        _base=part["model"].isin(baselines),
        _score=score.fillna(np.inf),
        _result=part[result_keys].astype("string").fillna("").agg(" ".join, axis=1),
        _roi=part["roi"].fillna("").replace("all", ""),
    ).sort_values(["_base", "_score", "_result", "_roi"], kind="stable")
    return list(dict.fromkeys(sorted_rows["row"]))
