"""The table of faults tells what the tests show."""

import ast

from tests.conftest import ROOT
from tests.faults import table


def test_the_page_is_what_the_records_say():
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    assert page == table.render(), "run: python -m tests.faults.table > docs/faults.md"


def test_each_row_is_there_once_and_is_tested_or_waits():
    assert [row.number for row in table.ROWS] == list(range(1, 36))
    for row in table.ROWS:
        assert row.tests or row.waits, f"row {row.number}"
        assert bool(row.tests) == bool(row.injection) == bool(row.outcome), f"row {row.number}"


def test_every_named_test_exists():
    for path, name in {test for row in table.ROWS for test in row.tests}:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_test_of_a_fault_is_named():
    named = {test for row in table.ROWS for test in row.tests}
    for file in sorted((ROOT / "tests/faults").glob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        if file.name != "test_table.py":
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert {(path, name) for name in found if name.startswith("test_")} <= named, path
