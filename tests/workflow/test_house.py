"""The form of the house: sizes of modules and functions, names that say the quantity, one word per concept."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

from tests.conftest import ROOT

SOURCE = ROOT / "src" / "boldflow"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION, MEDIAN, NINTH_DECILE = 400, 80, 10, 28  # lines
LONGEST_COMMON = 200  # lines of common.smk
# words that say that something came back, and not what
EMPTY_WORDS = frozenset({"found", "one", "own", "told", "wanted", "known", "it", "hit", "given", "thing", "res", "tmp"})
BUDGET = 0  # of names that are such a word


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def empty_words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each variable or argument whose name is an empty word."""
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        if name in EMPTY_WORDS:
            yield getattr(node, "lineno", 0), name


def test_no_module_is_longer_than_400_lines():
    sizes = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: n for name, n in sizes.items() if n > LONGEST_MODULE} == {}


def test_common_smk_is_short():
    assert len((ROOT / "workflow/rules/common.smk").read_text().splitlines()) <= LONGEST_COMMON


def test_functions_are_short():
    sizes = {f"{path.relative_to(SOURCE)}:{node.name}": lines_of(node) for path in MODULES for node in functions(path)}
    assert {name: n for name, n in sizes.items() if n > LONGEST_FUNCTION} == {}
    assert median(sizes.values()) <= MEDIAN
    assert quantiles(sizes.values(), n=10, method="inclusive")[-1] <= NINTH_DECILE


def test_names_say_the_quantity():
    places = [
        f"{path.relative_to(SOURCE)}:{line}: {name}"
        for path in MODULES
        for line, name in empty_words(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(places) <= BUDGET, "\n".join(places)


@pytest.mark.parametrize(
    "text",
    [
        "found = 1",
        "def f(one): pass",
        "for told in x: pass",
        "[own for own in x]",
        "with x as thing: pass",
        "lambda it: 1",
        "(res := 1)",
        "a, tmp = x",
    ],
)
def test_an_empty_word_is_seen_wherever_it_is_bound(text):
    assert len(list(empty_words(ast.parse(text)))) >= 1
