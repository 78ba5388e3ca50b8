"""Rows of pictures that an earlier job has described, for the next one that describes them among others.

A folder holds ``rows.npy``, a hard link to the feature's file, and ``pictures.json``: the ticket (a digest of what a
row depends on beside its picture), and of each row the SHA-256 of its picture and a checksum of its bytes. The link
takes no room of its own while that file is there, and stays when Snakemake deletes outputs before a job. There is one
such folder for a feature: rows of another ticket are removed.
"""

import logging
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldflow.artifacts.store import arrays, sidecars

LOG = logging.getLogger(__name__)


class Described:
    """Rows that can be taken instead of describing their pictures again.

    Parameters
    ----------
    folder : path
    ticket : digest of what a row depends on beside its picture

    Attributes
    ----------
    batch : int or None
        What the sidecar of the earlier rows said of batches.
    """

    def __init__(self, folder: str | Path, ticket: str) -> None:
        """Look for rows of this ticket; others are removed."""
        self._folder, self._ticket = Path(folder), ticket
        self._place: dict[str, int] = {}
        self._checksums: list[int] = []
        self._values = np.empty((0, 0), dtype=np.float32)
        self.batch: int | None = None
        if self._list().is_file() and not self._open():
            self.remove()

    def places(self, sha256: Sequence[str]) -> np.ndarray:
        """Find the rows of pictures, int (n_pictures,); -1 where there is none, or one whose bytes have changed."""
        places = np.array([self._place.get(name, -1) for name in sha256], dtype=np.int64)
        for index in np.flatnonzero(places >= 0):
            place = places[index]
            if zlib.crc32(self._values[place].tobytes()) != self._checksums[place]:
                LOG.warning("a row of %s has changed since it was kept: its picture is described again", self._rows())
                places[index] = -1
        return places

    def rows(self, places: np.ndarray) -> np.ndarray:
        """Take rows at places, float32 (n_places, n_features)."""
        return np.asarray(self._values[places])

    def keep(self, features: str | Path, sha256: Sequence[str], batch: int | None = None) -> None:
        """Keep all rows of a feature's file, beside what they show; nothing where hard links cannot be made."""
        feature_rows = arrays.read(features, ndim=2)
        note = {
            "ticket": self._ticket,
            "pictures": list(sha256),
            "checksums": [zlib.crc32(row.tobytes()) for row in feature_rows],
            "batch": batch,
        }
        self.remove()
        self._folder.mkdir(parents=True)
        try:
            os.link(features, self._rows())
        except OSError as error:  # then the next job describes all pictures again
            LOG.info("rows are not kept for later: %s", error)
            self.remove()
            return
        sidecars.write(self._list(), note)

    def remove(self) -> None:
        """Remove all rows."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self) -> bool:
        """Map the rows, if they are of this ticket and whole."""
        try:
            note = sidecars.read(self._list())
            if note["ticket"] != self._ticket:
                LOG.info("removing %s: settings, code or checkpoint have changed since", self._folder)
                return False
            feature_rows = arrays.read(self._rows(), ndim=2)
            if not len(feature_rows) == len(note["pictures"]) == len(note["checksums"]):
                raise ValueError(f"{self._rows()} has {len(feature_rows)} rows, expected {len(note['pictures'])}")
        except (ValueError, KeyError, OSError) as error:
            LOG.warning("rows of an earlier job left out: %s", error)
            return False
        self._values, self._checksums, self.batch = feature_rows, note["checksums"], note["batch"]
        self._place = {name: place for place, name in enumerate(note["pictures"])}
        return True

    def _rows(self) -> Path:
        return self._folder / "rows.npy"

    def _list(self) -> Path:
        return self._folder / "pictures.json"
