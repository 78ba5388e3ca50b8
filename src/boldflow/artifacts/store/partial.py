"""Rows of a long job, kept on disk as they come: a try that is killed loses the last moments, never what was kept.

A folder holds ``rows.float32``, to which rows are appended, and ``progress.json``, which says how many of them are on
the disk for certain, how wide they are, and for which work (the ``ticket``: a digest of all that they depend on).
"""

import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np

from boldflow.artifacts.store import sidecars

LOG = logging.getLogger(__name__)
EVERY_S = 5.0  # rows of the last seconds are lost with a killed process
ITEM = np.dtype("<f4")


class Rows:
    """The first ``n_done`` of ``n_rows`` rows of float32, which a later try goes on from.

    Parameters
    ----------
    folder : path, made at the first row
    ticket : digest of what the rows depend on; rows of another ticket are removed
    n_rows : int
    every_s : seconds between two moments at which rows are kept for certain
    """

    def __init__(self, folder: str | Path, ticket: str, n_rows: int, every_s: float = EVERY_S) -> None:
        """Find what an earlier try has kept."""
        self._folder, self._ticket, self._n_rows, self._every_s = Path(folder), ticket, n_rows, every_s
        self._file = self._folder / "rows.float32"
        self._width = 0
        self.n_done = self._kept = self._found()
        self._last = time.monotonic()

    def append(self, rows: np.ndarray) -> None:
        """Add rows (n, width), and keep them where it is time to.

        Raises
        ------
        ValueError
            If they are more than were announced, or of another width.
        OSError
            If the disk is full; what was kept stays, and the file and the free bytes stand in a note.
        """
        if not self.n_done:
            self._width = rows.shape[1]
        if rows.shape[1] != self._width or self.n_done + len(rows) > self._n_rows:
            position_text = f"after {self.n_done} of {self._n_rows} rows of {self._width}"
            raise ValueError(f"rows of shape {rows.shape} do not fit {position_text}")
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._file.open("r+b" if self._file.exists() else "w+b") as handle:
                handle.seek(self.n_done * self._width * ITEM.itemsize)
                handle.write(np.ascontiguousarray(rows, dtype=ITEM).tobytes())
        except OSError as error:
            disk = os.statvfs(self._folder)
            error.add_note(f"while writing {self._file}: {disk.f_bavail * disk.f_frsize} bytes are free there")
            raise
        self.n_done += len(rows)
        if time.monotonic() - self._last >= self._every_s:
            self.keep()

    def keep(self) -> None:
        """Bring what was added to the disk, then say so."""
        if self.n_done == self._kept:
            return
        with self._file.open("rb+") as handle:
            os.fsync(handle.fileno())
        note = {"ticket": self._ticket, "rows": self._n_rows, "done": self.n_done, "width": self._width}
        sidecars.write(self._folder / "progress.json", note)
        self._kept, self._last = self.n_done, time.monotonic()

    def read(self) -> np.ndarray:
        """Map all rows that there are, read-only (done, width)."""
        if not self.n_done:
            return np.empty((0, self._width), dtype=ITEM)
        return np.memmap(self._file, dtype=ITEM, mode="r", shape=(self.n_done, self._width))

    def remove(self) -> None:
        """Remove all: the work is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _found(self) -> int:
        """Count the rows that an earlier try of the same work has kept; others are removed."""
        path = self._folder / "progress.json"
        if not path.is_file():
            return 0
        try:
            note = sidecars.read(path)
            is_same_work = note["ticket"] == self._ticket and note["rows"] == self._n_rows
            is_whole = (
                self._file.is_file() and self._file.stat().st_size >= note["done"] * note["width"] * ITEM.itemsize
            )
        except (ValueError, KeyError, OSError) as error:
            LOG.warning("rows of an earlier try left out: %s", error)
            is_same_work = is_whole = False
        if not (is_same_work and is_whole):
            LOG.info("removing %s: inputs, settings or code have changed since, or it is not whole", self._folder)
            self.remove()
            return 0
        self._width = int(note["width"])
        LOG.info("going on after %d of %d rows in %s", note["done"], self._n_rows, self._folder)
        return int(note["done"])
