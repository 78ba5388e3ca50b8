"""The leaderboard at a glance: every subject's score with its interval, beside chance and ceiling, ties bracketed."""

import bisect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.artifacts.store.leaderboard import LOWER_IS_BETTER
from boldflow.core.scores.comparison import compared_seeds, key_of, tie_letters
from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables

NEEDS = ["leaderboard", "comparisons"]
FACTS = {
    "title": "Scores of every subject",
    "caption": (
        "A panel per metric, the study's primary metric first; where there are many results, the primary metric alone "
        "with a panel per subject. A row is a model and its feature (for encoding models also the ROI); each marker is "
        "one subject (and seed, where there are several), with its 95 % interval over test images or blocks. Dashed: "
        "chance. Black tick: noise ceiling, where there is one. Star: published value, only where data, split, metric "
        "and protocol are the same. A bracket joins models of one subject that are tied: the 95 % paired bootstrap "
        "interval of their difference holds 0, or would after Holm's adjustment. Where there are several seeds, "
        "means over them are compared, and brackets point at the middle marker. Of models that were compared, those "
        "without a common bracket differ. Rows are sorted by their mean in the first panel that has them; baselines "
        "(open markers) come last. No interval is given for the group, and overlap of two intervals says nothing about "
        "their difference."
    ),
}
SETTINGS = {
    "panels": {
        "description": (
            "Panels after the primary metric's, in order; empty takes one per metric that is there, of inv_norm_rank, "
            "top1, top5, two_way, auc, accuracy, r and explained_share, in the image view where there is one, as many "
            "as leave the figure legible."
        ),
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "metric": {"type": "string", "description": "Name of the metric."},
                "view": {"type": "string", "description": "View of the metric."},
            },
            "required": ["metric", "view"],
            "additionalProperties": False,
        },
        "default": [],
    },
    "baselines": {
        "description": "Models that are drawn with open markers, below the others.",
        "type": "array",
        "items": {"type": "string"},
        "default": ["dummy", "chance", "dummy (pooled)", "chance (pooled)"],
    },
    "rois": {
        "description": "ROIs of encoding models to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
    "subjects": {
        "description": "Subjects to draw; empty for all.",
        "type": "array",
        "items": {"type": "string"},
        "default": [],
    },
}
USUAL = ("inv_norm_rank", "top1", "top5", "two_way", "auc", "accuracy", "r", "explained_share")
ROW = ["direction", "model", "feature", "roi"]
# named in a row's label only where rows of a panel differ in it
MORE = ["dataset", "response", "split", "transductive", "protocol", "gallery_size"]
POINT = ["subject", "seed", "fold"]
NUMBERS = ["value", "ci_low", "ci_high", "chance", "ceiling", "published_value"]
DIRECTIONS = {"decode": "decoding", "encode": "encoding", "represent": "representing"}
PER_BAND = 3  # panels side by side
PANEL_IN, GAP_IN, TITLE_IN, AXIS_IN = 2.15, 0.25, 0.46, 0.55
FACET_IN, FACET_TITLE_IN, HEADING_IN, FACET_SLOT_IN = 1.5, 0.3, 0.34, 0.105
LETTER_IN = 0.063  # of a row's label
NOTE_IN = 0.15  # a line of notes
BRACKET_IN = 0.065  # a column of brackets
WIDE_IN, HIGH_IN = 10.6, 16.0  # beyond these a figure leaves out panels, then rows; the page shows 10.6 in unshrunk
MARKS: dict[str, Any] = {
    "ceiling": {"marker": "|", "markersize": 7.5, "markeredgewidth": 2, "color": "black"},
    "published_value": {"marker": "*", "markersize": 7, "color": "white", "markeredgecolor": "black"},
}
MANY = 8  # subjects that differ in colour and marker; more of them have a panel each
MAX_COLUMNS = 8  # of brackets beside a panel


@dataclass(frozen=True)
class Plan:
    """What is drawn and how: a panel per metric, or per metric and subject (``faceted``), and what to say below."""

    table: pd.DataFrame
    faceted: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Bracket:
    """Markers (positions in a panel's rows) of one subject's tied models."""

    members: tuple[int, ...]
    column: int


