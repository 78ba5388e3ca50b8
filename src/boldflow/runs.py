"""Snakemake runs of a working folder: who is at work, who is gone, and what they left. Standard library only.

Snakemake locks the files of a run and says so, but not who holds them. Each run leaves a note here while it lasts.
"""

import fcntl
import getpass
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

RUNS = Path(".snakemake/boldflow-runs")
CLAIMS = Path(".snakemake/boldflow-claims")
LOCKS = Path(".snakemake/locks")  # Snakemake's own
SECONDS = 30  # for a command of Slurm to answer


def claim_name(outputs: Sequence[str]) -> str:
    """Name the claim on a set of outputs."""
    return hashlib.sha256("\n".join(sorted(outputs)).encode()).hexdigest()[:16]


def enter() -> None:
    """Leave a note that this process's run is at work; notes of runs whose process is gone are removed."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for path, note in _notes():
        if _alive(note) is False:
            path.unlink(missing_ok=True)
    command = " ".join(["snakemake", *sys.argv[1:]])
    note = {
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": command,
    }
    temporary = _own().with_suffix(".part")
    temporary.write_text(json.dumps(note), encoding="utf-8")
    temporary.replace(_own())


def leave(outputs: Iterable[Sequence[str]]) -> None:
    """Take the note away, and forget which of the run's jobs were finished: the next run may ask for them again.

    Parameters
    ----------
    outputs : the outputs of each job of the run
    """
    _own().unlink(missing_ok=True)
    kept = {path.name.partition(".")[0] for path in CLAIMS.glob("*.done")}
    for name in kept & {claim_name(paths) for paths in outputs}:
        for path in CLAIMS.glob(f"{name}.*"):
            if path.suffix == ".done" or path.suffix[1:].isdigit():
                path.unlink(missing_ok=True)


def others() -> list[str]:
    """Say who holds Snakemake's locks in this folder; empty where nothing is locked."""
    if not (LOCKS.is_dir() and any(LOCKS.iterdir())):
        return []
    lines = []
    for _, note in _notes():
        who = f"process {note['pid']} of {note['user']} on {note['host']}, since {note['since']}: {note['command']}"
        alive = _alive(note)
        if alive:
            lines.append(f"a run is at work in this folder: {who}; where it makes the same files, wait for it to end")
        elif alive is None:
            lines.append(f"a run was started on another host: {who}; see there whether it is alive")
        else:
            lines.append(
                f"a run was killed and left its lock: {who}; run the same command with --unlock, then again: "
                "what is finished is not done again"
            )
    return lines


def holders() -> list[str]:
    """Name the runs of this host that are at work in this folder: their locks are not to be taken away."""
    alive = [note for path, note in _notes() if path != _own() and _alive(note)]
    return [f"process {note['pid']} of {note['user']}, since {note['since']}: {note['command']}" for note in alive]


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
    asked = subprocess.run(
        ["squeue", "--noheader", "--format=%i|%T", "--states=PENDING", f"--jobs={','.join(jobs)}"],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    states = dict(line.strip().split("|") for line in asked.stdout.splitlines() if "|" in line)
    waiting = sorted(job for job, state in states.items() if state == "PENDING")
    if not waiting:
        return []
    subprocess.run(["scancel", "--state=PENDING", *waiting], timeout=SECONDS, check=False)
    return [f"cancelled {len(waiting)} waiting Slurm jobs of a run that is gone: {', '.join(waiting)}"]


def at_work(outputs: Iterable[Sequence[str]]) -> list[str]:
    """Say which outputs are being made at this moment, by a job that a run that is gone has left.

    Parameters
    ----------
    outputs : the outputs of each job of this run, none of which has started
    """
    lines = []
    for paths in outputs:
        stem = CLAIMS / claim_name(paths)
        try:
            with stem.with_suffix(".lock").open("r+") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    owner = stem.with_suffix(".owner").read_text(encoding="utf-8")
                    lines.append(
                        f"{sorted(paths)[0]} is being made by {owner}, of a run that is gone: it is waited for"
                    )
        except OSError:
            continue  # never claimed, or a file system that takes no locks: the job itself will say so
    return lines


def shield() -> None:
    """Let SIGTERM pass this process by: for the Snakemake inside a job, which would else die of it at once.

    Slurm signals all processes of a job, and ends the job when its first process ends: before the one that does the
    work could keep its progress. That one handles the signal, and Snakemake ends after it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_from_a_thread() -> None:
    """Let this process's handler of SIGTERM run in a thread of its own: for Snakemake itself.

    Its handler takes a lock that the main thread holds while it books finished jobs. Run there, in between, it would
    wait for that same thread, and Snakemake would hang without children.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        signal.signal(signal.SIGTERM, lambda *found: threading.Thread(target=handler, args=found).start())


def count_as_failed(tools: Path) -> None:
    """Put wrappers of sacct and squeue before Slurm's own on the PATH of this process, where Slurm is there.

    Snakemake's plug-in for Slurm waits for a preempted job to come back. With ``slurm-no-requeue``, which a node's
    death makes necessary, it never does, and the run would hang: the wrappers report such a job as failed. Neither
    does the plug-in know a job that somebody cancelled: sacct says "CANCELLED by" and whose number.

    Parameters
    ----------
    tools : folder of the wrappers
    """
    found = {name: shutil.which(name) for name in ("sacct", "squeue")}
    if any(path is None or Path(path).parent == tools for path in found.values()):
        return
    for name, path in found.items():
        os.environ[f"BOLDFLOW_{name.upper()}"] = str(path)
    os.environ["PATH"] = os.pathsep.join([str(tools), os.environ.get("PATH", "")])


def _own() -> Path:
    return RUNS / f"{socket.gethostname()}-{os.getpid()}.json"


def _notes() -> list[tuple[Path, dict[str, str | int]]]:
    found = []
    for path in sorted(RUNS.glob("*.json")):
        try:
            found.append((path, json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, json.JSONDecodeError):
            continue  # it has just been taken away
    return found


def _alive(note: dict[str, str | int]) -> bool | None:
    """Tell whether a run's process is there; None where it is another host's."""
    if note["host"] != socket.gethostname():
        return None
    return _born(int(note["pid"])) == note["born"]


def _born(pid: int) -> str:
    """Give the start of a process in ticks since boot: process numbers are used again. Empty where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]
