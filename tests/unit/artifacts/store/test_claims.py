"""Claims on outputs: what one process has finished another leaves, and only that."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from boldflow.artifacts.store.claims import Claim
from boldflow.runs.kept import CLAIMS, forget


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*paths: str) -> None:
    for path in paths:
        Path(path).write_text(f"content of {path}")


def done(ticket: str = "t") -> dict[str, int]:
    claim = Claim(["b", "a"], ticket)
    assert claim.take()
    make("a", "b")
    claim.keep()
    return {path: os.stat(path).st_ino for path in "ab"}


def test_what_is_finished_is_left_and_what_was_deleted_comes_back():
    made = done()
    os.unlink("a")  # as Snakemake does before it starts a job
    assert not Claim(["a", "b"], "t").take()
    assert {path: os.stat(path).st_ino for path in "ab"} == made


def test_other_inputs_or_changed_outputs_are_made_again():
    done()
    assert Claim(["a", "b"], "other inputs").take()
    done()
    Path("a").write_text("edited")
    assert Claim(["a", "b"], "t").take()
    assert Claim(["a"], "t").take()


def test_what_was_not_finished_is_made_again():
    claim = Claim(["a", "b"], "t")
    assert claim.take()
    make("a")
    claim.keep()
    del claim
    assert Claim(["a", "b"], "t").take()


def test_the_end_of_a_run_forgets_its_jobs_and_no_others():
    done()
    other = Claim(["c"], "t")
    other.take()
    make("c")
    other.keep()
    del other
    forget([["a", "b"]])
    assert Claim(["a", "b"], "t").take() and not Claim(["c"], "t").take()


def test_without_hard_links_the_work_is_done_again(monkeypatch: pytest.MonkeyPatch):
    def refuse(*paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    done()
    assert Claim(["a", "b"], "t").take()


def test_without_file_locks_the_folder_is_named(monkeypatch: pytest.MonkeyPatch):
    def refuse(self, timeout=None):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(OSError, match=rf"{CLAIMS} has no file locks \(flock\)"):
        Claim(["a"], "t").take()
