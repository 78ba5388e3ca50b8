"""SHA-256 of files; large ones are read once and remembered by size, time of change and inode."""

import hashlib
import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

CHECKSUMS = Path(".snakemake/boldflow-checksums")
LARGE = 1_000_000  # bytes; smaller files are read faster than a note of them
CHUNK = 1 << 20
METADATA = Path(".snakemake/metadata")  # Snakemake's records of outputs
NAME_MAX = 255  # bytes of a file's name, as Snakemake counts them


def sha256(path: str | Path, name: str | Path | None = None) -> str:
    """Give the SHA-256 of a file, 64 hexadecimal digits.

    Parameters
    ----------
    path : the file
    name : what the file is remembered by, where it is another link to a file of that name

    Raises
    ------
    OSError
        If it cannot be read.
    """
    before = os.stat(path)
    if before.st_size < LARGE:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    note = _note(name or path)
    state = [before.st_size, before.st_mtime_ns, before.st_ino]
    remembered = read_json(note) or {}
    if remembered.get("state") == state or _is_only_touched(str(name or path), before, remembered.get("state", [])):
        return str(remembered["sha256"])
    digest = _read(path)
    after = os.stat(path)
    if state == [after.st_size, after.st_mtime_ns, after.st_ino]:  # nobody wrote meanwhile
        write_json(note, {"path": str(name or path), "state": state, "sha256": digest})
    return digest


def of_subject(path: str | Path, subject: str) -> str:
    """Give the SHA-256 of what a table or receipt holds of a subject, where that is stated; else of the file.

    A receipt of a data set states it itself (``rows_by_subject``), a table in the note beside it.
    Such a note (``table.json`` beside ``table.parquet``) has ``rows_by_subject``, the checksum of each subject's rows,
    and ``table_sha256``, of the table that it was written for: a note of another one does not count.
    """
    path, whole = Path(path), sha256(path)
    note = read_json(path.with_suffix(".json")) if subject and path.suffix in (".json", ".parquet") else None
    stated = (note or {}).get("rows_by_subject", {}).get(subject)
    described = None if path.suffix == ".json" else whole  # a note of a table says of which
    return str(stated) if note and stated and note.get("table_sha256") == described else whole


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
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def recorded_end(path: str) -> float | None:
    """Give the time of change that Snakemake noted of an output when it booked the job's end; None where it did not."""
    words = urlsafe_b64encode(path.encode()).decode()
    parts = [words[start : start + NAME_MAX - 1] for start in range(0, len(words), NAME_MAX - 1)]
    record = read_json(Path(METADATA, *(f"@{part}" for part in parts[:-1]), parts[-1]))
    return record.get("endtime") if record else None


def _is_only_touched(path: str, now: os.stat_result, before: list[int]) -> bool:
    """Tell whether only Snakemake has set a file's time since: it does when a job has ended, before it books that."""
    same_file = len(before) == 3 and (before[0], before[2]) == (now.st_size, now.st_ino)
    return same_file and recorded_end(path) == now.st_mtime


def _note(name: str | Path) -> Path:
    return CHECKSUMS / (hashlib.sha256(os.path.abspath(name).encode()).hexdigest()[:24] + ".json")


def _read(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
