"""One model of several subjects, through the stages of training and scoring on made files."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue
from boldflow.artifacts.store import arrays, model_weights, sidecars, tables, weights
from boldflow.stages.models import score_model, train_model
from boldflow.validation import studies
from tests.made.features import SCHEMAS
from tests.made.keys import permuted, permuted_alone

SUBJECTS = ["sub-01", "sub-02"]
N_FEATURES, N_TRAIN, N_TEST = 4, 40, 6
NOTE = {"code": "", "data": "", "settings": {}}
FACTS = {"images": True, "version": "made", "simulated": True}


def entry(model, **more):
    found = catalogue.settings({"models": {model: {"plugin": model}}}, SCHEMAS, "models", model)
    short = {"n_epochs": 6, "batch_size": 16, "patience": 0, "learning_rate": 0.01} if "n_epochs" in found else {}
    return found | short | {"seeds": [0, 1]} | more


class Made:
    """Trials of two subjects who see the same pictures, with a planted linear link of each subject's own."""

    def __init__(self, folder, n_vertices=(9, 9)):
        rng = np.random.default_rng(0)
        self.folder = folder
        features = rng.normal(size=(N_TRAIN + N_TEST, N_FEATURES)).astype(np.float32)
        names = [f"image-{k:02d}" for k in range(len(features))]
        arrays.write(self.path("features.npy"), features)
        sidecars.write(self.path("features.json"), {**NOTE, "kind": "embedding"})
        tables.write(self.path("index.parquet"), pd.DataFrame({"image_id": names}))
        rows = []
        for subject, columns in zip(SUBJECTS, n_vertices, strict=True):
            # the second subject has seen one test picture less, and another order
            last = N_TRAIN + N_TEST - (subject == "sub-02")
            image = np.concatenate([np.arange(N_TRAIN), np.repeat(np.arange(N_TRAIN, last), 2)])
            image = rng.permutation(image)
            responses = (
                features[image] @ rng.normal(size=(N_FEATURES, columns))
                + 5
                + 0.1 * rng.normal(size=(len(image), columns))
            )
            (folder / subject).mkdir(parents=True)
            arrays.write(self.path(f"{subject}/responses.npy"), responses.astype(np.float32))
            about = {"dataset": {}, "transductive": "run", "space": "native"}
            sidecars.write(self.path(f"{subject}/responses.json"), NOTE | about)
            trials = pd.DataFrame({"subject": subject, "session": "1", "run": "1", "trial": range(len(image))})
            tables.write(self.path(f"{subject}/trials.parquet"), trials.assign(image_id=np.array(names)[image]))
            tables.write(self.path(f"{subject}/vertices.parquet"), pd.DataFrame({"i": range(columns)}))
            part = np.select([image >= N_TRAIN, image >= N_TRAIN - 8], ["test", "val"], "train")
            rows.append(trials.assign(fold=0, unit=np.array(names)[image], part=part))
        self.split = pd.concat(rows, ignore_index=True)
        self.write_split()

    def write_split(self):
        tables.write(self.path("split.parquet"), self.split, {**NOTE, "rule": {}})

    def path(self, name):
        return str(self.folder / name)

    def each(self, name, subjects):
        return [self.path(f"{subject}/{name}") for subject in subjects]

    def fit(self, settings, subjects=SUBJECTS):
        self.settings = settings
        train_model.run(
            responses=self.each("responses.npy", subjects),
            responses_sidecar=self.each("responses.json", subjects),
            features=self.path("features.npy"),
            index=self.path("index.parquet"),
            features_sidecar=self.path("features.json"),
            trials=self.each("trials.parquet", subjects),
            split=self.path("split.parquet"),
            weights=self.path("model.safetensors"),
            predictions=self.path("predictions.npy"),
            predictions_index=self.path("predictions.parquet"),
            history=self.path("history.csv"),
            sidecar=self.path("config.json"),
            subjects=json.dumps(subjects),
            settings=json.dumps(settings),
            code="{}",
            device="cpu",
        )
        return weights.read(self.path("model.safetensors"))

    def score(self, model):
        names = {
            "dataset": "made",
            "subject": "pooled",
            "response": "bold",
            "feature": "f",
            "split": "s",
            "model": model,
        }
        files = {name: self.path(f"{name}.parquet") for name in ("scores", "vertex_map", "queries", "bands")}
        score_model.run(
            predictions=self.path("predictions.npy"),
            predictions_index=self.path("predictions.parquet"),
            weights=self.path("model.safetensors"),
            config=self.path("config.json"),
            responses=self.each("responses.npy", SUBJECTS),
            vertices=self.each("vertices.parquet", SUBJECTS),
            features=self.path("features.npy"),
            index=self.path("index.parquet"),
            trials=self.each("trials.parquet", SUBJECTS),
            split=self.path("split.parquet"),
            draws=self.path("draws.npy"),
            draws_index=self.path("draws.parquet"),
            subjects=json.dumps(SUBJECTS),
            names=json.dumps(names),
            settings=json.dumps(self.settings),
            facts=json.dumps(FACTS),
            n_draws=50,
            code="{}",
            **files,
        )
        return tables.read(files["scores"]), tables.read(files["queries"]), arrays.read(self.path("draws.npy"), ndim=2)


