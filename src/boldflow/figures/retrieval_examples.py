"""What retrieval looks like: the seen picture beside the five nearest, from good, middling and bad queries."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from boldflow.drawing import figure_style
from boldflow.drawing.tables import Tables
from boldflow.settings import Entry

NEEDS = ["queries", "images"]
FACTS = {
    "title": "Pictures retrieved from brain activity",
    "caption": (
        "Each row is one test picture of one subject: the picture that was seen, and the five pictures of the test "
        "gallery whose features come closest to the decoded ones, best first. The true one is framed; its rank is "
        "written at the right (1 is best; half ranks are ties). Rows are not picked by hand: queries are sorted by "
        "rank and taken at evenly spaced quantiles, so good, middling and bad ones are shown alike (three queries: "
        "the 17th, 50th and 83rd percentile). Responses are averaged over an image's repeats. Where no model is named "
        "in the settings, it is the one whose ranks are best on average among those that have all subjects: what "
        "retrieval looks like at its best here."
    ),
}
SETTINGS = {
    "n_queries": {
        "description": "Queries per subject, at evenly spaced quantiles of their rank.",
        "type": "integer",
        "minimum": 1,
        "default": 3,
    },
    "model": {
        "description": "Model whose retrieval is drawn; empty for the one with the best mean rank, baselines apart.",
        "type": "string",
        "default": "",
    },
    "feature": {
        "description": "Feature of that model; empty for any.",
        "type": "string",
        "default": "",
    },
    "dataset": {"description": "Data set; empty for the first.", "type": "string", "default": ""},
    "baselines": {
        "description": "Models that are not drawn unless named.",
        "type": "array",
        "items": {"type": "string"},
        "default": ["dummy", "chance", "dummy (pooled)", "chance (pooled)"],
    },
}
RESULT = ["dataset", "response", "feature", "model", "split"]
N_NEAREST = 5
NEAREST = [f"nearest_{n + 1}" for n in range(N_NEAREST)]
SCORES = [f"score_{n + 1}" for n in range(N_NEAREST)]
FRAME = "#D55E00"
CELL, STEP, ROW_STEP, SEEN_GAP = 1.0, 1.1, 1.1, 0.35  # in picture widths
PICTURE_IN = 0.62
ACROSS = (1 + N_NEAREST) * STEP + SEEN_GAP
LEFT_IN, RANK_IN, HEAD_IN, TOP_IN = 0.62, 0.85, 0.45, 0.3
ONE_COLUMN = 3  # subjects; more stand in two columns


def source_table(tables: Tables, settings: Entry) -> pd.DataFrame:
    """List the queries drawn.

    Parameters
    ----------
    tables : Tables
        ``queries``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    DataFrame
        A row per query: dataset, response, feature, model, split, subject, seed, fold, quantile (of the subject's
        ranks, 0 to 1), image_id, rank (0-based), gallery_size, nearest_1 .. nearest_5, score_1 .. score_5, simulated.

    Raises
    ------
    ValueError
        If no result matches the settings.
    """
    chosen_queries = _chosen(tables["queries"], settings)
    n_queries = settings["n_queries"]
    quantiles = (np.arange(n_queries) + 0.5) / n_queries
    parts = []
    for _, part in chosen_queries.groupby("subject", sort=True):
        ranked_queries = part.sort_values(["rank", "fold", "image_id"], kind="stable").reset_index(drop=True)
        ranked_rows = np.minimum((quantiles * len(ranked_queries)).astype(int), len(ranked_queries) - 1)
        first_index = np.unique(ranked_rows, return_index=True)[1]  # fewer pictures than queries asked for: each once
        parts.append(ranked_queries.iloc[ranked_rows[first_index]].assign(quantile=quantiles[first_index]))
    columns = [*RESULT, "subject", "seed", "fold", "quantile", "image_id", "rank", "gallery_size", *NEAREST, *SCORES]
    return pd.concat(parts, ignore_index=True)[[*columns, "simulated"]]


def draw(tables: Tables, settings: Entry) -> Figure:
    """Draw rows of pictures, subject by subject.

    Parameters
    ----------
    tables : Tables
        ``queries`` and ``images``: see ``vocabulary.tables``.
    settings : Entry
        Keys of ``SETTINGS``.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If no result matches the settings, or a picture is missing.
    """
    table = source_table(tables, settings)
    subjects = sorted(table["subject"].unique())
    n_columns = 1 if len(subjects) <= ONE_COLUMN else 2
    lines = [subjects[n : n + n_columns] for n in range(0, len(subjects), n_columns)]
    n_rows = table.groupby("subject").size()
    line_heights = [max(n_rows[subject] for subject in line) * ROW_STEP * PICTURE_IN for line in lines]
    block_width = LEFT_IN + ACROSS * PICTURE_IN + RANK_IN
    width, height = n_columns * block_width, TOP_IN + sum(line_heights) + len(lines) * HEAD_IN
    first_query = table.iloc[0]
    with mpl.rc_context(figure_style.RC):
        figure = Figure(figsize=(width, height))
        caption = " · ".join(str(first_query[name]) for name in ("model", "feature", "dataset", "response"))
        figure.text(0.08 / width, 1 - 0.18 / height, caption, ha="left", va="center", color=figure_style.GREY)
        y = height - TOP_IN
        for line, line_height in zip(lines, line_heights, strict=True):
            y -= HEAD_IN + line_height
            for n, subject in enumerate(line):
                part = table[table["subject"] == subject]
                part_height = len(part) * ROW_STEP * PICTURE_IN
                box = (n * block_width + LEFT_IN, y + line_height - part_height, ACROSS * PICTURE_IN, part_height)
                axes = figure.add_axes(figure_style.share_of(box, width, height), label=str(subject))
                _subject(axes, part, tables.images)
    return figure


def _chosen(queries: pd.DataFrame, settings: Entry) -> pd.DataFrame:
    """Queries of the best result that the settings allow: of the first data set, its subjects, each's first seed.

    Best is the lowest mean share of the gallery ranked above the true picture, among results of the most subjects.
    """
    is_kept = pd.Series(True, index=queries.index)
    for name in ("dataset", "feature", "model"):
        if settings[name]:
            is_kept &= queries[name] == settings[name]
    if not settings["model"]:
        is_kept &= ~queries["model"].isin(settings["baselines"])
    if not is_kept.any():
        available = queries[["dataset", "feature", "model"]].drop_duplicates().astype(str).agg(" ".join, axis=1)
        raise ValueError(
            "retrieval examples: no result matches the settings; there are (dataset feature model): "
            f"{sorted(available)}"
        )
    chosen_queries = queries[is_kept]
    chosen_queries = chosen_queries[chosen_queries["dataset"] == chosen_queries["dataset"].iloc[0]]
    is_first_seed = chosen_queries["seed"] == chosen_queries.groupby(RESULT)["seed"].transform("min")
    chosen_queries = chosen_queries[is_first_seed].assign(share=chosen_queries["rank"] / chosen_queries["gallery_size"])
    result_stats = chosen_queries.groupby(RESULT, sort=False).agg(
        subjects=("subject", "nunique"), share=("share", "mean")
    )
    best_result = result_stats.loc[result_stats["subjects"] == result_stats["subjects"].max(), "share"].idxmin()
    return chosen_queries[
        np.logical_and.reduce([chosen_queries[name] == value for name, value in zip(RESULT, best_result, strict=True)])
    ]


def _subject(axes: Axes, part: pd.DataFrame, images: Mapping[tuple[str, str], np.ndarray]) -> None:
    """Rows of one subject; the x unit is a picture's width."""
    for n, (_, query) in enumerate(part.iterrows()):
        y = n * ROW_STEP
        _query(axes, query, images, y)
        quantile_text, rank_text = (
            f"{100 * query['quantile']:.0f} %",
            f"rank {query['rank'] + 1:g}\nof {query['gallery_size']}",
        )
        axes.text(-0.1, y + CELL / 2, quantile_text, ha="right", va="center", color=figure_style.GREY, size=7)
        axes.text(ACROSS + 0.02, y + CELL / 2, rank_text, va="center", size=7.5)
    heads = {CELL / 2: "seen"}
    heads |= {(k + 1) * STEP + SEEN_GAP + CELL / 2: "nearest" if k == 0 else f"{k + 1}" for k in range(N_NEAREST)}
    for x, head in heads.items():
        axes.text(x, -0.06, head, ha="center", va="bottom", size=7, color=figure_style.GREY)
    axes.text(0, -0.36, str(part["subject"].iloc[0]), weight="bold", va="bottom")
    axes.text(-0.1, -0.06, "quantile", ha="right", va="bottom", size=7, color=figure_style.GREY)
    axes.set_xlim(0, ACROSS)
    axes.set_ylim(len(part) * ROW_STEP, 0)
    axes.set_aspect("auto")
    axes.set_axis_off()


