"""Canaries: every test row is replaced by nonsense, and what was fitted must stay the same to the last bit.

They run over every model and feature there is, through the stages on made files: a new plug-in is tested without
editing this. Planted leaks at the end show that the canaries sing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue, registry
from boldflow.artifacts.store import arrays, atomic, sidecars, stimuli, tables, weights
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.linear.scaling import fit_scaler
from boldflow.core.pictures.duplicates import perceptual_hash
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.training import Fitted, TrainingData
from boldflow.stages.features import _extraction
from boldflow.stages.features import cache_features as features_stage
from boldflow.stages.models import _inputs, train_model
from boldflow.stages.responses import project_responses
from tests.made.features import SCHEMAS, entry

N_VERTICES, N_FEATURES = 14, 6
SUBJECT = "sub-01"
NOTE = {"code": "", "data": ""}
KEYS = ["subject", "session", "run", "trial"]
MODELS = registry.plugins("models")
DIRECTIONS = [
    (name, direction)
    for name in MODELS
    for direction in (
        ["represent"]
        if registry.literal("models", name, "FACTS").get("represents")
        else registry.literal("models", name, "SETTINGS").get("direction", {}).get("enum", ["decode", "encode"])
    )
]
FEATURES = registry.plugins("features")


def defaults(section, name):
    """Settings as a job gets them; what trains a network does so for a moment."""
    found = catalogue.settings({section: {name: {"plugin": name}}}, SCHEMAS, section, name)
    return found | ({"n_epochs": 2, "batch_size": 32} if "order_seed" in found else {})


@dataclass
class Made:
    """Files of one made subject, as the stages before training leave them."""

    folder: Path
    responses: np.ndarray
    features: np.ndarray
    trials: pd.DataFrame
    split: pd.DataFrame

    def path(self, name):
        return str(self.folder / name)

    def write(self):
        arrays.write(self.path("responses.npy"), self.responses)
        sidecars.write(
            self.path("responses.json"),
            {**NOTE, "settings": {}, "dataset": {}, "transductive": "run", "space": "native"},
        )
        arrays.write(self.path("features.npy"), self.features)
        sidecars.write(self.path("features.json"), {**NOTE, "settings": {}, "kind": "embedding"})
        bands = [{"name": "one", "start": 0, "stop": 2}, {"name": "other", "start": 2, "stop": N_FEATURES}]
        tables.write(
            self.path("index.parquet"), pd.DataFrame({"image_id": names(len(self.features))}), {"bands": bands}
        )
        tables.write(self.path("trials.parquet"), self.trials)
        tables.write(self.path("split.parquet"), self.split, {**NOTE, "rule": {}})

    def fit(self, model, scale_inputs=True, scale_targets=True, **settings):
        """Train through the stage; what was fitted, by name, and the bytes of the whole file."""
        self.write()
        entry = defaults("models", model) | {
            "scale_inputs": scale_inputs,
            "scale_targets": scale_targets,
            "seeds": [0, 1],
            "protocol": "ours",
        }
        # a random search of a few draws leaks as one of many does
        entry |= {"n_iter": 3} if "n_iter" in entry else {}
        entry |= settings
        sees_pictures = entry["direction"] != "represent"
        train_model.run(
            responses=[self.path("responses.npy")],
            responses_sidecar=[self.path("responses.json")],
            features=self.path("features.npy") if sees_pictures else [],
            index=self.path("index.parquet") if sees_pictures else [],
            features_sidecar=self.path("features.json") if sees_pictures else [],
            trials=[self.path("trials.parquet")],
            split=self.path("split.parquet"),
            weights=self.path("model.safetensors"),
            predictions=self.path("predictions.npy"),
            predictions_index=self.path("predictions.parquet"),
            history=self.path("history.csv"),
            sidecar=self.path("config.json"),
            subjects=json.dumps([SUBJECT]),
            settings=json.dumps(entry),
            code="{}",
            device="cpu",
        )
        found = weights.read(self.path("model.safetensors"))
        return {name: value.tobytes() for name, value in found.items()}, Path(self.path("model.safetensors"))

    def rows(self, fold, *parts):
        """Rows of trials of a fold in one of ``parts``."""
        own = self.split[self.split["fold"] == fold].merge(self.trials.reset_index(), on=KEYS)
        return own.loc[own["part"].isin(parts), "index"].to_numpy()

    def corrupted(self, folder, fold):
        """Replace all that does not train in a fold: responses, labels, and the features of pictures tested only."""
        folder.mkdir()
        rng = np.random.default_rng(100 + fold)
        away, kept = self.rows(fold, "test", "drop"), self.rows(fold, "train", "val")
        responses, features, trials = self.responses.copy(), self.features.copy(), self.trials.copy()
        responses[away] = 1e4 * rng.normal(size=(len(away), N_VERTICES))
        shown = set(trials["image_id"].to_numpy()[kept])
        unseen = np.array([name not in shown for name in names(len(features))])
        features[unseen] = 1e4 * rng.normal(size=(int(unseen.sum()), N_FEATURES))
        trials.loc[away, "image_id"] = np.roll(trials["image_id"].to_numpy()[away], 1)
        assert (trials["image_id"] != self.trials["image_id"]).sum() > len(away) / 2
        return Made(folder, responses, features, trials, self.split)


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    """What is compared is read again at once; waiting for the disk, or threads for each other, would take longest."""
    monkeypatch.setattr(atomic.os, "fsync", lambda _: None)
    monkeypatch.setattr(train_model, "fixed_threads", lambda _: fixed_threads(1))


def names(n):
    return [f"image-{k:02d}" for k in range(n)]


def made(folder, kind):
    """Trials with a planted linear link; ``repeated``: pictures of their own in test; ``run``: each run in turn."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    if kind == "repeated":
        image = np.concatenate([np.repeat(np.arange(24), 2), np.repeat(np.arange(24, 30), 3), np.arange(30, 33)])
        image = rng.permutation(image)
        part = np.select([image >= 30, image >= 24, image >= 20], ["drop", "test", "val"], "train")
        n_folds, n_images, run = 1, 33, np.arange(len(image)) % 3
    else:
        image = np.concatenate([rng.permutation(8) for _ in range(8)])
        n_folds, n_images, run = 4, 8, np.arange(64) // 16
        part = None
    features = rng.normal(size=(n_images, N_FEATURES)).astype(np.float32)
    responses = features[image] @ rng.normal(size=(N_FEATURES, N_VERTICES)) + rng.normal(size=(len(image), N_VERTICES))
    trials = pd.DataFrame(
        {
            "subject": SUBJECT,
            "session": "01",
            "run": [f"{one:02d}" for one in run],
            "trial": np.arange(len(image)),
            "image_id": np.array(names(n_images))[image],
        }
    )
    folds = []
    for fold in range(n_folds):
        here = part if kind == "repeated" else np.where(run == fold, "test", "train")
        unit = trials["image_id"] if kind == "repeated" else trials["run"]
        folds.append(trials[KEYS].assign(fold=fold, unit=unit, part=here))
    return Made(folder, responses.astype(np.float32), features, trials, pd.concat(folds, ignore_index=True))


