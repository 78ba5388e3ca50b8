"""The leaderboard figure with ties, and of a thousand rows: what is drawn, what is said to be left out, legibility."""

import itertools

import numpy as np
import pandas as pd
import pytest

from boldflow import registry
from boldflow.figures import leaderboard
from boldflow.figures.leaderboard.plan import USUAL
from boldflow.vocabulary.metrics import label
from tests.made import large_board

WIDEST, HIGHEST = 12.0, 17.5  # inches
DEFAULTS = {key: one["default"] for key, one in registry.literal("figures", "leaderboard", "SETTINGS").items()}
PRIMARY = ("inv_norm_rank",)
# the first has a thousand rows, the next two about as many, the last is what most studies have
SIZES = {
    "8 subjects, 25 models, 5 metrics": {},
    "30 subjects, 33 models": {"n_subjects": 30, "n_models": 33, "metrics": PRIMARY},
    "1 subject, 90 models, 5 metrics": {"n_subjects": 1, "n_models": 90},
    "2 subjects, 10 models, 5 seeds, 10 regions": {
        **{"n_subjects": 2, "n_models": 10, "n_seeds": 5, "metrics": PRIMARY, "direction": "encode"},
        "rois": ("all", *(f"region-{n}" for n in range(9))),
    },
    "3 subjects, 6 models, 5 metrics": {"n_subjects": 3, "n_models": 6},
}


@pytest.fixture(scope="module", params=SIZES, ids=lambda name: name.replace(", ", "-").replace(" ", ""))
def made(request):
    board, pairs = large_board.make(**SIZES[request.param])
    return {"leaderboard": board, "comparisons": pairs}


@pytest.fixture(scope="module")
def figure(made):
    found = leaderboard.draw(made, DEFAULTS)
    found.draw_without_rendering()
    return found


@pytest.fixture(scope="module")
def source(made):
    return leaderboard.source_table(made, DEFAULTS)


def texts(figure):
    found = [*figure.texts, *(text for one in figure.legends for text in one.get_texts())]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        found += [label for place, label in ticks if low <= place <= high]
        found += [*axes.texts, axes._left_title, axes.xaxis.label, *axes.get_yticklabels()]
    return [text for text in found if text.get_text().strip()]


def of_panel(figure, panel):
    return next(axes for axes in figure.axes if axes.get_label() == f"panel {panel}")


