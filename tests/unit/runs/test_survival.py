"""What stood before a run is put back with Snakemake's records of it, or stays to be put back."""

import os
from pathlib import Path

import pytest

from boldflow.runs import kept, notes, survival
from boldflow.runs.checksums import write_json

BEFORE, FAILED = '{"params": "right"}', '{"params": "wrong"}'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).write_text(f"content of {name}")
        write(f"record-{name}", BEFORE)
    return tmp_path


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def stood() -> survival.Stood:
    row = survival.stood(["a", "b"], lambda path: (f"record-{path}", f"mark-{path}"))
    assert row is not None
    return row


def fail() -> None:
    """Do what Snakemake does when a job fails: outputs are deleted, its parameters recorded, its mark removed."""
    for name in ("a", "b"):
        os.unlink(name)
        write(f"record-{name}", FAILED)
        Path(f"mark-{name}").unlink(missing_ok=True)


def state() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(Path().glob("*")) if path.is_file()}


def test_outputs_and_records_are_put_back():
    before = state()
    row = stood()
    fail()
    assert survival.put_back([row]) == (["a"], []) and state() == before


def test_outputs_of_a_job_that_was_cut_off_stay_marked_and_do_not_pass_as_done():
    for name in ("a", "b"):
        os.unlink(f"record-{name}")
        write(f"mark-{name}", "{}")
    before = state()
    row = stood()
    fail()
    survival.put_back([row])
    assert state() == before


def test_no_output_stands_beside_the_record_of_a_job_that_failed(monkeypatch: pytest.MonkeyPatch):
    """A full disk, say: it is left for the next command, and what is kept is not forgotten."""
    before = state()
    row = stood()
    survival.write_plan([row])
    fail()

    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        again, left = survival.put_back([row])
    assert (again, left) == ([], [row]) and not Path("a").exists() and not list(Path().glob("*.part"))
    survival.end_plan(left)
    assert survival.planned() == {kept.claim_name(["a", "b"])}
    kept.forget_unused(survival.planned())
    plan = notes.note_of_this_run().with_suffix(".plan")
    write_json(plan, {**notes.read_json(plan), "born": "of a process that is gone"})
    assert survival.put_back_of_killed_runs() == ["a"] and state() == before
    assert survival.planned() == set() and not plan.exists()


def test_what_is_kept_no_more_is_not_tried_again():
    row = stood()
    fail()
    for link in kept.CLAIMS.glob("*.0"):
        link.unlink()
    assert survival.put_back([row]) == ([], [])


def test_a_job_cannot_begin_while_its_outputs_are_put_back(monkeypatch: pytest.MonkeyPatch):
    row = stood()
    fail()
    put_back = kept.put_back

    def look(record: kept.Record) -> None:
        assert kept.is_claimed(record.name)
        put_back(record)

    monkeypatch.setattr(kept, "put_back", look)
    assert survival.put_back([row]) == (["a"], [])


def test_a_folder_that_may_only_be_read_can_be_planned_in(monkeypatch: pytest.MonkeyPatch):
    notes.RUNS.mkdir(parents=True)
    survival.write_plan([stood()])

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert survival.put_back_of_killed_runs() == []
