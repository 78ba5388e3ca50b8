"""Runs that are at work while a test does something to them: Snakemake in the background, a model that takes time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import WATCHED, Project, real_data

# Progress is kept every half second; about 4 ms an epoch and seed on an idle core.
SLOW_MODEL = "  slow: {plugin: linear_sgd, n_epochs: EPOCHS, seeds: [0, 1]}"
# A network of two seeds side by side.
SLOW_NETWORK = "  slow: {plugin: fmri_mlp, width: 16, n_epochs: EPOCHS, batch_size: 12, patience: 0, seeds: [0, 1]}"
SLOW_STUDY = """
title: A model that takes its time
primary: {metric: accuracy, view: image}
runs:
  - {datasets: [sim-tiny], subjects: SUBJECTS, responses: [bold-4to10s-fsaverage5], features: [labels],
     models: [slow], splits: [repeated]}
"""
SLOW = ("--config", "study=slow")
WIDE = ("--config", "study=wide")


def result(subject: str = "sub-01") -> str:
    """Folder of the slow model's result."""
    return f"results/sim-tiny/{subject}/bold-4to10s-fsaverage5/labels/slow/repeated"


def log(subject: str = "sub-01") -> str:
    """Log of the slow model's training."""
    return f"logs/train_model/sim-tiny_{subject}_bold-4to10s-fsaverage5_labels_slow_repeated.log"


@dataclass
class Run:
    """A Snakemake at work; its output goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def ends(self, code: int = 0, seconds: float = 550) -> str:
        """Wait for its end with an exit code; gives its output."""
        try:
            found = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"snakemake did not end in {seconds} s:\n{self.text()[-6000:]}")
        assert found == code, f"snakemake ended with {found}:\n{self.text()[-8000:]}"
        return self.text()

    def kill(self) -> None:
        """Kill Snakemake itself, at once; what it has started lives on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass
class Site(Project):
    """A copy of the finished smallest study, to which a slow model may be added."""

    profile: str = "cpu"
    options: tuple[str, ...] = ()
    runs: list[Run] = field(default_factory=list)

    def start(self, *arguments: str, profile: str | None = None, wrap: tuple[str, ...] = (), **variables: str) -> Run:
        """Start Snakemake, as a user would, in a session of its own."""
        output = self.folder / f"snakemake-{len(self.runs)}.out"
        name = profile or self.profile
        options = self.options if name == self.profile else ()
        with output.open("wb") as handle:
            process = subprocess.Popen(
                [*wrap, sys.executable, "-m", "snakemake", *arguments, "--profile", name, "--nocolor", *options],
                cwd=self.folder,
                env={**self.environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        run = Run(process, output)
        self.runs.append(run)
        return run

    def environment(self) -> dict[str, str]:
        """Give the variables of a shell in which .venv is active; the package is this copy's."""
        found = real_data()
        given = {"BOLDFLOW_REAL_DATA": str(found)} if found else {}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # a test of features in this process may have closed the hub for itself
        closed = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        own = {name: value for name, value in os.environ.items() if name not in closed}
        return {**WATCHED, **own, **given, "PATH": path, "PYTHONPATH": str(self.folder / "src")}

    def slow(self, epochs: int, pause_s: float = 0, model: str = SLOW_MODEL) -> "Site":
        """Add the slow model and its studies: ``slow`` of one subject, ``wide`` of all.

        With a pause at the end of each epoch it takes its time on a fast machine too.
        """
        self.edit("config/config.yaml", "\nmodels:\n", f"\nmodels:\n{model.replace('EPOCHS', str(epochs))}\n")
        for name, subjects in {"slow": "[sub-01]", "wide": "all"}.items():
            (self.folder / f"config/studies/{name}.yaml").write_text(SLOW_STUDY.replace("SUBJECTS", subjects))
        self.edit("src/boldflow/stages/models/_progress.py", "EVERY_S = 60.0", "EVERY_S = 0.5")
        if pause_s:
            old = "        stop = _interruption.requested()"
            self.edit("src/boldflow/stages/models/_progress.py", old, f"        time.sleep({pause_s})\n{old}")
        return self

    def plugin(self, section: str, name: str, text: str) -> None:
        """Add a plug-in and its entry."""
        (self.folder / f"src/boldflow/{section}/{name}.py").write_text(text)
        self.edit("config/config.yaml", f"\n{section}:\n", f"\n{section}:\n  {name.replace('_', '-')}: {{}}\n")

    def steps_kept(self, subject: str = "sub-01") -> int:
        """Steps that the newest progress of the slow model holds, over its seeds; 0 where there are none."""
        found = 0
        for seed in sorted((self.folder / result(subject) / ".checkpoints/fold0").glob("seed*")):
            steps = [int(path.stem.partition("-")[2]) for path in seed.glob("step-*.safetensors")]
            found += max(steps, default=0)
        return found

    def trains(self, subject: str = "sub-01") -> None:
        """Wait until the slow model has left progress."""
        wait_for(lambda: self.steps_kept(subject), f"progress of {subject} in training", 180)

    def resumed(self, subject: str = "sub-01") -> bool:
        """Tell whether the last training went on from kept progress."""
        return "going on from" in self.log(subject)

    def is_taken_over(self, subject: str = "sub-01") -> bool:
        """Tell whether the last training took what a job of a run that is gone has made: it waited, or came after."""
        return any(words in self.log(subject) for words in ("left as it is", "put back: "))

    def log(self, subject: str = "sub-01") -> str:
        """Give the log of the slow model's training; empty where there is none."""
        path = self.folder / log(subject)
        return path.read_text() if path.exists() else ""

    def times(self) -> dict[str, int]:
        """Give the time of every result of the smallest study."""
        places = [path for path in (self.folder / "results/sim-tiny").rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.folder)): path.stat().st_mtime_ns for path in places if "/slow/" not in str(path)
        }

    def same(self, other: Project, *paths: str) -> None:
        """See that files are byte for byte those of another copy."""
        for path in paths:
            assert (self.folder / path).read_bytes() == (other.folder / path).read_bytes(), f"{path} differs"

    def as_undisturbed(self, other: Project, *subjects: str) -> None:
        """See that the slow model's results are the undisturbed run's, byte for byte, and nothing is left over."""
        for subject in subjects or ("sub-01",):
            names = ("predictions.npy", "predictions.parquet", "history.csv", "scores.parquet", "model.safetensors")
            self.same(other, *(f"{result(subject)}/{name}" for name in names))
            assert not (self.folder / result(subject) / ".checkpoints").exists()
            assert not [path for path in (self.folder / result(subject)).iterdir() if ".part" in path.name]

    def close(self) -> None:
        """Kill what still runs."""
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()


def wait_for(there: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:.0f} s there is no {what}")
        time.sleep(0.05)


def jobs(site: Site) -> list[int]:
    """Processes that run an adapter of this copy."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if len(words) > 1 and words[1].startswith(f"{site.folder}/.snakemake/scripts/"):
                found.append(int(place.name))
    return found


def hit(site: Site, number: signal.Signals, after_s: float) -> None:
    """Send a signal to the training some time after it first kept new progress."""
    at = site.steps_kept()
    wait_for(lambda: site.steps_kept() > at, "new progress", 120)
    time.sleep(after_s)
    (process,) = jobs(site)
    os.kill(process, number)
