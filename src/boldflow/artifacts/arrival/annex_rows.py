"""Rows of a receipt for single files of a clone: key, size, checksum, and where anyone may read the content."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_tree
from boldflow.artifacts.arrival.annex_tree import Entry, checksum


def of_annexed(folder: Path, entry: Entry, content: Path | None) -> dict[str, Any]:
    """Describe an annexed file by its key and its content; content that is absent or of another size is refused."""
    key = entry.key
    if content is None:
        raise FileNotFoundError(f"content absent: {folder / entry.path} (key {key})")
    size, size_of_key = content.stat().st_size, annex_tree.key_size(key)
    if size_of_key not in (None, size):
        raise ValueError(
            f"{folder / entry.path} has {size} bytes, its key {key} says {size_of_key}: drop it and get it again"
        )
    return {"path": entry.path, "key": key, "size": size, "checksum": annex_tree.key_checksum(key) or checksum(content)}


def urls_of(folder: Path, entries: Sequence[Entry]) -> dict[str, str | None]:
    """Where git-annex knows the content of files to be: a version first, then the file's own address."""
    if not entries:
        return {}
    keys = "".join(f"{entry.key}\n" for entry in entries).encode()
    lines = annex_tree.git(folder, "annex", "whereis", "--batch-keys", "--json", text=keys).decode().splitlines()
    addresses = annex_tree.public_addresses(folder, [entry.path for entry in entries])
    url_of_path: dict[str, str | None] = {}
    for entry, line in zip(entries, lines, strict=True):
        urls = sorted({url for remote in json.loads(line).get("whereis", []) for url in remote["urls"]})
        address = addresses[entry.path]
        version_url = next((url for url in urls if "versionId=" in url), address if address in urls else None)
        url_of_path[entry.path] = version_url or next(iter(urls), None)
    return url_of_path


def of_plain(folder: Path, entry: Entry) -> dict[str, Any]:
    """Describe a file that git holds; one that was changed is refused."""
    path = folder / entry.path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is in git but not on disk: git -C {folder} checkout -- {entry.path}")
    if not entry.is_link and _blob_name(path, entry.blob) != entry.blob:
        raise ValueError(f"{path} was changed since it was cloned: git -C {folder} checkout -- {entry.path}")
    return {"path": entry.path, "key": entry.blob, "size": path.stat().st_size, "checksum": checksum(path), "url": None}


def _blob_name(path: Path, like: str) -> str:
    content = path.read_bytes()
    algorithm = "sha1" if len(like) == 40 else "sha256"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest()
