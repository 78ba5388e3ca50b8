"""Asking programs of this machine and of Slurm, each with a time limit: one that fails is a fact like others."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

HOSTS = ["github.com:443", "s3.amazonaws.com:443", "huggingface.co:443"]
PLACES = [["TMPDIR", ""], ["SLURM_TMPDIR", ""], ["/scratch", "/scratch"], ["/tmp", "/tmp"]]


@dataclass(frozen=True)
class Waits:
    """Time limits in seconds."""

    client: float = 10  # one call of a Slurm client
    connect: float = 5  # one connection
    queue: float = 60  # a probe in the queue
    work: float = 60  # a probe on its node, beyond the time for torch
    torch: float = 90  # import of torch from a cold file system
    appear: float = 20  # a file written here, seen on a node


@dataclass(frozen=True)
class Answer:
    """What a program said; ``error`` is empty where it succeeded."""

    text: str
    error: str = ""


def ask(command: Sequence[str], seconds: float) -> Answer:
    """Run a program with a time limit; it and its children end with the limit.

    Parameters
    ----------
    command : sequence of str
    seconds : float

    Returns
    -------
    Answer
        ``text``: standard output; ``error``: why it failed, in one line.
    """
    environment = {name: value for name, value in os.environ.items() if not _of_a_job(name)}
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**environment, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        return Answer("", f"{command[0]}: {error.strerror}")
    try:
        text, error_text = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):  # srun gives its job up on the first
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=2)
        return Answer("", f"{command[0]} did not answer in {seconds:g} s")
    if process.returncode:
        lines = [line.strip() for line in (error_text or text).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines
        return Answer(text, errors[-1] if errors else f"{command[0]} ended with {process.returncode}")
    return Answer(text)


def _of_a_job(name: str) -> bool:
    """Tell whether a variable would make srun a step of the job that ``doctor`` runs in."""
    return name.startswith("SLURM_") and name != "SLURM_CONF"
