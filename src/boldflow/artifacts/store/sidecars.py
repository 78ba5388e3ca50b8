"""Sidecars: JSON files with sorted keys and no time stamps, so that the same content is the same file."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from boldflow.artifacts.store.atomic import broken, write_text


def write(path: str | Path, content: dict[str, Any]) -> None:
    """Write a dict as indented JSON with sorted keys.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON does not know.
    """
    write_text(path, json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: str | Path) -> dict[str, Any]:
    """Read a JSON file.

    Raises
    ------
    ValueError
        If the file is not whole JSON; names it and its size.
    """
    json_text = Path(path).read_text(encoding="utf-8")
    try:
        content = json.loads(json_text)
    except json.JSONDecodeError as error:
        raise broken(path, "JSON", error) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected an object")
    return content


def versions(*packages: str) -> dict[str, str]:
    """Give the installed versions of packages, by name."""
    return {name: importlib.metadata.version(name) for name in sorted(packages)}
