"""Notes of Snakemake runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boldflow.runs import notes


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock() -> None:
    notes.LOCKS.mkdir(parents=True)
    (notes.LOCKS / "0.output.lock").write_text("a")


def note(**changes) -> None:
    notes.enter()
    (path,) = notes.RUNS.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_nothing_is_said_where_nothing_is_locked():
    notes.enter()
    assert notes.others() == []


def test_a_run_at_work_is_told_from_one_that_was_killed_and_one_elsewhere():
    lock()
    notes.enter()
    (line,) = notes.others()
    assert line.startswith(f"a run is at work in this folder: process {os.getpid()} of ")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    note(pid=ended.pid)
    (line,) = notes.others()
    assert line.startswith(f"a run was killed and left its lock: process {ended.pid} ") and "--unlock" in line
    note(born="1")  # the number of a process that is gone was given to another
    assert notes.others()[0].startswith("a run was killed")
    note(host="elsewhere")
    assert notes.others()[0].startswith("a run was started on another host")
    assert notes.holders() == []


def test_a_live_run_of_this_host_holds_its_locks(here: Path):
    notes.enter()
    assert notes.holders() == [], "not against itself"
    (path,) = notes.RUNS.glob("*.json")
    path.rename(notes.RUNS / "of-another.json")
    assert notes.holders()[0].startswith(f"process {os.getpid()} of ")


def test_a_run_takes_its_own_note_away_and_those_of_the_dead():
    notes.RUNS.mkdir(parents=True)
    dead = {"pid": 1, "born": "never", "host": os.uname().nodename, "user": "u", "since": "s", "command": "c"}
    (notes.RUNS / "dead.json").write_text(json.dumps(dead))
    notes.enter()
    assert len(list(notes.RUNS.glob("*.json"))) == 1
    notes.leave()
    assert not list(notes.RUNS.iterdir())
