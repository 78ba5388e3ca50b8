"""Shared by all tests: copies of the project, real Snakemake runs in them, the place of real data."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.made import forked

ROOT = Path(__file__).resolve().parents[1]
# from Python 3.12 each job sees that what it executes lies inside its digest (boldflow.symbols.watching)
WATCHED = {"BOLDFLOW_WATCH_CODE": "1"}
PARTS = ("Snakefile", "config", "workflow", "src", "envs", "profiles", "cpu", "slurm", "pyproject.toml")


def pytest_configure() -> None:
    """Heed SIGINT, also in programs that tests start: a shell lets what runs in its background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def real_data() -> Path | None:
    """Folder of the real data, by the variable or beside the project; None where it is not at hand."""
    named = os.environ.get("BOLDFLOW_REAL_DATA")
    if named:
        return Path(named)
    beside = ROOT.parent / "shared" / "data"
    return beside.resolve() if beside.is_dir() else None


@dataclass
class Project:
    """A copy of the project in which Snakemake runs."""

    folder: Path

    def snakemake(
        self, *arguments: str, check: bool = True, largest: int | None = None, seconds: float = 550, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake with the cpu profile; the output is one text. ``largest`` limits the bytes of any file."""
        found = real_data()
        given = {"BOLDFLOW_REAL_DATA": str(found)} if found else {}
        words = [*arguments, "--profile", "cpu", "--nocolor"]
        environment = {**WATCHED, **os.environ, **given, **variables}
        result = forked.run("snakemake", words, self.folder, environment, largest=largest, timeout=seconds)
        if check and result.returncode:
            pytest.fail(f"snakemake {arguments} ended with {result.returncode}:\n{result.stdout[-6000:]}")
        return result

    def planned(self, *arguments: str, **variables: str) -> dict[str, int]:
        """Jobs that a dry run would do, by rule; empty when there is nothing to be done."""
        lines = self.snakemake("-n", *arguments, "--quiet", "rules", **variables).stdout.splitlines()
        if any(line.startswith("Nothing to be done") for line in lines):
            return {}
        start = next(i for i, line in enumerate(lines) if line.startswith("job ")) + 2
        jobs = {}
        for line in lines[start:]:
            name, _, count = line.partition(" ")
            if name == "total" or not count.strip().isdigit():
                break
            jobs[name] = int(count)
        return {name: n for name, n in jobs.items() if name != "all"}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file of the copy; the text must be there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))

    def again(self, folder: Path) -> "Project":
        """Copy everything, results and Snakemake's memory too, with times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def copy_project(folder: Path) -> Project:
    """Copy what a run needs of this checkout."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(
                source,
                folder / part,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            )
        else:
            shutil.copy2(source, folder / part, follow_symlinks=False)
    return Project(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Give a folder that is made by whoever needs it first.

    The workers of one run of the tests share it; so do several runs where BOLDFLOW_TEST_SHARED names a folder for it.
    """
    own = factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    shared = Path(os.environ.get("BOLDFLOW_TEST_SHARED", base)) / name
    shared.mkdir(exist_ok=True)
    with FileLock(shared / "lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared / "project", ignore_errors=True)  # of a worker whose run failed
            make(shared / "project")
            (shared / "done").touch()
    return shared / "project"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the smallest study has been run whole; tests copy it before they change it."""

    def make(folder: Path) -> None:
        copy_project(folder).snakemake("--config", "study=demo-tiny")

    return Project(once(tmp_path_factory, "finished", make))
