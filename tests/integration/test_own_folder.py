"""A folder of one's own becomes a data set by an entry in the catalogue alone."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from boldflow.datasets import sim
from tests.conftest import copy_project

pytestmark = pytest.mark.end_to_end
SMALL = {"n_runs": 2, "n_train_images": 12, "n_test_images": 6, "n_test_repeats": 2, "voxel_mm": 8.0, "image_size": 32}
STUDY = """
title: My own pictures
primary: {metric: top1, view: image}
runs:
  - datasets: [mine]
    subjects: all
    responses: [bold-4to10s-fsaverage5]
    features: [gabor]
    models: [ridge]
    splits: [repeated]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A plain BIDS folder without any link, as fMRIPrep leaves one."""
    workspace = tmp_path_factory.mktemp("own")
    origin = sim.source({"name": "sim", **SMALL}, workspace).url
    shutil.copytree(origin, workspace / "mine", symlinks=False, ignore=shutil.ignore_patterns(".git", ".datalad"))
    return workspace / "mine"


@pytest.fixture(scope="module")
def studied(own, tmp_path_factory):
    """A project in which responses and split of the folder have been made, and the words that name its study."""
    folder = tmp_path_factory.mktemp("studied")
    project = copy_project(folder / "project")
    entry = (
        f"  mine: {{plugin: bids, folder: {own}, derivatives: derivatives/preproc, subjects: [sub-02], tr_s: 2.0,\n"
        f"         image_column: stim_file, stimuli_root: {own / 'stimuli'}}}\n"
    )
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entry)
    (folder / "mine.yaml").write_text(STUDY)
    words = ("responses", "splits", "--config", f"study={folder / 'mine.yaml'}")
    project.snakemake(*words)
    return project, words


def test_an_entry_is_enough_for_responses_and_splits(own, studied):
    project, _ = studied
    made = project.folder / "results/mine"
    trials = pd.read_parquet(made / "sub-02/trials.parquet")
    known = sim.trials(own, "sub-02", SMALL)
    assert trials["image_id"].tolist() == known["image_id"].tolist() and len(trials) == 24
    responses = np.load(made / "sub-02/bold-4to10s-fsaverage5/responses.npy")
    assert len(responses) == 24 and np.isfinite(responses).all() and responses.std() > 0
    split = pd.read_parquet(made / "splits/repeated.parquet")
    assert (split["part"] == "test").sum() == 12
    note = pd.read_json(made / "splits/repeated.json", typ="series")
    assert note["grouping"] == "pixels"


def test_a_wrong_repetition_time_is_refused_each_time_and_costs_nothing_that_was_there(studied):
    """Its responses are larger than the files of which Snakemake compares checksums."""
    project, (target, _, *study) = studied
    words = (target, *study)
    responses = project.folder / "results/mine/sub-02/bold-4to10s-fsaverage5/responses.npy"
    before = responses.stat()
    assert before.st_size > 1_000_000 and project.planned(*words) == {}
    for _ in range(2):
        project.edit("config/config.yaml", "tr_s: 2.0,\n         image_column", "tr_s: 2.5,\n         image_column")
        refused = project.snakemake(*words, check=False)
        assert refused.returncode and "put back the last good outputs" in refused.stdout
        assert "2.5" in next((project.folder / "logs/project_responses").glob("mine_*.log")).read_text()
        project.edit("config/config.yaml", "tr_s: 2.5,\n         image_column", "tr_s: 2.0,\n         image_column")
        after = responses.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert project.planned(*words) == {}


def test_what_changes_in_the_folder_is_seen(own, tmp_path):
    """Events and BOLD are read in place: a run that looks at them again knows."""
    mine = tmp_path / "mine"
    shutil.copytree(own, mine)
    project = copy_project(tmp_path / "project")
    entry = (
        f"  mine: {{plugin: bids, folder: {mine}, derivatives: derivatives/preproc, subjects: [sub-02], tr_s: 2.0,\n"
        f"         image_column: stim_file, stimuli_root: {mine / 'stimuli'}}}\n"
    )
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entry)
    target = "results/mine/sub-02/bold-4to10s-fsaverage5/responses.npy"
    project.snakemake(target)
    assert project.planned(target) == {}
    events = next((mine / "sub-02").rglob("*_events.tsv"))
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(lines[:-1]))
    assert project.planned(target) == {"fetch_dataset": 1, "fetch_subject": 1, "list_trials": 1, "project_responses": 1}
    project.snakemake(target)
    assert len(np.load(project.folder / target)) == 23
    bold = next(mine.rglob("sub-02*_bold.nii.gz"))
    bold.write_bytes(bold.read_bytes())
    assert project.planned(target) == {"fetch_subject": 1, "project_responses": 1}


def test_a_folder_is_estimated_before_anything_is_made(studied):
    """Its repetition time stands in the entry, not in the plug-in."""
    project, (*_, study) = studied
    command = [sys.executable, "-m", "boldflow", "estimate", "--config", study]
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    answer = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0 and "sub-02" not in answer.stderr, answer.stdout + answer.stderr
