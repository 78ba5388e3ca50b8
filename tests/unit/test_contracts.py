"""Each plug-in is what its section's contract says: mypy checks the modules that there are against the Protocols."""

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from boldflow import registry
from boldflow.vocabulary.sections import PLUGIN_SECTIONS

CONTRACTS = {"datasets": "DataSet", "features": "Feature", "models": "Model", "figures": "Figure"}
ALL = [(section, name) for section in CONTRACTS for name in registry.plugins(section)]


def protocols(section, name):
    """Contracts of a plug-in, by name: its section's, and those of the functions that it has beyond them."""
    further = importlib.import_module(f"boldflow.{section}").FURTHER
    module = registry.load(section, name)
    return [
        CONTRACTS[section],
        *(contract.__name__ for function, contract in further.items() if hasattr(module, function)),
    ]


def assignments():
    """A module that says of each plug-in which contracts it keeps."""
    lines = [f"import boldflow.{section}" for section in CONTRACTS]
    lines += [f"import boldflow.{section}.{name}" for section, name in ALL]
    for section, name in ALL:
        for contract in protocols(section, name):
            lines.append(f"{section}_{name}_{contract}: boldflow.{section}.{contract} = boldflow.{section}.{name}")
    return "\n".join(lines) + "\n"


def checked(folder, text):
    """What mypy, as the project has it set, says of a module."""
    path = folder / "assigned.py"
    path.write_text(text)
    source = Path(registry.PACKAGE).parent
    settings = folder / "mypy.ini"
    settings.write_text(f"[mypy]\nmypy_path = {source}\nignore_missing_imports = true\ncheck_untyped_defs = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_all_plugins_keep_the_contract_of_their_section(tmp_path):
    """One run of mypy for all; a plug-in that is wrong, and one that lacks a function, are found in the same run."""
    wrong = textwrap.dedent(
        """
        import boldflow.models
        import planted_wrong, planted_lacking

        wrong: boldflow.models.Model = planted_wrong
        lacking: boldflow.models.Model = planted_lacking
        """
    )
    names = ("subjects", "settings", "seeds", "device", "keeper")
    fit = f"def fit({', '.join(f'{name}: object' for name in names)}) -> Fitted: raise OSError"
    head = "from typing import Any\nfrom boldflow.core.records.training import Fitted\nFACTS: dict[str, Any] = {}\n"
    (tmp_path / "planted_wrong.py").write_text(f"{head}{fit}\ndef predict(inputs: int) -> str: raise OSError\n")
    (tmp_path / "planted_lacking.py").write_text(f"{head}{fit}\n")
    text = assignments()
    result = checked(tmp_path, text + wrong)
    errors = [line for line in result.stdout.splitlines() if ": error:" in line]
    n_right = len(text.splitlines())
    planted = [line for line in errors if line.startswith("assigned.py:") and int(line.split(":")[1]) > n_right]
    assert len(planted) == 2 and "def predict(inputs: int) -> str" in result.stdout, result.stdout
    assert errors == planted, result.stdout


@pytest.mark.parametrize("section", CONTRACTS)
def test_every_section_of_plugins_has_a_contract(section):
    assert set(CONTRACTS) == set(PLUGIN_SECTIONS)
    assert getattr(importlib.import_module(f"boldflow.{section}"), CONTRACTS[section])
