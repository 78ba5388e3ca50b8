"""Receipts of what arrived: JSON that says the same of the same arrival, whatever code and settings fetched it.

Beyond 1 MB Snakemake no longer compares the checksums of a file: each new one is then taken for changed. A long list of
files therefore lies beside its receipt, under a name that is its digest; the receipt covers it by that.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boldflow.artifacts.store import sidecars
from boldflow.artifacts.store.atomic import broken, write_text
from boldflow.provenance import digest

LARGEST = 60_000  # bytes of a list of files inside a receipt
# what fetches it, by what it is; anything else is a subject
RULES = {"dataset": "fetch_dataset", "stimuli": "fetch_stimuli", "checkpoint": "fetch_checkpoint"}


def write(path: str | Path, content: dict[str, Any]) -> None:
    """Write a receipt.

    Parameters
    ----------
    path : the JSON to write
    content : what arrived: ``what``, ``root``, ``files`` (rows with ``path`` and ``checksum``), and what else is known
    """
    path, rows = Path(path), content["files"]
    list_json = json.dumps(rows, sort_keys=True, indent=1, ensure_ascii=False)
    list_path = None
    if len(list_json.encode()) > LARGEST:
        checksum = hashlib.sha256(list_json.encode()).hexdigest()
        list_path = path.with_name(f"{path.stem}.files-{checksum[:16]}.json")
        write_text(list_path, list_json)
        content = {**content, "files": [], "n_files": len(rows), "list": {"name": list_path.name, "sha256": checksum}}
    sidecars.write(path, content)
    for stale_path in set(path.parent.glob(f"{path.stem}.files-*.json")) - {list_path}:
        stale_path.unlink()


def by_subject(content: Mapping[str, Any], subjects: Iterable[str]) -> dict[str, str]:
    """Give of each subject the SHA-256 of a receipt without the files of the others, which their paths name.

    A subject that is added changes the receipt, and nothing for the others.
    """
    subject_names = list(subjects)
    rows = [(row, {name for name in subject_names if _names(row["path"], name)}) for row in content["files"]]
    digests = {}
    for subject in subject_names:
        own_rows = [row for row, named_subjects in rows if subject in named_subjects or not named_subjects]
        receipt_json = json.dumps({**content, "files": own_rows}, sort_keys=True)
        digests[subject] = hashlib.sha256(receipt_json.encode()).hexdigest()
    return digests


def _names(path: str, subject: str) -> bool:
    """Tell whether a path names a subject, and not one whose name goes on."""
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(subject)}(?![A-Za-z0-9])", path) is not None


def read(path: str | Path) -> dict[str, Any]:
    """Read a receipt with its list of files, wherever that lies.

    Raises
    ------
    ValueError
        If the receipt or its list is not whole; names it.
    FileNotFoundError
        If either is missing.
    """
    note = sidecars.read(path)
    if "list" in note:
        list_path = Path(path).with_name(note["list"]["name"])
        list_bytes = list_path.read_bytes()
        if hashlib.sha256(list_bytes).hexdigest() != note["list"]["sha256"]:
            raise broken(path, "a receipt", f"its list of files {list_path.name} is another one")
        note["files"] = json.loads(list_bytes)
    return note


def command(path: str | Path, note: dict[str, Any]) -> str:
    """Give the command that brings back what a receipt lists."""
    return f"snakemake {path} -R {RULES.get(note['what'], 'fetch_subject')} --profile cpu"


def content_digest(*paths: str | Path) -> str:
    """Digest what arrived: paths and checksums of the files in receipts, not where they lie on this machine."""
    rows = [f"{row['path']} {row['checksum']}" for path in paths for row in sorted(read(path)["files"], key=_by_path)]
    return digest("\n".join(rows))


def _by_path(row: dict[str, Any]) -> str:
    return str(row["path"])
