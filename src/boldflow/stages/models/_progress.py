"""Progress of a job: kept from time to time, at the end of a fit, and when the process is asked to end."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from boldflow.artifacts.store import progress_files
from boldflow.core.networks.progress import Progress, Stopped
from boldflow.stages import _interruption

EVERY_S = 60.0  # keeping progress costs a write of the state; a lost minute costs a minute


class ProgressFolder:
    """Progress of one job's fits below a folder: a ``core.networks.progress.ProgressKeeper``.

    Parameters
    ----------
    folder : path of the folder, made when progress is first kept
    ticket : digest of what the result depends on
    every_s : seconds between two moments at which progress is kept
    """

    def __init__(self, folder: str | Path, ticket: str, every_s: float = EVERY_S) -> None:
        self._folder, self._ticket, self._every_s = Path(folder), ticket, every_s
        self._last = time.monotonic()
        self._bar: tqdm | None = None

    def part(self, name: str) -> "ProgressFolder":
        """Give the place of one of several fits."""
        return ProgressFolder(self._folder / name, self._ticket, self._every_s)

    def load(self) -> Progress | None:
        """Give the newest whole progress of this work, or None."""
        newest = progress_files.newest(self._folder, self._ticket)
        if not newest:
            return None
        tqdm.write(f"{self._folder}: goes on after step {newest[0]}, which an earlier try has kept", file=sys.stderr)
        return Progress(*newest)

    def boundary(self, step: int, total: int, progress: Callable[[], Progress]) -> None:
        """Show the progress, and keep it where it is time to, at the end, and where the process was asked to end.

        Raises
        ------
        Stopped
            If the process was asked to end.
        """
        self._show(step, total)
        stop = _interruption.requested()
        if not (stop or step >= total or time.monotonic() - self._last >= self._every_s):
            return
        fit_progress = progress()
        path = progress_files.write(
            self._folder, self._ticket, fit_progress.step, fit_progress.state, fit_progress.rows
        )
        self._last = time.monotonic()
        if stop:
            raise Stopped(f"asked to end; {step} of {total} steps are kept in {path}, from which the next try goes on")

    def _show(self, step: int, total: int) -> None:
        """Draw a bar of the fit's steps."""
        if self._bar is None:
            self._bar = tqdm(total=total, initial=step - 1, desc=self._folder.name, unit="step", leave=False)
        self._bar.update(step - self._bar.n)
        if step >= total:
            self._bar.close()

    def remove(self) -> None:
        """Remove all: the work is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
