"""Settings as canonical text, digests, and a look at files from outside: what a result was made from.

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

EVERYTHING = "**/*"
WILDCARD = re.compile(r"[*?\[]")
# what systems leave beside files: hidden names, and these
SYSTEMS_OWN = re.compile(
    r"\.|(?:Thumbs\.db|ehthumbs\.db|desktop\.ini|__MACOSX|@eaDir|\$RECYCLE\.BIN|Icon\r|lost\+found)$", re.IGNORECASE
)
_listed: dict[str, set[str]] = {}  # files that receipts list, by the folder of the receipt; of this process


def canonical(value: Any) -> str:
    """Write settings as one line of JSON that is the same whatever order they came in.

    Parameters
    ----------
    value : nested dict, list, str, int, float, bool or None

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If a value has no JSON form, or is a set (which has no order).
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)


def digest(text: str | bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of ``text``."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def look(path: Path, *patterns: str) -> dict[str, Any]:
    """Describe a file, or the files that patterns reach from a folder, without reading them: did anything change?

    Parameters
    ----------
    path : Path
    patterns : str
        As for ``reached``; all files below a folder where there are none.

    Returns
    -------
    dict
        ``n_files``, ``n_bytes``, and ``state``, a digest of names, sizes and times of change. A link whose file is
        absent counts, with no size.
    """
    patterns = patterns or (EVERYTHING,)
    names = {""} if path.is_file() else {name for pattern in patterns for name in _paths(path, pattern)}
    rows = [(name or path.name, *_size_and_time(path / name)) for name in sorted(names)]
    return {"n_files": len(rows), "n_bytes": sum(max(0, row[1]) for row in rows), "state": digest(canonical(rows))}


def reached(root: str | Path, pattern: str) -> list[str]:
    """List the files that a pattern reaches from a folder; whoever looks for a user's files does it here.

    Links are followed, a folder inside itself is not entered again. Names that begin with a dot and what systems leave
    beside files (``SYSTEMS_OWN``) do not fit a pattern's wildcards. Annexed files whose content is absent are dangling
    links, and are listed. In a job that keeps to receipts (``keep_to``) only what these list is there.

    Parameters
    ----------
    root : str or Path
    pattern : str
        Parts of a path divided by ``/``, with ``*``, ``?`` and ``[]``; ``**`` stands for any folders. It may lead out
        of the folder (``..``), begin at the root of the file system, or at the user's home (``~``).

    Returns
    -------
    list of str
        Sorted, relative to ``root``; as the pattern has it where that leads elsewhere.
    """
    root_path = os.path.abspath(root)
    return sorted(path for path in _paths(root_path, pattern) if _is_listed(root_path, path))


def is_reached(root: str | Path, path: str) -> bool:
    """Tell whether a file, or a link to one, is there, and on the receipts where this process keeps to them."""
    root_path = os.path.abspath(root)
    file_path = os.path.join(root_path, path)
    return os.path.lexists(file_path) and not os.path.isdir(file_path) and _is_listed(root_path, path)


def keep_to(files: Mapping[str | Path, Iterable[str]]) -> None:
    """Let ``reached`` list no other files below some folders from now on: a job calls it with what its receipts list.

    Parameters
    ----------
    files : mapping of folder to paths
        Relative to it; empty where the process looks for itself, as a fetch does.
    """
    global _listed  # of the process, as in registry.confine
    listed: dict[str, set[str]] = {}
    for root, paths in files.items():
        root_path = os.path.abspath(root)
        listed[root_path] = {os.path.normpath(os.path.join(root_path, path)) for path in paths}
    _listed = listed


def _paths(root: str | Path, pattern: str) -> set[str]:
    """Name the files that a pattern reaches, listed or not."""
    expanded_pattern = os.path.expanduser(pattern)
    start = "/" if expanded_pattern.startswith("/") else ""
    parts = [part for part in expanded_pattern.split("/") if part not in ("", ".")]
    return set(_reached(start or os.path.abspath(root), start, parts, ()) if parts else ())


def _is_listed(root: str, path: str) -> bool:
    """Tell whether a file is on the receipts of a folder, or no receipt is of that folder."""
    is_kept_to = any(f"{root}/".startswith(f"{folder}/") for folder in _listed)
    file_path = os.path.normpath(os.path.join(root, path))
    return not is_kept_to or any(file_path in paths for paths in _listed.values())


def _reached(folder: str, prefix: str, parts: list[str], above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield what the parts of a pattern reach from a folder; ``above``: the folders that ``**`` has come through."""
    part, *rest = parts
    if part == "**":
        yield from _reached(folder, prefix, rest or ["*"], ())
        through = (*above, _identity(folder))
        for name, is_folder in _entries(folder, "*"):
            path = os.path.join(folder, name)
            if is_folder and _identity(path) not in through:
                yield from _reached(path, f"{prefix}{name}/", parts, through)
        return
    for name, is_folder in _entries(folder, part):
        if rest and is_folder:
            yield from _reached(os.path.join(folder, name), f"{prefix}{name}/", rest, ())
        elif not rest and not is_folder:
            yield prefix + name


def _entries(folder: str, part: str) -> list[tuple[str, bool]]:
    """Name what lies in a folder and fits a part of a pattern, and whether it is a folder or leads to one."""
    path = os.path.join(folder, part)
    if part == ".." or os.path.lexists(path) or not WILDCARD.search(part):  # a folder may be called data[2]
        return [(part, os.path.isdir(path))] if os.path.lexists(path) else []
    try:
        with os.scandir(folder) as entries:
            fitting = [entry for entry in entries if fnmatch.fnmatchcase(entry.name, part)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        (entry.name, entry.is_dir() if not entry.is_symlink() else os.path.isdir(entry))
        for entry in fitting
        if not SYSTEMS_OWN.match(entry.name)
    ]


def _identity(folder: str) -> tuple[int, int]:
    try:
        folder_stat = os.stat(folder)
    except OSError:
        return -1, -1
    return folder_stat.st_dev, folder_stat.st_ino


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        file_stat = path.stat()
    except OSError:  # a dangling link, or one that leads to itself
        return -1, 0
    return file_stat.st_size, file_stat.st_mtime_ns
