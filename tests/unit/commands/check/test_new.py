"""An entry and a study from a folder: reasons stand beside values, comments stay, what exists is never overwritten."""

import difflib
import re
import shutil

import pytest
import yaml
from PIL import Image

from boldflow.__main__ import main
from tests.conftest import ROOT
from tests.made.own_bids import OwnFolder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's catalogue, studies and schemas alone."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copytree(ROOT / "workflow/schemas", folder / "workflow/schemas")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def own(tmp_path):
    """A folder in which some pictures are shown once, so that these can train."""
    folder = OwnFolder(tmp_path / "made")
    for path in folder.files("*run-02_events.tsv"):
        path.write_text(re.sub(r"pic0([5-9])", r"other\1", path.read_text()))
    for k in range(5, 10):
        Image.new("RGB", (8, 8), (20 * k, 0, 255 - 20 * k)).save(folder.folder / f"stimuli/other{k}.png")
    return folder


def test_an_entry_and_a_study_are_written_with_reasons(project, own, capsys):
    before = (project / "config/config.yaml").read_text()
    assert main(["new", "mine", "--bids", str(own.folder)]) == 0
    text = (project / "config/config.yaml").read_text()
    edits = [line for line in difflib.ndiff(before.splitlines(), text.splitlines()) if line[0] in "+-"]
    assert {line[0] for line in edits} == {"+"}
    new_lines = [line.removeprefix("+ ") for line in edits]
    entry = yaml.safe_load(text)["datasets"]["mine"]
    assert entry["subjects"] == ["sub-01"] and entry["tr_s"] == 2.0 and entry["image_column"] == "stim_file"
    assert all("  # " in line for line in new_lines if re.match(r" {4}(task|space|tr_s|image_column|subjects):", line))
    study_text = (project / "config/studies/mine.yaml").read_text()
    row = yaml.safe_load(study_text)["runs"][0]
    assert row["datasets"] == ["mine"] and row["splits"] == ["repeated"]
    assert row["responses"] == ["bold-4to10s-fsaverage5"] and "in which fsaverage lies" in study_text
    assert "snakemake --profile cpu --config study=mine" in capsys.readouterr().out


def test_volumes_in_the_subjects_space_make_a_study_of_voxels(project, own):
    own.rename("_space-MNI152NLin2009cAsym", "_space-T1w")
    assert main(["new", "mine", "--bids", str(own.folder)]) == 0
    assert yaml.safe_load((project / "config/studies/mine.yaml").read_text())["runs"][0]["responses"] == [
        "bold-4to10s-native"
    ]


def test_what_is_said_is_written(project, own):
    words = ["--image-column", "stim_file", "--set", "leave_out=[trials_beyond_end]", "slice_time_ref=0.5"]
    assert main(["new", "mine", "--bids", str(own.folder), *words]) == 0
    entry = yaml.safe_load((project / "config/config.yaml").read_text())["datasets"]["mine"]
    assert entry["leave_out"] == ["trials_beyond_end"] and entry["slice_time_ref"] == 0.5


def test_where_a_check_fails_nothing_is_written_and_the_problem_is_named(project, own, capsys):
    before = (project / "config/config.yaml").read_bytes()
    own.edit_sidecars(RepetitionTime=1.5)
    assert main(["new", "mine", "--bids", str(own.folder)]) == 1
    printed = capsys.readouterr().out
    assert "nothing was written: check finds 2 problems" in printed and "repetition times disagree" in printed
    assert (project / "config/config.yaml").read_bytes() == before
    assert not (project / "config/studies/mine.yaml").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("haxby", "has a data set 'haxby' already"),
        ("demo", "config/studies/demo.yaml is there already"),
        ("a name", "a name holds letters, digits"),
        ("none", "studies, none and pooled are taken"),
        ("../up", "it becomes part of a path"),
    ],
)
def test_a_name_that_exists_or_cannot_be_is_refused(project, own, capsys, name, sentence):
    before = {path: path.read_bytes() for path in project.rglob("*.yaml")}
    assert main(["new", name, "--bids", str(own.folder)]) == 2
    assert sentence in capsys.readouterr().out
    assert {path: path.read_bytes() for path in project.rglob("*.yaml")} == before


def test_a_study_is_copied(project, capsys):
    assert main(["new", "my-demo", "--from", "demo"]) == 0
    copied, origin = (
        yaml.safe_load((project / f"config/studies/{name}.yaml").read_text()) for name in ("my-demo", "demo")
    )
    assert copied == origin
    assert main(["new", "my-demo", "--from", "demo"]) == 2
    assert "is there already" in capsys.readouterr().out
    assert main(["new", "other", "--from", "demmo"]) == 2
    assert "did you mean 'demo'" in capsys.readouterr().out


@pytest.mark.parametrize("section", ["datasets: {}", "datasets:  # ours"])
def test_a_catalogue_of_another_form_is_understood_or_refused(project, own, section, capsys):
    path = project / "config/config.yaml"
    text = path.read_text()
    path.write_text(text.replace("\ndatasets:\n", f"\n{section}\n") if "#" in section else re.sub(
        r"\ndatasets:\n.*?\nresponses:", "\ndatasets: {}\n\nresponses:", text, flags=re.DOTALL))  # fmt: skip
    code = main(["new", "mine", "--bids", str(own.folder)])
    if "#" in section:
        assert code == 0 and "mine" in yaml.safe_load(path.read_text())["datasets"]
    else:
        assert code == 2 and "has no line 'datasets:' alone" in capsys.readouterr().out
