"""A study of models that see only responses, from the command to the leaderboard."""

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.end_to_end


def test_responses_are_reconstructed_without_any_feature(project):
    project.edit("config/studies/sae-tiny.yaml", "subjects: all", "subjects: [sub-01]")
    project.edit("config/studies/sae-tiny.yaml", "figures: [leaderboard]", "figures: []")
    project.edit("config/studies/sae-tiny.yaml", "[sae-high-32, sae-topk, sae-jumprelu, sae-", "[sae-topk, sae-")
    planned = project.planned("leaderboard", "--config", "study=sae-tiny")
    assert "cache_features" not in planned and planned["train_model"] == planned["score_model"] == 4
    project.snakemake("leaderboard", "--config", "study=sae-tiny")
    board = pd.read_parquet(project.folder / "results/studies/sae-tiny/leaderboard.parquet")
    assert set(board["direction"]) == {"represent"} and set(board["feature"]) == {"none"} and board["simulated"].all()
    whole = board[board["roi"].isna() | (board["roi"] == "all")]
    table = whole[whole["view"] == "trial"].pivot_table("value", "model", "metric")
    assert table.loc["raw", "mse"] == pytest.approx(0, abs=1e-6) and table.loc["raw", "r2"] == pytest.approx(1)
    assert table.loc["pca-32", "r2"] > table.loc["sae-untrained-control", "r2"]
    assert table.loc["sae-topk", "zeros"] > 0.5
    assert np.isfinite(table.drop(columns="dead_units", errors="ignore")).all(axis=None)
