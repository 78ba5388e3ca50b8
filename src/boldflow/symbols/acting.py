"""What importing a module may do beyond binding names to values: register, patch, read the clock or a file.

Each statement of a module is one of three: it acts; it does not; or it does not if some classes of the package
are plain (``Demand``), which is asked when all modules are at hand, since a module is taken apart by itself.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from boldflow.symbols.names import COMPREHENSIONS, DEFINITIONS, Scope, dotted, own_scope

# What only gives a value. A wrong entry is a hole; one that is missing costs reruns.
_ACTING_BUILTINS = frozenset(
    ("__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "filter", "globals", "help", "input")
) | {"iter", "locals", "map", "memoryview", "next", "open", "print", "quit", "setattr", "type", "vars"}
QUIET_CALLS = frozenset(
    (
        *("re.compile", "pathlib.Path", "pathlib.PurePosixPath", "logging.getLogger", "uuid.uuid5", "uuid.UUID"),
        *("tarfile.TarInfo", "torch.no_grad", "torch.inference_mode", "operator.attrgetter", "operator.itemgetter"),
        *("numpy.array", "numpy.dtype", "numpy.linspace", "numpy.logspace", "numpy.arange", "fractions.Fraction"),
        *("functools.cache", "functools.lru_cache", "functools.cached_property", "functools.partial"),
        *("functools.wraps", "functools.total_ordering", "types.MappingProxyType", "datetime.date", "enum.unique"),
        *(
            "dataclasses.dataclass",
            "dataclasses.field",
            "dataclasses.fields",
            "contextlib.contextmanager",
            "collections.namedtuple",
        ),
        *("typing.runtime_checkable", "typing.TypeVar", "typing.NewType", "typing.NamedTuple", "typing.final"),
        *("typing.cast", "typing.overload", "abc.abstractmethod", "enum.auto", "decimal.Decimal"),
    )
)
QUIET_BASES = frozenset(
    (
        *("typing.Protocol", "typing.NamedTuple", "typing.TypedDict", "typing.Generic", "abc.ABC"),
        *("enum.Enum", "enum.StrEnum", "enum.IntEnum", "enum.Flag", "collections.abc.Mapping"),
        *(
            "tarfile.TarInfo",
            "torch.nn.Module",
            "torch.autograd.Function",
            "contextlib.AbstractContextManager",
            "contextlib.ExitStack",
        ),
    )
)
KEEPING = frozenset(
    ("dataclasses.field", "functools.partial", "types.MappingProxyType")
)  # these only keep what they get
QUIET_METHODS = frozenset(
    ("items", "keys", "values", "join", "split", "format", "encode", "to_bytes", "fromkeys", "resolve", "with_name")
) | {"upper", "lower", "strip", "replace", "removeprefix", "removesuffix", "title", "union", "with_suffix"}
# where an expression only takes the value of a part of it
HANDING_ON = frozenset(
    ((ast.Tuple, "elts"), (ast.List, "elts"), (ast.Dict, "values"), (ast.IfExp, "body"), (ast.IfExp, "orelse"))
)
_ACCESSORS = frozenset(("setter", "getter", "deleter"))
# builtin functions with which a class makes properties and the like: nothing of the class runs when they are read
_DECORATORS = frozenset(("builtins.staticmethod", "builtins.classmethod"))
_OF_MAKING = frozenset(("__init__", "__new__", "__post_init__"))


class Demand(NamedTuple):
    """What must hold for a statement to do nothing but bind a value: ``how`` is what is done with ``full`` there.

    ``call``: it is called; ``read``: its attributes are read; ``operate``: operators or builtins work on it; ``base``:
    a class is derived from it; ``inside``: any of that is done with the objects that it holds or makes.
    """

    how: str
    full: str


class Acts(Exception):
    """The statement may do more than bind a value."""


def demands(node: ast.stmt, scope: Scope, bound: Iterable[str]) -> list[Demand]:
    """List what must hold so that a statement of a module, or of the body of a class, only binds values.

    Raises
    ------
    Acts
        If it does more whatever holds.
    """
    return list(_of_statement(node, scope, frozenset(bound)))


def traits_of(node: ast.stmt, scope: Scope) -> dict[str, list[Demand]]:
    """List the ways of ``Demand`` in which what a statement binds may be used and no code runs, if more holds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {"read": [], "operate": [], "inside": []}
    if isinstance(node, ast.ClassDef):
        return _traits_of_class(node, scope)
    held = [Demand("inside", full) for full in _fulls(node, scope) if is_of_package(full)]
    return {"read": held, "operate": held, "inside": held}