def leaks(folder, kind, model, **settings):
    """The canary: names of what changes in a fold when all that does not train in it is replaced."""
    data = made(folder / "clean", kind)
    before, file = data.fit(model, **settings)
    whole = file.read_bytes()
    changed = []
    n_folds = data.split["fold"].max() + 1
    for fold in range(n_folds):
        after, file = data.corrupted(folder / f"fold{fold}", fold).fit(model, **settings)
        assert after.keys() == before.keys()
        changed += [name for name in before if name.startswith(f"fold{fold}/") and after[name] != before[name]]
        if n_folds == 1 and file.read_bytes() != whole and not changed:
            changed.append("the file")
    return changed


@pytest.mark.parametrize("scale_targets", [True, False], ids=["scaled targets", "plain targets"])
@pytest.mark.parametrize("scale_inputs", [True, False], ids=["scaled inputs", "plain inputs"])
@pytest.mark.parametrize("kind", ["repeated", "run"])
@pytest.mark.parametrize(("model", "direction"), DIRECTIONS)
def test_nothing_of_the_test_trials_is_in_what_was_fitted(
    tmp_path, model, direction, kind, scale_inputs, scale_targets
):
    found = leaks(tmp_path, kind, model, direction=direction, scale_inputs=scale_inputs, scale_targets=scale_targets)
    assert found == []


def choices(model):
    """Every other value of a model's settings that are lists of names or switches: each is a way to fit."""
    found = []
    of_all = SCHEMAS["config"]["$defs"]["models"]["properties"]
    own = registry.literal("models", model, "SETTINGS")
    for key, schema in registry.entry_schema(SCHEMAS, "models", model)["properties"].items():
        if key in of_all and key not in own:
            continue
        values = schema.get("enum", [True, False] if schema.get("type") == "boolean" else [])
        found += [(model, key, value) for value in values if value != schema.get("default")]
    return found


