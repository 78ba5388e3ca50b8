"""A folder of one's own through the workflow: its links, a bad subject, changes, and what commands say of them."""

import os
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from tests.conftest import copy_project
from tests.made import own_folder

pytestmark = pytest.mark.end_to_end
STUDY = """
title: My own pictures
primary: {metric: top1, view: image}
runs:
  - datasets: [mine]
    subjects: all
    responses: [bold-4to10s-native]
    features: [gabor]
    models: [ridge]
    splits: [repeated]
"""
RESPONSES = "results/mine/{}/bold-4to10s-native/responses.npy"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project, and a folder whose derivatives are a link to another disk; of sub-02 one file is cut short."""
    top = tmp_path_factory.mktemp("users")
    mine = own_folder.make(top / "mine", subjects=("sub-01", "sub-02"))
    shutil.move(mine / "derivatives", top / "disk")
    (mine / "derivatives").symlink_to(top / "disk")
    project = copy_project(top / "project")
    entry = (
        f"  mine: {{plugin: bids, folder: {mine}, subjects: [sub-01, sub-02], tr_s: 2.0, image_column: stim_file,\n"
        f"         stimuli_root: {mine / 'stimuli'}}}\n"
    )
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entry)
    (top / "own.yaml").write_text(STUDY)
    return project, top


def bold(top, subject):
    return next((top / "disk").rglob(f"{subject}_*run-1*_bold.nii.gz"))


def command(project, *words):
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    line = [sys.executable, "-m", "boldflow", *words]
    return subprocess.run(line, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)


def test_a_bad_subject_stops_no_other_and_the_end_says_who_failed_and_why(place):
    project, top = place
    cut = bold(top, "sub-02")
    whole = cut.read_bytes()
    cut.write_bytes(whole[:100])
    words = ("responses", "--config", f"study={top / 'own.yaml'}")
    text = project.snakemake(*words, check=False).stdout
    assert "1 job(s) failed; 5 others were done, 1 were not" in text
    assert "fetch_subject of mine sub-02 bold: ValueError: 1 files of" in text and "no whole gzip" in text
    assert (project.folder / RESPONSES.format("sub-01")).is_file()
    cut.write_bytes(whole)
    assert project.planned(*words) == {"fetch_subject": 1, "project_responses": 1, "responses": 1}
    project.snakemake(*words)
    assert project.planned(*words) == {}


def test_a_change_behind_a_link_is_seen_by_the_next_run_and_by_verify(place):
    project, top = place
    words = ("responses", "--config", "study=own")  # known by its name since it was given by its path
    target = RESPONSES.format("sub-01")
    assert command(project, "verify", target).returncode == 0
    file = bold(top, "sub-01")
    image = nib.load(file)
    other = np.random.default_rng(7).normal(100, 1, image.shape).astype(np.float32)
    nib.Nifti1Image(other, image.affine, image.header).to_filename(file)
    said = command(project, "verify", target)
    assert said.returncode == 1 and f"{file.name} has changed since it arrived" in said.stdout, said.stdout
    before = np.load(project.folder / target)
    assert project.planned(*words) == {"fetch_subject": 1, "project_responses": 1, "responses": 1}
    project.snakemake(*words)
    assert not np.array_equal(before, np.load(project.folder / target)) and project.planned(*words) == {}
    assert command(project, "verify", target).returncode == 0


@pytest.mark.parametrize(
    ("target", "hint"),
    [("respones", "did you mean 'responses'"), ("results/mine/sub-01/trails.parquet", "did you mean 'trials.parquet'")],
)
def test_a_misspelt_target_gets_the_nearest_names_in_each_command(place, target, hint):
    project, _ = place
    told = project.snakemake("-n", target, check=False)
    assert told.returncode and hint in told.stdout and "MissingRuleException" not in told.stdout
    for word in ("why", "verify"):
        said = command(project, word, target)
        near = hint if word == "why" else "there is no such file"
        assert said.returncode == 2 and near in said.stdout and "did you mean" in said.stdout, said.stdout + said.stderr


def test_another_study_of_the_same_name_is_refused(place):
    project, top = place
    (top / "again").mkdir(exist_ok=True)
    (top / "again/own.yaml").write_text(STUDY)
    told = project.snakemake("-n", "--config", f"study={top / 'again/own.yaml'}", check=False)
    assert told.returncode and "both would write results/studies/own: rename the file" in told.stdout
    said = command(project, "estimate", str(top / "own.yaml"))
    assert said.returncode == 0, said.stdout + said.stderr