def is_main(node: ast.stmt) -> bool:
    """Tell whether a statement runs only where the module is the program, or for a type checker."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        *("__name__ == '__main__'", "TYPE_CHECKING", "typing.TYPE_CHECKING"),
    )


def _of_statement(node: Any, scope: Scope, bound: frozenset[str]) -> Iterator[Demand]:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) or is_main(node):
        return
    if isinstance(node, DEFINITIONS):
        yield from _of_definition(node, scope)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not all(_is_plain_target(target, bound) for target in targets):
            raise Acts
        if node.value is not None:
            yield from _of_value(node.value, scope, passed=True)
    elif isinstance(node, ast.Expr):
        yield from _of_value(node.value, scope, passed=True)
    elif isinstance(node, ast.If):
        yield from _of_value(node.test, scope)
        for line in (*node.body, *node.orelse):
            yield from _of_statement(line, scope, bound)
    elif isinstance(node, ast.Try):
        handlers = [line for handler in node.handlers for line in handler.body]
        for line in (*node.body, *handlers, *node.orelse, *node.finalbody):
            yield from _of_statement(line, scope, bound)
    else:
        raise Acts


def _is_plain_target(target: ast.expr, bound: frozenset[str]) -> bool:
    """Tell whether an assignment binds names; ``f.__test__ = False`` belongs to a definition ``f`` of the module."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(isinstance(part, ast.Name) for part in target.elts)
    root, attributes = dotted(target)
    return isinstance(root, ast.Name) and (not attributes or (len(attributes) == 1 and root.id in bound))


