"""Digests change when the meaning of code changes, and only then."""

import shutil
import subprocess
import sys

import pytest

from boldflow import provenance
from tests.conftest import ROOT


def digest_in(folder, *modules):
    """Digest modules of a copy of the package, in a process of its own (digests are cached)."""
    call = f"from boldflow import provenance; print(provenance.code_digest(*{modules!r}))"
    return said(folder, call)


def said(folder, call):
    env = {"PYTHONPATH": str(folder), "PATH": ""}
    command = [sys.executable, "-c", call]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def package(tmp_path):
    shutil.copytree(ROOT / "src" / "boldflow", tmp_path / "boldflow", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_look_at_a_folder_sees_names_sizes_and_times_and_not_what_the_system_leaves(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a.png").write_bytes(b"1234")
    before = provenance.look(tmp_path)
    assert (before["n_files"], before["n_bytes"]) == (1, 4)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert provenance.look(tmp_path) == before
    (tmp_path / "below/a.png").write_bytes(b"4321")
    assert provenance.look(tmp_path)["state"] != before["state"]
    assert provenance.look(tmp_path / "below/a.png")["n_bytes"] == 4
    assert provenance.look(tmp_path / "nowhere")["n_files"] == 0
    assert provenance.look(tmp_path, "a*")["n_files"] == 1 and provenance.look(tmp_path, "b*")["n_files"] == 0


EDITS = {
    "comment": ("core/linear/folds.py", "BLOCK = 1024", "BLOCK = 1024  # said otherwise", False),
    "docstring": ("core/linear/ridge.py", '"""Deal groups to folds', '"""Share groups out to folds', False),
    "layout": (
        "core/linear/ridge.py",
        "return RidgeFit(weights, intercept",
        "return RidgeFit(\n        weights, intercept",
        False,
    ),
    "constant": ("core/linear/folds.py", "BLOCK = 1024", "BLOCK = 1023", True),
    "another model": ("models/dummy.py", "np.repeat(", "np.tile(", False),
    "parse helper": ("registry.py", "cutoff=0.5", "cutoff=0.6", False),
}


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_counts_exactly_when_it_changes_what_the_module_does(package, kind):
    path, old, new, counts = EDITS[kind]
    before = digest_in(package, "models.ridge")
    file = package / "boldflow" / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert (digest_in(package, "models.ridge") != before) is counts


def test_what_was_parsed_once_is_not_parsed_again_and_a_broken_note_of_it_does_no_harm(package):
    (package / ".snakemake").mkdir()
    before = digest_in(package, "models.ridge")
    (kept,) = (package / ".snakemake").iterdir()
    call = (
        "import ast; ast.parse = None\n"  # calling it would fail
        "from boldflow import provenance; print(provenance.code_digest('models.ridge'))"
    )
    assert said(package, call) == before
    for broken in ("", "[1, 2]", '{"boldflow.core.linear.ridge": ["0"]}', kept.read_text()[:1000]):
        kept.write_text(broken)
        assert digest_in(package, "models.ridge") == before


def test_removing_a_docstring_changes_nothing(package):
    before = digest_in(package, "models.dummy")
    file = package / "boldflow" / "models" / "dummy.py"
    file.write_text(file.read_text().split('"""', 2)[2])
    assert digest_in(package, "models.dummy") == before


def test_the_reports_template_counts_as_code(package):
    before, other = digest_in(package, "report.page"), digest_in(package, "models.ridge")
    template = next((package / "boldflow" / "report").glob("*.html"))
    template.write_text(template.read_text() + "<!-- -->")
    assert digest_in(package, "report.page") != before
    assert digest_in(package, "models.ridge") == other


def test_what_is_imported_counts_and_siblings_do_not():
    found = provenance.imported_modules("models.ridge")
    assert "boldflow.core.linear.ridge" in found and "boldflow.core.records.training" in found
    assert not {"boldflow.models.dummy", "boldflow.registry", "boldflow.provenance"} & set(found)


def test_canonical_text_does_not_depend_on_order():
    assert provenance.canonical({"b": [1, 2.5], "a": None}) == provenance.canonical({"a": None, "b": [1, 2.5]})
    with pytest.raises(TypeError):
        provenance.canonical({"a": {1, 2}})
    with pytest.raises(ValueError):
        provenance.canonical(float("nan"))


def test_an_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"boldflow\.models\.nothing"):
        provenance.code_digest("models.nothing")
