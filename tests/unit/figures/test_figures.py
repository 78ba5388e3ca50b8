"""Figures on made tables: the source table is what is drawn, whatever the number of subjects."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import comparisons
from boldflow.artifacts.store.leaderboard import tidy
from boldflow.drawing import meshes
from boldflow.figures import ceiling_map, encoding_map, leaderboard, learning_curves, retrieval_examples
from tests.made.figures import defaults, subjects, tables_of, texts
from tests.made.meshes import hemispheres

FIGURES = {
    "leaderboard": leaderboard,
    "encoding_map": encoding_map,
    "ceiling_map": ceiling_map,
    "retrieval_examples": retrieval_examples,
    "learning_curves": learning_curves,
}
GALLERY = 12
NO_PAIRS = comparisons.tidy(pd.DataFrame())


def board(n, seeds=1, simulated=True):
    rng = np.random.default_rng(n)
    rows = []

    def add(subject, seed, view, metric, chance, **more):
        value = float(rng.uniform(0.1, 0.9))
        row = {"subject": subject, "seed": str(seed), "view": view, "metric": metric, "chance": chance, "value": value}
        rows.append(row | {"ci_low": value - 0.05, "ci_high": value + 0.07} | more)

    for subject in subjects(n):
        for model in ("chance", "ridge", "dummy"):
            for seed in range(seeds):
                for view in ("trial", "image"):
                    for metric, chance in (("top1", 1 / 12), ("inv_norm_rank", 0.5), ("mean_rank", 5.5)):
                        decode = {"direction": "decode", "model": model, "feature": "gabor", "gallery_size": GALLERY}
                        add(subject, seed, view, metric, chance, **decode)
        for roi in ("V1", "all"):
            encode = {"direction": "encode", "model": "ridge-encoder", "feature": "gabor", "roi": roi, "ceiling": 0.95}
            add(subject, 0, "image", "r", 0.0, **encode)
    shared = {"dataset": "sim", "response": "bold", "split": "repeated", "fold": "all", "transductive": "run"}
    table = pd.DataFrame(rows).assign(**shared, protocol="ours", simulated=simulated)
    return tidy(table.assign(primary=(table["metric"] == "inv_norm_rank") & (table["view"] == "image")))


def boards(leaderboard, pairs=None):
    return {"leaderboard": leaderboard, "comparisons": NO_PAIRS if pairs is None else pairs}


def maps(n, results=(("ridge-encoder", "gabor"),), space="fsaverage5"):
    parts = []
    for k, subject in enumerate(subjects(n)):
        for side in meshes.SIDES:
            rng = np.random.default_rng(k)
            vertex = np.arange(0, meshes.N_VERTICES, 2)
            ceiling = rng.uniform(size=len(vertex))
            for model, feature in results:
                r = rng.uniform(-0.5, 0.8, len(vertex))
                names = {"dataset": "sim", "subject": subject, "response": "bold", "feature": feature, "model": model}
                more = {"split": "repeated", "simulated": True, "space": space, "hemisphere": side, "vertex": vertex}
                roi = np.where(vertex < 3000, "V1", "")
                parts.append(pd.DataFrame({**names, **more, "r": r, "ceiling": ceiling, "roi": roi}))
    return pd.concat(parts, ignore_index=True)


def queries(n):
    rows = []
    for k, subject in enumerate(subjects(n)):
        rng = np.random.default_rng(k)
        for model in ("chance", "ridge"):
            for image, rank in enumerate(rng.permutation(GALLERY)):
                others = [other for other in range(GALLERY) if other != image]
                order = [*others[:rank], image, *others[rank:]]
                names = {"dataset": "sim", "subject": subject, "response": "bold", "feature": "gabor", "model": model}
                more = {"split": "repeated", "simulated": True, "seed": 0, "fold": 0, "image_id": f"im{image}"}
                near = {f"nearest_{c + 1}": f"im{order[c]}" for c in range(5)}
                near |= {f"score_{c + 1}": 1 - c / 10 for c in range(5)}
                rows.append({**names, **more, "rank": float(rank), "gallery_size": GALLERY, **near})
    return pd.DataFrame(rows)


def pictures():
    return {("sim", f"im{n}"): np.full((8 + n, 12, 3), 20 * n, dtype=np.uint8) for n in range(GALLERY)}


def histories(n):
    """Two seeds of two models, the second seed stops earlier; after a choice all trials train."""
    rows = []
    for k, subject in enumerate(subjects(n)):
        rng = np.random.default_rng(k)
        names = {"dataset": "sim", "subject": subject, "response": "bold", "feature": "gabor", "split": "repeated"}
        for model, stage in (("fmri-mlp", "fit"), ("linear-contrastive", "choice")):
            for seed, last in ((33, 8), (34, 5)):
                for epoch in range(0 if stage == "choice" else 1, last + 1):
                    loss = rng.uniform() if epoch else np.nan
                    more = {"model": model, "stage": stage, "seed": seed, "fold": 0, "epoch": epoch, "loss": loss}
                    rows.append({**names, **more, "val_loss": rng.uniform(), "val_inv_norm_rank": rng.uniform()})
        rows.append({**names, "model": model, "stage": "all", "seed": 33, "fold": 0, "epoch": 1, "loss": 9.0})
    return pd.DataFrame(rows).assign(simulated=True)


def tables(n):
    return {
        "leaderboard": board(n),
        "comparisons": NO_PAIRS,
        "maps": maps(n),
        "queries": queries(n),
        "images": pictures(),
        "histories": histories(n),
    }


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_for_one_subject_and_for_eight_and_does_so_again(name, n):
    few = {"views": ["medial"]} if name.endswith("map") else {}
    settings = defaults(name, **few)
    needed = {key: value for key, value in tables(n).items() if key in FIGURES[name].NEEDS}
    written = []
    for _ in range(2):
        data = io.BytesIO()
        FIGURES[name].draw(tables_of(needed), settings).savefig(data, format="png", dpi=40)
        written.append(data.getvalue())
    assert written[0] == written[1]


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_or_outside(name, n):
    figure = FIGURES[name].draw(tables_of(tables(n)), defaults(name))
    figure.draw_without_rendering()
    places = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert "SIMULATED" not in dict(places)  # the stage stamps it
    box = figure.bbox
    for text, place in places:
        assert place.x0 >= box.x0 and place.x1 <= box.x1 and place.y0 >= box.y0 and place.y1 <= box.y1, text
    for (text, place), (other, there) in itertools.combinations(places, 2):
        assert not place.padded(-0.5).overlaps(there.padded(-0.5)), (text, other)


@pytest.mark.parametrize("name", FIGURES)
def test_tables_are_left_as_they_were(name):
    given = tables(1)
    before = {key: value.copy() for key, value in given.items() if key != "images"}
    FIGURES[name].draw(tables_of(given), defaults(name))
    for key, value in before.items():
        pd.testing.assert_frame_equal(given[key], value)


def drawn(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


@pytest.mark.parametrize(("n", "seeds"), [(1, 1), (3, 2), (8, 1)])
def test_the_leaderboard_draws_its_source_table(n, seeds):
    given, settings = boards(board(n, seeds)), defaults("leaderboard")
    source = leaderboard.source_table(given, settings)
    figure = leaderboard.draw(tables_of(given), settings)
    for panel, part in source.groupby("panel"):
        axes = next(axes for axes in figure.axes if axes.get_label() == f"panel {panel}")
        values = [float(line.get_xdata()[0]) for line in drawn(axes, "value")]
        np.testing.assert_allclose(values, part["value"])
        intervals = [tuple(line.get_xdata()) for line in drawn(axes, "interval")]
        np.testing.assert_allclose(intervals, part[["ci_low", "ci_high"]])
        heights = [float(line.get_ydata()[0]) for line in drawn(axes, "value")]
        assert len(set(heights)) == len(part)
        for line in drawn(axes, "chance"):
            covered = [low for low in heights if min(line.get_ydata()) <= low <= max(line.get_ydata())]
            rows = part["chance"].to_numpy()[[heights.index(y) for y in covered]]
            assert covered and (rows == line.get_xdata()[0]).all()
        ceilings = [x for line in drawn(axes, "ceiling") for x in line.get_xdata()]
        np.testing.assert_allclose(ceilings, part["ceiling"].dropna())


def test_the_values_of_the_leaderboard_are_those_of_the_table():
    given = board(3)
    source = leaderboard.source_table(boards(given), defaults("leaderboard"))
    keys = ["direction", "model", "feature", "roi", "subject", "seed", "metric", "view"]
    both = source.merge(given, on=keys, suffixes=("", "_given"), how="left", validate="one_to_one")
    np.testing.assert_array_equal(both["value"], both["value_given"])
    assert set(source.loc[source["metric"] == "r", "subject"]) == set(subjects(3))


def test_the_primary_metric_comes_first_and_baselines_come_last():
    source = leaderboard.source_table(boards(board(3)), defaults("leaderboard"))
    first = source[source["panel"] == 0]
    assert first["primary"].all() and set(first["metric"]) == {"inv_norm_rank"}
    assert first["model"].iloc[0] == "ridge" and first["model"].iloc[-1] in ("dummy", "chance")
    assert "mean_rank" not in set(source["metric"])


def test_panels_can_be_named_and_an_unknown_one_is_refused():
    wanted = defaults("leaderboard", panels=[{"metric": "mean_rank", "view": "trial"}])
    source = leaderboard.source_table(boards(board(1)), wanted)
    panels = source[["metric", "view"]].drop_duplicates().to_numpy().tolist()
    assert panels == [["inv_norm_rank", "image"], ["mean_rank", "trial"]]
    figure = leaderboard.draw(boards(board(1)), wanted)
    assert [axes.get_xlabel()[0] for axes in figure.axes] == ["b", "\N{LEFTWARDS ARROW}"]
    with pytest.raises(ValueError, match="auc"):
        leaderboard.source_table(boards(board(1)), defaults("leaderboard", panels=[{"metric": "auc", "view": "image"}]))


def test_rows_that_would_be_one_marker_are_refused_and_what_differs_is_named():
    twice = pd.concat([board(1), board(1)], ignore_index=True)
    with pytest.raises(ValueError, match="more than one row"):
        leaderboard.source_table(boards(twice), defaults("leaderboard"))
    other = pd.concat([board(1), board(1).assign(split="mended-split")], ignore_index=True)
    source = leaderboard.source_table(boards(other), defaults("leaderboard"))
    assert "ridge · gabor · mended-split" in set(source["row"])


def test_a_value_that_is_missing_is_said_to_be_undefined():
    given = board(1)
    given.loc[given["metric"] == "r", ["value", "ci_low", "ci_high"]] = np.nan
    figure = leaderboard.draw(boards(given), defaults("leaderboard"))
    assert any(text.get_text() == "undefined" for axes in figure.axes for text in axes.texts)


def surfaces(figure):
    """Value images in the order of rows, groups, panels."""
    found = []
    for axes in figure.axes:
        if axes.get_label() != "colour bar":
            number, side, view = axes.get_label().split(" ")
            found.append((int(number), side, view, axes.images[1]))
    return found


def check_surface(image, side, view, part, column):
    vertex = meshes.project_surface(hemispheres()[side], side, view).vertex
    values = meshes.vertex_array(part["vertex"], part[column])
    shown = np.where(vertex >= 0, values[vertex], np.nan)
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), shown)


def test_the_encoding_map_draws_its_source_table():
    given = {"maps": maps(2, (("ridge-encoder", "gabor"), ("ridge-encoder", "labels")))}
    settings = defaults("encoding_map", views=["ventral"], ceiling=False)
    source = encoding_map.source_table(given, settings)
    figure = encoding_map.draw(tables_of(given), settings)
    rows = [(feature, subject) for feature in ("gabor", "labels") for subject in subjects(2)]
    found = surfaces(figure)
    assert len(found) == 8
    for number, side, view, image in found:
        feature, subject = rows[number]
        mine = (source["feature"] == feature) & (source["subject"] == subject) & (source["hemisphere"] == side)
        check_surface(image, side, view, source[mine], "r")
        assert image.norm.vmin == -image.norm.vmax
    bar = next(axes for axes in figure.axes if axes.get_label() == "colour bar")
    assert bar.get_xlabel() == "Pearson r (image view)"


def test_results_beyond_the_limit_are_counted_in_the_figure():
    given = {"maps": maps(1, (("a", "f"), ("b", "f"), ("c", "f")))}
    settings = defaults("encoding_map", views=["medial"], max_results=2)
    assert list(encoding_map.source_table(given, settings)["model"].unique()) == ["a", "b"]
    figure = encoding_map.draw(tables_of(given), settings)
    assert any("1 more results are not drawn" in text.get_text() for text in figure.texts)


def test_the_ceiling_map_draws_the_ceiling_once_and_each_result_beside_it():
    given = {"maps": maps(2, (("ridge-encoder", "gabor"), ("ridge-encoder", "labels")))}
    settings = defaults("ceiling_map", views=["medial"])
    source = ceiling_map.source_table(given, settings)
    found = surfaces(ceiling_map.draw(tables_of(given), settings))
    assert len(found) == 2 * 3 * 2
    groups = [("gabor", "ceiling"), ("gabor", "explained"), ("labels", "explained")]
    for place, (number, side, view, image) in enumerate(found):
        feature, column = groups[place % 6 // 2]
        mine = (source["subject"] == subjects(2)[number]) & (source["hemisphere"] == side)
        check_surface(image, side, view, source[mine & (source["feature"] == feature)], column)
        assert image.norm.vmin == 0


def test_explained_variance_keeps_the_sign_of_r():
    given = maps(1)
    source = ceiling_map.source_table({"maps": given}, defaults("ceiling_map"))
    both = source.merge(given, on=["subject", "hemisphere", "vertex"])
    np.testing.assert_allclose(both["explained"], both["r"] * both["r"].abs())
    assert (both["explained"] < 0).any()


def test_ceilings_that_contradict_each_other_are_refused():
    given = maps(1, (("a", "f"), ("b", "f")))
    given.loc[given["model"] == "b", "ceiling"] *= 0.9
    with pytest.raises(ValueError, match="differ in NC"):
        ceiling_map.source_table({"maps": given}, defaults("ceiling_map"))


@pytest.mark.parametrize("name", ["encoding_map", "ceiling_map"])
def test_maps_of_another_space_are_refused(name):
    with pytest.raises(ValueError, match="do not lie on fsaverage5"):
        FIGURES[name].draw(tables_of({"maps": maps(1, space="native")}), defaults(name))


@pytest.mark.parametrize("name", ["encoding_map", "ceiling_map"])
def test_a_map_without_any_value_is_grey(name):
    given = maps(1).assign(r=np.nan)
    figure = FIGURES[name].draw(tables_of({"maps": given}), defaults(name, views=["medial"]))
    assert np.ma.getmaskarray(surfaces(figure)[-1][3].get_array()).all()


def maps_with_tests(n, n_refits=200):
    """Maps whose q is .01 where r is above .5, with a few vertices that have no test."""
    drawn = maps(n)
    q = np.where(drawn["r"] > 0.5, 0.01, 0.4)
    q[:10] = np.nan
    p_max = np.where(q < 0.05, 0.05, 1.0) + 0 * q  # NaN stays
    return drawn.assign(p=q / 2, q=q, p_max=p_max, p_tfce=np.nan, n_refits=n_refits)


@pytest.mark.parametrize("name", ["encoding_map", "ceiling_map"])
@pytest.mark.parametrize("by", ["q", "p_max"])
def test_a_threshold_makes_vertices_faint_that_do_not_pass_and_says_so(name, by):
    given, settings = {"maps": maps_with_tests(2)}, defaults(name, views=["medial"], threshold={"by": by})
    source = FIGURES[name].source_table(given, settings)
    np.testing.assert_array_equal(source["passes"], source[by] <= 0.05)
    figure = FIGURES[name].draw(tables_of(given), settings)
    for place, (number, side, view, image) in enumerate(surfaces(figure)):
        if place % 4 < 2:  # the ceiling stands first and has no test
            assert image.get_alpha() is None
            continue
        vertex = meshes.project_surface(hemispheres()[side], side, view).vertex
        mine = source[(source["subject"] == subjects(2)[number]) & (source["hemisphere"] == side)]
        passes = meshes.vertex_array(mine["vertex"], mine["passes"].astype(float)) == 1
        inside = vertex >= 0
        np.testing.assert_array_equal(image.get_alpha()[inside] == 1, passes[vertex[inside]])
    (line,) = [text.get_text() for text in figure.texts if text.get_text().startswith("Faint")]
    assert "above 0.05, from 200 refits" in line
    assert f"{source['passes'].sum():,} of {len(source):,} vertices pass, 10 have no test." in line


@pytest.mark.parametrize("name", ["encoding_map", "ceiling_map"])
def test_a_threshold_by_a_test_that_no_vertex_has_is_refused(name):
    with pytest.raises(ValueError, match=r"threshold by p_tfce, which no vertex of its maps has.*tfce: true"):
        FIGURES[name].source_table({"maps": maps_with_tests(1)}, defaults(name, threshold={"by": "p_tfce"}))
    with pytest.raises(ValueError, match="permutations of 19 or more"):
        FIGURES[name].source_table({"maps": maps(1)}, defaults(name, threshold={"by": "q"}))


def test_a_threshold_has_a_level_of_its_own_and_no_threshold_adds_nothing():
    given = {"maps": maps_with_tests(1)}
    source = encoding_map.source_table(given, defaults("encoding_map", threshold={"by": "q", "at_most": 0.001}))
    assert not source["passes"].any()
    assert "passes" not in encoding_map.source_table(given, defaults("encoding_map"))


def test_retrieval_draws_the_pictures_of_its_source_table_and_frames_the_true_one():
    given = {"queries": queries(2), "images": pictures()}
    settings = defaults("retrieval_examples")
    source = retrieval_examples.source_table(given, settings)
    figure = retrieval_examples.draw(tables_of(given), settings)
    assert set(source["model"]) == {"ridge"}
    for axes in figure.axes:
        part = source[source["subject"] == axes.get_label()]
        wanted = [name for _, row in part.iterrows() for name in row[["image_id", *retrieval_examples.NEAREST]]]
        shown = [image.get_array() for image in axes.images]
        assert len(shown) == len(wanted) == 6 * len(part)
        for name, picture in zip(wanted, shown, strict=True):
            np.testing.assert_array_equal(picture, given["images"]["sim", name])
        frames = [patch for patch in axes.patches if patch.get_gid() == "true"]
        assert len(frames) == (part["rank"] < 5).sum()
        texts = [text.get_text() for text in axes.texts]
        for rank in part["rank"]:
            assert f"rank {rank + 1:g}\nof {GALLERY}" in texts


@pytest.mark.parametrize("n", [1, 3, 5, GALLERY + 5])
def test_queries_are_spread_over_good_and_bad_ranks(n):
    source = retrieval_examples.source_table({"queries": queries(1)}, defaults("retrieval_examples", n_queries=n))
    ranks = source["rank"].tolist()
    assert ranks == sorted(ranks) and len(set(source["image_id"])) == len(ranks) == min(n, GALLERY)
    # the ranks of this subject are a permutation, so the rank at a quantile is known
    expected = [int((k + 0.5) / n * GALLERY) for k in range(n)]
    assert ranks == sorted(set(expected))


def test_a_model_can_be_named_and_an_unknown_one_is_refused():
    named = defaults("retrieval_examples", model="chance")
    assert set(retrieval_examples.source_table({"queries": queries(1)}, named)["model"]) == {"chance"}
    with pytest.raises(ValueError, match="sim gabor ridge"):
        retrieval_examples.source_table({"queries": queries(1)}, defaults("retrieval_examples", model="mlp"))


def test_the_model_that_ranks_best_is_drawn_and_no_baseline():
    ridge = queries(2).query("model == 'ridge'")
    better = ridge.assign(model="better", rank=ridge["rank"] / 2)
    worse = ridge.assign(model="worse", rank=ridge["rank"] + 1)
    given = pd.concat(
        [queries(2).assign(rank=lambda table: table["rank"] * (table["model"] != "chance")), worse, better]
    )
    source = retrieval_examples.source_table({"queries": given}, defaults("retrieval_examples"))
    assert set(source["model"]) == {"better"} and len(source) == 2 * 3


def test_a_missing_picture_is_named():
    given = {"queries": queries(1), "images": {}}
    with pytest.raises(ValueError, match=r"im[0-9]+' of data set 'sim'"):
        retrieval_examples.draw(tables_of(given), defaults("retrieval_examples"))


def test_learning_curves_are_means_and_ranges_over_the_seeds_that_still_train():
    given, settings = histories(3), defaults("learning_curves")
    source = learning_curves.source_table({"histories": given}, settings)
    assert (source["high"] < 9).all()  # after the choice nothing is drawn
    for _, row in source.iterrows():
        same = (given["subject"] == row["subject"]) & (given["model"] == row["model"]) & (given["stage"] != "all")
        values = given.loc[same & (given["epoch"] == row["epoch"]), row["measure"]].dropna()
        assert (row["n"], row["low"], row["high"]) == (len(values), values.min(), values.max())
        assert row["mean"] == pytest.approx(values.mean())
        assert row["n"] == (2 if row["epoch"] <= 5 else 1)
    figure = learning_curves.draw(tables_of({"histories": given}), settings)
    assert [len(drawn(axes, "mean")) for axes in figure.axes] == [3] * 6
    first = figure.axes[0]
    wanted = source[(source["model"] == "fmri-mlp") & (source["measure"] == "loss") & (source["subject"] == "sub-01")]
    np.testing.assert_allclose(drawn(first, "mean")[0].get_xydata(), wanted[["epoch", "mean"]])


def test_a_measure_that_a_model_lacks_is_said_in_its_panel_and_epochs_stand_below_the_last_that_it_has():
    given = histories(1)
    given.loc[given["model"] == "fmri-mlp", [name for name in given if name.startswith("val_")]] = np.nan
    figure = learning_curves.draw(tables_of({"histories": given}), defaults("learning_curves", models=["fmri-mlp"]))
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch"]
    figure = learning_curves.draw(tables_of({"histories": given}), defaults("learning_curves"))
    said = [axes for axes in figure.axes if any(text.get_text() == "not measured" for text in axes.texts)]
    assert len(said) == 2 and not any(axes.lines for axes in said)


def test_models_of_learning_curves_can_be_chosen_and_none_is_refused():
    chosen = defaults("learning_curves", models=["linear-contrastive", "fmri-mlp"], measures=["val_loss"])
    source = learning_curves.source_table({"histories": histories(1)}, chosen)
    assert list(dict.fromkeys(source["model"])) == ["linear-contrastive", "fmri-mlp"]
    with pytest.raises(ValueError, match=r"train by epochs: \['fmri-mlp', 'linear-contrastive'\]"):
        learning_curves.source_table({"histories": histories(1)}, defaults("learning_curves", models=["ridge"]))
