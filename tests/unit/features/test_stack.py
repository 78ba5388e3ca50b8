"""Features that join others: columns, the record of bands, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue, registry
from boldflow.artifacts.store import arrays, sidecars, stimuli, tables
from boldflow.features import stack
from boldflow.stages.features import cache_features as features_stage
from boldflow.stages.models import train_model
from boldflow.validation import entries
from tests.made.features import SCHEMAS, entry

N = 6


def plant(folder, data="d"):
    rng = np.random.default_rng(0)
    made = (
        (f"image-{k}", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), {"category": "ab"[k % 2]}) for k in range(N)
    )
    table = stimuli.write(folder / "stimuli.h5", made, lambda _: "")
    tables.write(folder / "stimuli.parquet", table, {"data": data})


def cache(folder, settings, members=()):
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
        code=f'{{"{name}": "1"}}',
        device="cpu",
        workers=1,
        members=[str(folder / f"{one}.npy") for one in members],
        member_indexes=[str(folder / f"{one}.parquet") for one in members],
    )
    return np.array(arrays.read(folder / f"{name}.npy"))


def both(folder, data="d"):
    plant(folder, data)
    gabor = cache(folder, entry("gabor", size=16, scales=[1, 2], grid=2))
    return gabor, cache(folder, entry("labels"))


def test_columns_stand_side_by_side_and_the_sidecar_says_whose_they_are(tmp_path):
    gabor, labels = both(tmp_path)
    joined = cache(tmp_path, entry("stack", of=["gabor", "labels"]), ["gabor", "labels"])
    np.testing.assert_array_equal(joined[:, :32], gabor)
    np.testing.assert_array_equal(joined[:, 32:], labels)
    note = sidecars.read(tmp_path / "stack.json")
    wanted = [{"name": "gabor", "start": 0, "stop": 32}, {"name": "labels", "start": 32, "stop": 34}]
    assert note["bands"] == wanted and note["kind"] == "embedding" and "untrained" not in note
    assert note["members"]["gabor"]["settings"]["scales"] == [1, 2]
    assert {name: one["code"] for name, one in note["members"].items()} == {
        "gabor": '{"gabor": "1"}', "labels": '{"labels": "1"}'
    }  # fmt: skip
    assert tables.sidecar(tmp_path / "stack.parquet") == note
    turned = cache(tmp_path, entry("stack", of=["labels", "gabor"]), ["labels", "gabor"])
    np.testing.assert_array_equal(turned, np.hstack([labels, gabor]))


def test_a_member_that_is_not_there_in_the_order_of_the_pictures_is_refused(tmp_path):
    both(tmp_path)
    wanted = entry("stack", of=["gabor", "labels"])
    index = tables.read(tmp_path / "labels.parquet")
    note = tables.sidecar(tmp_path / "labels.parquet")
    for table, said in ((index.iloc[::-1], note), (index, note | {"data": "another"})):
        tables.write(tmp_path / "labels.parquet", table, said)
        with pytest.raises(ValueError, match=r"labels.npy does not describe the pictures of .*-f .*labels.npy"):
            cache(tmp_path, wanted, ["gabor", "labels"])


def test_features_of_different_lengths_are_not_joined():
    with pytest.raises(ValueError, match="'a': 2, 'b': 3"):
        stack.join({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))})


def test_a_model_of_joined_features_rests_on_the_making_of_each(tmp_path):
    both(tmp_path)
    cache(tmp_path, entry("stack", of=["gabor", "labels"]), ["gabor", "labels"])
    rng = np.random.default_rng(0)
    image = [f"image-{k}" for k in range(N)] * 4
    keys = {"subject": "s", "session": "1", "run": "1", "trial": range(len(image))}
    trials = pd.DataFrame({**keys, "image_id": image})
    part = np.where(trials["image_id"] == "image-5", "test", "train")
    split = trials.drop(columns="image_id").assign(fold=0, unit=trials["image_id"], part=part)
    arrays.write(tmp_path / "responses.npy", rng.normal(size=(len(image), 3)).astype(np.float32))
    note = {"code": "", "data": "", "settings": {}, "dataset": {}, "transductive": "run", "space": "native"}
    sidecars.write(tmp_path / "responses.json", note)
    tables.write(tmp_path / "trials.parquet", trials)
    tables.write(tmp_path / "split.parquet", split, {"code": "", "data": "", "rule": {}})
    fitted = {"name": "b", "plugin": "banded_ridge", "direction": "encode", "scale_inputs": True, "scale_targets": True}
    keys = registry.literal("models", "banded_ridge", "SETTINGS")
    own = {key: one["default"] for key, one in keys.items() if "default" in one}
    of_subjects = ("responses", "responses_sidecar", "trials")
    train_model.run(
        **{
            name: [str(tmp_path / file)] if name in of_subjects else str(tmp_path / file)
            for name, file in {
                "responses": "responses.npy", "responses_sidecar": "responses.json", "features": "stack.npy",
                "index": "stack.parquet", "features_sidecar": "stack.json", "trials": "trials.parquet",
                "split": "split.parquet", "weights": "model.safetensors", "predictions": "predictions.npy",
                "predictions_index": "predictions.parquet",
                "history": "history.csv", "sidecar": "config.json",
            }.items()
        },
        subjects='["s"]',
        settings=json.dumps(own | fitted | {"seeds": [0], "n_iter": 3, "protocol": "ours"}),
        code="{}",
        device="cpu",
    )  # fmt: skip
    found = sidecars.read(tmp_path / "config.json")
    assert {one["code"] for one in found["sources"]} >= {'{"gabor": "1"}', '{"labels": "1"}', '{"stack": "1"}'}
    assert any(isinstance(one, dict) and one.get("scales") == [1, 2] for one in found["configs"])
    assert {"weight_gabor", "weight_labels"} <= set(pd.read_csv(tmp_path / "history.csv"))


def problems(**features):
    config = {"features": features}
    return [one for name in features for one in entries._member_problems(config, name)]


def test_members_are_entries_that_describe_stimuli_themselves():
    good = {"gabor": {}, "labels": {}, "two": {"plugin": "stack", "of": ["gabor", "labels"]}}
    assert problems(**good) == []
    assert "no feature 'gobar'; did you mean 'gabor'" in problems(
        **good, other={"plugin": "stack", "of": ["gobar", "labels"]}
    )[0]  # fmt: skip
    (nested,) = problems(**good, other={"plugin": "stack", "of": ["two", "labels"]})
    assert "'two' joins features itself" in nested
    untrained = {"net": {"plugin": "dinov2", "weights": "untrained"}}
    (silent,) = problems(**good, **untrained, other={"plugin": "stack", "of": ["net", "labels"]})
    assert "put untrained-control into the name" in silent
    told = {"a-untrained-control": {"plugin": "stack", "of": ["net", "labels"]}}
    assert problems(**good, **untrained, **told) == []


def test_members_are_what_the_feature_reads():
    config = {"features": {"gabor": None, "labels": {}, "two": {"plugin": "stack", "of": ["labels", "gabor"]}}}
    assert catalogue.members_of_feature(config, "two") == ["labels", "gabor"]
    assert catalogue.members_of_feature(config, "gabor") == []
    assert catalogue.shards_of_feature(config | {}, "two") == []
    schema = registry.entry_schema(SCHEMAS, "features", "stack")
    assert "of" in schema["required"]
