"""SHA-256 of files; large ones are read once and remembered by size, time of change and inode."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CHECKSUMS = Path(".snakemake/boldflow-checksums")
LARGE = 1_000_000  # bytes; smaller files are read faster than a note of them
CHUNK = 1 << 20


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
    remembered = read_json(note)
    if remembered is not None and remembered.get("state") == state:
        return str(remembered["sha256"])
    digest = _read(path)
    after = os.stat(path)
    if state == [after.st_size, after.st_mtime_ns, after.st_ino]:  # nobody wrote meanwhile
        write_json(note, {"path": str(name or path), "state": state, "sha256": digest})
    return digest


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


def _note(name: str | Path) -> Path:
    return CHECKSUMS / (hashlib.sha256(os.path.abspath(name).encode()).hexdigest()[:24] + ".json")


def _read(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
