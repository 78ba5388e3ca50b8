"""A folder of one's own becomes a data set by an entry in the catalogue alone."""

import shutil

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


def test_an_entry_is_enough_for_responses_and_splits(own, tmp_path):
    project = copy_project(tmp_path / "project")
    entry = (
        f"  mine: {{plugin: bids, folder: {own}, derivatives: derivatives/preproc, subjects: [sub-02], tr_s: 2.0,\n"
        f"         image_column: stim_file, stimuli_root: {own / 'stimuli'}}}\n"
    )
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entry)
    (tmp_path / "mine.yaml").write_text(STUDY)
    project.snakemake("responses", "splits", "--config", f"study={tmp_path / 'mine.yaml'}")
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
