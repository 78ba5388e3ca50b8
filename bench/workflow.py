"""What Snakemake and the house around it cost, on the embedded study in a copy of the project.

Two rows: the share of the wall time of a first run that is no job's own work, and a second run that has
nothing to do against ``snakemake --version``. One job at a time, so that seconds add up.
"""

import csv
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import Row, alternate

PROJECT = Path(__file__).resolve().parents[1]
REPEATS = 5
NOTHING = "Nothing to be done"
TAIL_LINES = 30


def run(quick: bool = False) -> list[Row]:
    """Measure the study ``demo``, or ``demo-tiny`` where ``quick``.

    Returns
    -------
    list of Row
        Overhead beyond the jobs' own work (a share of wall time), and a run with nothing to do (a ratio).

    Raises
    ------
    RuntimeError
        If the workflow fails; shows the end of what it said.
    """
    study = "demo-tiny" if quick else "demo"
    with tempfile.TemporaryDirectory(prefix="boldflow-bench-") as temporary:
        try:
            return _measure(Path(temporary), study)
        finally:
            _make_removable(Path(temporary))


def _measure(temporary: Path, study: str) -> list[Row]:
    copy = temporary / "project"
    copy_project(copy)
    command = ["snakemake", "--profile", "cpu", "--cores", "1", "--config", f"study={study}"]
    start = time.perf_counter()
    said = call(copy, command)
    wall_s = time.perf_counter() - start
    steps = re.findall(r"(\d+) of \1 steps \(100%\) done", said)
    jobs_s = _seconds_of_jobs(copy / "benchmarks")
    before = _leaderboards(copy, study)

    said_again: list[str] = []
    again_s, version_s = alternate(
        [
            lambda: said_again.append(call(copy, command)),
            lambda: call(copy, ["snakemake", "--version"]),
        ],
        REPEATS,
    )
    idle = all(NOTHING in text for text in said_again)
    same = bool(before) and _leaderboards(copy, study) == before

    version = importlib.metadata.version("snakemake")
    n_steps = int(steps[-1]) if steps else 0
    shape = f"study {study}, {n_steps} steps, 1 core"
    agreement = f"second run idle: {idle}; {len(before)} leaderboard files unchanged: {same}"
    # each job but the targets leaves its seconds: without that the share would mean nothing
    counted = len(jobs_s) > 0 and n_steps - len(jobs_s) in (0, 1)
    timed = f"{len(jobs_s)} of {n_steps} steps timed ({sum(jobs_s):.1f} of {wall_s:.1f} s)"
    return [
        Row(
            bench="workflow",
            peer="the jobs' own seconds, snakemake",
            peer_version=version,
            shape=f"first run, {shape}",
            ratio=(wall_s - sum(jobs_s)) / wall_s,
            sense="<=",
            bound=0.10,
            agreement=f"{timed}; {agreement}",
            agrees=counted and idle and same,
            repeats=1,
        ),
        Row(
            bench="workflow",
            peer="snakemake --version",
            peer_version=version,
            shape=f"nothing to do, {shape}",
            ratio=again_s / version_s,
            sense="<=",
            bound=3.0,
            agreement=f"{again_s:.2f} s and {version_s:.2f} s; {agreement}",
            agrees=idle and same,
            repeats=REPEATS,
        ),
    ]


def copy_project(copy: Path) -> None:
    """Copy what git has, and what it would take: nothing that was made by rules or by make."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(listing, cwd=PROJECT, capture_output=True, check=True).stdout
    for name in sorted(set(said.decode().split("\0")) - {""}):
        source = PROJECT / name
        if source.is_symlink() or source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name, follow_symlinks=False)


def call(folder: Path, command: list[str]) -> str:
    """Run a program of this environment in a copy, with the copy's package; return what it said.

    Raises
    ------
    RuntimeError
        If it fails; shows the end of what it said.
    """
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(folder / "src"),  # the copy's package, not the one that is installed
    }
    full = [str(programs / command[0]), *command[1:]]
    done = subprocess.run(full, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        tail = "\n".join(said.splitlines()[-TAIL_LINES:])
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{tail}")
    return said


def _seconds_of_jobs(folder: Path) -> list[float]:
    """Return the wall seconds of each job, of the benchmark files that its rule declares."""
    seconds = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="") as handle:
            seconds.append(sum(float(row["s"]) for row in csv.DictReader(handle, delimiter="\t")))
    return seconds


def _leaderboards(copy: Path, study: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((copy / "results/studies" / study).glob("leaderboard.*"))}


def _make_removable(folder: Path) -> None:
    """git-annex takes write permission from the folders of its objects."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
