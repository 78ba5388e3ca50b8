"""Opening a data set that has arrived: what the stages that read it share."""

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from boldflow import registry
from boldflow.artifacts import annex, sidecars


def read_settings(text: str) -> dict[str, Any]:
    """Read settings as the workflow hands them: one line of JSON."""
    found: dict[str, Any] = json.loads(text)
    return found


def plugin_of(section: str, settings: dict[str, Any]) -> ModuleType:
    """Import the plug-in of a catalogue entry."""
    return registry.load(section, settings["plugin"])


def arrive(kind: str, root: Path, paths: list[str]) -> list[dict[str, Any]]:
    """Get files where a data set is a clone, and give the rows of their receipt."""
    if kind == "datalad":
        annex.get(root, paths)
        return annex.describe(root, paths)
    return annex.folder_receipt(root, paths)


def open_dataset(*receipts: str) -> Path:
    """Check that everything the receipts list is still there, and give the data set's folder.

    Raises
    ------
    FileNotFoundError
        If content has gone missing since; names the file and the command that brings it back.
    """
    root = Path(sidecars.read(receipts[0])["root"])
    for receipt in receipts:
        note = sidecars.read(receipt)
        for row in note["files"]:
            annex.require_content(root / row["path"], f"snakemake --profile cpu -R {note['rule']} {receipt}")
    return root


def relative(path: Path) -> str:
    """Write a path from the working folder where it lies below it, so that receipts name no machine."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
