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


def made(*paths: str) -> kept.Record:
    for path in paths:
        Path(path).write_text(f"content of {path}")
    return kept.keep(list(paths), "t")


def test_what_no_output_leads_to_is_forgotten_and_takes_no_room(here: Path):
    made("a", "b")
    made("c")
    Path("a").unlink()
    kept.forget_unused()
    assert kept.read(["a", "b"]) is not None, "b is still an output"
    Path("b").unlink()
    kept.forget_unused()
    assert kept.read(["a", "b"]) is None and kept.read(["c"]) is not None
    assert len(list(kept.CLAIMS.iterdir())) == 2, "record and link of c"


def test_what_another_run_may_still_put_back_stays_kept(here: Path):
    record = made("a", "b")
    for path in "ab":
        Path(path).unlink()  # by Snakemake; the job waits in a queue, and holds no claim yet
    kept.forget_unused({record.name})
    assert kept.read(["a", "b"]) == record and kept.is_whole(record)


def test_a_set_of_links_replaces_the_one_before_only_when_it_is_whole(here: Path):
    before = made("a", "b")
    Path("b").unlink()
    with pytest.raises(FileNotFoundError):
        kept.keep(["a", "b"], "other")
    assert kept.read(["b", "a"]) == before and kept.is_whole(before)
    kept.put_back(before)
    assert Path("b").read_text() == "content of b" and kept.stands(before)
    after = made("a", "b")
    assert after.series != before.series and not before.link(0).exists()
