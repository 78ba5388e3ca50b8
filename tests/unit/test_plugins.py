"""The contract of each kind of plug-in, run over every file there is: a new one is tested without editing this."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from boldflow import catalogue, registry
from boldflow.core.pictures import vision
from boldflow.core.records.training import TrainingData
from boldflow.validation.plugins import fact_problems
from boldflow.vocabulary.facts import RECORDS
from boldflow.vocabulary.sections import PLUGIN_SECTIONS
from tests.made.features import SCHEMAS, entry, opened

ALL = [(section, name) for section in PLUGIN_SECTIONS for name in registry.plugins(section)]
FUNCTIONS = {
    "datasets": {
        "source": ["settings", "workspace"],
        "files_needed": ["root", "what", "settings", "recording"],
        "trials": ["root", "subject", "settings"],
        "stimuli": ["root", "settings"],
        "runs": ["root", "subject", "settings", "recording"],
        "rois": ["root", "subject", "space", "settings"],
        "sizes": ["settings", "recording"],
    },
    "features": {"extractor": ["settings", "folder", "device"]},
    "models": {"fit": ["subjects", "settings", "seeds", "device", "keeper"], "predict": ["state", "inputs"]},
    "figures": {"source_table": ["tables", "settings"], "draw": ["tables", "settings"]},
}


def defaults(section, name):
    """Settings as a job gets them."""
    return catalogue.settings({section: {name: {"plugin": name}}}, SCHEMAS, section, name)


@pytest.mark.parametrize(("section", "name"), ALL)
def test_literals_can_be_read_without_importing(section, name):
    assert fact_problems(section, registry.literal(section, name, "FACTS")) == []
    assert registry.facts(RECORDS[section], section, name)
    for schema in registry.literal(section, name, "SETTINGS").values():
        Draft202012Validator.check_schema(schema)
        assert schema["description"]
        if "default" in schema:
            Draft202012Validator(schema).validate(schema["default"])
    keys = registry.entry_schema(SCHEMAS, section, name)["properties"]
    for key, value in registry.literal(section, name, "DEFAULTS").items():
        assert key not in registry.literal(section, name, "SETTINGS")
        Draft202012Validator(keys[key]).validate(value)


@pytest.mark.parametrize(("section", "name"), ALL)
def test_the_functions_of_the_contract_are_there(section, name):
    module = registry.load(section, name)
    assert module.__doc__
    for function, wanted in FUNCTIONS[section].items():
        found = list(inspect.signature(getattr(module, function)).parameters)
        assert len(found) == len(wanted)
        assert all(w is None or f == w for f, w in zip(found, wanted, strict=True)), f"{function}{found}"


@pytest.mark.parametrize("name", registry.plugins("datasets"))
def test_a_data_set_names_its_recordings_and_says_where_its_pictures_are(name):
    facts, settings = (registry.literal("datasets", name, one) for one in ("FACTS", "SETTINGS"))
    assert facts["recordings"] and all(isinstance(told, str) and told for told in facts["recordings"].values())
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", recording) for recording in facts["recordings"])
    if facts["stimuli_inside"]:
        assert (facts["stimuli_from"], facts["stimuli_password"]) == (None, None)
        assert "stimuli_root" not in settings
    else:
        assert facts["stimuli_from"] and "default" not in settings["stimuli_root"]
        assert settings["stimuli_root"]["type"] == "string"


def opens(name):
    return registry.literal("features", name, "FACTS")["checkpoint"]


WITH_BETAS = [n for n in registry.plugins("datasets") if "beta_recordings" in registry.literal("datasets", n, "FACTS")]


@pytest.mark.parametrize("name", WITH_BETAS)
def test_a_data_set_with_betas_reads_them_and_says_whose_folder_they_are_in(name, tmp_path):
    facts, settings = (registry.literal("datasets", name, one) for one in ("FACTS", "SETTINGS"))
    module, subject = registry.load("datasets", name), (facts["subjects"] or ["sub-01"])[0]
    assert list(inspect.signature(module.betas).parameters) == ["root", "subject", "settings", "recording"]
    outside = facts.get("recordings_outside", [])
    assert set(outside) <= set(facts["beta_recordings"]) <= set(facts["recordings"])
    assert not set(facts["beta_recordings"]) & set(facts.get("unread", []))
    if outside:
        assert settings["betas_root"]["type"] == "string" and "default" not in settings["betas_root"]
    for recording in facts["recordings"]:
        is_betas = recording in facts["beta_recordings"]
        assert set(facts["recording_spaces"][recording]) <= set(facts["spaces"])
        with pytest.raises(ValueError, match=f"'{recording}'.* holds (no betas|BOLD|betas)"):
            list((module.runs if is_betas else module.betas)(tmp_path, subject, {}, recording))
        if recording in outside:
            assert {one.fetch for one in module.sizes({"name": name}, recording).subjects.values()} == {0}
            with pytest.raises(FileNotFoundError, match=str(tmp_path)):
                module.files_needed(tmp_path, subject, {}, recording)


def features_reading(what):
    return [n for n in registry.plugins("features") if registry.literal("features", n, "FACTS")["reads"] == what]


@pytest.mark.parametrize("name", features_reading("images"))
def test_a_pictures_features_do_not_depend_on_its_neighbours(name):
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    extractor = opened(name)
    together = vision.describe(extractor, images)
    assert together.dtype == np.float32 and together.ndim == 2 and len(together) == 5
    assert np.isfinite(together).all() and together.std(axis=0).max() > 0
    apart = np.concatenate([vision.describe(extractor, images[i : i + 1]) for i in range(5)])
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize("name", [n for n in registry.plugins("features") if opens(n)])
def test_a_feature_that_opens_a_network_says_which_and_none_for_random_weights(name):
    module, known = registry.load("features", name), registry.literal("features", name, "CHECKPOINTS")
    assert module.files_needed(entry(name)) is None
    for checkpoint, facts in known.items():
        wanted = module.files_needed(entry(name, weights="pretrained", checkpoint=checkpoint))
        assert wanted.sha256 == facts.get("sha256", {}) and wanted.n_bytes == facts["n_bytes"] > 1e6
        assert wanted.address or re.fullmatch("[0-9a-f]{40}", wanted.revision)
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in wanted.sha256.values())
        other = {"revision": "0" * 40} if wanted.revision else {}
        moved = module.files_needed(entry(name, weights="pretrained", checkpoint=checkpoint, **other))
        assert (moved.folder != wanted.folder and not moved.sha256) or not other
    counted = getattr(module, "n_features", lambda _: None)(entry(name))
    picture = np.zeros((1, 60, 60, 3), dtype=np.uint8)
    assert counted in (None, vision.describe(opened(name), picture).shape[1])


@pytest.mark.parametrize("name", features_reading("features"))
def test_a_feature_that_joins_others_keeps_their_columns_in_the_entrys_order(name):
    assert "of" in registry.literal("features", name, "REQUIRED")
    rng = np.random.default_rng(0)
    members = {"b": rng.normal(size=(4, 3)).astype(np.float32), "a": rng.normal(size=(4, 2)).astype(np.float32)}
    found = opened(name, of=["b", "a"])(members)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.hstack([members["b"], members["a"]]))


@pytest.mark.parametrize("name", features_reading("labels"))
def test_label_features_give_a_row_per_stimulus(name):
    stimuli = pd.DataFrame({"image_id": list("abcd"), "label_category": ["x", "y", "x", "z"]})
    found = opened(name)(stimuli)
    assert found.shape[0] == 4 and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], found[2])
    names = registry.load("features", name).columns(entry(name), stimuli)
    assert names == ["x", "y", "z"] and [names[k] for k in found.argmax(axis=1)] == ["x", "y", "x", "z"]


def represents(name):
    return defaults("models", name)["direction"] == "represent"


def training_data(seed=0, own=False):
    """``own``: the inputs are the targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 12)).astype(np.float32)
    y = x if own else (x @ rng.normal(size=(12, 6)) + 0.5 * rng.normal(size=(40, 6))).astype(np.float32)
    return TrainingData(x, y, np.arange(40) // 2, np.arange(40) >= 32)


@pytest.mark.parametrize("name", registry.plugins("models"))
def test_a_model_gives_a_state_per_seed_and_the_same_ones_again(name):
    module, data = registry.load("models", name), training_data(own=represents(name))
    settings = defaults("models", name)
    fits = [module.fit([data], settings, [3, 4], "cpu", None) for _ in range(2)]
    assert len(fits[0].states) == 2
    inputs = np.random.default_rng(1).normal(size=(7, 12)).astype(np.float32)
    for one, other in zip(fits[0].states, fits[1].states, strict=True):
        assert all(isinstance(value, np.ndarray) for value in one.values())
        predicted = module.predict(one, inputs)
        assert predicted.shape == (7, data.targets.shape[1]) and predicted.dtype == np.float32
        assert np.isfinite(predicted).all()
        np.testing.assert_array_equal(predicted, module.predict(other, inputs))
    same = np.array_equal(*(module.predict(state, inputs) for state in fits[0].states))
    if registry.literal("models", name, "FACTS")["closed_form"]:
        assert same


@pytest.mark.parametrize("name", registry.plugins("models"))
def test_a_model_takes_responses_that_keep_time(name):
    """A trial of two TRs of six vertices is the same to a model without time as one of twelve inputs."""
    module, settings = registry.load("models", name), defaults("models", name)
    data = training_data(own=represents(name))
    timed = TrainingData(data.inputs.reshape(40, 2, 6), data.targets, data.groups, data.is_val)
    inputs = np.random.default_rng(1).normal(size=(7, 12)).astype(np.float32)
    state = module.fit([timed], settings, [3], "cpu", None).states[0]
    predicted = module.predict(state, inputs.reshape(7, 2, 6))
    assert predicted.shape == (7, data.targets.shape[1]) and predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    if "time_weight" not in state:
        plain = module.fit([data], settings, [3], "cpu", None).states[0]
        np.testing.assert_allclose(predicted, module.predict(plain, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in registry.plugins("models") if represents(n)])
def test_a_model_that_represents_gives_a_code_per_trial(name):
    module, data = registry.load("models", name), training_data(own=True)
    state = module.fit([data], defaults("models", name), [3], "cpu", None).states[0]
    inputs = np.random.default_rng(1).normal(size=(7, 12)).astype(np.float32)
    found = module.latents(state, inputs)
    assert found.dtype == np.float32 and found.ndim == 2 and len(found) == 7 and np.isfinite(found).all()


def test_ridge_learns_what_dummy_and_chance_cannot():
    """Witness: the planted linear map, on rows that no model saw."""
    data = training_data()
    train = TrainingData(data.inputs[:32], data.targets[:32], data.groups[:32], data.is_val[:32])
    errors = {}
    for name in ("ridge", "dummy", "chance"):
        module = registry.load("models", name)
        state = module.fit([train], defaults("models", name), [0], "cpu", None).states[0]
        errors[name] = ((module.predict(state, data.inputs[32:]) - data.targets[32:]) ** 2).mean()
    assert errors["ridge"] < 0.2 * min(errors["dummy"], errors["chance"])


def test_dummy_is_scikit_learns():
    from sklearn.dummy import DummyRegressor

    data, module = training_data(), registry.load("models", "dummy")
    state = module.fit([data], {}, [0], "cpu", None).states[0]
    wanted = DummyRegressor().fit(data.inputs, data.targets).predict(data.inputs)
    np.testing.assert_allclose(module.predict(state, data.inputs), wanted, rtol=1e-5)


def test_labels_without_a_value_are_refused_by_name():
    stimuli = pd.DataFrame({"image_id": ["a", "b"], "label_category": ["x", ""]})
    with pytest.raises(ValueError, match="1 stimuli lack the label 'category', the first is 'b'"):
        opened("labels")(stimuli)
    with pytest.raises(ValueError, match=r"no label 'kind'; there are: \['category'\]"):
        opened("labels", label="kind")(stimuli)
