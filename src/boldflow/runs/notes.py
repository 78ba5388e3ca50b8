"""Notes of the Snakemake runs of a working folder: who is at work and who is gone.

Snakemake locks the files of a run and says so, but not who holds them. Each run leaves a note here while it lasts.
"""

import getpass
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boldflow.runs.checksums import read_json, write_json

RUNS = Path(".snakemake/boldflow-runs")
LOCKS = Path(".snakemake/locks")  # Snakemake's own


def enter() -> None:
    """Leave a note that this process's run is at work; notes of runs whose process is gone are removed."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for path, note in _notes():
        if is_alive(note) is False:
            path.unlink(missing_ok=True)
    command = " ".join(["snakemake", *sys.argv[1:]])
    run_facts = {"user": getpass.getuser(), "since": time.strftime("%Y-%m-%d %H:%M:%S"), "command": command}
    write_json(note_of_this_run(), {**identity(), **run_facts})


def identity() -> dict[str, str | int]:
    """Say which process this is, so that another can tell whether it is still there."""
    return {"pid": os.getpid(), "born": _born(os.getpid()), "host": socket.gethostname()}


def leave() -> None:
    """Take this run's note away."""
    note_of_this_run().unlink(missing_ok=True)


def others() -> list[str]:
    """Say who holds Snakemake's locks in this folder; empty where nothing is locked."""
    if not (LOCKS.is_dir() and any(LOCKS.iterdir())):
        return []
    lines = []
    for _, note in _notes():
        process_text = (
            f"process {note['pid']} of {note['user']} on {note['host']}, since {note['since']}: {note['command']}"
        )
        alive = is_alive(note)
        if alive:
            lines.append(
                f"a run is at work in this folder: {process_text}; where it makes the same files, wait for it to end"
            )
        elif alive is None:
            lines.append(f"a run was started on another host: {process_text}; see there whether it is alive")
        else:
            lines.append(
                f"a run was killed and left its lock: {process_text}; run the same command with --unlock, then again: "
                "what is finished is not done again"
            )
    return lines


def holders() -> list[str]:
    """Name the runs of this host that are at work in this folder: their locks are not to be taken away."""
    alive = [note for path, note in _notes() if path != note_of_this_run() and is_alive(note)]
    return [f"process {note['pid']} of {note['user']}, since {note['since']}: {note['command']}" for note in alive]


def note_of_this_run() -> Path:
    """Give the path of this run's note."""
    return RUNS / f"{socket.gethostname()}-{os.getpid()}.json"


def is_alive(note: Mapping[str, Any]) -> bool | None:
    """Tell whether a run's process is there; None where it is another host's."""
    if note["host"] != socket.gethostname():
        return None
    return _born(int(note["pid"])) == note["born"]


def _notes() -> list[tuple[Path, dict[str, Any]]]:
    notes = [(path, read_json(path)) for path in sorted(RUNS.glob("*.json"))]
    return [(path, note) for path, note in notes if note is not None]  # else it has just been taken away


def _born(pid: int) -> str:
    """Give the start of a process in ticks since boot: process numbers are used again. Empty where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]
