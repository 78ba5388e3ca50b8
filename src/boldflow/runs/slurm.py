"""Commands to Slurm that Snakemake's plug-in does not give."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SECONDS = 30  # for a command of Slurm to answer


def cancel_waiting(jobs: Sequence[str]) -> list[str]:
    """Cancel Slurm jobs of a run that is gone, as far as they still wait in the queue; those that run go on.

    Parameters
    ----------
    jobs : ids of Slurm

    Returns
    -------
    list of str
        What is to be told.
    """
    if not jobs or shutil.which("scancel") is None:
        return []
    answer = subprocess.run(
        ["squeue", "--noheader", "--format=%i|%T", "--states=PENDING", f"--jobs={','.join(jobs)}"],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    states = dict(line.strip().split("|") for line in answer.stdout.splitlines() if "|" in line)
    waiting_jobs = sorted(job for job, state in states.items() if state == "PENDING")
    if not waiting_jobs:
        return []
    subprocess.run(["scancel", "--state=PENDING", *waiting_jobs], timeout=SECONDS, check=False)
    return [f"cancelled {len(waiting_jobs)} waiting Slurm jobs of a run that is gone: {', '.join(waiting_jobs)}"]


def may_live(jobs: Sequence[str]) -> bool:
    """Tell whether Slurm still knows of one of the jobs, waiting or running; so it may where it cannot be asked."""
    if shutil.which("squeue") is None:
        return True
    answer = subprocess.run(
        ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(jobs)}"],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    is_unknown = answer.returncode != 0 and "Invalid job id" in answer.stderr
    return bool(answer.stdout.strip()) or (answer.returncode != 0 and not is_unknown)


def count_as_failed(tools: Path) -> None:
    """Put wrappers of sacct and squeue before Slurm's own on the PATH of this process, where Slurm is there.

    Snakemake's plug-in for Slurm waits for a preempted job to come back. With ``slurm-no-requeue``, which a node's
    death makes necessary, it never does, and the run would hang: the wrappers report such a job as failed. Neither
    does the plug-in know a job that somebody cancelled: sacct says "CANCELLED by" and whose number.

    Parameters
    ----------
    tools : folder of the wrappers
    """
    programs = {name: shutil.which(name) for name in ("sacct", "squeue")}
    if any(path is None or Path(path).parent == tools for path in programs.values()):
        return
    for name, path in programs.items():
        os.environ[f"BOLDFLOW_{name.upper()}"] = str(path)
    os.environ["PATH"] = os.pathsep.join([str(tools), os.environ.get("PATH", "")])