def inverse_rank(predicted, gallery, true):
    """Brute force."""
    found = []
    for query, own in zip(predicted, true, strict=True):
        scores = [query @ one / np.linalg.norm(one) for one in gallery]
        found.append(1 - sum(s > scores[own] for s in scores) / (len(gallery) - 1))
    return np.mean(found)


@pytest.mark.parametrize(
    ("vertices", "settings"), [((9, 9), {}), ((9, 12), {"subject_layers": True})], ids=["one layer", "layers"]
)
@pytest.mark.parametrize("model", ["fmri_linear", "linear_contrastive"])
def test_each_subject_is_decoded_by_the_pooled_model_and_scored_under_its_own_name(tmp_path, model, vertices, settings):
    made = Made(tmp_path, vertices)
    made.fit(entry(model, **settings))
    scores, queries, draws = made.score(model)
    assert len(draws) == len(scores) and set(scores["model"]) == {f"{model} (pooled)"}
    one = scores[(scores["metric"] == "inv_norm_rank") & (scores["gallery"] == "test") & (scores["seed"] == "0")]
    assert set(map(tuple, one[["subject", "view"]].to_numpy())) == {
        *((subject, view) for subject in SUBJECTS for view in ("trial", "image")),
        ("pooled", "subjects"),
        ("pooled", "instances"),
    }
    assert queries.groupby("subject")["image_id"].nunique().to_dict() == {"sub-01": N_TEST, "sub-02": N_TEST - 1}
    # witness: averages and ranks by hand, from predictions and files alone
    predicted, features = arrays.read(made.path("predictions.npy"))[0], arrays.read(made.path("features.npy"))
    known = weights.read(made.path("model.safetensors"), "fold0/targets/")
    scaled, gallery = (predicted - known["mean"]) / known["sd"], (features - known["mean"]) / known["sd"]
    tested = made.split[made.split["part"] == "test"].reset_index(drop=True)
    tested["place"] = tested["unit"].str[-2:].astype(int)
    means = tested.groupby(["subject", "place"]).indices
    averaged = {key: scaled[rows].mean(axis=0) for key, rows in means.items()}
    values = one.set_index(["subject", "view"])["value"]
    for subject in SUBJECTS:
        places = sorted(place for who, place in averaged if who == subject)
        wanted = inverse_rank([averaged[subject, p] for p in places], gallery[places], range(len(places)))
        assert values[subject, "image"] == pytest.approx(wanted)
    places = sorted({place for _, place in averaged})
    both = [np.mean([averaged[s, p] for s in SUBJECTS if (s, p) in averaged], axis=0) for p in places]
    assert values["pooled", "subjects"] == pytest.approx(inverse_rank(both, gallery[places], range(len(places))))
    every = [
        scaled[np.concatenate([rows for (_, p), rows in means.items() if p == place])].mean(axis=0) for place in places
    ]
    assert values["pooled", "instances"] == pytest.approx(inverse_rank(every, gallery[places], range(len(places))))