@pytest.mark.parametrize(("model", "key", "value"), [one for model in MODELS for one in choices(model)])
def test_nothing_leaks_by_a_models_other_choices(tmp_path, model, key, value):
    assert leaks(tmp_path, "repeated", model, **{key: value}) == []


def test_nothing_leaks_by_one_scale_for_all_vertices(tmp_path):
    assert leaks(tmp_path, "repeated", "pca", direction="represent", scale_inputs="whole") == []


def test_nothing_leaks_into_the_bands_of_an_encoder_and_fits_without_each(tmp_path):
    assert leaks(tmp_path, "repeated", "banded_ridge", direction="encode", unique=True) == []
    state = weights.read(tmp_path / "clean" / "model.safetensors", "fold0/seed0/")
    assert state["gammas"].shape == (2, N_VERTICES) and state["without_weights"].shape == (2, N_FEATURES, N_VERTICES)


@pytest.mark.parametrize("kind", ["repeated", "run"])
@pytest.mark.parametrize("model", MODELS)
def test_predictions_of_the_other_test_trials_do_not_change(tmp_path, model, kind):
    """A trial's prediction is its own: whatever the other test trials are."""
    data = made(tmp_path / "clean", kind)
    data.fit(model)
    before = arrays.read(data.path("predictions.npy")).copy()
    other = made(tmp_path / "other", kind)
    order = np.concatenate([data.rows(fold, "test") for fold in range(data.split["fold"].max() + 1)])
    half = order[: len(order) // 4]  # of the run-wise splits: within the first fold
    other.responses[half] += 1e3
    if kind == "run":
        other.split = other.split[other.split["fold"] == 0]
        before = before[:, : (data.split[data.split["fold"] == 0]["part"] == "test").sum()]
    other.fit(model)
    after = arrays.read(other.path("predictions.npy"))
    np.testing.assert_array_equal(before[:, len(half) :], after[:, len(half) :])


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("model", MODELS)
def test_a_training_trial_is_in_what_was_fitted(tmp_path, model, part):
    """A canary that never sings would be worth nothing: here the same comparison must find a change."""
    before, _ = made(tmp_path / "clean", "repeated").fit(model)
    other = made(tmp_path / "other", "repeated")
    other.responses[other.rows(0, part)[0]] += 10
    after, _ = other.fit(model)
    assert any(before[name] != after[name] for name in before)


@pytest.mark.parametrize("model", [name for name in MODELS if hasattr(registry.load("models", name), "refit")])
def test_a_refit_is_the_fit_and_its_predictions_know_no_other_test_trial(model):
    """The null of a p comes from refits: they must do what the fit does, from training trials and one test trial."""
    module, settings = registry.load("models", model), defaults("models", model)
    rng = np.random.default_rng(30)
    x, y = (rng.normal(size=(40, n)).astype(np.float32) for n in (N_VERTICES, N_FEATURES))
    groups, test = np.arange(40) // 2, rng.normal(size=(9, N_VERTICES)).astype(np.float32)
    again = module.refit(x, groups, test, settings, 0)
    state = module.fit([TrainingData(x, y, groups, np.zeros(40, bool))], settings, [0], "cpu", None).states[0]
    np.testing.assert_allclose(again(y), module.predict(state, test), rtol=1e-4, atol=1e-5)
    other = np.vstack([test[:1], 1e3 * test[1:]])
    alone = module.refit(x, groups, other, settings, 0)(y)
    np.testing.assert_allclose(alone[0], again(y)[0], rtol=1e-4, atol=1e-5)


# ----------------------------------------------------------------------------------------------- features


def pictures(seed_of_test):
    """Pictures of two sizes with labels; those with odd numbers are test pictures, drawn from another seed."""
    found = []
    for k in range(12):
        is_test = k % 2 == 1
        rng = np.random.default_rng([seed_of_test if is_test else 0, k])
        side = 48 if k < 8 else 40
        pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        # every class is among the training pictures: which classes there are is known beforehand
        found.append((f"image-{k:02d}", pixels, {"category": "abc"[int(rng.integers(3)) if is_test else k // 2 % 3]}))
    return found


def described(folder, feature, seed_of_test):
    folder.mkdir()
    table = stimuli.write(folder / "stimuli.h5", pictures(seed_of_test), perceptual_hash)
    tables.write(folder / "stimuli.parquet", table, NOTE)
    if registry.literal("features", feature, "FACTS")["reads"] != "features":
        return cached(folder, entry(feature))
    members = ["gabor", "labels"]  # what joins others is tried on these
    for name in members:
        cached(folder, entry(name))
    return cached(folder, entry(feature, of=members), members)


def cached(folder, settings, members=()):
    name = settings["name"]
    features_stage.run(
        pack=str(folder / "stimuli.h5"),
        table=str(folder / "stimuli.parquet"),
        network=[],
        parts=[],
        features=str(folder / f"{name}.npy"),
        index=str(folder / f"{name}.parquet"),
        sidecar=str(folder / f"{name}.json"),
        pictures=str(folder / f"{name}.pictures.json"),
        settings=json.dumps(settings),
        code="{}",
        device="cpu",
        workers=1,
        members=[str(folder / f"{one}.npy") for one in members],
        member_indexes=[str(folder / f"{one}.parquet") for one in members],
    )
    return np.array(arrays.read(folder / f"{name}.npy"))


def features_changed(folder, feature):
    """The canary of features: rows of training pictures that change with the test pictures, and of test pictures."""
    one, other = (described(folder / str(seed), feature, seed) for seed in (1, 2))
    if one.shape != other.shape:
        return list(range(6)), list(range(6))
    differ = (one != other).any(axis=1)
    return np.flatnonzero(differ[::2]).tolist(), np.flatnonzero(differ[1::2]).tolist()


@pytest.mark.parametrize("feature", FEATURES)
def test_features_of_training_pictures_know_no_test_picture(tmp_path, feature):
    training, test = features_changed(tmp_path, feature)
    assert training == []
    assert test  # the test pictures are others indeed


# ----------------------------------------------------------------------------------------------- responses


def bold(replaced):
    """Three runs of 60 volumes; ``replaced`` lists (run, first volume, last volume) of nonsense."""
    for run in range(3):
        values = np.random.default_rng([20, run]).normal(100, 1, (3, 2, 2, 60)).astype(np.float32)
        for which, first, last in replaced:
            if which == run:
                values[..., first : last + 1] = np.random.default_rng(21).normal(0, 1e4, (3, 2, 2, last - first + 1))
        yield BoldRun("01", f"{run:02d}", values, np.eye(4), np.ones((3, 2, 2), bool), {"header": 2.0}, "native")


def projected(folder, monkeypatch, replaced):
    """Responses through the stage, (n_trials, n_voxels), and their sidecar."""
    folder.mkdir()
    plugin = SimpleNamespace(runs=lambda *_: bold(replaced), rois=lambda *_: {})
    monkeypatch.setattr(project_responses, "plugin_of", lambda *_: plugin)
    monkeypatch.setattr(project_responses, "open_dataset", lambda *_: folder)
    for name in ("dataset.json", "subject.json"):
        sidecars.write(folder / name, {"files": []})
    rows = [
        {
            "session": "01",
            "run": f"{run:02d}",
            "trial": k,
            "onset_s": 10.0 * k,
            "image_id": f"image-{k}",
            "usable": True,
        }
        for run in range(3)
        for k in range(1, 11)
    ]
    tables.write(folder / "trials.parquet", pd.DataFrame(rows))
    entry = {"kind": "bold", "space": "native", "start_s": 4.0, "duration_s": 6.0}
    entry |= {"average": True, "max_masked": 0.5, "rois": []}
    project_responses.run(
        source=str(folder / "dataset.json"),
        receipt=str(folder / "subject.json"),
        trials=str(folder / "trials.parquet"),
        split=[],
        hrf=[],
        responses=str(folder / "responses.npy"),
        sidecar=str(folder / "responses.json"),
        vertices=str(folder / "vertices.parquet"),
        subject=SUBJECT,
        recording="bold",
        settings=json.dumps(entry),
        places="{}",
        regions="{}",
        dataset="{}",
        facts=json.dumps({"tr_s": 2.0}),
        code="{}",
    )
    return np.array(arrays.read(folder / "responses.npy")), sidecars.read(folder / "responses.json")


def test_whole_test_runs_do_not_reach_the_responses_of_other_runs(tmp_path, monkeypatch):
    one, _ = projected(tmp_path / "one", monkeypatch, [])
    other, _ = projected(tmp_path / "other", monkeypatch, [(2, 0, 59)])
    np.testing.assert_array_equal(one[:20], other[:20])
    assert (one[20:] != other[20:]).all()


def test_test_trials_reach_the_training_trials_of_their_own_run_and_the_sidecar_says_so(tmp_path, monkeypatch):
    """The z-score of a run takes mean, line and spread from all its volumes: label-free, and named ``run``."""
    one, note = projected(tmp_path / "one", monkeypatch, [])
    other, _ = projected(tmp_path / "other", monkeypatch, [(1, 27, 29)])  # the window of the fifth trial of run 1
    own = np.arange(30) // 10 == 1
    np.testing.assert_array_equal(one[~own], other[~own])
    assert (one[own] != other[own]).all()
    assert note["transductive"] == "run"


def test_a_model_of_such_responses_says_so_too(tmp_path):
    data = made(tmp_path / "clean", "repeated")
    data.fit("dummy")
    assert sidecars.read(data.path("config.json"))["transductive"] == "run"


# ----------------------------------------------------------------------------------------------- planted leaks


def test_the_canary_finds_a_scaler_of_all_rows(tmp_path, monkeypatch):
    whole = {}

    def remember(*given):
        (found,) = align(*given)
        whole[N_VERTICES] = np.array(found.responses)
        whole[N_FEATURES] = np.array(found.features)[found.trials["picture"]]
        return [found]

    align = train_model.align_all
    monkeypatch.setattr(train_model, "align_all", remember)
    monkeypatch.setattr(_inputs, "fit_scaler", lambda training: fit_scaler(whole[training.shape[1]]))
    found = leaks(tmp_path, "repeated", "dummy")
    assert {"fold0/inputs/mean", "fold0/inputs/sd", "fold0/targets/mean", "fold0/targets/sd"} <= set(found)


class Cheat:
    """A ridge whose author has looked at the test trials: by way of the files, or of anything that holds them."""

    def __init__(self, monkeypatch):
        self.align = train_model.align_all
        monkeypatch.setattr(train_model, "align_all", self.look)
        monkeypatch.setattr(train_model, "plugin_of", lambda *_: self)

    def look(self, *given):
        (found,) = self.align(*given)
        rows = found.rows(0, "test")
        self.x = np.array(found.responses[rows])
        self.y = np.array(found.features[found.trials["picture"].to_numpy()[rows]])
        return [found]

    def predict(self, state, inputs):
        return (inputs[:, state["columns"]] @ state["weights"] + state["intercept"]).astype(np.float32)

    def state(self, data, alpha, columns):
        found = fit_ridge(data.inputs[:, columns], data.targets, np.array([alpha]), data.groups)
        return {"weights": found.weights, "intercept": found.intercept, "columns": columns, "alphas": found.alphas}

    def error(self, state):
        return float(((self.predict(state, self.x) - self.y) ** 2).mean())


class AlphaOnTest(Cheat):
    def fit(self, subjects, settings, seeds, device, keeper):
        every = [self.state(subjects[0], alpha, np.arange(N_VERTICES)) for alpha in (0.01, 1.0, 100.0, 1e4, 1e6)]
        return Fitted([min(every, key=self.error)] * len(seeds), [])


class ColumnsOnTest(Cheat):
    def fit(self, subjects, settings, seeds, device, keeper):
        r = np.corrcoef(self.x.T, self.y.T)[:N_VERTICES, N_VERTICES:]
        best = np.sort(np.argsort(-np.abs(r).max(axis=1))[:4])
        return Fitted([self.state(subjects[0], 10.0, best)] * len(seeds), [])


@pytest.mark.parametrize(("cheat", "name"), [(AlphaOnTest, "alphas"), (ColumnsOnTest, "columns")])
def test_the_canary_finds_an_alpha_or_columns_chosen_on_test(tmp_path, monkeypatch, cheat, name):
    cheat(monkeypatch)
    found = leaks(tmp_path, "repeated", "ridge", scale_inputs=False, scale_targets=False)
    assert {f"fold0/seed0/{name}", "fold0/seed0/weights"} <= set(found)


def test_the_same_ridge_with_its_eyes_shut_is_found_innocent(tmp_path, monkeypatch):
    class Honest(Cheat):
        def fit(self, subjects, settings, seeds, device, keeper):
            return Fitted([self.state(subjects[0], 10.0, np.arange(4))] * len(seeds), [])

    Honest(monkeypatch)
    assert leaks(tmp_path, "repeated", "ridge") == []


def test_the_canary_of_features_finds_one_centred_on_all_pictures(tmp_path, monkeypatch):
    def extract(images):
        flat = np.stack([one.reshape(-1)[:30] for one in images]).astype(np.float32)
        return flat - flat.mean(axis=0)

    cheat = SimpleNamespace(extractor=lambda *_: extract)
    monkeypatch.setattr(_extraction, "plugin_of", lambda *_: cheat)
    training, _ = features_changed(tmp_path, "gabor")
    assert training == list(range(6))
