"""Settings as canonical text, digests, and a look at files from outside: what a result was made from.

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

import fnmatch
import hashlib
import json
import os
from pathlib import Path
from typing import Any


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


def look(path: Path, names: str = "*") -> dict[str, Any]:
    """Describe a file, or the files below a folder, without reading them: whether something changed there.

    Files whose names begin with a dot are the system's, and do not count; nor do those that do not fit ``names``, a
    pattern such as ``sub-01_*``.

    Returns
    -------
    dict
        ``n_files``, ``n_bytes``, and ``state``, a digest of names, sizes and times of change.
    """
    files = [(path.name, str(path))] if path.is_file() else []
    for folder, subfolders, file_names in os.walk(path):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        fitting_names = (name for name in fnmatch.filter(file_names, names) if not name.startswith("."))
        file_paths = (os.path.join(folder, name) for name in fitting_names)
        files += [(os.path.relpath(file, path), file) for file in file_paths if os.path.isfile(file)]
    file_stats = [(name, os.stat(file)) for name, file in sorted(files)]
    rows = [(name, info.st_size, info.st_mtime_ns) for name, info in file_stats]
    return {"n_files": len(rows), "n_bytes": sum(row[1] for row in rows), "state": digest(canonical(rows))}
