"""Claims on outputs: what was made of the same is put back, and only that."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from boldflow.artifacts.store import arrays
from boldflow.artifacts.store.claims import Claim
from boldflow.artifacts.store.described import Described
from boldflow.runs import kept


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*paths: str, content: str = "content of {}") -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)
        Path(path).write_text(content.format(path))


def delete(*paths: str) -> None:
    """Delete outputs, as Snakemake does before it starts a job."""
    for path in paths:
        os.unlink(path)


def done(ticket: str = "t") -> dict[str, int]:
    claim = Claim(["b", "a"], ticket)
    assert claim.take()
    make("a", "b")
    claim.keep()
    return {path: os.stat(path).st_ino for path in "ab"}


def test_what_is_made_of_the_same_is_put_back_with_its_time_and_the_log_says_so(caplog):
    made = done()
    os.utime("a", ns=(5, 5))  # as Snakemake does when a job has ended
    os.unlink("a")  # as it does before it starts a job
    with caplog.at_level(logging.INFO):
        assert not Claim(["a", "b"], "t").take()
    assert {path: os.stat(path).st_ino for path in "ab"} == made and os.stat("a").st_mtime_ns == 5
    assert "put back" in caplog.text


def test_other_inputs_and_other_outputs_are_made_again():
    done()
    delete("a", "b")
    assert Claim(["a", "b"], "other inputs").take()
    assert Claim(["a"], "t").take()


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_an_edit_in_place_which_changes_the_link_too_is_seen(size: int):
    claim = Claim(["a"], "t")
    assert claim.take()
    make("a", content="x" * size)
    claim.keep()
    with open("a", "r+") as handle:
        handle.write("y")
    os.unlink("a")
    del claim
    assert Claim(["a"], "t").take()


def test_what_was_not_finished_is_made_again_and_what_was_made_before_stays_kept():
    done("old")
    delete("a", "b")
    claim = Claim(["a", "b"], "t")
    assert claim.take()
    make("a")
    claim.keep()
    del claim
    assert Claim(["a", "b"], "t").take()
    record = kept.read(["a", "b"])
    assert record is not None and record.ticket == "old" and kept.is_whole(record)


def test_a_job_that_is_asked_for_is_done():
    done()
    delete("a", "b")
    kept.ask_again(["a", "b"])
    assert Claim(["a", "b"], "t").take()


@pytest.mark.parametrize("asked_for", ["features/gabor.npy", "features/gabor.shard-0-of-2.safetensors"])
def test_a_feature_that_is_asked_for_takes_no_rows_of_an_earlier_job(here: Path, asked_for: str):
    names = ("gabor", "other")
    for name in names:
        Path("features").mkdir(exist_ok=True)
        arrays.write(f"features/{name}.npy", np.zeros((1, 2), np.float32))
        Described(kept.rows_folder(f"features/{name}.npy"), "t").keep(f"features/{name}.npy", ["picture"])
    kept.ask_again([asked_for, "features/gabor.json"])
    places = [Described(kept.rows_folder(f"features/{name}.npy"), "t").places(["picture"]) for name in names]
    assert [int(place[0]) for place in places] == [-1, 0]


def test_a_download_is_done_again_unless_another_process_has_just_done_it(here: Path):
    done()
    delete("a", "b")
    assert Claim(["a", "b"], "t", looks_outside=True).take()
    code = (
        "import sys, time; from pathlib import Path; from boldflow.artifacts.store.claims import Claim\n"
        "claim = Claim(['d'], 't'); claim.take(); print('held', flush=True); sys.stdin.readline()\n"
        "time.sleep(1); Path('d').write_text('d'); claim.keep()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=here, **pipes) as job:
        assert job.stdout.readline() == b"held\n"
        job.stdin.write(b"\n")
        job.stdin.flush()
        assert not Claim(["d"], "t", looks_outside=True).take()


def test_without_hard_links_the_work_is_done_again(monkeypatch: pytest.MonkeyPatch):
    def refuse(*paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    done()
    delete("a", "b")
    assert Claim(["a", "b"], "t").take()


def test_a_job_whose_run_is_gone_leaves_what_a_later_command_put_back_or_made():
    done("old")
    with pytest.raises(RuntimeError, match="a is left as it is: the run that started this job is gone"):
        Claim(["a", "b"], "of the run that is gone").take()
    mark = Path(".snakemake/incomplete/YQ==")  # Snakemake's name for "a"
    mark.parent.mkdir()
    mark.touch()
    assert Claim(["a", "b"], "t").take(), "Snakemake has started it"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_job_that_waited_for_another_is_done_only_if_its_run_is_there(
    is_there: bool, here: Path, monkeypatch: pytest.MonkeyPatch
):
    code = (
        "import sys, time; from pathlib import Path; from boldflow.artifacts.store.claims import Claim\n"
        "claim = Claim(['d'], 'other'); claim.take(); print('held', flush=True); sys.stdin.readline()\n"
        "time.sleep(1); Path('d').write_text('d'); Path('.snakemake/incomplete').mkdir()\n"
        "Path('.snakemake/incomplete/ZA==').touch(); claim.keep()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=here, **pipes) as job:
        assert job.stdout.readline() == b"held\n"
        claim = Claim(["d"], "t")
        job.stdin.write(b"\n")
        job.stdin.flush()
        if is_there:
            assert claim.take()
        else:
            monkeypatch.setattr(os, "getppid", lambda: 1)
            with pytest.raises(RuntimeError, match="the run that started this job is gone"):
                claim.take()


def test_without_file_locks_the_folder_is_named(monkeypatch: pytest.MonkeyPatch):
    def refuse(self, timeout=None):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(OSError, match=rf"{kept.CLAIMS} has no file locks \(flock\)"):
        Claim(["a"], "t").take()
