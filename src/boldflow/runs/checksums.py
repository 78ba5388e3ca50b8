"""SHA-256 of files; large ones are read once and remembered by size, time of change and inode."""

import contextlib
import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from boldflow.runs import records

CHECKSUMS = Path(".snakemake/boldflow-checksums")
LARGE = 1_000_000  # bytes; smaller files are read faster than a note of them
CHUNK = 1 << 20


def sha256(path: str | Path, name: str | Path | None = None, is_read_again: bool = False) -> str:
    """Give the SHA-256 of a file, 64 hexadecimal digits.

    Parameters
    ----------
    path : the file
    name : what the file is remembered by, where it is another link to a file of that name
    is_read_again : whether the file is read though it looks as it did: when it arrives

    Raises
    ------
    OSError
        If it cannot be read.
    """
    old_stat = os.stat(path)
    if old_stat.st_size < LARGE:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    note = _note(name or path)
    state = [old_stat.st_size, old_stat.st_mtime_ns, old_stat.st_ino]
    old_note = read_json(note) or {}
    is_as_noted = old_note.get("state") == state or _is_only_touched(str(name or path), old_stat, old_note)
    digest = str(old_note["sha256"]) if is_as_noted and not is_read_again else _read(path)
    new_stat = os.stat(path)
    if state == [new_stat.st_size, new_stat.st_mtime_ns, new_stat.st_ino]:  # nobody wrote meanwhile
        with contextlib.suppress(OSError):  # a full disk: then it is read again
            write_json(note, {"path": str(name or path), "state": state, "sha256": digest, "seen": time.time()})
    return digest


def of_subject(path: str | Path, subject: str) -> str:
    """Give the SHA-256 of what a table or receipt holds of a subject, where that is stated; else of the file.

    A receipt of a data set states it itself (``rows_by_subject``), a table in the note beside it.
    Such a note (``table.json`` beside ``table.parquet``) has ``rows_by_subject``, the checksum of each subject's rows,
    and ``table_sha256``, of the table that it was written for: a note of another one does not count.
    """
    path, file_sha256 = Path(path), sha256(path)
    note = read_json(path.with_suffix(".json")) if subject and path.suffix in (".json", ".parquet") else None
    subject_sha256 = (note or {}).get("rows_by_subject", {}).get(subject)
    table_sha256 = None if path.suffix == ".json" else file_sha256  # a note of a table says of which
    return str(subject_sha256) if note and subject_sha256 and note.get("table_sha256") == table_sha256 else file_sha256


def forget_missing() -> None:
    """Forget files that are no more."""
    for note in CHECKSUMS.glob("*.json"):
        remembered = read_json(note)
        if remembered is None or not os.path.exists(str(remembered.get("path"))):
            note.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a note; None where it is missing or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: object) -> None:
    """Write a note, whole or not at all: several processes may write at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_only_touched(path: str, stat: os.stat_result, old_note: dict[str, Any]) -> bool:
    """Tell whether only Snakemake has set a file's time since: it does when a job has ended, before it books that.

    The job itself must have seen the file: another file may get the same inode, and --touch books what was edited.
    """
    size, _, inode = old_note.get("state", (None, None, None))
    record = records.read(path)
    is_of_job = old_note.get("seen", 0.0) >= record.get("starttime", math.inf)
    return is_of_job and (size, inode) == (stat.st_size, stat.st_ino) and record.get("endtime") == stat.st_mtime


def _note(name: str | Path) -> Path:
    return CHECKSUMS / (hashlib.sha256(os.path.abspath(name).encode()).hexdigest()[:24] + ".json")


def _read(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
