"""Real BOLD, from the local files to the leaderboard."""

import pandas as pd
import pytest

from tests.conftest import copy_project, real_data

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
    assert accuracy.loc["chance", "ci_low"] <= 0.125 <= accuracy.loc["chance", "ci_high"]
    assert (accuracy["n_test_images"] == 96).all() and not accuracy["simulated"].any()
    assert accuracy["ci_method"].str.contains("blocks").all()


def test_twelve_folds_leave_one_run_out_each(done):
    split = pd.read_parquet(done.folder / "results/haxby/splits/leave-one-run-out.parquet")
    tests = split[split["part"] == "test"]
    assert tests.groupby("fold")["run"].nunique().tolist() == [1] * 12
    assert tests["run"].nunique() == 12


def test_nothing_is_called_simulated(done):
    assert "SIMULATED" not in (done.folder / "results/studies/haxby/report/index.html").read_text()


def test_a_missing_file_of_the_real_data_is_named(project, tmp_path):
    result = project.snakemake("--config", "study=haxby", check=False, BOLDFLOW_REAL_DATA=str(tmp_path))
    assert result.returncode == 1 and "BOLDFLOW_REAL_DATA" in result.stdout and str(tmp_path) in result.stdout
