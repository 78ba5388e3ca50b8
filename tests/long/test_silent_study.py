"""A study of silent brains, each run left out in turn: no score strays from chance, no difference is called."""

import pandas as pd
import pytest

from tests.conftest import copy_project

pytestmark = pytest.mark.end_to_end
ENTRIES = {
    "datasets": """  sim-silent: {plugin: sim, seed: 1, n_runs: 6, n_train_images: 48, n_test_images: 6,
    n_test_repeats: 1, slot_s: 6, voxel_mm: 8.0, image_size: 48, noise_sd: 1000000}""",
    "models": """  silent-ridge: {plugin: ridge, direction: decode, permutations: 79}
  silent-encoder: {plugin: ridge, direction: encode, permutations: 79}
  dummy-encoder: {plugin: dummy, direction: encode}""",
    "splits": "  each-run: {test: run}",
}
STUDY = """
title: Silence
primary: {metric: r, view: image}
runs:
  - {datasets: [sim-silent], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [gabor],
     models: [silent-ridge, dummy, silent-encoder, dummy-encoder], splits: [each-run]}
  - {datasets: [sim-silent], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [labels],
     models: [silent-ridge, dummy], splits: [each-run]}
  - {datasets: [sim-silent], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [labels],
     models: [silent-encoder], splits: [each-run]}
"""


def test_no_score_strays_from_chance_and_no_difference_is_called(tmp_path):
    project = copy_project(tmp_path / "project")
    for section, entries in ENTRIES.items():
        project.edit("config/config.yaml", f"\n{section}:\n", f"\n{section}:\n{entries}\n")
    (project.folder / "config" / "studies" / "silence.yaml").write_text(STUDY)
    project.snakemake("leaderboard", "--config", "study=silence")
    made = project.folder / "results/studies/silence"
    board = pd.read_parquet(made / "leaderboard.parquet")
    tested = board[board["null_sd"].notna() & board["value"].notna() & board["chance"].notna()]
    assert {"r", "auc", "inv_norm_rank", "two_way", "feature_r"} <= set(tested["metric"])
    strays = (tested["value"] - tested["chance"]).abs() / tested["null_sd"].clip(lower=1e-12)
    worst = tested.assign(strays=strays).sort_values("strays").iloc[-1]
    assert strays.max() <= 3, worst[["model", "feature", "metric", "view", "roi", "value", "chance", "null_sd"]]
    without_p = board[board["model"].isin(["dummy", "dummy-encoder"]) & board["metric"].isin(["r", "auc"])]
    assert ((without_p["value"] - without_p["chance"]).abs() < 1e-9).all(), "the mean alone knows nothing"
    pairs = pd.read_csv(made / "comparisons.csv")
    assert len(pairs) and (pairs["p_holm"].dropna() > 0.001).all()
