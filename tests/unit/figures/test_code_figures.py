"""Figures of codes on made tables: panels are grey where they should be, published figures stay off simulated data."""

import itertools

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store.leaderboard import tidy
from boldflow.drawing import figure_style, meshes
from boldflow.figures import code_panels, code_table, reconstruction_map, unit_images
from tests.made.figures import defaults, subjects, tables_of, texts

FIGURES = {
    "code_panels": code_panels,
    "code_table": code_table,
    "reconstruction_map": reconstruction_map,
    "unit_images": unit_images,
}
MODELS = ("sae-high-32", "pca-32")
ABOUT = {"response": "bold", "feature": "none", "split": "repeated", "seed": "0"}


def made(n, dataset="sim", simulated=True):
    """Tables of n subjects and two models; the last subject's class is found by none, raw has no p."""
    about = {**ABOUT, "dataset": dataset, "simulated": simulated}
    rng = np.random.default_rng(n)
    rows, points, maps, units, scores = [], [], [], [], []
    for subject, model in itertools.product(subjects(n), MODELS):
        own = {**about, "subject": subject, "model": model, "label": "category", "class": "face"}
        found = {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9, "p": 0.01, "q": 0.02}
        if subject == subjects(n)[-1]:
            found = {"value": 0.5, "ci_low": 0.3, "ci_high": 0.7, "p": 0.6, "q": 0.6}
        rows += [{**own, "metric": "auc", "protocol": "mended", **found}]
        rows += [
            {**own, "metric": "norm_p", "protocol": name, "value": 0.2, "p": 0.2} for name in ("mended", "published")
        ]
        inside = np.arange(40) % 4 == 0
        placed = rng.normal(size=(40, 4)) + 2 * inside[:, None]
        content = dict(zip(("pca_1", "pca_2", "tsne_1", "tsne_2"), placed.T, strict=True))
        names = [f"{k:02d}.png" for k in range(40)]
        points.append(pd.DataFrame({**own, "image_id": names, "in_class": inside, **content}))
        for side in meshes.SIDES:
            vertex = np.arange(2000, 4000)
            where = {"space": "fsaverage5", "hemisphere": side, "vertex": vertex}
            value = np.sin(vertex / 150)
            shown = {
                "measured": value,
                "reconstructed": 0.6 * value,
                "r": 0.5,
                "roi": np.where(vertex < 3000, "face", ""),
            }
            maps.append(pd.DataFrame({**own, **where, **shown}))
        for unit, rank in itertools.product(range(20), range(1, 9)):
            picture = int(rng.integers(40))
            drive = 0.0 if unit < 3 else 30 - unit - rank / 10
            told = {"unit": unit, "rank": rank, "image_id": names[picture], "in_class": picture % 4 == 0}
            told |= {"active_share": 0.4, "class_auc": 0.7, "activation": drive, "held_out": picture > 30}
            units.append({**own, **told})
        values = {"mse": 0.42, "R2": 0.58, "zeros": 0.65, "dead_units": 0.5}
        for metric, value in values.items():
            row = {**own, "metric": metric, "value": value, "view": "trial", "direction": "represent", "roi": "all"}
            scores.append({key: row[key] for key in row if key not in ("label", "class")})
    theirs = [
        {
            **{"system": "sae", "dataset": dataset, "subject": one, "model": MODELS[0], "metric": "mse"},
            **{"value": "0.4055", "unit": "1", "split": "sae-validation", "direction": "represent"},
            **{"reason": "response: published other, here bold", "note": "scaled apart"},
        }
        for one in subjects(n)
    ]
    picture = np.zeros((8, 8, 3), np.uint8) + np.arange(8, dtype=np.uint8)[:, None, None] * 30
    return {
        "separations": pd.DataFrame(rows),
        "embeddings": pd.concat(points, ignore_index=True),
        "reconstructions": pd.concat(maps, ignore_index=True),
        "units": pd.DataFrame(units),
        "leaderboard": tidy(scores),
        "published": pd.DataFrame(theirs).astype("string"),
        "images": {(dataset, f"{k:02d}.png"): picture for k in range(40)},
    }


