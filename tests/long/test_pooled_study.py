"""One model of all simulated subjects, beside one of each, from trials to the report."""

import pandas as pd
import pytest

from boldflow.artifacts.store import tables

pytestmark = pytest.mark.end_to_end
MODELS = """
models:
  small: {plugin: fmri_mlp, width: 16, n_epochs: 4, batch_size: 24, patience: 0, seeds: [0, 1]}
  apart: {plugin: fmri_linear, subject_layers: true, n_epochs: 4, batch_size: 24, patience: 0, seeds: [0]}
"""
STUDY = """
title: Pooled
primary: {metric: inv_norm_rank, view: image}
runs:
  - {datasets: [sim-tiny], subjects: pooled, responses: [bold-4to10s-fsaverage5], features: [gabor],
     models: [small, apart, dummy], splits: [repeated]}
  - {datasets: [sim-tiny], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [gabor], models: [small],
     splits: [repeated]}
figures: [leaderboard, learning-curves, retrieval-examples]
"""


def test_a_pooled_model_has_a_row_for_each_subject_in_leaderboard_and_report(finished, tmp_path):
    project = finished.again(tmp_path / "project")
    project.edit("config/config.yaml", "\nmodels:\n", MODELS)
    (project.folder / "config/studies/together.yaml").write_text(STUDY)
    planned = project.planned("--config", "study=together")
    assert (planned["train_model"], planned["score_model"]) == (4, 4) and "project_responses" not in planned
    project.snakemake("--config", "study=together")
    board = tables.read(project.folder / "results/studies/together/leaderboard.parquet")
    primary = board[board["primary"].astype(bool)]
    subjects = ["sub-01", "sub-02", "sub-03"]
    for model, n_seeds in (("small (pooled)", 2), ("apart (pooled)", 1), ("dummy (pooled)", 1)):
        found = primary[primary["model"] == model]
        assert sorted(found["subject"]) == sorted(subjects * n_seeds), model
    assert set(primary.loc[primary["model"] == "small", "subject"]) == {"sub-01"}
    over = board[(board["view"] == "subjects") & (board["metric"] == "inv_norm_rank") & (board["gallery"] == "test")]
    assert set(over["subject"]) == {"pooled"} and (over["n_repeats_averaged"] > 3).all()
    chance = primary.loc[primary["model"] == "dummy (pooled)", "value"]
    assert chance.to_numpy() == pytest.approx(0.5, abs=0.25)
    pairs = pd.read_csv(project.folder / "results/studies/together/comparisons.csv")
    assert {"small", "small (pooled)"} <= {*pairs["model_a"], *pairs["model_b"]}
    page = (project.folder / "results/studies/together/report/index.html").read_text()
    assert "small (pooled)" in page
    assert project.planned("--config", "study=together") == {}
