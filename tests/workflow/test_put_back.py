"""Cut-off and last good outputs, in a scratch workflow of three jobs with the project's own start and end."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boldflow.runs import checksums
from tests.conftest import ROOT, Project, copy_project

SNAKEFILE = """
include: "workflow/rules/lifecycle.smk"
rule all:
    input: "c.txt"
rule first:
    output: o="a.txt"
    params: setting=config.get("first", "right"), code="{}"
    log: "logs/first/x.log"
    benchmark: "benchmarks/first/x.tsv"
    script: "workflow/scripts/first.py"
rule second:
    input: i="a.txt"
    output: o="b.txt", large="b.large"
    params: setting=config.get("second", "right"), code="{}"
    log: "logs/second/x.log"
    benchmark: "benchmarks/second/x.tsv"
    script: "workflow/scripts/second.py"
rule third:
    input: i="b.txt", large="b.large"
    output: o="c.txt"
    params: setting="right", code="{}"
    log: "logs/third/x.log"
    script: "workflow/scripts/third.py"
"""
SECOND = """
import time
from pathlib import Path
from _adapter import start
start(snakemake)
setting = snakemake.params.setting
with open("done", "a") as handle:
    handle.write("second ")
if setting == "wrong":
    raise ValueError("wrong")
Path(snakemake.output.o).write_text(Path(snakemake.input.i).read_text())
if setting == "slow":
    time.sleep(60)
Path(snakemake.output.large).write_text("b" * 2_000_000)
"""
OTHER = """
from pathlib import Path
from _adapter import start
start(snakemake)
with open("done", "a") as handle:
    handle.write("{0} ")
