"""What jobs have cost that were put back: Snakemake writes over their benchmark what putting back has cost.

The benchmark of the work itself is set aside first, and comes back at the end of the run. Its path is that of the job's
log, in another folder and with another ending.
"""

import os
import shutil
from pathlib import Path

ASIDE = Path(".snakemake/boldflow-costs")


def set_aside(log: str | Path) -> None:
    """Keep what a job's work has cost, before Snakemake writes what putting back cost."""
    path = _benchmark(log)
    copy = ASIDE / path
    if path.is_file() and not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f"{copy.name}.{os.getpid()}.part")
        shutil.copyfile(path, temporary)
        temporary.replace(copy)


def forget(log: str | Path) -> None:
    """Let the next benchmark of a job count: it does its work."""
    (ASIDE / _benchmark(log)).unlink(missing_ok=True)


def benchmark(path: str | Path) -> Path:
    """Give the file that says what a job's work has cost, by the path of its benchmark."""
    copy = ASIDE / path
    return copy if copy.is_file() else Path(path)


def put_back() -> None:
    """Bring back all that was set aside, once Snakemake writes no more."""
    for copy in sorted(ASIDE.rglob("*.tsv")):
        path = copy.relative_to(ASIDE)
        path.parent.mkdir(parents=True, exist_ok=True)
        copy.replace(path)


def _benchmark(log: str | Path) -> Path:
    return Path("benchmarks", *Path(log).parts[1:]).with_suffix(".tsv")
