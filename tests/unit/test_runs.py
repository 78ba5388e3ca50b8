"""Notes of Snakemake runs, and commands to Slurm, which is played by small scripts."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from boldflow import runs


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock() -> None:
    runs.LOCKS.mkdir(parents=True)
    (runs.LOCKS / "0.output.lock").write_text("a")


def note(**changes) -> None:
    runs.enter()
    (path,) = runs.RUNS.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_nothing_is_said_where_nothing_is_locked():
    runs.enter()
    assert runs.others() == []


def test_a_run_at_work_is_told_from_one_that_was_killed_and_one_elsewhere():
    lock()
    runs.enter()
    (line,) = runs.others()
    assert line.startswith(f"a run is at work in this folder: process {os.getpid()} of ")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    note(pid=ended.pid)
    (line,) = runs.others()
    assert line.startswith(f"a run was killed and left its lock: process {ended.pid} ") and "--unlock" in line
    note(born="1")  # the number of a process that is gone was given to another
    assert runs.others()[0].startswith("a run was killed")
    note(host="elsewhere")
    assert runs.others()[0].startswith("a run was started on another host")
    assert runs.holders() == []


def test_a_live_run_of_this_host_holds_its_locks(here: Path):
    runs.enter()
    assert runs.holders() == [], "not against itself"
    (path,) = runs.RUNS.glob("*.json")
    path.rename(runs.RUNS / "of-another.json")
    assert runs.holders()[0].startswith(f"process {os.getpid()} of ")


def test_a_run_takes_its_own_note_away_and_those_of_the_dead():
    runs.RUNS.mkdir(parents=True)
    dead = {"pid": 1, "born": "never", "host": os.uname().nodename, "user": "u", "since": "s", "command": "c"}
    (runs.RUNS / "dead.json").write_text(json.dumps(dead))
    runs.enter()
    assert len(list(runs.RUNS.glob("*.json"))) == 1
    runs.leave([])
    assert not list(runs.RUNS.iterdir())


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def test_only_jobs_that_wait_are_cancelled(here: Path, monkeypatch: pytest.MonkeyPatch):
    tools = here / "slurm"
    tools.mkdir()
    program(tools, "squeue", "printf '7|PENDING\\n8|RUNNING\\n9|COMPLETED\\n'")
    program(tools, "scancel", f'echo "$@" >> {here}/cancelled')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    told = runs.cancel_waiting(["7", "8", "9"])
    assert (here / "cancelled").read_text().split() == ["--state=PENDING", "7"]
    assert [line.rpartition(": ")[2] for line in told] == ["7"]
    assert runs.cancel_waiting([]) == []


def test_jobs_that_will_not_come_back_are_reported_so_by_the_wrappers(here: Path, monkeypatch: pytest.MonkeyPatch):
    real = here / "real"
    real.mkdir()
    for name in ("sacct", "squeue"):
        program(real, name, "printf '7|PREEMPTED\\n8|RUNNING\\n9|CANCELLED by 100\\n'; echo \"$@\" >&2; exit 3")
    tools = Path(__file__).resolve().parents[2] / "workflow/tools/slurm"
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    for name in ("SACCT", "SQUEUE"):
        monkeypatch.setenv(f"BOLDFLOW_{name}", "")
    for _ in range(2):  # a second time it must not wrap the wrapper
        runs.count_as_failed(tools)
    for name in ("sacct", "squeue"):
        found = subprocess.run([name, "-X", "a b"], capture_output=True, text=True)
        assert (found.stdout, found.returncode) == ("7|FAILED\n8|RUNNING\n9|CANCELLED\n", 3)
        assert found.stderr == "-X a b\n"


def test_what_a_job_without_a_run_still_makes_is_told(here: Path):
    code = (
        "import sys, time; from boldflow.artifacts.claims import Claim\n"
        "claim = Claim(['b', 'a'], 't'); claim.take(); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=here, **pipes) as job:
        assert job.stdout.readline() == b"held\n"
        (line,) = runs.at_work([["a", "b"], ["c"]])
        assert line.startswith(f"a is being made by process {job.pid} on ")
    assert runs.at_work([["a", "b"], ["c"]]) == []


@pytest.fixture
def sigterm() -> Iterator[None]:
    was = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, was)


def test_snakemake_asked_to_end_while_it_books_a_job_does_not_wait_for_itself(sigterm: None):
    """Its own handler, which takes the lock that the main thread holds; called there it would hang for ever."""
    scheduler = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0), _user_kill=None)
    signal.signal(signal.SIGTERM, partial(JobScheduler.exit_gracefully, scheduler))
    runs.end_from_a_thread()
    with scheduler._lock:
        signal.raise_signal(signal.SIGTERM)
    assert scheduler._open_jobs.acquire(timeout=30)
    assert scheduler._user_kill == "graceful"
