"""What is scored of encoders and between them, through the stages on made files, against the planted truth."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue, registry
from boldflow.artifacts.store import arrays, keyed, sidecars, tables
from boldflow.stages.models import score_model, train_model
from boldflow.stages.studies import compare_encoders
from boldflow.vocabulary.results import ResultKey
from tests.made.keys import permuted, permuted_alone

SUBJECT = "sub-01"
NOTE = {"code": "", "data": ""}
KEYS = ["session", "run", "trial"]
N_TRAIN, N_TEST, REPEATS, N_VERTICES = 120, 40, 2, 30
ONE, OTHER = slice(0, 10), slice(10, 20)  # vertices that follow the one band, and the other; the rest follow nothing
BANDS = [{"name": "one", "start": 0, "stop": 5}, {"name": "other", "start": 5, "stop": 12}]
FACTS = {"images": True, "simulated": True, "version": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files as the stages before training leave them: two features, and both joined."""
    made = tmp_path_factory.mktemp("encoders")
    rng = np.random.default_rng(0)
    n = N_TRAIN + N_TEST
    features = rng.normal(size=(n, 12)).astype(np.float32)
    image = rng.permutation(np.repeat(np.arange(n), REPEATS))
    signal = np.zeros((n, N_VERTICES))
    signal[:, ONE] = features[:, :5] @ rng.normal(size=(5, 10))
    signal[:, OTHER] = features[:, 5:] @ rng.normal(size=(7, 10))
    signal[:, :20] /= signal[:, :20].std(axis=0)
    responses = signal[image] + 0.8 * rng.normal(size=(len(image), N_VERTICES))
    names = np.array([f"image-{k:03d}" for k in range(n)])
    keys = {"session": "01", "run": "01", "trial": range(len(image))}
    trials = pd.DataFrame({"subject": SUBJECT, **keys, "image_id": names[image]})
    part = np.where(image >= N_TRAIN, "test", "train")
    split = trials.drop(columns="image_id").assign(fold=0, unit=trials["image_id"], part=part)
    tables.write(made / "trials.parquet", trials)
    tables.write(made / "split.parquet", split, {**NOTE, "rule": {}})
    arrays.write(made / "responses.npy", responses.astype(np.float32))
    note = {**NOTE, "settings": {}, "dataset": {}, "transductive": "run", "space": "native"}
    sidecars.write(made / "responses.json", note)
    rois = {"roi_one": np.arange(N_VERTICES) < 10, "roi_other": (np.arange(N_VERTICES) // 10) == 1}
    tables.write(made / "vertices.parquet", pd.DataFrame({"i": np.arange(N_VERTICES), **rois}))
    for name, columns, bands in (("both", slice(0, 12), BANDS), ("one", ONE_COLUMNS, []), ("other", slice(5, 12), [])):
        arrays.write(made / f"{name}.npy", features[:, columns])
        about = {**NOTE, "settings": {}, "kind": "embedding"} | ({"bands": bands} if bands else {})
        sidecars.write(made / f"{name}.json", about)
        tables.write(made / f"{name}.parquet", pd.DataFrame({"image_id": names}), about)
    for feature, model, more in (
        ("both", "banded_ridge", {"unique": True, "n_iter": 12}), ("one", "ridge", {}), ("other", "ridge", {}),
        ("both", "ridge", {}), ("one", "dummy", {}),
    ):  # fmt: skip
        fit(made, feature, model, more)
    return made


ONE_COLUMNS = slice(0, 5)


def settings(model, **more):
    schema = registry.literal("models", model, "SETTINGS")
    own = {key: one["default"] for key, one in schema.items() if "default" in one}
    about = {"name": model, "plugin": model, "direction": "encode", "scale_inputs": True, "scale_targets": True}
    return own | about | {"seeds": [0], "protocol": "ours", "permutations": 0, "rescorings": 0} | more


def place(folder, feature, model):
    made = folder / f"{feature}-{model}"
    made.mkdir(exist_ok=True)
    return made


def fit(folder, feature, model, more):
    own = place(folder, feature, model)
    train_model.run(
        responses=[str(folder / "responses.npy")],
        responses_sidecar=[str(folder / "responses.json")],
        features=str(folder / f"{feature}.npy"),
        index=str(folder / f"{feature}.parquet"),
        features_sidecar=str(folder / f"{feature}.json"),
        trials=[str(folder / "trials.parquet")],
        split=str(folder / "split.parquet"),
        weights=str(own / "model.safetensors"),
        predictions=str(own / "predictions.npy"),
        predictions_index=str(own / "predictions.parquet"),
        history=str(own / "history.csv"),
        sidecar=str(own / "config.json"),
        subjects=json.dumps([SUBJECT]),
        settings=json.dumps(settings(model, **more)),
        code="{}",
        device="cpu",
    )


def names(feature, model):
    about = {"dataset": "made", "subject": SUBJECT, "response": "bold", "split": "repeated"}
    return about | {"feature": feature, "model": model}


def scored(folder, feature, model, **more):
    own = place(folder, feature, model)
    score_model.run(
        predictions=str(own / "predictions.npy"),
        predictions_index=str(own / "predictions.parquet"),
        weights=str(own / "model.safetensors"),
        config=str(own / "config.json"),
        responses=[str(folder / "responses.npy")],
        vertices=[str(folder / "vertices.parquet")],
        features=str(folder / f"{feature}.npy"),
        index=str(folder / f"{feature}.parquet"),
        trials=[str(folder / "trials.parquet")],
        split=str(folder / "split.parquet"),
        scores=str(own / "scores.parquet"),
        draws=str(own / "draws.npy"),
        draws_index=str(own / "draws.parquet"),
        vertex_map=str(own / "map.parquet"),
        queries=str(own / "queries.parquet"),
        bands=str(own / "bands.parquet"),
        subjects=json.dumps([SUBJECT]),
        names=json.dumps(names(feature, model)),
        settings=json.dumps(settings(model, **more)),
        facts=json.dumps(FACTS),
        n_draws=200,
        code="{}",
    )
    return own


@pytest.fixture(scope="module")
def banded(folder):
    return scored(folder, "both", "banded_ridge")


def test_shares_of_planted_bands_reach_the_map(banded):
    """Witness: noise of variance .64 / 2 in the average of two repeats leaves 1 / 1.32 to be explained."""
    found = tables.read(banded / "map.parquet")
    assert {"r2_joint", "r2_band:one", "r2_band:other", "r2_unique:one", "r2_unique:other"} <= set(found)
    np.testing.assert_allclose(found["r2_band:one"] + found["r2_band:other"], found["r2_joint"], atol=1e-6)
    truth = 1 / (1 + 0.8**2 / REPEATS)
    for name, own, away in (("one", ONE, OTHER), ("other", OTHER, ONE)):
        for measure in ("r2_band", "r2_unique"):
            values = found[f"{measure}:{name}"].to_numpy()
            assert values[own].mean() == pytest.approx(truth, abs=0.08)
            assert abs(values[away].mean()) < 0.05 and abs(values[20:].mean()) < 0.05
    assert (np.abs(found["r2_joint"] - found["r"] ** 2)[:20] < 0.1).all()  # a calibrated prediction: R^2 is near r^2


def test_joint_r2_of_the_map_is_scikit_learns_on_averaged_centred_responses(folder, banded):
    from sklearn.metrics import r2_score

    trials, split = tables.read(folder / "trials.parquet"), tables.read(folder / "split.parquet")
    test = (split["part"] == "test").to_numpy()
    name = trials["image_id"][test]
    measured, predicted = (
        pd.DataFrame(np.asarray(values, dtype=float)).groupby(name.to_numpy()).mean()
        for values in (arrays.read(folder / "responses.npy")[test], arrays.read(banded / "predictions.npy")[0])
    )
    wanted = r2_score(measured - measured.mean(), predicted - predicted.mean(), multioutput="raw_values")
    np.testing.assert_allclose(tables.read(banded / "map.parquet")["r2_joint"], wanted, atol=1e-5)


def test_regions_have_intervals_that_hold_the_planted_shares(banded):
    found = tables.read(banded / "bands.parquet").set_index(["roi", "band", "measure"])
    truth = 1 / (1 + 0.8**2 / REPEATS)
    for roi, other in (("one", "other"), ("other", "one")):
        for measure in ("product", "unique"):
            row = found.loc[roi, roi, measure]
            assert row["ci_low"] < row["value"] < row["ci_high"] and row["value"] == pytest.approx(truth, abs=0.08)
            assert abs(found.loc[roi, other, measure]["value"]) < 0.05
        parts = found.loc[roi].query("measure == 'product'")["value"].sum()
        assert parts == pytest.approx(found.loc[roi, "all", "joint"]["value"], abs=1e-6)
        assert found.loc[roi, "all", "joint"]["ceiling"] == pytest.approx(truth, abs=0.15)
    assert found["simulated"].all() and (found["feature"] == "both").all()


def test_the_interval_of_a_region_is_a_jackknife_over_pictures(folder, banded):
    """Witness: R² of the joint prediction without each picture in turn, written out, and Student's t."""
    from scipy import stats

    trials, split = tables.read(folder / "trials.parquet"), tables.read(folder / "split.parquet")
    test = (split["part"] == "test").to_numpy()
    name = trials["image_id"][test].to_numpy()
    measured, predicted = (
        pd.DataFrame(np.asarray(values, dtype=float)).groupby(name).mean().to_numpy()[:, ONE]
        for values in (arrays.read(folder / "responses.npy")[test], arrays.read(banded / "predictions.npy")[0])
    )

    def share(rows):
        y, p = (values[rows] - values[rows].mean(axis=0) for values in (measured, predicted))
        return 1 - ((y - p) ** 2).sum() / (y**2).sum()

    n = len(measured)
    without = np.array([share(np.arange(n) != picture) for picture in range(n)])
    half_width = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    row = tables.read(banded / "bands.parquet").set_index(["roi", "band", "measure"]).loc["one", "all", "joint"]
    assert row["value"] == pytest.approx(share(np.arange(n)), abs=1e-5)
    assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(half_width, rel=1e-3)
    assert row["ci_method"] == "jackknife over images" and not row["remarks"]


@pytest.mark.parametrize(("feature", "model"), [("both", "ridge"), ("one", "ridge")])
def test_a_model_that_tells_no_bands_apart_has_none(folder, feature, model):
    own = scored(folder, feature, model)
    assert tables.read(own / "bands.parquet").empty
    assert not [name for name in tables.read(own / "map.parquet") if name.startswith("r2_")]


def test_the_map_tests_vertices_by_the_refits_that_test_regions(folder):
    """The last ten vertices follow nothing, the second ten nothing that this model sees."""
    own = scored(folder, "one", "ridge", permutations=99, tfce=True)
    found, note = tables.read(own / "map.parquet"), tables.sidecar(own / "map.parquet")["vertex_tests"]
    assert (found["p_max"][ONE] == 0.01).all() and (found["q"][ONE] < 0.01).all() and (found["p"][ONE] < 0.005).all()
    assert (found["p"][10:] > 0.001).all() and found["p"][10:].between(0.05, 1).mean() > 0.8
    assert (found["n_refits"] == 99).all() and found["p_tfce"].isna().all()  # voxels have no neighbours here
    assert note[SUBJECT]["n_refits"] == 99 and note[SUBJECT]["n_undefined"] == 0
    assert note[SUBJECT]["n_vertices"] == N_VERTICES and "fsaverage5 alone" in note[SUBJECT]["remarks"]
    regions = tables.read(own / "scores.parquet").query("metric == 'r'").set_index("roi")
    assert (regions["n_permutations"] == 99).all() and regions.loc["one", "p"] == 0.01


def test_a_map_without_refits_has_no_tests_and_says_why(folder):
    own = scored(folder, "one", "ridge")
    found, note = tables.read(own / "map.parquet"), tables.sidecar(own / "map.parquet")["vertex_tests"][SUBJECT]
    assert found[["p", "q", "p_max", "p_tfce"]].isna().all(axis=None) and (found["n_refits"] == 0).all()
    assert note["n_undefined"] == N_VERTICES and "19 refits or more" in note["remarks"]


def compared(folder, *encoders, seeds=None):
    def paths(name):
        return [str(folder / name.format(feature)) for feature, _ in encoders]

    compare_encoders.run(
        predictions=[str(place(folder, *one) / "predictions.npy") for one in encoders],
        predictions_indexes=[str(place(folder, *one) / "predictions.parquet") for one in encoders],
        configs=[str(place(folder, *one) / "config.json") for one in encoders],
        responses=paths("responses.npy"),
        vertices=paths("vertices.parquet"),
        features=paths("{}.npy"),
        indexes=paths("{}.parquet"),
        trials=paths("trials.parquet"),
        splits=paths("split.parquet"),
        wins=str(folder / "wins.parquet"),
        csv=str(folder / "wins.csv"),
        names=json.dumps({"results": [names(*one) for one in encoders]}),
        facts=json.dumps({"made": FACTS}),
        study="made",
        n_draws=200,
        code="{}",
    )
    found = tables.read(folder / "wins.parquet")
    assert len(pd.read_csv(folder / "wins.csv")) == len(found)
    return found


def test_each_feature_wins_where_it_was_planted(folder):
    found = compared(folder, ("one", "ridge"), ("other", "ridge"), ("both", "ridge"))
    assert (
        len(found) == 3 * 3 and set(found["metric"]) == {"win_share"} and set(found["roi"]) == {"all", "one", "other"}
    )
    duel = found[(found["feature_a"] == "one") & (found["feature_b"] == "other")].set_index("roi")
    assert duel.loc["one", "value"] == 1 and duel.loc["other", "value"] == 0
    assert not duel.loc[["one", "other"], "tied"].any() and duel.loc["all", "tied"]
    assert duel["n_vertices"].to_dict() == {"all": 30, "one": 10, "other": 10}
    for _, row in found.iterrows():
        assert row["ci_low"] <= row["value"] <= row["ci_high"] and row["simulated"]


def test_the_share_is_that_of_the_maps(folder):
    r = {name: tables.read(scored(folder, name, "ridge") / "map.parquet")["r"] for name in ("one", "both")}
    found = compared(folder, ("one", "ridge"), ("both", "ridge")).set_index("roi")
    assert found.loc["all", "value"] == pytest.approx((r["one"] > r["both"]).mean())


def test_an_encoder_against_itself_is_tied_everywhere_and_a_constant_one_has_r_0(folder):
    twice = compared(folder, ("one", "ridge"), ("one", "ridge"))
    assert (twice["value"] == 0.5).all() and (twice["ci_low"] == 0.5).all() and twice["tied"].all()
    dummy = compared(folder, ("one", "ridge"), ("one", "dummy")).set_index("roi")
    assert dummy.loc["one", "value"] == 1


@pytest.fixture
def copy(folder, tmp_path):
    """The same files in a folder of their own, to be changed."""
    return shutil.copytree(folder, tmp_path / "copy")


def test_win_shares_do_not_depend_on_the_order_of_predictions_and_their_keys(folder, copy):
    pair = (("one", "ridge"), ("both", "ridge"))
    permuted(*(place(copy, *pair[0]) / f"predictions.{ending}" for ending in ("npy", "parquet")), axis=1)
    pd.testing.assert_frame_equal(compared(copy, *pair), compared(folder, *pair), check_exact=True)
    permuted_alone(place(copy, *pair[1]) / "predictions.npy", axis=1)
    with pytest.raises(ValueError, match=r"both-ridge/predictions\.parquet belongs to another state of"):
        compared(copy, *pair)


def test_an_encoders_scores_do_not_depend_on_the_order_of_predictions_and_their_keys(folder, copy):
    before, own = scored(folder, "both", "banded_ridge"), place(copy, "both", "banded_ridge")
    permuted(own / "predictions.npy", own / "predictions.parquet", axis=1)
    scored(copy, "both", "banded_ridge")
    for name in ("scores", "map", "bands", "draws"):
        one, other = (tables.read(place / f"{name}.parquet") for place in (before, own))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert (before / "draws.npy").read_bytes() == (own / "draws.npy").read_bytes()


def without_first(keys):
    return keys.iloc[1:]


def of_another_trial(keys):
    return keys.assign(trial=keys["trial"].where(keys.index > 0, 9999))


def of_another_picture(keys):
    return keys.assign(image_id=keys["image_id"].where(keys.index > 0, "image-000"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            without_first,
            r"predictions\.parquet lacks 1 of 80 keys .*, the first is subject sub-01, session 01, ",
        ),
        (of_another_trial, r"lacks 1 of 80 keys .*; its own first is .* trial 9999, image_id image-"),
        (of_another_picture, r"lacks 1 of 80 keys .*; its own first is .* image_id image-000"),
    ],
)
def test_predictions_of_other_trials_than_the_split_tests_are_refused(copy, change, says):
    own = place(copy, "one", "ridge")
    keys, values = tables.read(own / "predictions.parquet"), np.array(arrays.read(own / "predictions.npy"))
    changed = change(keys).reset_index(drop=True)
    keyed.write(own / "predictions.npy", values[:, -len(changed) :], own / "predictions.parquet", changed, axis=1)
    with pytest.raises(ValueError, match=says):
        scored(copy, "one", "ridge")


def test_predictions_of_more_trials_than_the_split_tests_are_refused(copy):
    own = place(copy, "one", "ridge")
    keys, values = tables.read(own / "predictions.parquet"), np.array(arrays.read(own / "predictions.npy"))
    more = pd.concat([keys, keys.iloc[:1].assign(trial=9999)], ignore_index=True)
    values = np.concatenate([values, values[:, :1]], axis=1)
    keyed.write(own / "predictions.npy", values, own / "predictions.parquet", more, axis=1)
    with pytest.raises(ValueError, match=r"has keys of 81 test trials, the split tests 80"):
        scored(copy, "one", "ridge")


def test_a_table_of_vertices_that_is_not_of_the_responses_columns_is_refused(copy):
    tables.write(copy / "vertices.parquet", tables.read(copy / "vertices.parquet").iloc[1:])
    with pytest.raises(ValueError, match=r"vertices\.parquet has 29 rows, the responses have 30 columns"):
        scored(copy, "one", "ridge")


def test_each_score_has_an_id_of_its_own_and_so_have_its_draws(folder):
    own = scored(folder, "one", "ridge")
    scores, keys = tables.read(own / "scores.parquet"), tables.read(own / "draws.parquet")
    assert scores["id"].tolist() == keys["id"].tolist() and scores["id"].is_unique
    assert "made/sub-01/bold/one/ridge/repeated/0/all/image/r/one/-" in set(scores["id"])


def test_rivals_are_encoders_of_the_same_responses():
    config = {
        "models": {"enc": {"plugin": "ridge", "direction": "encode"}, "dec": {"plugin": "ridge"}},
    }
    schemas = registry.read_schemas(registry.PACKAGE.parents[1] / "workflow" / "schemas")
    rows = [("a", "enc", "s1"), ("b", "enc", "s1"), ("a", "dec", "s1"), ("a", "enc", "s2"), ("b", "enc", "s2")]
    results = [ResultKey("d", subject, "bold", feature, model, "split") for feature, model, subject in rows]
    found = catalogue.rivals(config, schemas, [*results, ResultKey("d", "s3", "bold", "a", "enc", "split")])
    assert [[(one.subject, one.feature) for one in group] for group in found] == [
        [("s1", "a"), ("s1", "b")], [("s2", "a"), ("s2", "b")]
    ]  # fmt: skip
