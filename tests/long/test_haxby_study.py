"""Real BOLD, from the local files to the leaderboard."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue
from boldflow.artifacts.store import arrays, tables
from boldflow.stages._aligned import align, test_set
from boldflow.stages.models import analyse_latents, train_model
from boldflow.stages.models._codes import in_training_scale
from tests.conftest import copy_project, real_data
from tests.made.features import SCHEMAS

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(
        real_data() is None, reason="real data: BOLDFLOW_REAL_DATA is unset and there is no ../shared/data"
    ),
]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("haxby") / "project")
    project.snakemake("--config", "study=haxby")
    return project


def test_eight_categories_are_decoded_from_real_bold(done):
    board = pd.read_parquet(done.folder / "results/studies/haxby/leaderboard.parquet")
    accuracy = board[board["metric"] == "accuracy"].set_index("model")
    assert accuracy.loc["ridge", "value"] >= 0.75
    assert accuracy.loc["ridge", "ci_low"] > accuracy.loc["ridge", "chance"] == 0.125
    assert accuracy.loc["dummy", "value"] == pytest.approx(0.125)
    assert (accuracy["n_test_images"] == 96).all() and not accuracy["simulated"].any()
    refitted = accuracy.loc[["ridge", "nearest"]]
    assert (refitted["ci_method"] == "jackknife over folds, with refits").all()
    assert (refitted["inference"] == "refit").all()
    others = accuracy.drop(index=["ridge", "nearest"])
    assert others["ci_low"].isna().all() and others["remarks"].str.contains("one fold train another").all()


def test_twelve_folds_leave_one_run_out_each(done):
    split = pd.read_parquet(done.folder / "results/haxby/splits/leave-one-run-out.parquet")
    tests = split[split["part"] == "test"]
    assert tests.groupby("fold")["run"].nunique().tolist() == [1] * 12
    assert tests["run"].nunique() == 12


def test_an_autoencoder_keeps_more_of_real_bold_than_its_mean_and_tells_faces_from_houses(done, tmp_path):
    """Each run left out in turn; the stages as the workflow calls them, on what it made."""
    base = done.folder / "results/haxby"
    given = base / "sub001/blocks-0to22s-native"
    about = {"responses": str(given / "responses.npy"), "trials": str(base / "sub001/trials.parquet")}
    split = str(base / "splits/leave-one-run-out.parquet")
    made = {
        name: str(tmp_path / name) for name in ("model.safetensors", "predictions.npy", "config.json", "history.csv")
    }
    how = {"sparsity": 0.8, "l1": 0.01, "learning_rate": 0.005, "schedule": "cosine", "batch_size": 22, "n_epochs": 15}
    entry = catalogue.settings({"models": {"sae-few": {"plugin": "sae", **how}}}, SCHEMAS, "models", "sae-few")
    train_model.run(
        **{name: [path] for name, path in about.items()},
        **{"responses_sidecar": [str(given / "responses.json")], "features": [], "index": [], "features_sidecar": []},
        **{"split": split, "weights": made["model.safetensors"], "predictions": made["predictions.npy"]},
        predictions_index=str(tmp_path / "predictions.parquet"),
        **{"history": made["history.csv"], "sidecar": made["config.json"], "subjects": '["sub001"]'},
        **{"settings": json.dumps(entry), "code": "{}", "device": "cpu"},
    )
    data = align(about["responses"], [], [], about["trials"], split, "sub001")
    test, _, rows = test_set(data, has_images=False)
    found = arrays.read(made["predictions.npy"])[0].astype(np.float64)
    both = [in_training_scale(x, test.fold, made["model.safetensors"]) for x in (found, data.responses[rows] * 1.0)]
    # in this scale the mean of the training trials is 0
    assert ((both[0] - both[1]) ** 2).mean() < 0.95 * (both[1] ** 2).mean()
    asked = {"label": "category", "class": "face", "against": ["house"], "permutations": 99, "penalty": 1.0}
    out = {name: str(tmp_path / f"{name}.parquet") for name in ("separation", "embedding", "units", "reconstruction")}
    names = {
        "dataset": "haxby",
        "subject": "sub001",
        "response": "r",
        "feature": "none",
        "model": "sae-few",
        "split": "s",
    }
    analyse_latents.run(
        **{name: [path] for name, path in about.items()},
        **{"features": [], "index": [], "subjects": '["sub001"]', "vertices": [str(given / "vertices.parquet")]},
        **{"predictions": made["predictions.npy"], "weights": made["model.safetensors"], "config": made["config.json"]},
        predictions_index=str(tmp_path / "predictions.parquet"),
        **{"split": split, "stimuli": str(base / "stimuli.parquet")},
        **out,
        codes=str(tmp_path / "codes.parquet"),
        names=json.dumps(names),
        settings=json.dumps(entry),
        facts=json.dumps({"images": False, "simulated": False}),
        latents_=json.dumps(asked),
        code="{}",
    )
    auc = tables.read(out["separation"]).iloc[0]
    assert (auc["n_test_images"], auc["n_class_images"]) == (24, 12)
    assert np.isnan(auc["ci_low"]) and auc["value"] > 0.5 and auc["p"] <= 0.02  # folds: no interval, p by refits


def test_nothing_is_called_simulated(done):
    assert "SIMULATED" not in (done.folder / "results/studies/haxby/report/index.html").read_text()


def test_a_missing_file_of_the_real_data_is_named(project, tmp_path):
    result = project.snakemake("--config", "study=haxby", check=False, BOLDFLOW_REAL_DATA=str(tmp_path))
    assert result.returncode == 1 and "BOLDFLOW_REAL_DATA" in result.stdout and str(tmp_path) in result.stdout