def source_table(tables: Tables, settings: Mapping[str, Any]) -> pd.DataFrame:
    """List the values drawn, in the order of panels, rows and points.

    Parameters
    ----------
    tables : Tables
        ``leaderboard``: the study's tidy table; ``comparisons``: differences between models.
    settings : mapping
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: panel (number), metric, view, primary, direction, row (label), model, feature, roi,
        dataset, response, split, transductive, protocol, gallery_size, subject, seed, fold, value, ci_low, ci_high,
        chance, ceiling, published_value, comparison (number; rows of a panel that have the same were compared with each
        other), ties (letters; two rows of a comparison share one exactly when they are tied; empty where a row was
        compared with no other; of several seeds the middle row has those of the means over seeds), simulated.

    Raises
    ------
    ValueError
        If a panel or subject of the settings has no row in the table, or two rows would be one marker.
    """
    return _plan(tables, settings).table


def draw(tables: Tables, settings: Mapping[str, Any]) -> Figure:
    """Draw what ``source_table`` lists; parameters and errors as there."""
    plan = _plan(tables, settings)
    table = plan.table.assign(who=_who(plan.table))
    styles = figure_style.subject_styles(table["who"])
    sizes = _sizes(table, plan.faceted)
    parts = {int(panel): part for panel, part in table.groupby("panel")}
    brackets, more = {}, 0
    for panel, part in parts.items():
        brackets[panel], left_out = _brackets(part, sizes[panel])
        more += left_out
    every = [one for found in brackets.values() for one in found]
    room = _Room(table, plan.faceted, max((one.column + 1 for one in every), default=0))
    said = [*plan.notes]
    if more:
        said.append(f"{more} more groups of ties have no bracket here; the report and the figure's own table name all.")
    notes = [line for one in said for line in textwrap.wrap(one, int(room.width * 15))]
    limits = {key: _limits(part) for key, part in table.groupby(["metric", "view"])}
    with mpl.rc_context(figure_style.RC):
        handles = _handles(table, {} if plan.faceted else styles, bool(every))
        longest = max(len(str(one.get_label())) for one in handles)
        n_columns = min(len(handles), max(1, int(room.width / (0.4 + 0.07 * longest))))
        legend_in = 0.1 + 0.18 * int(np.ceil(len(handles) / n_columns))
        height = room.height + legend_in + NOTE_IN * len(notes) + (0.08 if notes else 0)
        figure = Figure(figsize=(room.width, height))
        for one in room.places:
            part = parts[one.panel]
            bottom = height - one.top - one.high
            shares = (one.left / room.width, bottom / height, room.panel_in / room.width, one.high / height)
            axes = figure.add_axes(shares, label=f"panel {one.panel}")
            scale = limits[part["metric"].iloc[0], part["view"].iloc[0]]
            _panel(axes, part, sizes[one.panel], styles, settings["baselines"], one.named, plan.faceted, scale)
            at = _slots(part, sizes[one.panel])[0]
            _draw_brackets(axes, part, at, styles, brackets[one.panel], room.panel_in)
        for text, top in room.headings:
            figure.text(0.1 / room.width, 1 - top / height, text, va="top", size=9.5, fontweight="bold")
        for n, line in enumerate(notes):
            y = (legend_in + NOTE_IN * (len(notes) - n - 0.5)) / height
            figure.text(0.5, y, line, ha="center", va="center", size=7.5, color=figure_style.GREY)
        # matplotlib fills a legend column by column; this order reads row by row
        handles = [handle for n in range(n_columns) for handle in handles[n::n_columns]]
        figure.legend(handles=handles, loc="lower center", ncols=n_columns, frameon=False, borderpad=0)
    return figure


