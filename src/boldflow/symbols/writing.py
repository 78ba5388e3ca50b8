"""Syntax as text: the same for every Python that can read it, without comments, docstrings and layout.

``ast.dump`` writes other text in 3.11, 3.12 and 3.13 for one source; here what is empty is left out, so that a field
which a later Python adds shows only where it is used.
"""

import ast
from typing import Any

# of no meaning to what runs: Load and Store follow from the place, ``u''`` from nothing
SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def written(node: Any) -> str:
    """Write a piece of syntax (a node, a list of nodes or a plain value) as one line of text."""
    parts: list[str] = []
    _write(node, parts)
    return "".join(parts)


def is_idle(line: ast.AST) -> bool:
    """Tell whether a statement does nothing: a docstring, another constant that stands alone, or ``pass``."""
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def _write(node: Any, parts: list[str]) -> None:
    if isinstance(node, ast.JoinedStr):
        parts.append("JoinedStr")
        _write_list(_joined(node.values), parts)
    elif isinstance(node, ast.AST):
        parts.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if name not in SILENT and (value is not None or isinstance(node, ast.Constant)) and value != []:
                parts.append(f"{name}=")
                _write(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        _write_list(node, parts)
    else:
        parts.append(f"{node!a},")  # repr would depend on the table of Unicode


def _write_list(nodes: list[Any], parts: list[str]) -> None:
    parts.append("[")
    for node in nodes:
        if not (isinstance(node, ast.AST) and is_idle(node)):
            _write(node, parts)
        if node is None:  # a key of {**other}, a keyword argument without default
            parts.append(";")
    parts.append("]")


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Join the texts of an f-string that stand side by side: versions of Python split them differently."""
    joined_values: list[ast.expr] = []
    for value in values:
        previous = joined_values[-1] if joined_values else None
        if isinstance(value, ast.Constant) and isinstance(previous, ast.Constant):
            joined_values[-1] = ast.Constant(str(previous.value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            joined_values.append(value)
    return joined_values
