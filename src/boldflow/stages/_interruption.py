"""Being asked to end: SIGTERM (Slurm before a time limit or preemption) and SIGINT (Ctrl-C).

Work without steps ends at once, in a way that removes temporary files. Work that keeps progress runs in
``deferred()``: it goes on to the boundary of its step, keeps its progress and ends there.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from boldflow.core.networks.progress import Stopped

_asked = False
_deferred = False
_ending = False  # the first signal has been raised: a second one must not cut off what is put in order


def listen() -> None:
    """Handle the signals in this process from now on; called once, in the main thread."""
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGINT, _handle)


def requested() -> bool:
    """Tell whether the process was asked to end."""
    return _asked


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let the block end by itself: it looks at ``requested`` where it can stop, and else comes to its end."""
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False


def _handle(number: int, frame: FrameType | None) -> None:
    global _asked, _ending
    _asked = True
    if not _deferred and not _ending:
        _ending = True
        raise Stopped(f"asked to end ({signal.Signals(number).name}); no output was written")
