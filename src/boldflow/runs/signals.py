"""How Snakemake's own processes take SIGTERM and SIGINT."""

import os
import re
import signal
import threading
import time
from pathlib import Path
from types import FrameType

AGAIN_S = 0.5  # until jobs that have only begun to listen are told
JOB = ".snakemake/scripts/"  # in the command of a process that does a job's work


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

        def handle(number: int, frame: FrameType | None) -> None:
            threading.Thread(target=handler, args=(number, frame)).start()

        signal.signal(signal.SIGTERM, handle)


def end_jobs_at_interruption() -> None:
    """Hand SIGINT to the jobs too: from a terminal (Ctrl-C) they get it, from ``kill -INT`` Snakemake alone does.

    Snakemake would wait for them to come to their end. Told by SIGTERM, a job keeps its progress and ends.
    """
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):

        def handle(number: int, frame: FrameType | None) -> None:
            threading.Thread(target=_tell_jobs, daemon=True).start()
            handler(number, frame)

        signal.signal(signal.SIGINT, handle)


def _tell_jobs() -> None:
    """Send SIGTERM to each job below this process once, as soon as it listens, as long as this process is there."""
    signalled: set[int] = set()
    while True:
        for process in set(listening(os.getpid())) - signalled:
            signalled.add(process)
            try:
                os.kill(process, signal.SIGTERM)
            except ProcessLookupError:
                continue
        time.sleep(AGAIN_S)


def listening(ancestor: int, proc: Path = Path("/proc")) -> list[int]:
    """Name the processes below one that do a job's work and handle SIGTERM."""
    parents: dict[int, int] = {}
    listeners = []
    for folder in proc.glob("[0-9]*"):
        try:
            status = (folder / "status").read_text(encoding="utf-8")
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        fields = dict(re.findall(r"^(PPid|SigCgt):\s*(\w+)$", status, re.MULTILINE))
        parents[int(folder.name)] = int(fields.get("PPid", 0))
        is_handled = int(fields.get("SigCgt", "0"), 16) >> (signal.SIGTERM - 1) & 1
        if is_handled and JOB in command:
            listeners.append(int(folder.name))
    return [process for process in listeners if ancestor in _ancestors(process, parents)]


def _ancestors(process: int, parents: dict[int, int]) -> set[int]:
    above: set[int] = set()
    while (process := parents.get(process, 0)) and process not in above:
        above.add(process)
    return above
