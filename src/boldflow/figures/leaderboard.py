"""The leaderboard at a glance: every subject's score with its interval, beside chance and ceiling."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boldflow.artifacts.leaderboard import LOWER_IS_BETTER
from boldflow.core import drawing

NEEDS = ["leaderboard"]
FACTS = {
    "title": "Scores of every subject",
    "caption": (
        "A panel per metric, the study's primary metric first. A row is a model and its feature (for encoding models "
        "also the ROI); each marker is one subject (and seed, where there are several), with its 95 % bootstrap "
        "interval over test images or blocks. Dashed: chance. Black tick: noise ceiling, where there is one. Star: "
        "published value. Rows are sorted by their mean in the first panel that has them; baselines (open markers) "
        "come last. No interval is given for the group: overlap of two intervals says nothing about their difference."
    ),
}
SETTINGS = {
    "panels": {
        "description": (
            "Panels after the primary metric's, in order; empty takes one per metric that is there, of inv_norm_rank, "
            "top1, top5, two_way, auc, accuracy, r and explained_share, in the image view where there is one."
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
        "default": ["dummy", "chance"],
    },
    "rois": {
        "description": "ROIs of encoding models to draw; empty for all.",
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
LETTER_IN = 0.063  # of a row's label


def source_table(tables: dict[str, Any], settings: dict[str, Any]) -> pd.DataFrame:
    """List the values drawn, in the order of panels, rows and points.

    Parameters
    ----------
    tables : dict
        ``leaderboard``: the study's tidy table.
    settings : dict
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per marker: panel (number), metric, view, primary, direction, row (label), model, feature, roi,
        dataset, response, split, transductive, protocol, gallery_size, subject, seed, fold, value, ci_low, ci_high,
        chance, ceiling, published_value, simulated.

    Raises
    ------
    ValueError
        If a panel of the settings has no row in the table, or two rows would be one marker.
    """
    board = tables["leaderboard"]
    board = board[board["gallery"].isna() | (board["gallery"] == "test")]
    if settings["rois"]:
        board = board[board["roi"].isna() | board["roi"].isin(settings["rois"])]
    orders: dict[frozenset[str], list[str]] = {}
    parts = []
    for number, (metric, view) in enumerate(_panels(board, settings)):
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
        order = orders.setdefault(frozenset(part["row"]), _order(part, metric, settings["baselines"]))
        part["_row"] = part["row"].map({label: n for n, label in enumerate(order)})
        part["_seed"] = pd.to_numeric(part["seed"], errors="coerce")
        parts.append(part.sort_values(["_row", "subject", "_seed", "seed", "fold"], kind="stable"))
    columns = ["panel", "metric", "view", "primary", "direction", "row", *ROW[1:], *MORE, *POINT, *NUMBERS, "simulated"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.astype({name: "float64" for name in NUMBERS})


def draw(tables: dict[str, Any], settings: dict[str, Any]) -> Figure:
    """Draw a panel per metric; parameters and errors as ``source_table``."""
    table = source_table(tables, settings)
    table = table.assign(who=_who(table))
    styles = drawing.subject_styles(table["who"])
    bands = _bands(table)
    slot = 0.135 if len(styles) <= 3 else 0.1
    with mpl.rc_context(drawing.RC):
        lines, width = _lines(table, bands)
        per_line = max(1, int(width / (0.4 + 0.07 * max(len("noise ceiling"), *map(len, styles)))))
        handles = _handles(table, styles)
        n_columns = min(per_line, len(handles))
        legend_in = 0.1 + 0.18 * int(np.ceil(len(handles) / n_columns))
        tall = [max(_height(table[table["panel"] == band[0]], slot) for band, _ in line) for line in lines]
        height = sum(tall) + len(lines) * (TITLE_IN + AXIS_IN) + legend_in
        figure = Figure(figsize=(width, height))
        top = height
        for line, high in zip(lines, tall, strict=True):
            top -= TITLE_IN
            for band, left in line:
                own = _height(table[table["panel"] == band[0]], slot)
                for n, panel in enumerate(band):
                    place = (left + n * (PANEL_IN + GAP_IN), top - own, PANEL_IN, own)
                    shares = (place[0] / width, place[1] / height, place[2] / width, place[3] / height)
                    axes = figure.add_axes(shares, label=f"panel {panel}")
                    _panel(axes, table[table["panel"] == panel], styles, settings["baselines"], named=n == 0)
            top -= high + AXIS_IN
        # matplotlib fills a legend column by column; this order reads row by row
        handles = [handle for n in range(n_columns) for handle in handles[n::n_columns]]
        figure.legend(handles=handles, loc="lower center", ncols=n_columns, frameon=False, borderpad=0)
    return figure


def _lines(table: pd.DataFrame, bands: list[list[int]]) -> tuple[list[list[tuple[list[int], float]]], float]:
    """Flow bands into lines; each comes with the left edge of its first panel. Also the figure's width."""
    room = {band[0]: 0.25 + LETTER_IN * max(map(len, table.loc[table["panel"] == band[0], "row"])) for band in bands}
    size = {band[0]: len(band) * PANEL_IN + (len(band) - 1) * GAP_IN for band in bands}
    widest = max(7.4, *(room[band[0]] + size[band[0]] for band in bands))
    grouped: list[list[list[int]]] = []
    used = 0.0
    for band in bands:
        need = room[band[0]] + size[band[0]]
        if grouped and used + need <= widest:
            grouped[-1].append(band)
        else:
            grouped.append([band])
            used = 0.0
        used += need
    first = max(room[line[0][0]] for line in grouped)  # left edges of lines agree
    lines, width = [], 0.0
    for line in grouped:
        x, placed = 0.0, []
        for n, band in enumerate(line):
            x += first if n == 0 else room[band[0]]
            placed.append((band, x))
            x += size[band[0]]
        lines.append(placed)
        width = max(width, x + 0.2)
    return lines, width