def _query(axes: Axes, query: pd.Series, images: Mapping[tuple[str, str], np.ndarray], y: float) -> None:
    """The picture that was seen and its nearest candidates, the true one framed."""
    _picture(axes, _image(images, query["dataset"], query["image_id"]), 0, y)
    for k, name in enumerate(NEAREST):
        candidate = query[name]
        if pd.isna(candidate) or not candidate:
            continue
        x = (k + 1) * STEP + SEEN_GAP
        left, top, width, height = _picture(axes, _image(images, query["dataset"], candidate), x, y)
        if candidate == query["image_id"]:
            style = {"fill": False, "edgecolor": FRAME, "linewidth": 2.6, "gid": "true", "zorder": 3}
            axes.add_patch(Rectangle((left, top), width, height, clip_on=False, **style))  # type: ignore[arg-type]


def _image(images: Mapping[tuple[str, str], np.ndarray], dataset: str, name: str) -> np.ndarray:
    if (dataset, name) not in images:
        raise ValueError(f"retrieval examples: picture {name!r} of data set {dataset!r} was not handed in")
    return images[dataset, name]


def _picture(axes: Axes, picture: np.ndarray, x: float, y: float) -> tuple[float, float, float, float]:
    """Fit a picture into a cell, keeping its proportions; return its left, top, width and height."""
    high, wide = picture.shape[:2]
    w, h = CELL * wide / max(high, wide), CELL * high / max(high, wide)
    left, top = x + (CELL - w) / 2, y + (CELL - h) / 2
    axes.imshow(picture, extent=(left, left + w, top + h, top), aspect="auto", clip_on=False)
    return left, top, w, h
