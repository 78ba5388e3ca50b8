"""What the names in a piece of syntax stand for: scopes are kept apart, imports and attributes of modules followed."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Scope = Mapping[str, tuple[str, ...]]  # what each name may stand for, as dotted names
Meaning = tuple[str, str]  # a name and what it stands for, with its attributes

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def meanings(node: ast.AST, scope: Scope, package: str) -> Iterator[Meaning]:
    """Yield the names that a piece of syntax uses, and what each stands for; annotations are not looked at.

    Parameters
    ----------
    node : syntax
    scope : what names stand for around it
    package : dotted name of the package that relative imports start from

    Yields
    ------
    name, dotted name
        ``builtins.`` before a name that the scope does not have.
    """
    if isinstance(node, ast.Name | ast.Attribute):
        yield from _of_chain(node, scope, package)
        return
    outer_parts, inner_parts, inner_scope = _parts(node, scope, package)
    for part in outer_parts:
        yield from meanings(part, scope, package)
    for part in inner_parts:
        yield from meanings(part, inner_scope, package)


def of_annotations(node: ast.AST, scope: Scope, package: str) -> Iterator[Meaning]:
    """Yield what the names in the annotations of a class's fields stand for."""
    for part in ast.walk(node) if isinstance(node, ast.ClassDef) else ():
        if isinstance(part, ast.AnnAssign):
            annotation: ast.AST = part.annotation
            if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
                try:
                    annotation = ast.parse(annotation.value, mode="eval").body
                except SyntaxError:
                    continue
            yield from meanings(annotation, scope, package)


def dotted(node: ast.AST) -> tuple[ast.AST, list[str]]:
    """Take the attributes off: what ``a.b.c`` begins with, and ``["b", "c"]``."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node, attributes


def imported(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """Yield the names that an import binds, with what they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top_package = alias.name.split(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top_package, top_package)
    elif isinstance(node, ast.ImportFrom):
        base_module = base_of(node, package)
        yield from ((alias.asname or alias.name, f"{base_module}.{alias.name}") for alias in node.names)


def base_of(node: ast.ImportFrom, package: str) -> str:
    """Name the module that ``from ... import`` reads."""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def bound_names(node: ast.AST) -> list[str]:
    """Name what one node binds in the scope that it stands in."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    name = getattr(node, "name", None)
    is_binding = isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar))
    return [name] if is_binding and isinstance(name, str) else []


def own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a statement, not into functions and classes inside it; of comprehensions, only to what ``:=`` binds."""
    yield node
    if isinstance(node, COMPREHENSIONS):
        yield from (part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
    elif not isinstance(node, (*DEFINITIONS, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from own_scope(child)


def with_names(scope: Scope, pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Add what names stand for to a scope that does not have them; a name bound twice stands for both."""
    added: dict[str, tuple[str, ...]] = {}
    for name, full in pairs:
        added[name] = (*added.get(name, ()), full)
    return {**scope, **added}


def _of_chain(node: ast.expr, scope: Scope, package: str) -> Iterator[Meaning]:
    root, attributes = dotted(node)
    # of some object: only what Python itself gives to all matters
    yield from ((f".{name}", f"?.{name}") for name in attributes if name.startswith("__"))
    if not isinstance(root, ast.Name):
        yield from meanings(root, scope, package)
        return
    for full in scope.get(root.id, (f"builtins.{root.id}",)):
        if full:
            yield root.id, ".".join([full, *attributes])


def _parts(node: Any, scope: Scope, package: str) -> tuple[Sequence[ast.AST], Sequence[ast.AST], Scope]:
    """Give what of a node is read in the scope around it, what in its own scope, and that scope."""
    if isinstance(node, FUNCTIONS):
        body_parts = node.body if isinstance(node.body, list) else [node.body]
        defaults = [part for part in (*node.args.defaults, *node.args.kw_defaults) if part is not None]
        return [*getattr(node, "decorator_list", []), *defaults], body_parts, _scope_of_function(node, scope, package)
    if isinstance(node, COMPREHENSIONS):
        targets = {part.id for row in node.generators for part in ast.walk(row.target) if isinstance(part, ast.Name)}
        inner_scope = {**scope, **dict.fromkeys(targets, ("",))}
        return [row.iter for row in node.generators], list(ast.iter_child_nodes(node)), inner_scope
    if isinstance(node, ast.AnnAssign):
        return [], [part for part in (node.target, node.value) if part is not None], scope
    if isinstance(node, ast.ClassDef):
        return (
            [*node.decorator_list, *node.bases, *node.keywords],
            list(node.body),
            _scope_of_class(node, scope, package),
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars" and node.args:
        return [], [*node.args, *(word.value for word in node.keywords)], scope  # no more than getattr of each name
    return [], list(ast.iter_child_nodes(node)), scope


def _scope_of_class(node: ast.ClassDef, scope: Scope, package: str) -> Scope:
    """Keep what names stand for around a class, since its functions see that; names of its own lead nowhere else."""
    parts = [part for line in node.body for part in own_scope(line)]
    fields = {name: scope.get(name, ("",)) for part in parts for name in bound_names(part)}
    imports = with_names({}, [pair for part in parts for pair in imported(part, package)])
    return {**scope, **fields, **{name: (*scope.get(name, ()), *fulls) for name, fulls in imports.items()}}


def _scope_of_function(node: Any, scope: Scope, package: str) -> Scope:
    """Hide what a function binds, but for what it says is global; names that it imports stand for what they are."""
    lines = node.body if isinstance(node.body, list) else [node.body]
    parts = [part for line in lines for part in own_scope(line)]
    arguments = node.args
    all_arguments = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    hidden_names = {argument.arg for argument in all_arguments if argument is not None}
    hidden_names |= {name for part in parts for name in bound_names(part)}
    global_names = {name for part in parts if isinstance(part, ast.Global) for name in part.names}
    inner_scope = {**scope, **dict.fromkeys(hidden_names - global_names, ("",))}
    return with_names(inner_scope, [pair for part in parts for pair in imported(part, package)])
