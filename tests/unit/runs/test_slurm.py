"""Commands to Slurm, which is played by small scripts."""

import os
import subprocess
from pathlib import Path

import pytest

from boldflow.runs import slurm


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    lines = slurm.cancel_waiting(["7", "8", "9"])
    assert (here / "cancelled").read_text().split() == ["--state=PENDING", "7"]
    assert [line.rpartition(": ")[2] for line in lines] == ["7"]
    assert slurm.cancel_waiting([]) == []


def test_jobs_that_will_not_come_back_are_reported_so_by_the_wrappers(here: Path, monkeypatch: pytest.MonkeyPatch):
    real = here / "real"
    real.mkdir()
    for name in ("sacct", "squeue"):
        program(real, name, "printf '7|PREEMPTED\\n8|RUNNING\\n9|CANCELLED by 100\\n'; echo \"$@\" >&2; exit 3")
    tools = Path(__file__).resolve().parents[3] / "workflow/tools/slurm"
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    for name in ("SACCT", "SQUEUE"):
        monkeypatch.setenv(f"BOLDFLOW_{name}", "")
    for _ in range(2):  # a second time it must not wrap the wrapper
        slurm.count_as_failed(tools)
    for name in ("sacct", "squeue"):
        answer = subprocess.run([name, "-X", "a b"], capture_output=True, text=True)
        assert (answer.stdout, answer.returncode) == ("7|FAILED\n8|RUNNING\n9|CANCELLED\n", 3)
        assert answer.stderr == "-X a b\n"