Path(snakemake.output.o).write_text("{0} " + snakemake.params.setting[:5])
"""
LARGE = 1_000_000  # bytes, above which Snakemake compares no checksums


@pytest.fixture(scope="module")
def once_done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copy_project(tmp_path_factory.mktemp("scratch") / "project")
    (project.folder / "Snakefile").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'src')!r})\n" + SNAKEFILE, encoding="utf-8"
    )
    scripts = project.folder / "workflow/scripts"
    for path in scripts.glob("[a-z]*.py"):
        path.unlink()
    (scripts / "second.py").write_text(SECOND)
    for name in ("first", "third"):
        (scripts / f"{name}.py").write_text(OTHER.format(name))
    project.snakemake()
    assert done(project) == ["first", "second", "third"]
    assert (project.folder / "b.large").stat().st_size > LARGE
    return project


def done(project: Project) -> list[str]:
    """Name the jobs that did their work since this was asked last."""
    path = project.folder / "done"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def state(project: Project) -> dict[str, tuple[int, int]]:
    paths = ("a.txt", "b.txt", "b.large", "c.txt")
    return {path: ((s := os.stat(project.folder / path)).st_ino, s.st_mtime_ns) for path in paths}


def log(project: Project, name: str) -> str:
    return (project.folder / f"logs/{name}/x.log").read_text()


def test_jobs_behind_one_that_made_the_same_again_put_back_what_they_had_made(once_done: Project):
    before = state(once_done)
    once_done.snakemake("--config", "first=right, and more")
    assert done(once_done) == ["first"]
    assert "put back" in log(once_done, "second") and "put back" in log(once_done, "third")
    after = state(once_done)
    assert {path: after[path][0] for path in ("b.txt", "b.large", "c.txt")} == {
        path: before[path][0] for path in ("b.txt", "b.large", "c.txt")
    }
    assert once_done.planned("--config", "first=right, and more") == {}
    once_done.snakemake("--config", "first=other")
    assert done(once_done) == ["first", "second", "third"], "what it makes is another"


@pytest.mark.parametrize("words", [("-R", "second"), ("-R", "b.txt"), ("-f", "b.large"), ("-F",)])
def test_what_is_asked_for_is_done(once_done: Project, words: tuple[str, ...]):
    once_done.snakemake()
    done(once_done)
    once_done.snakemake(*words)
    assert done(once_done) == (["first", "second", "third"] if words == ("-F",) else ["second"])
    once_done.snakemake()
    assert once_done.planned() == {} and done(once_done) == []


def test_deleted_outputs_come_back_and_those_that_were_edited_in_place_are_made_again(once_done: Project):
    once_done.snakemake()
    done(once_done)
    before = state(once_done)
    for path in ("b.txt", "c.txt"):
        (once_done.folder / path).unlink()
    once_done.snakemake()
    assert done(once_done) == [] and state(once_done)["b.large"][0] == before["b.large"][0]
    with (once_done.folder / "b.large").open("r+") as handle:
        handle.write("edited")
    (once_done.folder / "b.txt").unlink()
    once_done.snakemake()
    assert done(once_done) == ["second"]
    assert (once_done.folder / "b.large").read_text() == "b" * 2_000_000


def test_a_job_that_fails_costs_nothing_that_was_there_and_a_wrong_setting_fails_again(once_done: Project):
    once_done.snakemake()
    done(once_done)
    before = state(once_done)
    for _ in range(2):
        result = once_done.snakemake("--config", "second=wrong", check=False)
        assert result.returncode and "put back the last good outputs of 1 job(s)" in result.stdout
        assert done(once_done) == ["second"] and state(once_done) == before
        assert once_done.planned() == {}, "as if nothing had happened"
    once_done.snakemake()
    assert done(once_done) == []


@pytest.mark.parametrize("killed", ["both", "snakemake"])
def test_a_run_that_is_killed_costs_nothing_that_was_there(once_done: Project, killed: str):
    once_done.snakemake()
    done(once_done)
    before = state(once_done)
    words = ["snakemake", "--profile", "cpu", "--config", "second=slow"]
    with subprocess.Popen(words, cwd=once_done.folder, start_new_session=True, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while not (once_done.folder / "done").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        (job,) = [int(pid) for pid in children(run.pid)]
        run.kill()
        if killed == "both":
            os.kill(job, signal.SIGKILL)
    try:
        planned = once_done.planned()
        if killed == "both":
            assert planned == {} and state(once_done) == before
        else:
            assert "second" in planned and not (once_done.folder / "b.large").exists(), "its job is still at it"
    finally:
        if killed != "both":
            os.kill(job, signal.SIGKILL)
    time.sleep(0.5)
    assert once_done.planned() == {} and state(once_done) == before
    once_done.snakemake("--unlock")
    once_done.snakemake()
    assert done(once_done) == ["second"], "the one that was killed"


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def test_costs_stay_those_of_the_work(once_done: Project):
    path = once_done.folder / "benchmarks/second/x.tsv"
    once_done.snakemake()
    work = path.read_text()
    once_done.snakemake("--config", "first=right, and more")
    assert path.read_text() == work


def test_a_large_output_is_read_when_it_is_made_and_never_again(once_done: Project, monkeypatch: pytest.MonkeyPatch):
    """Snakemake sets its time when the job has ended; what it has booked of that is believed."""
    once_done.snakemake()
    monkeypatch.chdir(once_done.folder)
    monkeypatch.setattr(checksums, "_read", lambda path: pytest.fail(f"{path} is read"))
    once_done.snakemake("-R", "first")
    assert checksums.sha256("b.large") == hashlib.sha256(b"b" * 2_000_000).hexdigest()
    monkeypatch.undo()
    monkeypatch.chdir(once_done.folder)
    with Path("b.large").open("r+") as handle:
        handle.write("edited")
    assert checksums.sha256("b.large") == hashlib.sha256(b"edited" + b"b" * 1_999_994).hexdigest()


def test_another_order_of_the_same_inputs_is_another_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rows of a table stand in the order of a job's inputs, and a name says what a file is taken for."""
    monkeypatch.chdir(tmp_path)
    for name in "xy":
        Path(name).write_text(name)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import _adapter\n" + (
        "from types import SimpleNamespace\nfrom snakemake.iocontainers import Namedlist\n"
        "def ticket(*inputs):\n"
        "    files = Namedlist(fromdict=dict(inputs)) if isinstance(inputs[0], tuple) else Namedlist(inputs)\n"
        "    return _adapter._ticket(SimpleNamespace(wildcards={}, input=files, output=Namedlist(['o']),\n"
        "                                            params=Namedlist([]), rule='r'))\n"
        "assert ticket('x', 'y') == ticket('x', 'y') != ticket('y', 'x')\n"
        "assert ticket(('a', 'x'), ('b', 'y')) != ticket(('b', 'x'), ('a', 'y'))\n"
    )
    subprocess.run([sys.executable, "-c", code, ROOT / "workflow/scripts"], check=True)


def test_what_is_loaded_before_outputs_are_put_back_is_little():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'workflow/scripts')!r}); import _adapter\n"
        "from boldflow import registry\nfrom boldflow.artifacts.store.claims import Claim\n"
        "from boldflow.runs import costs\nfrom boldflow.runs.checksums import sha256\n"
        "print(sorted({'numpy', 'pandas', 'torch', 'nibabel'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
    for path in (ROOT / "workflow/scripts").glob("[a-z]*.py"):
        text = path.read_text()
        assert text.index("\nstart(snakemake") < text.index("\nfrom boldflow.stages"), path