@pytest.mark.parametrize(
    ("name", "n"), [(name, n) for name in FIGURES for n in ((1, 2) if name == "reconstruction_map" else (1, 8))]
)
def test_a_figure_of_codes_is_drawn_whatever_the_number_of_subjects_and_no_text_lies_on_another(name, n):
    given = made(n)
    before = {key: given[key].copy() for key in FIGURES[name].NEEDS if key not in ("images", "meshes")}
    figure = FIGURES[name].draw(tables_of(given), defaults(name))
    for key, value in before.items():
        pd.testing.assert_frame_equal(given[key], value)
    assert FIGURES[name].source_table(given, defaults(name))["simulated"].all()
    figure_style.stamp_simulated(figure)
    figure.draw_without_rendering()
    places = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    box = figure.bbox
    for text, place in places:
        assert place.x0 >= box.x0 and place.x1 <= box.x1 and place.y0 >= box.y0 and place.y1 <= box.y1, text
    for (text, place), (other, there) in itertools.combinations(places, 2):
        assert not place.padded(-0.5).overlaps(there.padded(-0.5)), (text, other)


def colours(axes, part):
    """Face and edge colours of the points of a panel's part."""
    (points,) = [one for one in axes.collections if one.get_gid() == part]
    return {matplotlib.colors.to_hex(one) for one in (*points.get_facecolors(), *points.get_edgecolors())}


def test_panels_without_a_finding_are_grey_and_say_so():
    tables = made(2)
    figure = code_panels.draw(tables_of(tables), defaults("code_panels", models=["sae-high-32"]))
    found, not_found = figure.axes
    assert code_panels.INSIDE.lower() in colours(found, "class")
    for part in ("class", "others"):
        assert all(one[1:3] == one[3:5] == one[5:7] for one in colours(not_found, part))
    assert found.get_title() == "AUC 0.80 [0.70, 0.90]\nq 0.020" and "n.s." in not_found.get_title()
    assert "not significant" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_model_without_a_p_is_neither_found_nor_grey():
    tables = made(1)
    tables["separations"][["p", "q"]] = np.nan
    table = code_panels.source_table(tables, defaults("code_panels"))
    assert table["significant"].isna().all()
    figure = code_panels.draw(tables_of(tables), defaults("code_panels"))
    assert "no p" in figure.axes[0].get_title() and code_panels.INSIDE.lower() in colours(figure.axes[0], "class")
    assert "not significant" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_published_figures_stand_under_the_model_of_their_name_and_never_at_simulated_data():
    assert set(code_table.source_table(made(2), defaults("code_table"))["whose"]) == {"ours"}
    tables = made(2, "algonauts2023", False)
    table = code_table.source_table(tables, defaults("code_table"))
    theirs = table[table["whose"] == "published"]
    assert len(theirs) == 2 and (theirs["value"] == 0.4055).all() and set(theirs["metric"]) == {"mse"}
    assert theirs["note"].str.contains("sae-validation: response: published other").all()
    shown = [text.get_text() for text in texts(code_table.draw(tables_of(tables), defaults("code_table")))]
    assert shown.count("0.406") + shown.count("0.405") == 2 and "  published a" in shown


def test_units_that_are_never_active_are_left_out_and_counted():
    table = unit_images.source_table(made(1), defaults("unit_images", n_units=20))
    assert len(table["unit"].unique()) == 17 and table["unit"].iloc[0] == 3
    figure = unit_images.draw(tables_of(made(1)), defaults("unit_images", n_units=5))
    shown = [text.get_text() for text in texts(figure)]
    assert any("5 of 20 units, 3 are never active" in text for text in shown)


def test_what_a_code_leaves_out_is_the_difference():
    table = reconstruction_map.source_table(made(1), defaults("reconstruction_map", models=["pca-32"]))
    np.testing.assert_allclose(table["left_out"], table["measured"] - table["reconstructed"])
    assert set(table["model"]) == {"pca-32"}


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("code_panels", {"models": ["none-such"]}, "have no codes; there are: .*'sae-high-32'"),
        ("unit_images", {"model": "none-such"}, "no result matches the settings; there are"),
        ("code_table", {"models": ["none-such"]}, "no model to show; those that see responses alone"),
    ],
)
def test_names_that_are_not_there_are_refused_with_those_that_are(name, changed, told):
    with pytest.raises(ValueError, match=told):
        FIGURES[name].source_table(made(1), defaults(name, **changed))
