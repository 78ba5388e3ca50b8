"""How Snakemake's own processes take SIGTERM."""

import signal
import threading
from types import FrameType


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
