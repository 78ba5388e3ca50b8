"""A job that looks at itself: what it executed must lie inside what its digest covers.

Switched on by the variable ``WATCH``, which the tests set: ``1`` watches from Python 3.12, at no cost that can be
measured; ``trace`` watches under any Python, and a job then takes several times as long. A job that ran more than its
digest covers fails and names it.
"""

import ast
import atexit
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import CodeType, FrameType
from typing import Any

from boldflow.symbols.modules import IMPORT
from boldflow.symbols.names import bound_names, own_scope
from boldflow.symbols.package import ADAPTER, KEPT, ROOT, Package
from boldflow.symbols.reach import SILENT, WHOLE, Reach
from boldflow.symbols.rules import ROOTS, roots_of

WATCH = "BOLDFLOW_WATCH_CODE"
FAILED = 70
LOG = logging.getLogger(__name__)
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_PREFIX = f"{ROOT}{os.sep}"
_executed: dict[int, CodeType] = {}
_code: dict[str, str] = {}


def begin() -> None:
    """Record which code of the package this process executes; at its end compare, if ``expect`` was called."""
    if os.environ.get(WATCH) == "trace":
        threading.setprofile(_trace)
        sys.setprofile(_trace)
    elif sys.version_info >= (3, 12):
        _monitor()
    else:
        return
    atexit.register(_compare)


def expect(code: Mapping[str, str]) -> None:
    """Say what the digest of this job covers: the map of its parameter ``code``."""
    _code.update(code)


def outside(codes: Iterable[CodeType], reach: Reach, roots: Iterable[str]) -> list[str]:
    """Name what of some executed code lies outside of what roots reach.

    Parameters
    ----------
    codes : code objects whose files lie in the package of ``reach``
    reach : of the package
    roots : as of ``Reach.definitions``

    Returns
    -------
    list of str
        ``module:name``, sorted; ``module:(import)`` for a module that was imported and must not be.
    """
    reached_names, loaded_modules = reach.reached(*roots)
    uncovered_names = set()
    for code in codes:
        module = _module_of(code, reach.package)
        if module == SILENT or module.startswith(f"{SILENT}."):
            continue
        if _runs_at_import(code):
            uncovered_names |= set() if module in loaded_modules else {f"{module}:{IMPORT}"}
        elif not any(f"{module}:{name}" in reached_names for name in (*_definitions_of(code), IMPORT)):
            uncovered_names.add(f"{module}:{code.co_qualname}")
    return sorted(uncovered_names)


def _monitor() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    tool_id = 3  # one of those that no other tool has a claim to

    def start(code: CodeType, offset: int) -> Any:
        if code.co_filename.startswith(_PREFIX):
            _executed[id(code)] = code
        return monitoring.DISABLE

    monitoring.use_tool_id(tool_id, "boldflow")
    monitoring.register_callback(tool_id, monitoring.events.PY_START, start)
    monitoring.set_events(tool_id, monitoring.events.PY_START)


def _trace(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call" and frame.f_code.co_filename.startswith(_PREFIX):
        _executed[id(frame.f_code)] = frame.f_code


def _compare() -> None:
    """See that what was executed is covered; what every adapter does first is no rule's own."""
    sys.setprofile(None)
    if not _code:
        return
    package = Package(kept=KEPT)
    roots = [*roots_of(package, *_code[ROOTS].split()), f"{ADAPTER}_adapter:{WHOLE}"]
    uncovered_names = outside(list(_executed.values()), Reach(package), roots)
    if uncovered_names:
        sys.stderr.write(f"boldflow: this job executed what its digest does not cover: {', '.join(uncovered_names)}\n")
        sys.stderr.flush()
        os._exit(FAILED)
    LOG.info("%d pieces of code were executed, all of them covered by the digest", len(_executed))


def _module_of(code: CodeType, package: Package) -> str:
    path = os.path.relpath(code.co_filename, package.root.parent).removesuffix(".py")
    return path.replace(os.sep, ".").removesuffix(".__init__")


def _runs_at_import(code: CodeType) -> bool:
    """Tell whether code is the top of a module, the body of a class, or a comprehension in one of these."""
    is_function = bool(code.co_flags & 1)  # CO_OPTIMIZED: it has local variables
    return not is_function or (code.co_name in _COMPREHENSIONS and "<locals>" not in code.co_qualname)


def _definitions_of(code: CodeType) -> list[str]:
    """Name the definition of a module that code belongs to; of a lambda, what its statement binds."""
    name = code.co_qualname.split(".")[0]
    if not name.startswith("<"):
        return [name]
    with open(code.co_filename, "rb") as file:
        lines = ast.parse(file.read()).body
    enclosing_lines = [line for line in lines if line.lineno <= code.co_firstlineno <= (line.end_lineno or line.lineno)]
    return [bound for line in enclosing_lines for part in own_scope(line) for bound in bound_names(part)]
