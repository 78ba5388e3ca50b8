"""Figures of encoders on made tables: bands, ROIs, win shares; what is drawn is the source table."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store.leaderboard import tidy
from boldflow.drawing import figure_style, meshes
from boldflow.figures import band_map, band_shares, encoding_map, roi_summary, win_share
from tests.made.figures import defaults, subjects, tables_of, texts
from tests.made.meshes import hemispheres

FIGURES = {"band_map": band_map, "band_shares": band_shares, "roi_summary": roi_summary, "win_share": win_share}
ABOUT = {"dataset": "sim", "response": "bold", "split": "repeated", "simulated": True}
ROIS = ("all", "V1", "ventral")
BANDS = ("gabor", "labels")
STACK = {"feature": "gabor-and-labels", "model": "banded-ridge"}


def spread(rng, n=None):
    value = rng.uniform(-0.1, 0.8, n)
    return {"value": value, "ci_low": value - 0.06, "ci_high": value + 0.09}


def board(n):
    rng = np.random.default_rng(n)
    rows = []
    for subject, roi, feature in itertools.product(subjects(n), ROIS, BANDS):
        about = {"subject": subject, "roi": roi, "feature": feature, "model": "ridge-encoder", "direction": "encode"}
        about |= {"seed": "0", "view": "image", "fold": "all", "primary": False, **ABOUT}
        rows.append({**about, "metric": "r2", "chance": 0.02, "ceiling": 0.7, **spread(rng)})
        rows.append({**about, "metric": "r", "chance": 0.0, "ceiling": 0.8, **spread(rng)})
        if roi != "ventral" or feature != "labels":  # without enough signal there is no share
            rows.append({**about, "metric": "explained_share", "chance": 0.0, "ceiling": 1.0, **spread(rng)})
    decoder = {"subject": "sub-01", "direction": "decode", "model": "ridge", "metric": "top1", "value": 0.1}
    return tidy([*rows, {**decoder, **ABOUT}])


def bands(n, unique=True):
    rng = np.random.default_rng(n)
    rows = []
    for subject, roi in itertools.product(subjects(n), ROIS):
        about = {"subject": subject, "roi": roi, "seed": "0", "ceiling": 0.6, "n_test_images": 12, **STACK, **ABOUT}
        rows.append({**about, "band": "all", "measure": "joint", **spread(rng)})
        for band, measure in itertools.product(BANDS, ("product", "unique") if unique else ("product",)):
            rows.append({**about, "band": band, "measure": measure, **spread(rng)})
    return pd.DataFrame(rows).assign(ci_method="percentile bootstrap over images")


def wins(n):
    rng = np.random.default_rng(n)
    models = (("gabor", "ridge-encoder"), ("labels", "ridge-encoder"), ("gabor-and-labels", "banded-ridge"))
    rows = []
    for subject, roi, (a, b) in itertools.product(subjects(n), ROIS, itertools.combinations(models, 2)):
        value = rng.uniform(0.1, 0.9)
        about = {"subject": subject, "roi": roi, "seed": "0", "n_vertices": 40, "n_test_images": 12, **ABOUT}
        sides = {"feature_a": a[0], "model_a": a[1], "feature_b": b[0], "model_b": b[1]}
        interval = {"value": value, "ci_low": max(0, value - 0.2), "ci_high": min(1, value + 0.2)}
        verdict = {"p": 0.04, "p_holm": 0.04, "tied": abs(value - 0.5) < 0.2, "chance": 0.5}
        rows.append({**about, **sides, **interval, **verdict})
    return pd.DataFrame(rows)


def maps(n, unique=True):
    parts = []
    for k, subject in enumerate(subjects(n)):
        for side in meshes.SIDES:
            rng = np.random.default_rng([k, side == "left"])
            vertex = np.arange(0, meshes.N_VERTICES, 2)
            place = {"space": "fsaverage5", "hemisphere": side, "vertex": vertex, "subject": subject, **ABOUT}
            place |= {"roi": np.where(vertex < 3000, "V1", ""), "ceiling": rng.uniform(size=len(vertex))}
            parts.append(pd.DataFrame({**place, "feature": "gabor", "model": "ridge-encoder", "r": 0.1}))
            shares = {f"r2_band:{band}": rng.normal(0, 0.2, len(vertex)) for band in BANDS}
            whole = {"r2_joint": sum(shares.values()), "r": rng.uniform(-0.5, 0.8, len(vertex))}
            shares |= {f"r2_unique:{band}": rng.normal(0, 0.1, len(vertex)) for band in BANDS if unique}
            parts.append(pd.DataFrame({**place, **STACK, **shares, **whole}))
    return pd.concat(parts, ignore_index=True)


def tables(n):
    return {"leaderboard": board(n), "maps": maps(n), "bands": bands(n), "wins": wins(n)}


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_for_one_subject_and_for_eight_and_no_text_lies_on_another(name, n):
    given = {key: value for key, value in tables(n).items() if key in FIGURES[name].NEEDS}
    before = {key: value.copy() for key, value in given.items()}
    settings = defaults(name)
    written = []
    for _ in range(2):
        data = io.BytesIO()
        figure = FIGURES[name].draw(tables_of(given), settings)
        figure.savefig(data, format="png", dpi=40)
        written.append(data.getvalue())
    assert written[0] == written[1]
    for key, value in before.items():
        pd.testing.assert_frame_equal(given[key], value)
    figure = FIGURES[name].draw(tables_of(given), settings)
    figure.draw_without_rendering()
    places = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    box = figure.bbox
    for text, place in places:
        assert place.x0 >= box.x0 and place.x1 <= box.x1 and place.y0 >= box.y0 and place.y1 <= box.y1, text
    for (text, place), (other, there) in itertools.combinations(places, 2):
        assert not place.padded(-0.5).overlaps(there.padded(-0.5)), (text, other)
    legend = figure.legends[0].get_window_extent() if figure.legends else None
    for text, place in places if legend else ():
        assert not place.padded(-0.5).overlaps(legend.padded(-0.5)), text


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def check_dots(axes, part):
    """A panel shows these rows: values, intervals, each at a height of its own."""
    drawn = part[part["value"].notna()]
    values = [float(line.get_xdata()[0]) for line in lines(axes, "value")]
    np.testing.assert_allclose(values, drawn["value"])
    ends = [tuple(line.get_xdata()) for line in lines(axes, "interval")]
    np.testing.assert_allclose(ends, drawn[["ci_low", "ci_high"]])
    heights = [float(line.get_ydata()[0]) for line in lines(axes, "value")]
    assert len(set(heights)) == len(heights)
    low, high = axes.get_xlim()
    assert (drawn[["value", "ci_low", "ci_high"]].to_numpy() >= low).all() and (drawn["ci_high"] <= high).all()


def panels(figure):
    return {axes.get_label(): axes for axes in figure.axes}


def test_the_roi_summary_draws_r2_beside_its_ceiling_and_the_share_explained():
    given = {"leaderboard": board(3)}
    source = roi_summary.source_table(given, defaults("roi_summary"))
    assert set(source["metric"]) == {"r2", "explained_share"} and len(source) == 3 * (6 + 5)
    found = panels(roi_summary.draw(tables_of(given), defaults("roi_summary")))
    for number, feature in enumerate(BANDS):
        for metric in ("r2", "explained_share"):
            part = source[(source["feature"] == feature) & (source["metric"] == metric)]
            check_dots(found[f"{number} {metric}"], part)
        own = found[f"{number} r2"]
        assert [label.get_text() for label in own.get_yticklabels()] == list(ROIS)
        np.testing.assert_allclose([line.get_xdata()[0] for line in lines(own, "ceiling")], 0.7)
        assert {float(line.get_xdata()[0]) for line in lines(own, "reference")} == {0.02}
        assert not lines(found[f"{number} explained_share"], "ceiling")
    assert found["0 r2"].get_xlim() == found["1 r2"].get_xlim()


def test_rois_can_be_named_and_an_unknown_one_is_refused():
    given = {"leaderboard": board(1), "wins": wins(1), "bands": bands(1)}
    for name in ("roi_summary", "win_share", "band_shares"):
        source = FIGURES[name].source_table(given, defaults(name, rois=["ventral", "all"]))
        assert list(dict.fromkeys(source["roi"])) == ["ventral", "all"]
        with pytest.raises(ValueError, match=r"no ROI \['V9'\]; ROIs there: all, V1, ventral"):
            FIGURES[name].source_table(given, defaults(name, rois=["V9"]))
        with pytest.raises(ValueError, match=r"no .*matches|no encoding result"):
            FIGURES[name].source_table(given, defaults(name, models=["other"]))


def test_the_win_share_figure_draws_a_block_per_pair_and_open_markers_where_tied():
    given = {"wins": wins(3)}
    source = win_share.source_table(given, defaults("win_share"))
    figure = win_share.draw(tables_of(given), defaults("win_share"))
    pairs = list(source.groupby(win_share.PAIR, sort=False))
    found = panels(figure)
    assert len(pairs) == len(found) == 3
    for number, (_, part) in enumerate(pairs):
        axes = found[f"{number} win_share"]
        check_dots(axes, part)
        assert axes.get_xlim() == (-0.03, 1.03)
        assert {float(line.get_xdata()[0]) for line in lines(axes, "reference")} == {0.5}
        opened = [line.get_markerfacecolor() == "white" for line in lines(axes, "value")]
        assert opened == part["tied"].tolist()
    headings = [text.get_text() for text in figure.texts]
    assert "ridge-encoder · gabor\nagainst ridge-encoder · labels" in headings


def test_pairs_beyond_the_limit_are_counted_clear_of_the_legend_stamped_or_not():
    figure = win_share.draw(tables_of({"wins": wins(1)}), defaults("win_share", max_pairs=1))
    (note,) = [text for text in figure.texts if "2 more pairs are not drawn" in text.get_text()]
    for _ in range(2):
        figure.draw_without_rendering()
        assert not note.get_window_extent().overlaps(figure.legends[0].get_window_extent())
        others = [text for text in texts(figure) if text is not note]
        assert not any(note.get_window_extent().overlaps(text.get_window_extent()) for text in others)
        figure_style.stamp_simulated(figure)


@pytest.mark.parametrize("unique", [True, False])
def test_band_shares_stand_on_one_scale_unique_ones_open(unique):
    given = {"bands": bands(2, unique)}
    source = band_shares.source_table(given, defaults("band_shares"))
    assert source.loc[source["measure"] != "joint", "ceiling"].isna().all()
    found = panels(band_shares.draw(tables_of(given), defaults("band_shares")))
    assert set(found) == {"0 all", "0 gabor", "0 labels"}
    assert len({axes.get_xlim() for axes in found.values()}) == 1
    for band in BANDS:
        part = source[source["band"] == band]
        check_dots(found[f"0 {band}"], part)
        opened = [line.get_markerfacecolor() == "white" for line in lines(found[f"0 {band}"], "value")]
        assert opened == (part["measure"] == "unique").tolist()
    assert len(lines(found["0 all"], "ceiling")) == 2 * len(ROIS)


def surfaces(figure):
    return [
        (*axes.get_label().split(" "), axes.images[1].get_array())
        for axes in figure.axes
        if axes.get_label() != "colour bar"
    ]


def shown(part, side, view, column):
    vertex = meshes.project_surface(hemispheres()[side], side, view).vertex
    own = part[part["hemisphere"] == side]
    values = meshes.vertex_array(own["vertex"], own[column])
    return np.where(vertex >= 0, values[vertex], np.nan)


@pytest.mark.parametrize("measure", ["product", "unique"])
def test_the_band_map_draws_the_joint_r2_and_each_band(measure):
    given, settings = {"maps": maps(2)}, defaults("band_map", views=["ventral"], measure=measure)
    source = band_map.source_table(given, settings)
    assert set(source["model"]) == {"banded-ridge"} and list(dict.fromkeys(source["band"])) == ["all", *BANDS]
    found = surfaces(band_map.draw(tables_of(given), settings))
    assert len(found) == 2 * 3 * 2
    for place, (row, side, view, values) in enumerate(found):
        band = ("all", *BANDS)[place // 2 % 3]
        part = source[(source["subject"] == subjects(2)[int(row)]) & (source["band"] == band)]
        np.testing.assert_array_equal(np.ma.filled(values, np.nan), shown(part, side, view, "r2"))
    wanted = given["maps"].query("model == 'banded-ridge'")
    column = {"product": "r2_band:labels", "unique": "r2_unique:labels"}[measure]
    np.testing.assert_allclose(source.loc[source["band"] == "labels", "r2"].sum(), wanted[column].sum())


def test_a_band_map_without_the_measure_says_what_it_needs():
    with pytest.raises(ValueError, match="no result has the measure 'unique'"):
        band_map.source_table({"maps": maps(1, unique=False)}, defaults("band_map", measure="unique"))


def test_the_encoding_map_shows_the_root_of_the_ceiling_on_the_scale_of_r():
    given, settings = {"maps": maps(1)}, defaults("encoding_map", views=["medial"], models=["banded-ridge"])
    source = encoding_map.source_table(given, settings)
    wanted = given["maps"].query("model == 'banded-ridge'")["ceiling"]
    np.testing.assert_allclose(np.sort(source["ceiling"] ** 2), np.sort(wanted))
    figure = encoding_map.draw(tables_of(given), settings)
    for place, (_, side, view, values) in enumerate(surfaces(figure)):
        column = ("ceiling", "ceiling", "r", "r")[place]
        np.testing.assert_array_equal(np.ma.filled(values, np.nan), shown(source, side, view, column))
    norms = {(axes.images[1].norm.vmin, axes.images[1].norm.vmax) for axes in figure.axes if len(axes.images) > 1}
    assert len(norms) == 1
