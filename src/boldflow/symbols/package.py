"""The package as files: where a module is, what is beside it, and modules as an earlier process took them apart."""

import contextlib
import functools
import json
import os
from pathlib import Path
from typing import Any

from boldflow.provenance import digest
from boldflow.symbols.modules import Module, from_row, take_apart

ROOT = Path(__file__).resolve().parents[1]
ADAPTERS = Path("workflow") / "scripts"
ADAPTER = "(adapter)."  # stands before the name of an adapter, which is no module of the package
# in Snakemake's own folder, of the working directory; of no consequence where it is missing or cannot be written
KEPT = Path(".snakemake") / "boldflow-definitions.json"


class Package:
    """The sources of the package below a folder; ``kept`` is a file that may hold what was parsed before."""

    def __init__(self, root: Path = ROOT, kept: Path | None = None) -> None:
        """Parse nothing yet."""
        self.root, self.kept = root, kept
        self._paths: dict[str, Path | None] = {}
        self._modules: dict[str, Module] = {}
        self._rows: dict[str, Any] | None = None
        self._is_new = False

    def path(self, module: str) -> Path | None:
        """Return the file of a dotted module, or None; a package goes before a module of one name, as for Python."""
        if module not in self._paths:
            if module.startswith(ADAPTER):
                candidate_paths = [self.root.parents[1] / ADAPTERS / f"{module.removeprefix(ADAPTER)}.py"]
            else:
                base_path = self.root.joinpath(*module.split(".")[1:])
                candidate_paths = [base_path / "__init__.py", base_path.with_suffix(".py")]
            self._paths[module] = next((path for path in candidate_paths if path.is_file()), None)
        return self._paths[module]

    def texts_beside(self, module: str) -> dict[str, str]:
        """Digest the files beside a module that bear its stem: a page's template, a long table."""
        path = self.path(module)
        if path is None or path.name == "__init__.py":
            return {}
        beside = [other for other in sorted(path.parent.glob(f"{path.stem}.*")) if other.suffix not in (".py", ".pyi")]
        return {other.name: digest(other.read_bytes()) for other in beside if other.is_file()}

    def module(self, name: str) -> Module:
        """Take a module apart, or recall how an earlier process did.

        Raises
        ------
        ModuleNotFoundError
            If there is no such file.
        SyntaxError
            If it does not parse.
        """
        if name not in self._modules:
            path = self.path(name)
            if path is None:
                raise ModuleNotFoundError(f"{name} is not a module of {self.root}")
            content = path.read_bytes()
            module = self._recalled(name, digest(content))
            if module is None:
                module = take_apart(name, path, content)
                self._is_new = True
            self._modules[name] = module
        return self._modules[name]

    def keep(self) -> None:
        """Write down what was parsed, whole or not at all; where that is not allowed, the next process parses again."""
        if not self._is_new or self.kept is None or not self.kept.parent.is_dir():
            return
        self._is_new = False
        module_rows = {**self._earlier(), **self._modules}
        part_path = self.kept.with_name(f"{self.kept.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            part_path.write_text(json.dumps({"made_by": _stamp(), "modules": module_rows}, separators=(",", ":")))
            part_path.replace(self.kept)

    def _recalled(self, name: str, content: str) -> Module | None:
        row = self._earlier().get(name)
        with contextlib.suppress(TypeError, ValueError, IndexError, AttributeError, KeyError):
            if row and row[0] == content:
                return from_row(row)
        return None

    def _earlier(self) -> dict[str, Any]:
        """Modules as an earlier process left them, if this very code had taken them apart."""
        if self._rows is None:
            self._rows = {}
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                note = json.loads(self.kept.read_bytes()) if self.kept else {}
                if note["made_by"] == _stamp():
                    self._rows = dict(note["modules"])
        return self._rows


@functools.cache
def _stamp() -> str:
    """Digest the sources that take modules apart: what others have left is not what these would."""
    return digest(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))