def _plan(tables: Tables, settings: Mapping[str, Any]) -> Plan:
    """Choose panels and rows so that the figure stays legible, and say what was left out."""
    board = tables["leaderboard"]
    board = board[board["gallery"].isna() | (board["gallery"] == "test")]
    if settings["rois"]:
        board = board[board["roi"].isna() | board["roi"].isin(settings["rois"])]
    if settings["subjects"]:
        there = sorted(board["subject"].dropna().unique())
        board = board[board["subject"].isin(settings["subjects"])]
        if board.empty:
            raise ValueError(f"leaderboard figure: no row is of {settings['subjects']}; there are: {there}")
    panels, fixed = _panels(board, settings)
    table = _rows(board, tables["comparisons"], panels, settings["baselines"])
    first = table[table["panel"] < fixed]
    bracketed = all(_brackets(part, _sizes(part, False)[int(n)])[1] == 0 for n, part in first.groupby("panel"))
    n_subjects = len(_who(table).unique())
    if n_subjects == 1 or (bracketed and n_subjects <= MANY):
        for n in range(len(panels), fixed - 1, -1):
            part = table[table["panel"] < n]
            if _Room(part, False).fits():
                return Plan(part.reset_index(drop=True), False, _unsaid(panels[n:]))
    left_out = _unsaid(panels[fixed:])
    faceted = _facets(first)
    most = int(faceted.groupby("metric")["row"].nunique().max())
    rows = bisect.bisect_left(
        range(2, most + 1), True, key=lambda n: not _Room(_best(faceted, n, settings["baselines"]), True).fits()
    )
    rows += 1  # the last that fits; one at least
    part = _best(faceted, rows, settings["baselines"])
    if rows < most:
        text = (
            f"The best {rows} of {most} rows are drawn, baselines among them; the report and leaderboard.csv have all."
        )
        left_out = (text, *left_out)
    return Plan(part.reset_index(drop=True), True, left_out)