def _panels(board: pd.DataFrame, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Metric and view of each panel, the primary first."""
    there = set(zip(board["metric"], board["view"], strict=True))
    first = board.loc[board["primary"].fillna(False).astype(bool), ["metric", "view"]].drop_duplicates()
    panels = list(first.itertuples(index=False, name=None))
    if settings["panels"]:
        panels += [(one["metric"], one["view"]) for one in settings["panels"]]
    else:
        taken = {metric for metric, _ in panels}
        for metric in (name for name in USUAL if name not in taken):
            views = sorted((view for name, view in there if name == metric), key=lambda view: (view != "image", view))
            panels += [(metric, view) for view in views[:1]]
    return list(dict.fromkeys(panels))


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


def _slots(part: pd.DataFrame) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Height of each marker (in slots from the top) and each row's label with its top and bottom."""
    at = np.empty(len(part))
    rows, top = [], 0.0
    labels = part["row"].to_numpy()
    for label in dict.fromkeys(labels):
        mine = np.flatnonzero(labels == label)
        size = max(len(mine), 1.6) + 0.8
        at[mine] = top + (size - len(mine)) / 2 + 0.5 + np.arange(len(mine))
        rows.append((str(label), top, top + size))
        top += size
    return at, rows


def _height(part: pd.DataFrame, slot: float) -> float:
    return _slots(part)[1][-1][2] * slot


def _panel(axes: Axes, part: pd.DataFrame, styles: dict[str, drawing.Style], baselines: list[str], named: bool) -> None:
    at, rows = _slots(part)
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
    axes.set_xlim(_limits(part))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    metric, view = part["metric"].iloc[0], part["view"].iloc[0]
    axes.set_xlabel("better \N{RIGHTWARDS ARROW}" if metric not in LOWER_IS_BETTER else "\N{LEFTWARDS ARROW} better")
    kind = " and ".join(DIRECTIONS.get(name, name) for name in sorted(part["direction"].dropna().unique()))
    primary = bool(part["primary"].fillna(False).any())
    about = f"{'primary metric, ' if primary else ''}{kind}, {view} view"
    corner = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(about, va="bottom", size=7.5, color=drawing.GREY, **corner)  # type: ignore[arg-type]
    axes.set_title(drawing.metric_label(metric), loc="left", pad=15, fontweight="bold")


def _marks(axes: Axes, part: pd.DataFrame, at: np.ndarray, rows: list[tuple[str, float, float]]) -> None:
    """Chance as a dashed line over each run of rows that share it, ceilings and published values at their markers."""
    chance = part["chance"].to_numpy()
    edges = {label: (top, bottom) for label, top, bottom in rows}
    spans: list[list[float]] = []
    for n, (label, y) in enumerate(zip(part["row"], at, strict=True)):
        first, last = n == 0 or part["row"].iloc[n - 1] != label, n + 1 == len(at) or part["row"].iloc[n + 1] != label
        low, high = edges[label][0] if first else y - 0.5, edges[label][1] if last else y + 0.5
        if spans and spans[-1][0] == chance[n] and spans[-1][2] == low:
            spans[-1][2] = high
        elif not np.isnan(chance[n]):
            spans.append([chance[n], low, high])
    for x, low, high in spans:
        axes.plot([x, x], [low, high], color="#333333", linewidth=1, linestyle=(0, (4, 2.5)), gid="chance", zorder=2)
    for name, style in (
        ("ceiling", {"marker": "|", "markersize": 7.5, "markeredgewidth": 2, "color": "black"}),
        ("published_value", {"marker": "*", "markersize": 7, "color": "white", "markeredgecolor": "black"}),
    ):
        known = part[name].notna().to_numpy()
        if known.any():
            axes.plot(part[name].to_numpy()[known], at[known], linestyle="none", gid=name, zorder=2.5, **style)  # type: ignore[arg-type]


def _limits(part: pd.DataFrame) -> tuple[float, float]:
    """Range of everything drawn, with a margin."""
    known = part[NUMBERS].to_numpy()
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


def _handles(table: pd.DataFrame, styles: dict[str, drawing.Style]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=4.6, linewidth=1.5, label=name)
        for name, one in styles.items()
    ]
    handles.append(Line2D([], [], color="#333333", linestyle=(0, (4, 2.5)), linewidth=1, label="chance"))
    if table["ceiling"].notna().any():
        mark = {"marker": "|", "markersize": 7.5, "markeredgewidth": 2, "color": "black"}
        handles.append(Line2D([], [], linestyle="none", label="noise ceiling", **mark))  # type: ignore[arg-type]
    if table["published_value"].notna().any():
        star = {"marker": "*", "markersize": 7, "color": "white", "markeredgecolor": "black"}
        handles.append(Line2D([], [], linestyle="none", label="published", **star))  # type: ignore[arg-type]
    return handles
