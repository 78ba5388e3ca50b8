"""Who may import whom, and what adapters and rules may hold: design.md, Layers 1 to 5.

import-linter checks the contracts in pyproject.toml; the functions here check them again from the syntax
trees and add what import-linter cannot express. Every rule is broken once on purpose, in a copy.
"""

import ast
import itertools
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "boldflow"
PLUGINS = ("datasets", "features", "models", "figures")
MIDDLE = (*PLUGINS, "report")
LOWEST = ("settings", "provenance", "runs")
PARSE = ("registry", "symbols", *LOWEST, "vocabulary")
FOR_THE_SNAKEFILE = (*PARSE, "catalogue", "validation", "planning")
# what each part of the package may import of the others
MAY_IMPORT = {
    "__main__": {"commands", "stages", *MIDDLE, "core", "artifacts", "drawing", *FOR_THE_SNAKEFILE},
    "commands": {"stages", *MIDDLE, "core", "artifacts", "drawing", *FOR_THE_SNAKEFILE},
    "stages": {*MIDDLE, "core", "artifacts", "drawing", *PARSE},
    **{name: {"core", "artifacts", "drawing", *PARSE} for name in MIDDLE},
    "core": set(PARSE),
    "artifacts": set(PARSE),
    "drawing": set(PARSE),
    "validation": {"catalogue", *PARSE},
    "planning": {"catalogue", *PARSE},
    "catalogue": set(PARSE),
    "registry": {"symbols", *LOWEST, "vocabulary"},
    "symbols": {*LOWEST, "vocabulary"},
    **{name: {"vocabulary"} for name in LOWEST},
    "vocabulary": set(),
    "__init__": set(),
}
FORBIDDEN = {
    "core": (
        *("os", "pathlib", "subprocess", "h5py", "nibabel", "datalad", "requests"),
        *("matplotlib", "nilearn.datasets"),
    ),
    "figures": ("torch",),
    "report": ("torch",),
    "datasets": ("torch",),
}
# an adapter hands names over: calls of names with names, and nothing else
ADAPTER_NODES = (
    *(ast.Module, ast.Expr, ast.Constant, ast.Load, ast.Import, ast.ImportFrom, ast.alias),
    *(ast.Call, ast.keyword, ast.Name, ast.Attribute),
)
SNAKEFILE_MAY = (
    "from snakemake.utils import min_version",
    "min_version(",
    "configfile:",
    "include:",
    "rule all:",
)
SMK_MAY_IMPORT = ("re", "sys", "pathlib", "yaml", "jsonschema", "snakemake.exceptions")


def imports(path: Path, package: str = "") -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that a file imports, anywhere in it and by whatever means."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def modules(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield path, part of the package and dotted package of each module."""
    source = root / "src" / PACKAGE
    for path in sorted(source.rglob("*.py")):
        below = path.relative_to(source)
        part = below.parts[0].removesuffix(".py")
        yield path, part, ".".join([PACKAGE, *below.parts[:-1]])


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def arrows(root: Path) -> list[str]:
    """Nothing points up, and parts of one level never see each other."""
    found = []
    for path, part, package in modules(root):
        for line, name in imports(path, package):
            words = name.split(".")
            to = words[1] if words[0] == PACKAGE and len(words) > 1 else part
            if to not in MAY_IMPORT[part] | {part} and to in MAY_IMPORT:
                found.append(f"{path.name}:{line}: {part} imports {name}")
    return found


def siblings(root: Path) -> list[str]:
    """No plug-in imports another of its kind; one that is a package may import its own modules."""
    breaches = []
    for path, part, package in modules(root):
        if part not in PLUGINS or (package == f"{PACKAGE}.{part}" and path.stem == "__init__"):
            continue
        for line, name in imports(path, package):
            home = ".".join(package.split(".")[:3])  # of a package the plug-in itself, of a file its section
            is_mine = home != f"{PACKAGE}.{part}" and name.startswith(f"{home}.")
            if within(name, f"{PACKAGE}.{part}") and not is_mine:
                breaches.append(f"{path.name}:{line}: a plug-in of {part} imports {name}")
    return breaches


