"""Checksums of files: large ones are read once, and again when they may have changed."""

import hashlib
import os
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from boldflow.runs import checksums


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    paths, read = [], checksums._read
    monkeypatch.setattr(checksums, "_read", lambda path: paths.append(str(path)) or read(path))
    return paths


def test_a_large_file_is_read_once_and_again_when_it_may_have_changed(reads: list[str]):
    large = Path("large")
    for content, n_reads in ((b"a" * 2_000_000, 1), (b"b" * 2_000_000, 2)):
        large.write_bytes(content)
        os.utime(large, ns=(n_reads, n_reads))
        for _ in range(2):
            assert checksums.sha256(large) == hashlib.sha256(content).hexdigest()
        assert len(reads) == n_reads
    os.utime(large, ns=(9, 9))
    checksums.sha256(large)
    assert len(reads) == 3
    os.link(large, "link")
    assert checksums.sha256("link", "large") == checksums.sha256(large) and len(reads) == 3


def test_what_is_no_more_is_forgotten(reads: list[str]):
    for name in ("stays", "goes"):
        Path(name).write_bytes(b"a" * 2_000_000)
        checksums.sha256(name)
    Path("goes").unlink()
    checksums.forget_missing()
    assert len(list(checksums.CHECKSUMS.iterdir())) == 1
    checksums.sha256("stays")
    assert reads == ["stays", "goes"]


def test_a_table_counts_for_a_subject_by_the_subject_s_rows(tmp_path):
    table = tmp_path / "repeated.parquet"
    table.write_bytes(b"rows of two")
    note = {"rows_by_subject": {"sub-01": "a" * 64}, "table_sha256": checksums.sha256(table)}
    checksums.write_json(tmp_path / "repeated.json", note)
    assert checksums.of_subject(table, "sub-01") == "a" * 64
    assert checksums.of_subject(table, "pooled") == checksums.of_subject(table, "") == checksums.sha256(table)
    table.write_bytes(b"rows of three")  # the note is of another table
    assert checksums.of_subject(table, "sub-01") == checksums.sha256(table)


def test_other_files_count_whole(tmp_path):
    for name in ("trials.parquet", "responses.npy"):
        (tmp_path / name).write_bytes(b"content")
        assert checksums.of_subject(tmp_path / name, "sub-01") == checksums.sha256(tmp_path / name)


def test_a_receipt_counts_for_a_subject_by_what_it_states(tmp_path):
    receipt = tmp_path / "dataset.json"
    checksums.write_json(receipt, {"rows_by_subject": {"sub-01": "b" * 64}})
    assert checksums.of_subject(receipt, "sub-01") == "b" * 64
    assert checksums.of_subject(receipt, "sub-02") == checksums.of_subject(receipt, "") == checksums.sha256(receipt)


def book(path: str, started: float) -> None:
    """Touch an output and book the end of its job, as Snakemake does."""
    os.utime(path)
    record = Path(".snakemake/metadata", urlsafe_b64encode(path.encode()).decode())
    checksums.write_json(record, {"starttime": started, "endtime": os.stat(path).st_mtime})


@pytest.mark.parametrize("seen", ["by the job", "before it"])
def test_a_time_that_snakemake_has_set_is_believed_only_if_the_job_has_seen_the_file(seen: str, reads: list[str]):
    """Another output may get the inode of one that was deleted, and ``--touch`` books what the user has edited."""
    started = time.time() - (5 if seen == "by the job" else -5)
    Path("large").write_bytes(b"a" * 2_000_000)
    checksums.sha256("large")
    if seen == "before it":
        with open("large", "r+b") as handle:
            handle.write(b"b")
    book("large", started)
    assert checksums.sha256("large") == hashlib.sha256(Path("large").read_bytes()).hexdigest()
    assert len(reads) == (1 if seen == "by the job" else 2)


def test_a_large_file_that_is_put_back_counts_as_seen(reads: list[str]):
    Path("large").write_bytes(b"a" * 2_000_000)
    checksums.sha256("large")
    started = time.time()
    checksums.sha256("large")  # by the job that puts it back
    book("large", started)
    checksums.sha256("large")
    assert len(reads) == 1
