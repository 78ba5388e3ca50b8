"""What codes say of a class, through the stages on made files: a planted class is found, and p is adjusted."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.stages.models import analyse_latents, train_model
from boldflow.stages.studies import collect_separations
from tests.made.features import SCHEMAS

N_VERTICES, N_TRAIN, N_TEST, REPEATS = 30, 40, 16, 3
NAMES = {"dataset": "made", "subject": "sub-01", "response": "r", "feature": "none", "split": "s"}
FACTS = {"images": True, "simulated": True}
ASKED = {"label": "kind", "class": "face", "against": [], "permutations": 39, "penalty": 1.0}


class Made:
    """One subject who saw pictures, each fourth of which a face; faces raise the first ten vertices."""

    def __init__(self, folder, model="pca", effect=2.0, runs=False, **entry):
        folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        self.folder, self.kind = folder, np.array(["face", "house", "tool", "cat"])[np.arange(N_TRAIN + N_TEST) % 4]
        order = rng.permutation(np.repeat(np.arange(N_TRAIN + N_TEST), np.repeat([1, REPEATS], [N_TRAIN, N_TEST])))
        values = rng.normal(size=(len(order), N_VERTICES)) + 3
        values[:, :10] += effect * (self.kind[order] == "face")[:, None]
        self.order = order
        trials = pd.DataFrame({"session": "01", "run": [f"{k % 4:02d}" for k in range(len(order))]})
        trials = trials.assign(subject="sub-01", trial=np.arange(len(order)))
        trials = trials.assign(image_id=[f"{k:02d}.png" for k in order])
        keys = ["subject", "session", "run", "trial"]
        if runs:  # no pictures: each block its own, a run left out at a time
            trials = trials.assign(image_id=[f"block-{k}" for k in range(len(order))])
            parts = [np.where(trials["run"] == f"{fold:02d}", "test", "train") for fold in range(4)]
            unit = trials["run"]
        else:
            parts, unit = [np.where(order >= N_TRAIN, "test", "train")], trials["image_id"]
        split = [trials[keys].assign(fold=n, unit=unit, part=part) for n, part in enumerate(parts)]
        tables.write(self.at("trials.parquet"), trials)
        tables.write(
            self.at("split.parquet"), pd.concat(split, ignore_index=True), {"code": "", "data": "", "rule": {}}
        )
        arrays.write(self.at("responses.npy"), values.astype(np.float32))
        about = {"code": "", "data": "", "settings": {}, "dataset": {}, "transductive": "run", "space": "native"}
        sidecars.write(self.at("responses.json"), about)
        tables.write(self.at("vertices.parquet"), pd.DataFrame({"roi_first": np.arange(N_VERTICES) < 10}))
        label = self.kind[order] if runs else self.kind
        pictures = trials["image_id"] if runs else [f"{k:02d}.png" for k in range(len(self.kind))]
        tables.write(self.at("stimuli.parquet"), pd.DataFrame({"image_id": pictures, "label_kind": label}))
        self.settings = catalogue.settings({"models": {"m": {"plugin": model, **entry}}}, SCHEMAS, "models", "m")
        train_model.run(
            responses=[self.at("responses.npy")], responses_sidecar=[self.at("responses.json")], features=[], index=[],
            features_sidecar=[], trials=[self.at("trials.parquet")], split=self.at("split.parquet"),
            weights=self.at("model.safetensors"), predictions=self.at("predictions.npy"),
            predictions_index=self.at("predictions.parquet"),
            history=self.at("history.csv"), sidecar=self.at("config.json"),
            subjects=json.dumps(["sub-01"]), settings=json.dumps(self.settings),
            code="{}", device="cpu",
        )  # fmt: skip

    def at(self, name):
        return str(self.folder / name)

    def ask(self, images=True, **asked):
        """Run the stage and read its tables."""
        found = {name: self.at(f"{name}.parquet") for name in ("separation", "embedding", "units", "reconstruction")}
        analyse_latents.run(
            **{name: [self.at(f"{name}.parquet")] for name in ("vertices", "trials")},
            **{name: self.at(f"{name}.parquet") for name in ("split", "stimuli")},
            **{"predictions": self.at("predictions.npy"), "responses": [self.at("responses.npy")]},
            predictions_index=self.at("predictions.parquet"),
            **{"features": [], "index": [], "subjects": json.dumps(["sub-01"])},
            **{"weights": self.at("model.safetensors"), "config": self.at("config.json")},
            **found,
            codes=self.at("codes.parquet"),
            names=json.dumps({**NAMES, "model": "m"}),
            settings=json.dumps(self.settings),
            facts=json.dumps({**FACTS, "images": images}),
            latents_=json.dumps(ASKED | asked),
            code="{}",
        )
        return {name: tables.read(path) for name, path in found.items()}


def test_a_planted_class_is_found_in_codes_and_maps(tmp_path):
    data = Made(tmp_path / "made", n_latents=8)
    found = data.ask()
    auc, *lengths = found["separation"].to_dict("records")
    assert auc["metric"] == "auc" and auc["value"] > 0.9 and auc["p"] == pytest.approx(1 / 40) and auc["ci_low"] > 0.5
    assert (auc["n_test_images"], auc["n_class_images"], auc["n_test"]) == (N_TEST, N_TEST // 4, N_TEST * REPEATS)
    assert [one["protocol"] for one in lengths] == ["mended", "published"]
    assert [one["transductive"] for one in lengths] == ["run", "test"]
    points, units, maps = (found[name] for name in ("embedding", "units", "reconstruction"))
    assert len(points) == N_TEST * REPEATS and points["in_class"].sum() == N_TEST * REPEATS // 4
    assert np.isfinite(points[["pca_1", "pca_2", "tsne_1", "tsne_2"]]).all(axis=None)
    assert set(units["unit"]) == set(range(8)) and set(units["rank"]) == set(range(1, 9))
    driven = units[units["rank"] == 1].set_index("unit")
    assert (driven["activation"] >= units[units["rank"] == 2].set_index("unit")["activation"]).all()
    # the difference of the classes, in s.d. of training: as in the made values, kept by the code
    first = maps["roi"] == "first"
    assert first.sum() == 10 and maps.loc[first, "measured"].mean() == pytest.approx(2 / 1.32, abs=0.25)
    assert abs(maps.loc[~first, "measured"].mean()) < 0.15 and maps.loc[first, "reconstructed"].mean() > 1
    assert found["separation"]["simulated"].all() and points["simulated"].all()


def test_only_what_a_class_is_held_against_takes_part(tmp_path):
    found = Made(tmp_path / "made").ask(against=["house"], permutations=0)
    auc = found["separation"].iloc[0]
    assert (auc["n_test_images"], auc["n_class_images"], auc["against"]) == (N_TEST // 2, N_TEST // 4, "house")
    assert np.isnan(auc["p"]) and len(found["embedding"]) == N_TEST * REPEATS // 2


def test_runs_that_are_left_out_in_turn_give_one_area(tmp_path):
    found = Made(tmp_path / "made", runs=True).ask(images=False, against=["house"])
    auc = found["separation"].iloc[0]
    assert auc["n_test"] == auc["n_test_images"] == 44 and auc["value"] > 0.9 and auc["p"] == pytest.approx(1 / 40)


def test_an_autoencoder_is_asked_like_any_model(tmp_path):
    how = {"n_latents": 40, "k": 4, "n_epochs": 30, "batch_size": 16, "scale_inputs": "whole"}
    found = Made(tmp_path / "made", "sae_overcomplete", **how).ask(permutations=9)
    assert found["separation"].iloc[0]["value"] > 0.8 and len(found["units"]["unit"].unique()) == 40
    assert 0 < found["units"]["active_share"].mean() < 0.2


def test_a_label_or_a_class_that_is_not_there_is_named(tmp_path):
    data = Made(tmp_path / "made")
    with pytest.raises(ValueError, match=r"no label 'sort'; there are: \['kind'\]"):
        data.ask(label="sort")
    with pytest.raises(ValueError, match=r"label kind 'dog'; there are: \['cat', 'face', 'house', 'tool'\]"):
        data.ask(**{"class": "dog"})
    table = tables.read(data.at("stimuli.parquet"))
    tables.write(data.at("stimuli.parquet"), table.iloc[:-2])
    with pytest.raises(ValueError, match=r"2 pictures lack the label 'kind', the first is '54\.png'"):
        data.ask()


def test_p_is_adjusted_over_subjects_and_left_out_where_there_is_none(tmp_path):
    rows = []
    for model, ps in (("a", [0.01, 0.04, 0.5]), ("raw", [np.nan] * 3)):
        for n, p in enumerate(ps):
            about = {**NAMES, "subject": f"sub-{n}", "model": model, "seed": "0", "metric": "auc", "protocol": "mended"}
            rows.append({**about, "value": 0.7, "p": p})
    paths = [str(tmp_path / f"{n}.parquet") for n in range(len(rows))]
    for path, row in zip(paths, rows, strict=True):
        tables.write(path, pd.DataFrame([row]))
    collect_separations.run(
        separations=paths, table=str(tmp_path / "all.parquet"), csv=str(tmp_path / "all.csv"), code="{}"
    )
    table = tables.read(tmp_path / "all.parquet")
    np.testing.assert_allclose(table["q"], [0.03, 0.06, 0.5, *[np.nan] * 3])
    assert table["n_subjects"].tolist() == [3] * 3 + [0] * 3
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "all.csv", dtype={"seed": str}), table, check_dtype=False)
