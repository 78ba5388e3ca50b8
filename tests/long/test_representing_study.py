"""A study of models that see only responses, or only features, from the command to what their codes say."""

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.end_to_end
STUDY = """
title: Codes
primary: {metric: R2, view: trial}
latents: {label: category, class: face, permutations: 19, match: [pca-32]}
runs:
  - datasets: [sim-tiny]
    subjects: [sub-01]
    responses: [bold-4to10s-patches]
    features: [none]
    models: [sae-topk, sae-untrained-control, pca-32, raw]
    splits: [repeated]
  - {datasets: [sim-tiny], subjects: none, responses: [none], features: [gabor], models: [pca-32], splits: [repeated]}
figures: [code-panels]
"""


def test_responses_and_features_are_coded_and_codes_are_asked_and_matched(finished, tmp_path):
    project = finished.again(tmp_path / "project")
    (project.folder / "config" / "studies" / "codes.yaml").write_text(STUDY)
    planned = project.planned("figures", "leaderboard", "latents", "--config", "study=codes")
    assert planned["train_model"] == planned["score_model"] == planned["analyse_latents"] == 5
    assert planned["project_responses"] == planned["match_units"] == 1 and "cache_features" not in planned
    project.snakemake("figures", "leaderboard", "latents", "--config", "study=codes")
    made = project.folder / "results/studies/codes"
    board = pd.read_parquet(made / "leaderboard.parquet")
    assert set(board["direction"]) == {"represent"} and board["simulated"].all()
    assert set(zip(board["subject"], board["feature"], strict=True)) == {("sub-01", "none"), ("none", "gabor")}
    whole = board[(board["roi"].isna() | (board["roi"] == "all")) & (board["subject"] == "sub-01")]
    table = whole[whole["view"] == "trial"].pivot_table("value", "model", "metric")
    assert table.loc["raw", "mse"] == pytest.approx(0, abs=1e-6) and table.loc["raw", "R2"] == pytest.approx(1)
    assert table.loc["pca-32", "R2"] > table.loc["sae-untrained-control", "R2"]
    assert table.loc["sae-topk", "zeros"] > 0.5
    assert np.isfinite(table.drop(columns="dead_units", errors="ignore")).all(axis=None)
    said = pd.read_parquet(made / "separations.parquet")
    auc = said[said["metric"] == "auc"].set_index(["subject", "model"])
    assert auc.loc[("sub-01", "pca-32"), "value"] > 0.8 and auc.loc[("sub-01", "pca-32"), "q"] <= 0.1
    assert np.isnan(auc.loc[("sub-01", "raw"), "p"]) and len(auc) == 5 and len(said) == 15
    matches = pd.read_csv(made / "matches.csv")
    assert set(matches["subject_a"]) == {"sub-01"} and set(matches["feature_b"]) == {"gabor"}
    assert (made / "figures/code-panels.pdf").is_file()
