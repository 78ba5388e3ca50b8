"""The digests of this package: equal under every Python, recalled from a file, and what they rest on."""

import ast
import json
import shutil
import subprocess
import sys

import pytest

from boldflow import registry, symbols
from boldflow.symbols.package import Package
from boldflow.symbols.reach import CLEAR, Reach
from tests.conftest import ROOT

SOURCES = ROOT / "src" / "boldflow"
WITNESS = """
import sys
from pathlib import Path
from boldflow.provenance import canonical, digest
from boldflow.symbols.package import Package
from boldflow.symbols.reach import Reach
root = Path(sys.argv[1])
package = Package(root, *map(Path, sys.argv[2:]))
names = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in sorted(root.rglob("*.py"))]
modules = {name.removesuffix(".__init__"): package.module(name.removesuffix(".__init__")) for name in names}
package.keep()
print(digest(canonical({name: module._asdict() for name, module in modules.items()})))
roots = ("boldflow.stages.models.train_model:run", "boldflow.models.ridge:*")
print(digest(canonical(Reach(package).definitions(*roots))))
"""


def modules():
    return [
        ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(SOURCES.rglob("*.py"))
    ]


@pytest.fixture(scope="module")
def reach():
    return Reach(Package(SOURCES))


def witness(python, *arguments):
    environment = {"PYTHONPATH": str(SOURCES.parent), "PATH": ""}
    command = [python, "-B", "-S", "-c", WITNESS, str(SOURCES), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def interpreter(version):
    """Find a Python by its name; skip where there is none that starts."""
    path = shutil.which(f"python{version}")
    asked = (
        subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if path
        else None
    )
    if asked is None or asked.returncode:
        pytest.skip(f"no python{version} on this machine")
    return asked.stdout.strip()


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_whole_package_has_one_digest_under_every_python(version):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip("this is the Python that the others are compared with")
    assert witness(interpreter(version)) == witness(sys.executable)


def test_what_one_python_parsed_another_recalls(tmp_path):
    kept = tmp_path / "kept.json"
    first = witness(sys.executable, kept)
    was = kept.read_bytes()
    assert witness(sys.executable, kept) == first and kept.read_bytes() == was
    other = next((v for v in ("3.13", "3.12") if shutil.which(f"python{v}")), None)
    if other is not None:
        assert witness(interpreter(other), kept) == first and kept.read_bytes() == was


def test_nothing_is_parsed_twice_and_a_broken_note_of_it_does_no_harm(tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    roots = ("boldflow.stages.models.train_model:run", "boldflow.models.ridge:*")
    before = Reach(Package(SOURCES, kept)).definitions(*roots)
    whole = kept.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", None)
        assert Reach(Package(SOURCES, kept)).definitions(*roots) == before
    note = json.loads(whole)
    broken = {**note, "modules": {name: row[:2] for name, row in note["modules"].items()}}
    for text in ("", "[1, 2]", json.dumps(broken), whole[:1000], json.dumps({**note, "made_by": "others"})):
        kept.write_text(text)
        assert Reach(Package(SOURCES, kept)).definitions(*roots) == before


def test_a_rule_without_a_stage_and_a_module_that_is_not_there_are_named():
    with pytest.raises(ModuleNotFoundError, match="rule train_modle"):
        symbols.code_map("train_modle")
    with pytest.raises(ModuleNotFoundError, match=r"boldflow\.models\.nothing"):
        symbols.code_map("train_model", "boldflow.models.nothing")


def test_the_map_names_its_roots_and_holds_registry_provenance_and_the_adapter():
    code = symbols.code_map("train_model", "boldflow.models.ridge")
    assert code[symbols.ROOTS] == "train_model boldflow.models.ridge"
    assert {
        "boldflow.(adapter).train_model",
        "boldflow.(libraries)",
        "boldflow.registry",
        "boldflow.provenance",
    } <= set(code)
    assert code == symbols.code_map(*code[symbols.ROOTS].split())


def test_definitions_are_kept_beside_what_snakemake_knows(tmp_path, monkeypatch):
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    symbols.code_text.cache_clear()
    code = json.loads(symbols.code_text("train_model", "boldflow.models.dummy"))
    definitions = symbols.recorded(code)
    assert definitions == symbols.definitions_of("train_model", "boldflow.models.dummy")
    assert symbols.recorded({**code, "boldflow.models.dummy": "0"}) is None
    assert {key.partition(":")[0].removeprefix("(") for key in definitions} >= {"boldflow.models.dummy", "libraries)"}


# What these lists hold was looked at. A new entry costs reruns (what acts), or the promise itself (what is unclear).
# the last sets the backend of figures for the process, before matplotlib is imported
ACTS = {"boldflow.features.alexnet", "boldflow.features.dinov2", "boldflow.stages"}
OUTSIDE = ("boldflow.commands", "boldflow.__main__")


def test_the_modules_that_act_when_they_are_imported_are_these(reach):
    """A module that acts counts, with all its assignments, for every rule that loads it."""
    assert {name for name in modules() if not name.startswith(OUTSIDE) and reach.acts(name)} == ACTS


def test_nothing_is_unclear_but_what_was_looked_at(reach):
    unclear = {
        f"{name}:{symbol}"
        for name in modules()
        if not name.startswith((*OUTSIDE, "boldflow.symbols"))
        for symbol, definition in reach.package.module(name).definitions.items()
        if {"unclear", "sources"} & set(definition.flags)
    }
    assert unclear == CLEAR


UNPICKLING = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def test_nothing_is_unpickled():
    """Objects out of files would run code that no name of a rule leads to."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & UNPICKLING, f"{path}: {names}"
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("load", "read_pickle", "to_pickle"):
                library = ast.unparse(node.func)
                words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert library not in ("pd.read_pickle", "pandas.read_pickle"), path
                assert words.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
                if library == "torch.load":
                    assert words.get("weights_only") == "True", f"{path}:{node.lineno}"
                if library == "np.load":
                    assert "allow_pickle" in words, f"{path}:{node.lineno} does not say that it unpickles nothing"


def test_every_text_of_the_package_stands_beside_the_module_that_reads_it(reach):
    texts = [path for path in SOURCES.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".typed")]
    assert texts
    for path in texts:
        module = path.with_suffix(".py")
        assert module.is_file(), f"no module {module.name} reads {path.name}, so that an edit of it would rerun nothing"


@pytest.fixture
def confined():
    yield registry.confine
    registry._counted = None
    registry.literal.cache_clear()


def test_a_job_may_touch_its_own_plugin_and_no_other(confined):
    registry.literal.cache_clear()
    confined({"boldflow.models.dummy": "digest", "boldflow.registry": "digest"})
    assert registry.load("models", "dummy") and registry.literal("models", "dummy", "FACTS")
    for touch in (lambda: registry.load("models", "ridge"), lambda: registry.literal("models", "ridge", "FACTS")):
        with pytest.raises(RuntimeError, match=r"boldflow\.models\.ridge is not in the digest .*code_of"):
            touch()
