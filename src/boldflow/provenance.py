"""Digests of code and settings: what a result was made from, and when it must be made again.

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

import ast
import fnmatch
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
# These two shape what the workflow asks for, never what a job computes: they are in no digest.
PARSE_ONLY = frozenset({"boldflow.registry", "boldflow.provenance"})
# Text that a module carries beside it (the report's template) counts as its code.
COMPANIONS = (".html", ".css")


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
    for folder, below, found in os.walk(path):
        below[:] = [name for name in below if not name.startswith(".")]
        fitting = (name for name in fnmatch.filter(found, names) if not name.startswith("."))
        inside = (os.path.join(folder, name) for name in fitting)
        files += [(os.path.relpath(one, path), one) for one in inside if os.path.isfile(one)]
    infos = [(name, os.stat(one)) for name, one in sorted(files)]
    rows = [(name, info.st_size, info.st_mtime_ns) for name, info in infos]
    return {"n_files": len(rows), "n_bytes": sum(row[1] for row in rows), "state": digest(canonical(rows))}


def code_digest(*modules: str) -> str:
    """Digest modules of the package and all modules of the package that they import.

    Comments, docstrings and layout do not count.

    Parameters
    ----------
    *modules : str
        Dotted names, with or without the leading ``boldflow.``.

    Returns
    -------
    str of 16 hexadecimal digits

    Raises
    ------
    ModuleNotFoundError
        If a module is not a file of the package.
    """
    return digest(code_text(*modules))


@functools.cache
def code_text(*modules: str) -> str:
    """Write ``code_map`` as canonical text, once for all jobs that run the same modules."""
    return canonical(code_map(*modules))


def code_map(*modules: str) -> dict[str, str]:
    """Digest each of the modules that ``code_digest`` joins, by name: so that a change can be traced to its module."""
    return {name: _own_digest(name) for name in imported_modules(*modules)}


def imported_modules(*modules: str) -> list[str]:
    """Name ``modules`` and the package modules that they import, directly or not, sorted."""
    waiting = [name if name.startswith("boldflow") else f"boldflow.{name}" for name in modules]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name in PARSE_ONLY:
            continue
        found.add(name)
        waiting.extend(_imports(name))
    return sorted(found)


def module_path(module: str) -> Path | None:
    """Return the file of a dotted module of the package, or None if there is none."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _tree(module: str) -> ast.Module:
    path = module_path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is not a module of {PACKAGE}")
    return _without_docstrings(ast.parse(path.read_bytes(), filename=str(path)))


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """Name the package modules that a module imports, its parent packages included."""
    parts = module.split(".")
    names = {".".join(parts[:n]) for n in range(1, len(parts))}
    path = module_path(module)
    package = parts if path is not None and path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return tuple(sorted(n for n in names if n.split(".")[0] == "boldflow" and module_path(n) is not None))


@functools.cache
def _own_digest(module: str) -> str:
    text = ast.dump(_tree(module), annotate_fields=False, include_attributes=False)
    path = module_path(module)
    assert path is not None
    beside = sorted(p for p in path.parent.iterdir() if p.suffix in COMPANIONS) if path.stem != "__init__" else []
    return digest(text + "".join(p.name + digest(p.read_bytes()) for p in beside))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Strip bare strings; a body left empty gets a ``pass``, so that having one or not makes no difference."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_bare_string(line)] or [ast.Pass()]
    return tree


def _is_bare_string(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
