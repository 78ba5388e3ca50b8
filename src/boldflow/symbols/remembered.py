"""What an earlier process worked out from the very same sources, as texts by name.

They are kept below Snakemake's own folder, by the digest of all sources; where they are missing or cannot be written,
everything is worked out again.
"""

import contextlib
import functools
import os
import shutil
import sys
from pathlib import Path

from boldflow.provenance import digest
from boldflow.symbols.package import ADAPTERS, ROOT

FOLDER = Path(".snakemake") / "boldflow-remembered"


@functools.cache
def sources_digest(root: Path = ROOT) -> str:
    """Digest all files of the package and all adapters, names and contents, and the version of Python."""
    rows = [(str(path.relative_to(root.parents[1])), path.read_bytes()) for path in _source_files(root)]
    version = f"{sys.version_info.major}.{sys.version_info.minor}".encode()
    return digest(b"\0".join([version, *(part for name, content in rows for part in (name.encode(), content))]))


def recall(name: str) -> str | None:
    """Give the text that an earlier process of the same sources kept under a name, or None."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text, _, check = (_folder() / digest(name)).read_text(encoding="utf-8").rpartition("\n")
        return text if check == digest(text) else None
    return None


def keep(name: str, text: str) -> None:
    """Keep a text under a name, whole or not at all, and forget what other sources left."""
    if not FOLDER.parent.is_dir():
        return
    folder = _folder()
    with contextlib.suppress(OSError):
        if not folder.is_dir():
            for other in FOLDER.glob("*"):
                shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(parents=True)
        part_path = folder / f"{digest(name)}.{os.getpid()}"
        part_path.write_text(f"{text}\n{digest(text)}", encoding="utf-8")
        part_path.replace(folder / digest(name))


def _folder() -> Path:
    return FOLDER / sources_digest()


def _source_files(root: Path) -> list[Path]:
    files = []
    for top in (root, root.parents[1] / ADAPTERS):
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = [name for name in subfolders if name != "__pycache__"]
            files += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(path for path in files if path.is_file())
