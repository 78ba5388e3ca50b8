"""What every adapter does first: log, lock, PATH; and the device a job was given."""

import hashlib
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

# The package of this checkout, also inside conda environments (they strip PYTHONPATH).
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
os.environ.setdefault("TQDM_MININTERVAL", "2")

_HELD: list[Any] = []  # locks live as long as the process


def start(snakemake: Any) -> None:
    """Send log records, progress and tracebacks to the rule's log, and hold the lock of the rule's outputs."""
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = log.open("w", buffering=1, encoding="utf-8")
    terminal = sys.stderr
    sys.stderr = _Tee(terminal, handle)
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=handle)
    logging.captureWarnings(True)

    def explain(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        traceback.print_exception(kind, error, trace, file=handle)
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", []))
        terminal.write(f"\n{snakemake.rule}: {kind.__name__}: {error}{notes}\n  (traceback in {log})\n")
        terminal.flush()

    sys.excepthook = explain
    # git-annex is a program of the same environment
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    _hold(sorted(str(path) for path in snakemake.output))


def device(snakemake: Any) -> str:
    """Name the device this job asked for: "cuda" exactly when it asked for a GPU."""
    return "cuda" if int(snakemake.resources.get("gpu", 0)) > 0 else "cpu"


def _hold(outputs: list[str]) -> None:
    """Let one process at a time make a set of outputs: a killed Snakemake leaves its jobs alive."""
    from filelock import FileLock, Timeout

    name = hashlib.sha256("\n".join(outputs).encode()).hexdigest()[:16]
    lock = FileLock(Path(".snakemake") / "boldflow-locks" / f"{name}.lock", mode=0o644)
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logging.getLogger("boldflow").warning("another process is making %s: waiting for it to end", outputs[0])
        lock.acquire()
    _HELD.append(lock)


class _Tee:
    """Write to the terminal and to the log."""

    def __init__(self, *streams: Any) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return int(self._streams[0].fileno())