def forbidden(root: Path) -> list[str]:
    """Core knows no files, figures and report and data sets no torch, and nobody Snakemake."""
    found = []
    for path, part, package in modules(root):
        for line, name in imports(path, package):
            for module in (*FORBIDDEN.get(part, ()), "snakemake"):
                if within(name, module):
                    found.append(f"{path.name}:{line}: {part} imports {name}")
    return found


def parse_light(root: Path) -> list[str]:
    """What the Snakefile imports is standard library only."""
    found = []
    for path, part, package in modules(root):
        if part in FOR_THE_SNAKEFILE:
            for line, name in imports(path, package):
                # of ours it may import what the arrows allow
                if name.split(".")[0] not in {*sys.stdlib_module_names, PACKAGE}:
                    found.append(f"{path.name}:{line}: {part} imports {name}")
    return found


def adapters(root: Path) -> list[str]:
    """An adapter only hands names over to a stage."""
    found = []
    for path in sorted((root / "workflow" / "scripts").glob("*.py")):
        if path.stem == "_adapter":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ADAPTER_NODES):
                found.append(f"{path.name}:{getattr(node, 'lineno', 0)}: {type(node).__name__}")
        for line, name in imports(path):
            if not (within(name, "_adapter") or within(name, f"{PACKAGE}.stages")):
                found.append(f"{path.name}:{line}: imports {name}")
    return found


def rules(root: Path) -> list[str]:
    """Rules hold no code; helpers stay in common.smk; lifecycle.smk imports runs; the Snakefile only includes."""
    found = []
    for path in [root / "Snakefile", *sorted((root / "workflow").rglob("*.smk"))]:
        with tokenize.open(path) as handle:
            tokens = list(tokenize.generate_tokens(handle.readline))
        for token, after in itertools.pairwise(tokens):
            line = token.line.strip()
            opens_line = not token.line[: token.start[1]].strip()
            where = f"{path.name}:{token.start[0]}"
            if token.type != tokenize.NAME:
                continue
            if token.string == "lambda":
                found.append(f"{where}: lambda")
            if token.string == "run" and after.string == ":" and opens_line:
                found.append(f"{where}: run:")
            if token.string in ("def", "class") and path.name != "common.smk":
                found.append(f"{where}: {token.string} outside common.smk")
            if token.string in ("import", "from") and opens_line and not _may_stand_in_rules(path, line):
                found.append(f"{where}: {line}")
        found += _foreign_to_snakefile(path) if path.name == "Snakefile" else []
    return found


def _may_stand_in_rules(path: Path, line: str) -> bool:
    if path.name == "Snakefile":
        return line == SNAKEFILE_MAY[0]
    for node in ast.parse(line).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            may = {"common.smk": set(FOR_THE_SNAKEFILE), "lifecycle.smk": {"runs"}}
            return set(names) <= may.get(path.name, set())
        named = [node.module] if isinstance(node, ast.ImportFrom) else names
        if path.name == "common.smk" and str(named[0]).startswith(f"{PACKAGE}.vocabulary."):
            continue
        if not set(named) <= set(SMK_MAY_IMPORT) or path.name != "common.smk":
            return False
    return True


def _foreign_to_snakefile(path: Path) -> list[str]:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [
        f"{path.name}:{number}: {line}"
        for number, line in lines
        if line.strip() and line[0] not in " #)" and not line.startswith(SNAKEFILE_MAY)
    ]