def drawn(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_the_figure_stays_within_a_page_and_no_text_lies_on_another(figure):
    width, height = figure.get_size_inches()
    assert width <= WIDEST and height <= HIGHEST
    places = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    box = figure.bbox
    for text, place in places:
        assert place.x0 >= box.x0 and place.x1 <= box.x1 and place.y0 >= box.y0 and place.y1 <= box.y1, text
    places.sort(key=lambda one: one[1].y0)
    for n, (text, place) in enumerate(places):
        for other, there in itertools.takewhile(lambda one, top=place.y1: one[1].y0 < top, places[n + 1 :]):
            assert not place.padded(-0.5).overlaps(there.padded(-0.5)), (text, other)
    assert min(text.get_fontsize() for text in texts(figure)) >= 7


def test_brackets_and_marks_stay_off_labels_and_other_panels(figure):
    labels = [text.get_window_extent() for text in texts(figure)]
    frames = {axes: axes.get_window_extent() for axes in figure.axes}
    for axes in figure.axes:
        for line in drawn(axes, "tie"):
            place = line.get_window_extent()
            assert place.x0 >= frames[axes].x1 - 1 and place.x1 <= figure.bbox.x1
            assert not any(place.padded(-1).overlaps(other) for other in labels)
            assert not any(place.padded(-1).overlaps(other) for at, other in frames.items() if at is not axes)


def test_the_primary_metric_is_always_there_and_its_best_rows(figure, source, made):
    first = source[source["metric"] == "inv_norm_rank"]
    assert first["primary"].all() and (source["panel"].iloc[0] == first["panel"].iloc[0])
    board = made["leaderboard"]
    board = board[board["primary"]]
    assert set(first["subject"]) == set(board["subject"])
    assert {"model-00", "dummy", "chance"} <= set(first["model"])


def test_what_is_left_out_is_said_in_the_figure(figure, source, made):
    said = " ".join(text.get_text() for text in figure.texts)
    board = made["leaderboard"]
    usual = board[board["metric"].isin(USUAL)]
    for metric in set(usual["metric"]) - set(source["metric"]):
        assert label(metric) in said
    primary = board[board["primary"]]
    rows, shown = (len(one[["model", "feature", "roi"]].drop_duplicates()) for one in (primary, source))
    assert (rows > shown) == ("rows are drawn" in said)


def test_what_is_drawn_is_the_source_table(figure, source):
    assert len(figure.axes) == source["panel"].nunique()
    for panel, part in source.groupby("panel"):
        axes = of_panel(figure, panel)
        found = sorted((float(line.get_ydata()[0]), float(line.get_xdata()[0])) for line in drawn(axes, "value"))
        assert len(found) == len(part) and len({y for y, _ in found}) == len(part)
        assert sorted(value for _, value in found) == pytest.approx(sorted(part["value"]))


def test_a_bracket_joins_exactly_the_models_that_are_tied(figure, source, made):
    pairs = made["comparisons"]
    key = ["subject", "seed", "roi", "metric"]
    named = pairs.assign(roi=pairs["roi"].fillna(""))
    tied = {
        (*(getattr(one, name) for name in key), frozenset((one.model_a, one.model_b)))
        for one in named[named["tied"].astype(bool)].itertuples()
    }
    joined, possible = set(), set()
    complete = not any("have no bracket here" in text.get_text() for text in figure.texts)
    for panel, part in source.groupby("panel"):
        axes = of_panel(figure, panel)
        # a marker has a height of its own, the teeth of brackets have those of their markers
        places = {line.get_xydata()[0, 1]: line.get_xydata()[0, 0] for line in drawn(axes, "value")}
        part = part.assign(roi=part["roi"].fillna(""), y=np.nan)
        by_value = {value: y for y, value in places.items()}
        part["y"] = part["value"].map(by_value)
        at = {row.y: row for row in part.itertuples()}
        for line in drawn(axes, "tie"):
            members = [at[y] for y in sorted(set(line.get_ydata()))]
            assert len(members) > 1 and len({tuple(getattr(one, name) for name in key) for one in members}) == 1
            for a, b in itertools.combinations(members, 2):
                joined.add((*(getattr(a, name) for name in key), frozenset((a.model, b.model))))
        for _, group in part.groupby(key):
            for a, b in itertools.combinations(group["model"], 2):
                possible.add((*group[key].iloc[0], frozenset((a, b))))
    assert joined <= tied
    if complete:
        assert joined == tied & possible
    assert joined


def test_ties_in_the_source_table_are_those_of_the_comparisons(source, made):
    pairs = made["comparisons"]
    for (_, subject, seed, metric), part in source.groupby(["panel", "subject", "seed", "metric"]):
        own = pairs[(pairs["subject"] == subject) & (pairs["seed"] == seed) & (pairs["metric"] == metric)]
        told = {
            (one.roi if isinstance(one.roi, str) else "", one.model_a, one.model_b): bool(one.tied)
            for one in own.itertuples()
        }
        for _, group in part.groupby("comparison"):
            for a, b in itertools.combinations(group.itertuples(), 2):
                roi = a.roi if isinstance(a.roi, str) else ""
                verdict = told.get((roi, a.model, b.model), told.get((roi, b.model, a.model)))
                assert bool(set(a.ties) & set(b.ties)) == verdict


def test_one_subject_can_be_drawn_alone_and_an_unknown_one_is_refused():
    board, pairs = large_board.make()
    tables = {"leaderboard": board, "comparisons": pairs}
    one = leaderboard.source_table(tables, DEFAULTS | {"subjects": ["sub-03"]})
    assert set(one["subject"]) == {"sub-03"} and len(set(one["metric"])) > 1
    with pytest.raises(ValueError, match=r"no row is of \['sub-99'\]; there are: \['sub-01'"):
        leaderboard.source_table(tables, DEFAULTS | {"subjects": ["sub-99"]})


def test_subjects_that_lack_a_row_keep_the_others_in_line():
    board, pairs = large_board.make(n_subjects=9, n_models=6, metrics=PRIMARY)
    board = board[~((board["subject"] == "sub-02") & (board["model"] == "model-01"))]
    figure = leaderboard.draw({"leaderboard": board, "comparisons": pairs}, DEFAULTS)
    heights = {axes._left_title.get_text(): axes.get_yticks().tolist() for axes in figure.axes}
    assert len(heights) == 9 and len({tuple(one) for one in heights.values()}) == 1
    values = {
        axes._left_title.get_text(): [float(line.get_ydata()[0]) for line in drawn(axes, "value")]
        for axes in figure.axes
    }
    assert len(values["sub-02"]) == 5 and set(values["sub-02"]) < set(values["sub-01"])


def test_published_values_are_drawn_as_stars():
    board, pairs = large_board.make(n_subjects=2, n_models=5, metrics=PRIMARY, simulated=False)
    board.loc[board["model"] == "model-01", "published_value"] = 0.7
    figure = leaderboard.draw({"leaderboard": board, "comparisons": pairs}, DEFAULTS)
    (line,) = drawn(figure.axes[0], "published_value")
    assert line.get_xdata().tolist() == [0.7, 0.7]
    assert "published" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_no_comparisons_no_brackets():
    board, pairs = large_board.make(n_subjects=2, n_models=5, metrics=PRIMARY)
    figure = leaderboard.draw({"leaderboard": board, "comparisons": pairs.iloc[:0]}, DEFAULTS)
    assert not any(drawn(axes, "tie") for axes in figure.axes)
    assert "tied" not in [text.get_text() for text in figure.legends[0].get_texts()]
    assert (
        pd.Series(leaderboard.source_table({"leaderboard": board, "comparisons": pairs.iloc[:0]}, DEFAULTS)["ties"])
        .eq("")
        .all()
    )


def test_of_several_seeds_the_middle_markers_have_the_ties_of_the_means():
    """One model has one seed alone, as ridge has beside networks: seed by seed it would be compared with none."""
    board = large_board.make(n_subjects=2, n_models=6, metrics=PRIMARY, n_seeds=3)[0]
    board = board[(board["model"] != "model-01") | (board["seed"] == "0")]
    pairs = large_board.make(n_subjects=2, n_models=6, metrics=PRIMARY)[1].assign(seed="mean")
    tables = {"leaderboard": board, "comparisons": pairs}
    source = leaderboard.source_table(tables, DEFAULTS)
    told = source[source["ties"] != ""]
    assert set(told.loc[told["model"] != "model-01", "seed"]) == {"1"} and len(told) == 2 * 6
    for subject, part in told.groupby("subject"):
        assert len(set(part["comparison"])) == 1
        own = pairs[pairs["subject"] == subject]
        letters = dict(zip(part["model"], part["ties"], strict=True))
        for one in own.itertuples():
            assert bool(set(letters[one.model_a]) & set(letters[one.model_b])) == one.tied
        assert own["tied"].any() and not own["tied"].all()
    assert any(drawn(axes, "tie") for axes in leaderboard.draw(tables, DEFAULTS).axes)


def test_models_are_marked_against_the_reference_alone_and_there_are_no_brackets():
    rows, pairs = large_board.make(n_subjects=2, n_models=6, metrics=("inv_norm_rank", "mean_rank"), reference=1)
    tables = {"leaderboard": rows, "comparisons": pairs}
    source = leaderboard.source_table(tables, DEFAULTS)
    assert source["ties"].eq("").all()
    counts = source["against"].value_counts()
    assert counts["reference"] == len(source) / 6 and counts["worse"] >= 2 and "" not in counts
    assert set(source.loc[source["against"] == "reference", "model"]) == {"model-01"}
    figure = leaderboard.draw(tables, DEFAULTS)
    artists = [line.get_gid() for axes in figure.axes for line in axes.lines]
    assert "tie" not in artists
    for name, count in counts.items():
        drawn = sum(len(line.get_xdata()) for axes in figure.axes for line in axes.lines if line.get_gid() == name)
        assert drawn == count, name
