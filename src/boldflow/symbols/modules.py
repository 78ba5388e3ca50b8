"""A module taken apart: its definitions, what each of them names, and what importing it does."""

import ast
import builtins
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from boldflow.provenance import canonical, digest
from boldflow.symbols.acting import Acts, Demand, demands, is_main, is_of_package, traits_of
from boldflow.symbols.names import (
    Scope,
    base_of,
    bound_names,
    dotted,
    imported,
    meanings,
    of_annotations,
    own_scope,
    with_names,
)
from boldflow.symbols.writing import is_idle, written

IMPORT = "(import)"  # stands for what importing a module does beyond binding names
# Who names one of these may reach what no name tells: then all that is loaded counts whole.
UNCLEAR = frozenset(
    (
        *("builtins.eval", "builtins.exec", "builtins.globals", "builtins.vars", "builtins.__import__"),
        *("importlib.import_module", "importlib.reload", "importlib.util", "importlib.machinery", "sys.modules"),
        *("sys._getframe", "runpy", "pkgutil", "inspect.currentframe", "inspect.stack", "inspect.getmembers", "gc"),
        *("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib.load"),
        *("?.__subclasses__", "?.__globals__", "?.__builtins__", "?.__getattribute__", "?.__code__"),
    )
)
# Who names one of these makes objects by annotations: then those of classes count as names.
OF_ANNOTATIONS = frozenset(
    (
        "?.__annotations__",
        "?.__dataclass_fields__",
        "typing.get_type_hints",
        "dataclasses.fields",
        "inspect.get_annotations",
    )
)
# Who names one of these reads the text of code itself: then the sources of all that is loaded count.
OF_SOURCES = frozenset(
    (
        *("inspect.getsource", "inspect.getsourcelines", "inspect.getdoc", "inspect.getcomments", "linecache"),
        *("?.__doc__", "builtins.__doc__", "?.__firstlineno__"),
    )
)
OF_MODULE = frozenset(("__file__", "__path__", "__name__", "__spec__", "__all__", "__class__"))
AS_VALUES = frozenset(("builtins", "importlib", "inspect", "sys"))  # whoever hands such a module on may reach all of it
STDLIB = frozenset(sys.stdlib_module_names)
FLAGS = {"unclear": UNCLEAR, "annotations": OF_ANNOTATIONS, "sources": OF_SOURCES}


class Definition(NamedTuple):
    """What a name of a module is bound to.

    ``code``: digest of its text and of what its names stand for; ``uses``: dotted names of the package; ``annotated``:
    those in annotations of a class's fields; ``loads``: modules (or names in them) that it imports when it runs;
    ``flags``: keys of ``FLAGS``; ``traits``: by way of use, what must hold so that no code runs.
    """

    code: str
    uses: list[str]
    annotated: list[str]
    loads: list[str]
    flags: list[str]
    traits: dict[str, list[Demand]]


class Module(NamedTuple):
    """A module: ``loads`` are modules of the package that are imported with it, or names in them.

    Importing it does no more than bind names if it does not ``act`` and its ``demands`` hold.
    """

    source: str
    definitions: dict[str, Definition]
    aliases: dict[str, list[str]]
    loads: list[str]
    libraries: list[str]
    acts: bool
    demands: list[Demand]


def take_apart(name: str, path: Path, content: bytes) -> Module:
    """Take a module apart.

    Parameters
    ----------
    name : dotted name
    path : file, of which only the name matters
    content : of the file

    Raises
    ------
    SyntaxError
        If it does not parse; its message holds the path.
    """
    tree = ast.parse(content, filename=str(path))
    lines = [line for line in tree.body if not is_idle(line)]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    aliases = with_names({}, (pair for line in lines for part in own_scope(line) for pair in imported(part, package)))
    bound = _bound(lines)
    pairs = [(alias, full) for alias, fulls in aliases.items() for full in fulls]
    scope = with_names({}, [*pairs, *((symbol, f"{name}.{symbol}") for symbol in bound)])
    reader = _Reader(name, package, scope, _features(lines))
    definitions = {symbol: reader.definition(nodes) for symbol, nodes in bound.items()}
    is_acting, conditions, acting_lines = _at_import(lines, scope, bound)
    if acting_lines:  # then the order of assignments counts too
        ordered_lines = [line for line in lines if line in acting_lines or isinstance(line, ast.Assign | ast.AnnAssign)]
        definitions[IMPORT] = reader.definition(ordered_lines)
    loads, libraries = _loaded_by(_outside(lines), package)
    parents = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
    names_of_alias = {alias: list(fulls) for alias, fulls in aliases.items()}
    return Module(digest(content), definitions, names_of_alias, [*parents, *loads], libraries, is_acting, conditions)


def from_row(row: list[Any]) -> Module:
    """Make a module again from what JSON keeps of it."""
    source, definitions, aliases, loads, libraries, acts, conditions = row
    whole = {}
    for name, (code, uses, annotated, imports, flags, by_way) in definitions.items():
        traits = {way: [Demand(*pair) for pair in pairs] for way, pairs in by_way.items()}
        whole[name] = Definition(code, uses, annotated, imports, flags, traits)
    return Module(source, whole, aliases, loads, libraries, acts, [Demand(*pair) for pair in conditions])


