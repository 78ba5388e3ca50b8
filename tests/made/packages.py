"""Small packages, each with one edit of one file: what a job of them prints, and what the digest says of the edit."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from boldflow.symbols.package import Package
from boldflow.symbols.reach import Reach

JOB = "stages/job.py"
ROOTS = ("boldflow.stages.job:run",)


@dataclass(frozen=True)
class Case:
    """A package as text (``== path`` before each file; the first is the job's), and an edit.

    ``other``: the edit changes what the job prints.
    """

    text: str
    path: str
    old: str
    new: str
    other: bool = True

    def write(self, folder: Path) -> Path:
        """Write the package; gives its folder."""
        root = folder / "boldflow"
        for part in f"== {JOB}\n{self.text.strip()}\n".split("== ")[1:]:
            name, _, text = part.partition("\n")
            file = root / name.strip()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for place in {root, *(path.parent for path in root.rglob("*.py"))}:
            (place / "__init__.py").touch()
        return root

    def edit(self, root: Path) -> None:
        """Make the edit; the text must be there, once."""
        file = root / self.path
        if not self.old:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.new)
            (file.parent / "__init__.py").touch()
            return
        text = file.read_text()
        assert text.count(self.old) == 1, f"{self.old!r} stands {text.count(self.old)} times in {self.path}"
        file.write_text(text.replace(self.old, self.new))


def printed(folder: Path, python: str = sys.executable) -> str:
    """Run the job in a process of its own; gives what its ``run`` returns, printed."""
    call = "from boldflow.stages import job; print(repr(job.run()))"
    command = [python, "-B", "-S", "-c", call]
    environment = {"PYTHONPATH": str(folder), "PATH": "", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(root: Path, *roots: str) -> dict[str, str]:
    """Digest the job by definition."""
    return Reach(Package(root)).definitions(*(roots or ROOTS))
