"""A data set without a commit in its facts stays at the one that was cloned first."""

import json
import shutil

import pytest

from boldflow.artifacts.arrival.annex_create import create_dataset
from boldflow.artifacts.store import sidecars
from boldflow.stages.fetch import fetch_dataset

ENTRY = {"name": "nod", "plugin": "nod", "tasks": ["imagenet"], "subjects": ["sub-01"]}
HEAD, ROW = "onset\tduration\tstim_file\n", "0.0\t1.0\timagenet/n1/n1_1.JPEG\n"


def publish(folder, rows):
    """Make a data set anew, as if its owners had published another version."""
    if folder.exists():
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o700)
        shutil.rmtree(folder)
    where = folder / "sub-01/ses-imagenet01/func"
    where.mkdir(parents=True)
    (where / "sub-01_ses-imagenet01_task-imagenet_run-01_events.tsv").write_text(HEAD + ROW * rows)
    (folder / "stimuli").mkdir()
    (folder / "stimuli/n1_1.JPEG").write_bytes(b"a picture")
    return create_dataset(folder, "nod", "(include=*.JPEG)", "2024-01-01T00:00:00+00:00")


def fetch(origin):
    receipt = "resources/receipts/nod/dataset.json"
    settings, places = json.dumps(ENTRY), json.dumps({"origin": str(origin)})
    fetch_dataset.run(receipt=receipt, settings=settings, places=places)
    return sidecars.read(receipt)["commit"]


def test_a_version_that_moves_on_is_refused_with_both_commits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOLDFLOW_ORIGINS", raising=False)
    first = publish(tmp_path / "origin", 1)
    assert fetch(tmp_path / "origin") == first == fetch(tmp_path / "origin")
    assert json.loads((tmp_path / "resources/pins/nod.json").read_text())["commit"] == first
    for path in [*(tmp_path / "resources/clones").rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(tmp_path / "resources/clones")
    second = publish(tmp_path / "origin", 2)
    assert second != first
    with pytest.raises(ValueError, match=rf"no commit {first}; its HEAD is {second}"):
        fetch(tmp_path / "origin")