CHECKS = (arrows, siblings, forbidden, parse_light, adapters, rules)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package of a tree."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    """The parts of the project that the checks read; what is changed here stays here."""
    unread = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "workflow"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=unread)
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy2(PROJECT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_project_keeps(check):
    assert check(PROJECT) == []


def test_the_contracts_of_import_linter_hold():
    done = lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_what_draws_and_what_reads_data_loads_no_torch_indirectly():
    """import-linter's contracts are about direct imports; this one starts Python and looks."""
    program = (
        "import importlib, pkgutil, sys\n"
        "for part in ('figures', 'report', 'datasets'):\n"
        "    package = importlib.import_module('boldflow.' + part)\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "sys.exit(' '.join(sorted({'torch', 'transformers', 'snakemake'} & set(sys.modules))) or 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_the_snakefile_imports_loads_only_the_standard_library():
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"  # the interpreter's own, and what path files of the environment load
        "import boldflow.registry, boldflow.validation, boldflow.provenance, boldflow.symbols\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "sys.exit(' '.join(sorted(new - set(sys.stdlib_module_names) - {'boldflow'})) or 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SRC = "src/boldflow/"
# file, text, check of this module that must see it, contract of import-linter that must see it
BREACHES = {
    "core-imports-pathlib": (
        SRC + "core/planted.py",
        "from pathlib import Path",
        forbidden,
        "core is arrays in",
    ),
    "core-imports-os-in-a-function": (
        SRC + "core/planted.py",
        "def f():\n    import os",
        forbidden,
        "core is arrays",
    ),
    "core-imports-h5py": (SRC + "core/planted.py", "import h5py", forbidden, "core is arrays in"),
    "core-imports-matplotlib": (SRC + "core/planted.py", "import matplotlib.pyplot", forbidden, "core is arrays in"),
    "core-imports-meshes-of-nilearn": (
        SRC + "core/planted.py",
        "from nilearn.datasets import load_fsaverage",
        forbidden,
        None,
    ),
    "drawing-imports-core": (SRC + "drawing/planted.py", "from boldflow import core", arrows, "stages >"),
    "drawing-imports-artifacts": (SRC + "drawing/planted.py", "import boldflow.artifacts", arrows, "stages >"),
    "core-imports-artifacts": (SRC + "core/planted.py", "import boldflow.artifacts", arrows, "stages >"),
    "a-stage-imports-a-command": (SRC + "stages/planted.py", "from boldflow.commands import why", arrows, "stages >"),
    "artifacts-import-core": (SRC + "artifacts/planted.py", "from boldflow import core", arrows, "stages >"),
    "artifacts-import-stages": (SRC + "artifacts/planted.py", "import boldflow.stages", arrows, "stages >"),
    "a-figure-imports-stages": (SRC + "figures/planted.py", "from .. import stages", arrows, "stages >"),
    "a-data-set-imports-features": (
        SRC + "datasets/planted.py",
        "import boldflow.features",
        arrows,
        "stages >",
    ),
    "report-imports-models": (
        SRC + "report/planted.py",
        "from boldflow import models",
        arrows,
        "draw from tables",
    ),
    "registry-imports-core": (SRC + "registry.py", "import boldflow.core", arrows, "stages >"),
    "registry-imports-validation": (SRC + "registry.py", "import boldflow.validation", arrows, "stages >"),
    "core-imports-validation": (SRC + "core/planted.py", "from boldflow import validation", arrows, None),
    "provenance-imports-registry": (
        SRC + "provenance.py",
        "from boldflow import registry",
        arrows,
        "stages >",
    ),
    "a-model-imports-another": (
        SRC + "models/planted.py",
        "from boldflow.models import ridge",
        siblings,
        None,
    ),
    "a-model-imports-a-neighbour": (SRC + "models/planted.py", "from .ridge import fit", siblings, None),
    "a-model-imports-a-module-of-a-package": (
        SRC + "models/planted.py",
        "from boldflow.models.forest.trees import grow",
        siblings,
        None,
    ),
    "a-package-imports-a-neighbour": (
        SRC + "models/planted/fitting.py",
        "from boldflow.models.ridge import fit",
        siblings,
        None,
    ),
    "a-package-imports-one-whose-name-begins-alike": (
        SRC + "models/planted/__init__.py",
        "from boldflow.models.planted_too.fitting import fit",
        siblings,
        None,
    ),
    "a-figure-imports-torch": (
        SRC + "figures/planted.py",
        "import torch.nn",
        forbidden,
        "draw from tables alone",
    ),
    "a-figure-imports-torch-by-name": (
        SRC + "figures/planted.py",
        "import importlib\ntorch = importlib.import_module('torch')",
        forbidden,
        None,
    ),
    "report-imports-torch": (
        SRC + "report/planted.py",
        "from torch import nn",
        forbidden,
        "draw from tables alone",
    ),
    "a-data-set-imports-torch": (
        SRC + "datasets/planted.py",
        "import torch",
        forbidden,
        "data sets never import",
    ),
    "provenance-imports-numpy": (
        SRC + "provenance.py",
        "import numpy as np",
        parse_light,
        "standard library only",
    ),
    "registry-imports-yaml": (
        SRC + "registry.py",
        "def f():\n    import yaml",
        parse_light,
        "standard library only",
    ),
    "registry-imports-scipy": (SRC + "registry.py", "import scipy", parse_light, None),
    "a-stage-imports-snakemake": (
        SRC + "stages/planted.py",
        "from snakemake.utils import min_version",
        forbidden,
        "never imports snakemake",
    ),
    "an-adapter-loops": (
        "workflow/scripts/planted.py",
        "for name in snakemake.input:\n    run(name)",
        adapters,
        None,
    ),
    "an-adapter-decides": (
        "workflow/scripts/planted.py",
        "if snakemake.params.x:\n    run()",
        adapters,
        None,
    ),
    "an-adapter-computes": ("workflow/scripts/planted.py", "run(snakemake.params.x * 2)", adapters, None),
    "an-adapter-chooses": ("workflow/scripts/planted.py", "run(snakemake.params.x or 2)", adapters, None),
    "an-adapter-defines": ("workflow/scripts/planted.py", "def run():\n    pass", adapters, None),
    "an-adapter-has-a-class": ("workflow/scripts/planted.py", "class Run:\n    pass", adapters, None),
    "an-adapter-comprehends": (
        "workflow/scripts/planted.py",
        "run([x for x in snakemake.input])",
        adapters,
        None,
    ),
    "an-adapter-imports-core": (
        "workflow/scripts/planted.py",
        "from boldflow.core import ridge",
        adapters,
        None,
    ),
    "an-adapter-imports-numpy": ("workflow/scripts/planted.py", "import numpy as np", adapters, None),
    "a-rule-has-a-lambda": (
        "workflow/rules/train.smk",
        "rule planted:\n    params:\n        x=lambda wildcards: 1,",
        rules,
        None,
    ),
    "common-has-a-lambda": ("workflow/rules/common.smk", "f = lambda wildcards: 1", rules, None),
    "a-rule-runs-code": ("workflow/rules/train.smk", "rule planted:\n    run:\n        pass", rules, None),
    "a-helper-away-from-common": (
        "workflow/rules/train.smk",
        "def helper(wildcards):\n    return 1",
        rules,
        None,
    ),
    "common-imports-numpy": ("workflow/rules/common.smk", "import numpy", rules, None),
    "common-imports-a-stage": ("workflow/rules/common.smk", "from boldflow import stages", rules, None),
    "common-imports-a-module-of-core": (
        "workflow/rules/common.smk",
        "from boldflow.core import ridge",
        rules,
        None,
    ),
    "lifecycle-defines": ("workflow/rules/lifecycle.smk", "def helper():\n    return 1", rules, None),
    "lifecycle-imports-more": ("workflow/rules/lifecycle.smk", "from boldflow import registry", rules, None),
    "a-rule-file-imports": ("workflow/rules/train.smk", "import re", rules, None),
    "the-snakefile-has-a-rule": ("Snakefile", "rule planted:\n    output:\n        'x',", rules, None),
    "the-snakefile-decides": ("Snakefile", "if config:\n    pass", rules, None),
    "the-snakefile-sets": ("Snakefile", "X = 1", rules, None),
    "the-snakefile-imports": ("Snakefile", "import os", rules, None),
}


def plant(root: Path, name: str, text: str) -> None:
    path = root / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}\n{text}\n", encoding="utf-8")


def test_a_plugin_that_is_a_package_may_import_its_own_modules(copy):
    plant(copy, f"{SRC}models/planted/__init__.py", "from boldflow.models.planted.fitting import fit")
    plant(copy, f"{SRC}models/planted/fitting.py", "from . import scaling\nfrom .scaling import centre")
    plant(copy, f"{SRC}models/planted/deeper/solving.py", "from boldflow.models.planted import scaling")
    assert siblings(copy) == []


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_seen(breach, copy):
    name, text, check, contract = BREACHES[breach]
    before = check(copy)
    plant(copy, name, text)
    seen = [line for line in check(copy) if line not in before]
    assert seen, f"{check.__name__} does not see {text!r} in {name}"
    assert all(line.startswith(Path(name).name) for line in seen)
    if contract is not None:
        done = lint_imports(copy)
        broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
        assert done.returncode != 0, done.stdout + done.stderr
        assert any(contract in line for line in broken), done.stdout + done.stderr
        module = name.removeprefix("src/").removesuffix(".py").replace("/", ".")
        assert f"{module} -> " in done.stdout