class _Reader:
    """Reads the definitions of one module."""

    def __init__(self, name: str, package: str, scope: Scope, features: str) -> None:
        self.name, self.package, self.scope, self.features = name, package, scope, features

    def definition(self, nodes: list[ast.stmt]) -> Definition:
        """Digest what a name is bound to, by one statement or several in their order."""
        pairs = sorted({pair for node in nodes for pair in meanings(node, self.scope, self.package)})
        full_names = {self._resolved(full) for _, full in pairs}
        annotated_names = {full for node in nodes for _, full in of_annotations(node, self.scope, self.package)}
        flags = [flag for flag, words in FLAGS.items() if any(_names(full, words) for full in full_names)]
        if any(alias == "*" for alias in self.scope):  # from x import *
            flags = sorted({*flags, "unclear"})
        text = self.features + written(nodes) + canonical(pairs)
        descendants = [part for node in nodes for part in ast.walk(node)]
        if "unclear" in flags:
            full_names |= {
                part.value for part in descendants if isinstance(part, ast.Constant) and isinstance(part.value, str)
            }
        return Definition(
            digest(text),
            sorted(filter(is_of_package, full_names)),
            sorted(filter(is_of_package, annotated_names)),
            _loaded_by(descendants, self.package)[0],
            flags,
            _traits(nodes, self.scope),
        )

    def _resolved(self, full: str) -> str:
        """A name that neither the module nor Python has was put there by something: the whole module counts."""
        name = full.removeprefix("builtins.").split(".")[0]
        is_lost = full.startswith("builtins.") and not hasattr(builtins, name) and name not in OF_MODULE
        return f"{self.name}.{name}" if is_lost else full


def _names(full: str, words: frozenset[str]) -> bool:
    """Tell whether a dotted name is one of some words, or in a module that is, or is a module that holds one."""
    parts = full.split(".")
    prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return bool(prefixes & words) or full in AS_VALUES


def _traits(nodes: list[ast.stmt], scope: Scope) -> dict[str, list[Demand]]:
    """Say in which ways what several statements bind may be used so that nothing acts."""
    each = [traits_of(node, scope) for node in nodes]
    ways = set(each[0]).intersection(*each[1:])
    return {way: sorted({demand for traits in each for demand in traits[way]}) for way in sorted(ways)}


def _bound(lines: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """List by name the statements of a module that bind it; ``f.__test__ = False`` belongs to the definition ``f``."""
    bound: dict[str, list[ast.stmt]] = {}
    for line in lines:
        names = {name for part in own_scope(line) if not _imports(part) for name in bound_names(part)}
        for target in line.targets if isinstance(line, ast.Assign) else []:
            root, attributes = dotted(target)
            if isinstance(root, ast.Name) and attributes and root.id in bound:
                names.add(root.id)
        for name in sorted(names):
            bound.setdefault(name, []).append(line)
    return bound


def _at_import(
    lines: list[ast.stmt], scope: Scope, bound: Mapping[str, list[ast.stmt]]
) -> tuple[bool, list[Demand], list[ast.stmt]]:
    """Tell whether importing acts whatever holds, what must hold else, and which statements do or may do so."""
    is_acting, conditions, acting_lines = False, set(), []
    for line in lines:
        try:
            line_demands = demands(line, scope, bound)
        except Acts:
            is_acting = True
            acting_lines.append(line)
        else:
            conditions |= set(line_demands)
            acting_lines += [line] if line_demands else []
    for nodes in bound.values():
        if sum(not _sets_attribute(node) for node in nodes) > 1:
            is_acting = True  # what is computed in between sees the first value
            acting_lines += [node for node in nodes if node not in acting_lines]
    return is_acting, sorted(conditions), acting_lines


def _sets_attribute(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(target, ast.Attribute) for target in node.targets)


def _features(lines: list[ast.stmt]) -> str:
    """Name what a module takes from the future: it may change what its text means."""
    future = [line for line in lines if isinstance(line, ast.ImportFrom) and line.module == "__future__"]
    return " ".join(sorted(alias.name for line in future for alias in line.names))


def _outside(lines: list[ast.stmt]) -> list[ast.AST]:
    """List what of a module runs when it is imported, but for the bodies of classes."""
    run = [line for line in lines if not is_main(line)]
    run += [line for branch in lines if is_main(branch) for line in getattr(branch, "orelse", [])]
    return [part for line in run for part in own_scope(line)]


def _imports(part: ast.AST) -> bool:
    return isinstance(part, ast.Import | ast.ImportFrom)


def _loaded_by(nodes: Iterable[ast.AST], package: str) -> tuple[list[str], list[str]]:
    """Name what imports among nodes load: modules of the package (or names in them), and libraries."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = base_of(node, package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names if is_of_package(base))}
    libraries = {name.split(".")[0] for name in names if name and not is_of_package(name)} - STDLIB
    return sorted(filter(is_of_package, names)), sorted(libraries)