def _of_definition(node: Any, scope: Scope) -> Iterator[Demand]:
    """List what a definition demands where it stands: decorators, bases, defaults, the body of a class."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
        if getattr(call.func, "attr", "") not in _ACCESSORS:
            yield from _of_value(call, scope)
            if any(is_of_package(full) for full in _fulls(call.func, scope)):
                raise Acts
    if isinstance(node, ast.ClassDef):
        for base in node.bases:
            yield from _of_base(base, scope)
        if any(
            word.arg == "metaclass" and ast.unparse(word.value) not in ("ABCMeta", "abc.ABCMeta")
            for word in node.keywords
        ):
            raise Acts
        bound_locally = _bound_in_class(node)
        for line in node.body:
            yield from _of_statement(line, {**scope, **dict.fromkeys(bound_locally, ("",))}, bound_locally)
        return
    arguments = node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None:
            yield from _of_value(default, scope, passed=True)
    all_arguments = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [argument.annotation for argument in all_arguments if argument is not None] + [node.returns]
    if any(isinstance(part, ast.Call) for annotation in filter(None, annotations) for part in ast.walk(annotation)):
        raise Acts


def _bound_in_class(node: ast.ClassDef) -> frozenset[str]:
    lines = [part for line in node.body for part in own_scope(line)]
    return frozenset(
        part.id if isinstance(part, ast.Name) else part.name
        for part in lines
        if isinstance(part, DEFINITIONS) or (isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))
    )


def _of_base(base: ast.expr, scope: Scope) -> Iterator[Demand]:
    inner = base.value if isinstance(base, ast.Subscript) else base  # Generic[T]
    for full in _fulls(inner, scope) or [""]:
        if is_of_package(full):
            yield Demand("base", full)
        elif full not in QUIET_BASES and not _is_builtin_class(full):
            raise Acts


def _of_value(node: Any, scope: Scope, passed: bool = False) -> Iterator[Demand]:
    """List what evaluating an expression demands; ``passed``: its value is stored or handed on, no more."""
    if isinstance(node, ast.Name | ast.Attribute):
        root, attributes = dotted(node)
        if not isinstance(root, ast.Name):
            yield from _of_value(root, scope)
            return
        chains = [".".join([full, *attributes]) for full in scope.get(root.id, ()) if is_of_package(full)]
        yield from (Demand("read", chain) for chain in chains if attributes)
        yield from (Demand("operate", chain) for chain in chains if not passed)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, scope)
    elif isinstance(node, ast.Lambda):
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                yield from _of_value(default, scope, passed=True)
    elif isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
        raise Acts
    else:
        inner_scope = scope
        if isinstance(node, COMPREHENSIONS):
            targets = [part for row in node.generators for part in ast.walk(row.target)]
            inner_scope = {**scope, **{part.id: ("",) for part in targets if isinstance(part, ast.Name)}}
        for field, value in ast.iter_fields(node):
            for part in _several(value):
                yield from _of_value(part, inner_scope, passed=(type(node), field) in HANDING_ON)


def _several(value: Any) -> list[ast.AST]:
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST)]


def _of_call(node: ast.Call, scope: Scope) -> Iterator[Demand]:
    root, _ = dotted(node.func)
    fulls = _fulls(node.func, scope) if isinstance(root, ast.Name) else []
    is_method = isinstance(node.func, ast.Attribute) and node.func.attr in QUIET_METHODS
    makes_record = bool(fulls) and not is_method and all(map(is_of_package, fulls))
    if makes_record:
        yield from (Demand("call", full) for full in fulls)
    elif isinstance(node.func, ast.Attribute) and is_method:
        yield from _of_value(node.func.value, scope)
    elif not fulls or not all(map(_is_quiet_call, fulls)):
        raise Acts
    if any(word.arg == "key" for word in node.keywords):  # sorted, min and max call it
        raise Acts
    is_stored = makes_record or set(fulls) <= KEEPING
    for part in (*node.args, *(word.value for word in node.keywords)):
        yield from _of_value(part, scope, passed=is_stored)


def _is_quiet_call(full: str) -> bool:
    return full in QUIET_CALLS or full in QUIET_BASES or _is_quiet_builtin(full)


def _fulls(node: ast.AST, scope: Scope) -> list[str]:
    """Say what the names in an expression may stand for; names of Python itself too, local ones not."""
    if isinstance(node, ast.Name | ast.Attribute):
        root, attributes = dotted(node)
        if not isinstance(root, ast.Name):
            return _fulls(root, scope)
        return [".".join([full, *attributes]) for full in scope.get(root.id, (f"builtins.{root.id}",)) if full]
    return [full for part in ast.iter_child_nodes(node) for full in _fulls(part, scope)]


def is_of_package(full: str) -> bool:
    """Tell whether a dotted name is the package's own."""
    return full.split(".")[0] == "boldflow"


def _is_quiet_builtin(full: str) -> bool:
    name = full.removeprefix("builtins.")
    return full.startswith("builtins.") and hasattr(builtins, name.split(".")[0]) and name not in _ACTING_BUILTINS


def _is_builtin_class(full: str) -> bool:
    return isinstance(getattr(builtins, full.removeprefix("builtins."), None), type)


def _traits_of_class(node: ast.ClassDef, scope: Scope) -> dict[str, list[Demand]]:
    """Say in which ways a class may be used so that no code of it runs."""
    methods = [line for line in node.body if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef)]
    method_names = {method.name for method in methods}
    bases = [full for base in node.bases for full in _fulls(base, scope) if is_of_package(full)]
    ways = {"read", "operate"}
    if not method_names & {"__init_subclass__", "__class_getitem__", "__set_name__"}:
        ways.add("base")
        factories = [
            part.value for part in ast.walk(node) if isinstance(part, ast.keyword) and part.arg == "default_factory"
        ]
        if not method_names & _OF_MAKING and not any(
            is_of_package(full) for part in factories for full in _fulls(part, scope)
        ):
            ways.add("call")
    decorators = {full for method in methods for part in method.decorator_list for full in _fulls(part, scope)}
    special_methods = {name for name in method_names if name.startswith("__")} - _OF_MAKING
    if not special_methods and not method_names & QUIET_METHODS and decorators <= _DECORATORS:
        ways.add("inside")
    return {way: [Demand(way, base) for base in bases] for way in sorted(ways)}