def _unsaid(panels: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    names = ", ".join(figure_style.metric_label(metric) for metric, _ in panels)
    return (f"Not drawn, for want of room: {names}; the report and leaderboard.csv have them.",) if panels else ()


def _rows(
    board: pd.DataFrame, comparisons: pd.DataFrame, panels: list[tuple[str, str]], baselines: list[str]
) -> pd.DataFrame:
    """Collect the markers of each panel."""
    orders: dict[frozenset[str], list[str]] = {}
    parts = []
    for number, (metric, view) in enumerate(panels):
        part = board[(board["metric"] == metric) & (board["view"] == view)].copy()
        if part.empty:
            there = sorted({f"{m} ({v})" for m, v in zip(board["metric"], board["view"], strict=True)})
            raise ValueError(f"leaderboard figure: no row has {metric} ({view}); there are: {', '.join(there)}")
        part["panel"] = number
        part["row"] = _labels(part)
        twice = part.duplicated(["row", *POINT])
        if twice.any():
            one = part[twice].iloc[0]
            raise ValueError(
                f"leaderboard figure: {metric} ({view}) has more than one row for {one['row']!r}, {one['subject']}, "
                f"seed {one['seed']}, fold {one['fold']}"
            )
        pairs = comparisons[(comparisons["metric"] == metric) & (comparisons["view"] == view)]
        part["comparison"], part["ties"] = _compared(part, pairs)
        order = orders.setdefault(frozenset(part["row"]), _order(part, metric, baselines))
        part["_row"] = part["row"].map({label: n for n, label in enumerate(order)})
        part["_seed"] = pd.to_numeric(part["seed"], errors="coerce")
        parts.append(part.sort_values(["_row", "subject", "_seed", "seed", "fold"], kind="stable"))
    columns = ["panel", "metric", "view", "primary", "direction", "row", *ROW[1:], *MORE, *POINT, *NUMBERS]
    table = pd.concat(parts, ignore_index=True)[[*columns, "comparison", "ties", "simulated"]]
    return table.astype({name: "float64" for name in NUMBERS})


def _compared(part: pd.DataFrame, pairs: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Number the comparison of each marker, and give it its letters.

    Where models are compared by their means over seeds, the middle one of a model's markers stands for it.
    """
    ties = tie_letters(part, pairs, SAME, MODEL, LOWER_IS_BETTER)
    known = part.assign(seed=compared_seeds(part, pairs, SAME))
    order = part.assign(_seed=pd.to_numeric(part["seed"], errors="coerce")).sort_values(["_seed", "seed"]).index
    markers = order.to_series().groupby(key_of(known, [*SAME, *MODEL]).loc[order], sort=False)
    middle = [own.iloc[len(own) // 2] for _, own in markers]
    return pd.factorize(key_of(known, SAME))[0], ties.where(ties.index.isin(middle), "")


def _facets(table: pd.DataFrame) -> pd.DataFrame:
    """Give each subject a panel of its own; rows keep one order per metric."""
    who = _who(table)
    keys = sorted(set(zip(table["panel"], who, strict=True)))
    number = {key: n for n, key in enumerate(keys)}
    split = table.assign(panel=[number[key] for key in zip(table["panel"], who, strict=True)])
    return split.sort_values("panel", kind="stable")


def _best(table: pd.DataFrame, n: int, baselines: list[str]) -> pd.DataFrame:
    """Keep the first rows of each metric, and the baselines after them as far as they take half the room."""
    kept = []
    for _, part in table.groupby(["metric", "view"], sort=False):
        order = _shared_order(part)
        plain = set(part.loc[part["model"].isin(baselines), "row"])
        base = [row for row in order if row in plain][: n // 2]
        others = [row for row in order if row not in base][: n - len(base)]
        kept.append(part[part["row"].isin([*others, *base])])
    return pd.concat(kept)


def _shared_order(part: pd.DataFrame) -> list[str]:
    """The one order of rows that panels of several subjects follow, some of which lack rows."""
    longest = part.groupby("panel")["row"].agg(lambda rows: list(dict.fromkeys(rows)))
    order: list[str] = max(longest, key=len)
    return [*order, *dict.fromkeys(row for rows in longest for row in rows if row not in order)]


@dataclass(frozen=True)
class _Place:
    """Where a panel lies, in inches from the top left; ``named`` where its rows have their labels."""

    panel: int
    left: float
    top: float
    high: float
    named: bool


class _Room:
    """Where panels lie and how much room they take, in inches; the columns of brackets are the most if unknown."""

    def __init__(self, table: pd.DataFrame, faceted: bool, columns: int = MAX_COLUMNS) -> None:
        """Lay out panels: bands of panels with the same rows side by side, or subjects of a metric side by side."""
        self.panel_in = FACET_IN if faceted else PANEL_IN
        self.sizes = _sizes(table, faceted)
        self.places: list[_Place] = []
        self.headings: list[tuple[str, float]] = []
        n_subjects = len(_who(table).unique())
        slot = FACET_SLOT_IN if faceted else 0.135 if n_subjects <= 3 else 0.1
        gap = (0.12 if faceted else GAP_IN) + (BRACKET_IN * columns + 0.05 if columns else 0)
        bands = _facet_bands(table, gap) if faceted else _bands(table)
        high = {panel: sum(rows.values()) * slot for panel, rows in self.sizes.items()}
        rows_of = {panel: part for panel, part in table.groupby("panel")}
        labels = {band[0]: _label_in(rows_of[band[0]]) for band in bands}
        if faceted:
            labels = {
                band[0]: _label_in(table[table["metric"] == rows_of[band[0]]["metric"].iloc[0]]) for band in bands
            }
        lines = [[band] for band in bands] if faceted else self._flow(bands, labels, gap)
        first = max(labels[line[0][0]] for line in lines)  # left edges of lines agree
        self.width, top, told = 5.0, 0.0, ""
        for line in lines:
            about = _heading(rows_of[line[0][0]]) if faceted else ""
            if about != told:
                self.headings.append((about, top + 0.06))
                told, top = about, top + HEADING_IN
            top += FACET_TITLE_IN if faceted else TITLE_IN
            x = 0.0
            for n, band in enumerate(line):
                x += first if n == 0 else labels[band[0]]
                for k, panel in enumerate(band):
                    self.places.append(_Place(panel, x, top, high[panel], k == 0))
                    x += self.panel_in + gap
            self.width = max(self.width, x + 0.1)
            top += max(high[panel] for band in line for panel in band) + AXIS_IN
        self.height = top

    def _flow(self, bands: list[list[int]], labels: dict[int, float], gap: float) -> list[list[list[int]]]:
        """Put bands side by side as far as the widest leaves room."""
        size = {band[0]: labels[band[0]] + len(band) * (self.panel_in + gap) for band in bands}
        widest = max(7.4, *size.values())
        lines: list[list[list[int]]] = []
        used = 0.0
        for band in bands:
            if lines and used + size[band[0]] <= widest:
                lines[-1].append(band)
            else:
                lines.append([band])
                used = 0.0
            used += size[band[0]]
        return lines

    def fits(self) -> bool:
        """Tell whether the panels leave the figure legible."""
        return self.height <= HIGH_IN


def _heading(part: pd.DataFrame) -> str:
    return f"{figure_style.metric_label(part['metric'].iloc[0])} ({_about(part)})"


def _panels(board: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Metric and view of each panel, the primary first, and how many must be there."""
    there = set(zip(board["metric"], board["view"], strict=True))
    first = board.loc[board["primary"].fillna(False).astype(bool), ["metric", "view"]].drop_duplicates()
    panels = list(first.itertuples(index=False, name=None))
    if settings["panels"]:
        panels += [(one["metric"], one["view"]) for one in settings["panels"]]
        fixed = len(dict.fromkeys(panels))
    else:
        fixed = max(1, len(panels))
        taken = {metric for metric, _ in panels}
        for metric in (name for name in USUAL if name not in taken):
            views = sorted((view for name, view in there if name == metric), key=lambda view: (view != "image", view))
            panels += [(metric, view) for view in views[:1]]
    return list(dict.fromkeys(panels)), fixed


def _labels(part: pd.DataFrame) -> pd.Series:
    """Name rows by model, feature and ROI, and by what else differs within the panel."""
    named = ["model", "feature", "roi", *(name for name in MORE if len(part[name].unique()) > 1)]
    named += ["direction"] if len(part["direction"].unique()) > 1 else []
    text = part[named].astype("string")
    if "gallery_size" in named:
        text["gallery_size"] = "of " + text["gallery_size"]
    return text.apply(lambda row: " · ".join(value for value in row if not pd.isna(value) and value != "none"), axis=1)


def _order(part: pd.DataFrame, metric: str, baselines: list[str]) -> list[str]:
    """Sort rows by the mean of their result, ROIs of one result together (all of them first), baselines last."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    result = ["model", "feature", *MORE]
    score = sign * part.groupby(result, dropna=False)["value"].transform("mean").astype(float)
    rows = part.assign(
        _base=part["model"].isin(baselines),
        _score=score.fillna(np.inf),
        _result=part[result].astype("string").fillna("").agg(" ".join, axis=1),
        _roi=part["roi"].fillna("").replace("all", ""),
    ).sort_values(["_base", "_score", "_result", "_roi"], kind="stable")
    return list(dict.fromkeys(rows["row"]))


def _who(table: pd.DataFrame) -> pd.Series:
    """Name subjects; with their data set where there are several."""
    several = len(table["dataset"].unique()) > 1
    return (
        table["dataset"].astype(str) + " " + table["subject"].astype(str) if several else table["subject"].astype(str)
    )


def _bands(table: pd.DataFrame) -> list[list[int]]:
    """Put panels with the same rows side by side, so that they share labels."""
    same: dict[tuple[str, ...], list[int]] = {}
    for panel, part in table.groupby("panel", sort=True):
        same.setdefault(tuple(dict.fromkeys(part["row"])), []).append(int(str(panel)))
    return [panels[n : n + PER_BAND] for panels in same.values() for n in range(0, len(panels), PER_BAND)]


def _facet_bands(table: pd.DataFrame, gap: float) -> list[list[int]]:
    """Put as many subjects of a metric side by side as the width leaves room for."""
    bands = []
    for _, part in table.groupby(["metric", "view"], sort=False):
        per_line = max(1, int((WIDE_IN - 0.1 - _label_in(part)) / (FACET_IN + gap)))
        panels = [int(panel) for panel in part["panel"].unique()]
        n_lines = -(-len(panels) // per_line)
        per_line = -(-len(panels) // n_lines)  # lines are equally long
        bands += [panels[n : n + per_line] for n in range(0, len(panels), per_line)]
    return bands


def _label_in(part: pd.DataFrame) -> float:
    return 0.25 + LETTER_IN * max(map(len, part["row"].unique()))


def _sizes(table: pd.DataFrame, faceted: bool) -> dict[int, dict[str, float]]:
    """Height of each row of each panel, in slots; subjects of a faceted metric share their rows."""
    found: dict[int, dict[str, float]] = {}
    for _, part in table.groupby(["metric", "view"] if faceted else ["panel"], sort=False):
        most = part.groupby(["panel", "row"], sort=False).size().groupby("row", sort=False).max()
        order = _shared_order(part) if faceted else part["row"].unique()
        rows = {
            str(label): max(float(most[label]), 1.0) + 0.5 if faceted else max(float(most[label]), 1.6) + 0.8
            for label in order
        }
        found |= {int(panel): rows for panel in part["panel"].unique()}
    return found


def _slots(part: pd.DataFrame, sizes: dict[str, float]) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Height of each marker (in slots from the top) and each row's label with its top and bottom."""
    at = np.empty(len(part))
    rows, top = [], 0.0
    labels = part["row"].to_numpy()
    for label, size in sizes.items():
        mine = np.flatnonzero(labels == label)
        at[mine] = top + (size - len(mine)) / 2 + 0.5 + np.arange(len(mine))
        rows.append((label, top, top + size))
        top += size
    return at, rows


def _brackets(part: pd.DataFrame, sizes: dict[str, float]) -> tuple[list[Bracket], int]:
    """Give each group of ties of a panel a bracket, the best groups first; also how many find no column."""
    at, _ = _slots(part, sizes)
    letters, compared = part["ties"].to_numpy(), part["comparison"].to_numpy()
    groups = []
    for number in dict.fromkeys(compared):
        mine = np.flatnonzero(compared == number)
        for letter in sorted({one for n in mine for one in letters[n]}):
            members = tuple(int(n) for n in mine if letter in letters[n])
            if len(members) > 1:
                groups.append((letter, members))
    ends: list[list[tuple[float, float]]] = []
    placed, left_out = [], 0
    for _, members in sorted(groups, key=lambda one: (one[0].swapcase(), one[1])):
        low, high = min(at[list(members)]) - 0.4, max(at[list(members)]) + 0.4
        free = [n for n, taken in enumerate(ends) if all(high <= a or low >= b for a, b in taken)]
        column = free[0] if free else len(ends)
        if column >= MAX_COLUMNS:
            left_out += 1
            continue
        if not free:
            ends.append([])
        ends[column].append((low, high))
        placed.append(Bracket(members, column))
    return placed, left_out


def _draw_brackets(
    axes: Axes,
    part: pd.DataFrame,
    at: np.ndarray,
    styles: dict[str, figure_style.Style],
    brackets: list[Bracket],
    panel_in: float,
) -> None:
    """Draw brackets to the right of a panel; a tooth points at each member."""
    who = part["who"].to_numpy()
    for one in brackets:
        y = np.sort(at[list(one.members)])
        x = 1 + (0.05 + BRACKET_IN * (one.column + 0.6)) / panel_in
        tooth = x - 0.55 * BRACKET_IN / panel_in
        # down the back, in and out at each member
        line = np.array([(a, b) for height in y for a, b in ((x, height), (tooth, height), (x, height))])
        colour = styles[who[one.members[0]]].colour
        axes.plot(
            line[:, 0],
            line[:, 1],
            transform=axes.get_yaxis_transform(),
            color=colour,
            linewidth=1.1,
            solid_joinstyle="miter",
            clip_on=False,
            gid="tie",
        )


def _panel(
    axes: Axes,
    part: pd.DataFrame,
    sizes: dict[str, float],
    styles: dict[str, figure_style.Style],
    baselines: list[str],
    named: bool,
    faceted: bool,
    limits: tuple[float, float],
) -> None:
    at, rows = _slots(part, sizes)
    for n, (_, top, bottom) in enumerate(rows):
        if n % 2 == 0:
            axes.axhspan(top, bottom, color="#F4F4F4", linewidth=0, zorder=0)
    _marks(axes, part, at, rows)
    for y, (_, one) in zip(at, part.iterrows(), strict=True):
        style = styles[one["who"]]
        if np.isnan(one["value"]):
            axes.text(
                0.02, y, "undefined", transform=axes.get_yaxis_transform(), va="center", size=7, color=style.colour
            )
            continue
        axes.plot([one["ci_low"], one["ci_high"]], [y, y], color=style.colour, linewidth=1.5, gid="interval", zorder=3)
        axes.plot(
            [one["value"]],
            [y],
            linestyle="none",
            marker=style.marker,
            markersize=5.2 if style.marker in "*PX" else 4.4,
            markeredgecolor=style.colour,
            markeredgewidth=0.9,
            markerfacecolor="white" if one["model"] in baselines else style.colour,
            gid="value",
            zorder=4,
        )
    axes.set_ylim(rows[-1][2], 0)
    axes.set_yticks([(top + bottom) / 2 for _, top, bottom in rows])
    axes.set_yticklabels([label for label, _, _ in rows] if named else [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(limits)
    axes.locator_params(axis="x", nbins=4 if faceted else 5)
    axes.grid(axis="x", color=figure_style.FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    metric = part["metric"].iloc[0]
    axes.set_xlabel("better \N{RIGHTWARDS ARROW}" if metric not in LOWER_IS_BETTER else "\N{LEFTWARDS ARROW} better")
    if faceted:
        axes.set_title(part["who"].iloc[0], loc="left", pad=4, fontweight="bold", size=8)
        return
    corner = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(_about(part), va="bottom", size=7.5, color=figure_style.GREY, **corner)  # type: ignore[arg-type]
    axes.set_title(figure_style.metric_label(metric), loc="left", pad=15, fontweight="bold")


def _about(part: pd.DataFrame) -> str:
    kind = " and ".join(DIRECTIONS.get(name, name) for name in sorted(part["direction"].dropna().unique()))
    primary = bool(part["primary"].fillna(False).any())
    return f"{'primary metric, ' if primary else ''}{kind}, {part['view'].iloc[0]} view"


def _marks(axes: Axes, part: pd.DataFrame, at: np.ndarray, rows: list[tuple[str, float, float]]) -> None:
    """Chance as a dashed line over each run of rows that share it, ceilings and published values at their markers."""
    edges = {label: (top, bottom) for label, top, bottom in rows}
    chance, labels = part["chance"].to_numpy(), part["row"].to_numpy()
    spans: list[list[float]] = []
    order = np.argsort(at, kind="stable")
    for n, k in enumerate(order):
        first, last = (
            n == 0 or labels[order[n - 1]] != labels[k],
            n + 1 == len(order) or labels[order[n + 1]] != labels[k],
        )
        low, high = edges[labels[k]][0] if first else at[k] - 0.5, edges[labels[k]][1] if last else at[k] + 0.5
        if spans and spans[-1][0] == chance[k] and spans[-1][2] == low:
            spans[-1][2] = high
        elif not np.isnan(chance[k]):
            spans.append([chance[k], low, high])
    for x, low, high in spans:
        axes.plot([x, x], [low, high], color="#333333", linewidth=1, linestyle=(0, (4, 2.5)), gid="chance", zorder=2)
    for name, style in MARKS.items():
        known = part[name].notna().to_numpy()
        if known.any():
            axes.plot(part[name].to_numpy()[known], at[known], linestyle="none", gid=name, zorder=2.5, **style)


def _limits(part: pd.DataFrame) -> tuple[float, float]:
    """Range of everything drawn, with a margin."""
    known = part[NUMBERS].to_numpy()
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


def _handles(table: pd.DataFrame, styles: dict[str, figure_style.Style], tied: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=4.6, linewidth=1.5, label=name)
        for name, one in styles.items()
    ]
    handles.append(Line2D([], [], color="#333333", linestyle=(0, (4, 2.5)), linewidth=1, label="chance"))
    for name, label in (("ceiling", "noise ceiling"), ("published_value", "published")):
        if table[name].notna().any():
            handles.append(Line2D([], [], linestyle="none", label=label, **MARKS[name]))
    if tied:
        mark = {"marker": [(-0.5, 1), (0.3, 1), (0.3, -1), (-0.5, -1)], "markersize": 8, "color": "none"}
        handles.append(Line2D([], [], linestyle="none", markeredgecolor="#333333", label="tied", **mark))  # type: ignore[arg-type]
    return handles
