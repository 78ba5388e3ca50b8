"""Records of claims."""

import subprocess
import sys
from pathlib import Path

import pytest

from boldflow.runs import kept


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_job_without_a_run_still_makes_is_told(here: Path):
    code = (
        "import sys, time; from boldflow.artifacts.store.claims import Claim\n"
        "claim = Claim(['b', 'a'], 't'); claim.take(); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=here, **pipes) as job:
        assert job.stdout.readline() == b"held\n"
        (line,) = kept.at_work([["a", "b"], ["c"]])
        assert line.startswith(f"a is being made by process {job.pid} on ")
    assert kept.at_work([["a", "b"], ["c"]]) == []
