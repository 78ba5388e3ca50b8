"""Digests of code and settings: what a result was made from, and when it must be made again.

Standard library only, since the Snakefile imports it and is parsed again in every job.
"""

import ast
import contextlib
import fnmatch
import functools
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
# These shape what the workflow asks for, never what a job computes: they are in no digest.
PARSE_ONLY = frozenset({"boldflow.registry", "boldflow.validation", "boldflow.provenance"})
# Text that a module carries beside it (the report's template) counts as its code.
COMPANIONS = (".html", ".css")
# in Snakemake's own folder, of the working directory; of no consequence where it is missing or cannot be written
KEPT = Path(".snakemake") / f"boldflow-digests-{sys.implementation.cache_tag}.json"
_fresh: list[str] = []


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
    found = {name: _own_digest(name) for name in imported_modules(*modules)}
    _keep()
    return found


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


@dataclass(frozen=True)
class _Module:
    """What the digests need of a module's source: ``code`` is the digest of the source itself, docstrings left out."""

    source: str
    code: str
    imports: tuple[str, ...]


@functools.cache
def _module(module: str) -> _Module:
    path = module_path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is not a module of {PACKAGE}")
    content = path.read_bytes()
    kept = _kept().get(module)
    if kept is not None and kept.source == digest(content):
        return kept
    tree = _without_docstrings(ast.parse(content, filename=str(path)))
    text = ast.dump(tree, annotate_fields=False, include_attributes=False)
    parsed = _Module(digest(content), digest(text), _named_imports(module, path, tree))
    _kept()[module] = parsed
    _fresh.append(module)
    return parsed


@functools.cache
def _kept() -> dict[str, _Module]:
    """Modules as an earlier process of the same Python parsed them: parsing all takes a second, in every job."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return {name: _Module(row[0], row[1], tuple(row[2])) for name, row in json.loads(KEPT.read_text()).items()}
    return {}


def _keep() -> None:
    """Write down what was parsed, whole or not at all; where that is not allowed, the next process parses again."""
    if not _fresh or not KEPT.parent.is_dir():
        return
    _fresh.clear()
    rows = {name: (one.source, one.code, one.imports) for name, one in sorted(_kept().items())}
    part = KEPT.with_name(f"{KEPT.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(rows))
        part.replace(KEPT)


def _imports(module: str) -> tuple[str, ...]:
    """Name the package modules that a module imports, its parent packages included."""
    return tuple(name for name in _module(module).imports if module_path(name) is not None)


def _named_imports(module: str, path: Path, tree: ast.Module) -> tuple[str, ...]:
    """Name what may be modules of the package: of ``from boldflow.core import x``, x may be a module or not."""
    parts = module.split(".")
    names = {".".join(parts[:n]) for n in range(1, len(parts))}
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return tuple(sorted(name for name in names if name.split(".")[0] == "boldflow"))


def _own_digest(module: str) -> str:
    path = module_path(module)
    assert path is not None
    beside = sorted(p for p in path.parent.iterdir() if p.suffix in COMPANIONS) if path.stem != "__init__" else []
    own = _module(module).code
    return digest(own + "".join(p.name + digest(p.read_bytes()) for p in beside)) if beside else own


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Strip bare strings; a body left empty gets a ``pass``, so that having one or not makes no difference."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_bare_string(line)] or [ast.Pass()]
    return tree


def _is_bare_string(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