def test_pooled_scores_do_not_depend_on_the_order_of_predictions_and_their_keys(tmp_path):
    made = Made(tmp_path)
    made.fit(entry("linear_contrastive"))
    keys = tables.read(made.path("predictions.parquet"))
    assert list(keys) == ["subject", "session", "run", "trial", "image_id", "fold"]
    assert keys["subject"].unique().tolist() == SUBJECTS and len(keys) == 2 * (N_TEST + N_TEST - 1)
    before = made.score("linear_contrastive")
    permuted(made.path("predictions.npy"), made.path("predictions.parquet"), axis=1)
    assert not tables.read(made.path("predictions.parquet")).equals(keys)
    after = made.score("linear_contrastive")
    for one, other in zip(before[:2], after[:2], strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    np.testing.assert_array_equal(before[2], after[2])
    permuted_alone(made.path("predictions.npy"), axis=1)
    with pytest.raises(ValueError, match=r"predictions\.parquet belongs to another state of .*predictions\.npy"):
        made.score("linear_contrastive")


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, {}),
        ({"columns": ["face", "house", "tool", "cat"]}, {"columns": ["face", "house", "tool", "cat"]}),
        ({"bands": [{"name": "a", "start": 0, "stop": 4}]}, {"bands": [{"name": "a", "start": 0, "stop": 4}]}),
    ],
)
def test_a_model_keeps_what_the_columns_of_its_targets_are(tmp_path, more, kept):
    made = Made(tmp_path)
    about = {**NOTE, "settings": {"name": "labels"}, "kind": "classes", **more}
    sidecars.write(made.path("features.json"), about)
    made.fit(entry("dummy"))
    assert model_weights.target_columns(made.path("model.safetensors")) == {"columns_of": "labels", **kept}


def test_targets_are_scaled_together_and_inputs_apart(tmp_path):
    made = Made(tmp_path, (9, 12))
    found = made.fit(entry("dummy"))
    assert {name for name in found if "inputs" in name} == {
        f"fold0/inputs/{subject}/{key}" for subject in SUBJECTS for key in ("mean", "sd")
    }
    features = arrays.read(made.path("features.npy"))
    np.testing.assert_allclose(found["fold0/targets/mean"], features[:N_TRAIN].mean(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["dummy", "fmri_linear", "linear_contrastive"])
def test_test_trials_of_no_subject_reach_the_pooled_model(tmp_path, model):
    """Canary: responses of all test trials, and features of all pictures that any subject is tested with."""
    clean, other = Made(tmp_path / "clean"), Made(tmp_path / "other")
    for subject in SUBJECTS:
        away = other.split.loc[other.split["subject"] == subject, "part"].to_numpy() == "test"
        responses = np.array(arrays.read(other.path(f"{subject}/responses.npy")))
        responses[away] = 1e4
        arrays.write(other.path(f"{subject}/responses.npy"), responses)
    features = np.array(arrays.read(other.path("features.npy")))
    features[N_TRAIN:] = -1e4
    arrays.write(other.path("features.npy"), features)
    found, changed = clean.fit(entry(model)), other.fit(entry(model))
    assert {n: v.tobytes() for n, v in found.items()} == {n: v.tobytes() for n, v in changed.items()}


def test_a_picture_that_tests_one_subject_and_trains_another_is_refused(tmp_path):
    made = Made(tmp_path)
    made.split.loc[(made.split["subject"] == "sub-02") & (made.split["part"] == "test"), "part"] = "train"
    made.write_split()
    with pytest.raises(ValueError, match="5 units are both in train and in test, the first are image-40"):
        made.fit(entry("dummy"))


def test_subjects_of_unequal_vertices_are_told_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"\[9, 12\] vertices.* set subject_layers to true"):
        Made(tmp_path, (9, 12)).fit(entry("fmri_linear"))


def test_pooling_is_checked_at_parse():
    config = {
        "datasets": {"sim": {}, "one": {"plugin": "sim", "subjects": ["sub-01"]}},
        "models": {
            "ridge": {},
            "fmri-mlp": {},
            "dummy": {},
            "dummy-encoder": {"plugin": "dummy", "direction": "encode"},
        },
    }
    row = {"subjects": "pooled", "models": ["ridge", "fmri-mlp", "dummy-encoder"]}
    found = studies._pooling_problems(config, SCHEMAS, row, ["sim", "one"])
    assert [words.split("'")[1] for words in found] == ["one", "ridge", "dummy-encoder"]
    assert "those that can: ['fmri-mlp', 'dummy']" in found[1]
