"""Claims on sets of outputs: one process at a time makes them, and what one has finished another leaves untouched.

A Snakemake that was killed leaves its jobs alive, and its next run starts the same jobs again. Each job therefore
holds a file lock, named by its outputs. When it is done it keeps a hard link to each output beside a record of what
they were made of (the ticket), since Snakemake deletes outputs before it starts a job. The next job with the same
outputs and the same ticket finds the work done, puts back what was deleted, and ends. Snakemake's main process
forgets the records of its jobs when it ends (``boldflow.runs``), so that a rerun that is asked for is done.
"""

import json
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from boldflow.artifacts.store.atomic import write_text
from boldflow.runs.kept import CLAIMS, claim_name

LOG = logging.getLogger(__name__)


class Claim:
    """One process's claim on a set of outputs; the lock lives as long as the object or the process.

    Parameters
    ----------
    outputs : paths of all files that the job makes
    ticket : digest of what they are made of
    """

    def __init__(self, outputs: Sequence[str], ticket: str) -> None:
        """Name the claim; nothing is taken yet."""
        self._outputs, self._ticket = sorted(outputs), ticket
        self._stem = CLAIMS / claim_name(outputs)
        self._lock = FileLock(self._stem.with_suffix(".lock"), mode=0o644)

    def take(self) -> bool:
        """Wait for the lock; True where the work is to be done, False where another process has done it.

        Raises
        ------
        OSError
            If the file system has no file locks.
        """
        CLAIMS.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            LOG.warning("%s is being made by %s: waiting for it to end", self._outputs[0], self._owner())
            self._lock.acquire()
        except NotImplementedError as error:
            raise OSError(f"the file system of {CLAIMS.resolve()} has no file locks (flock): {error}") from error
        if self._is_done():
            LOG.warning("%s was finished by %s: left as it is", self._outputs[0], self._owner())
            return False
        self._forget()
        job = os.environ.get("SLURM_JOB_ID")
        slurm = f" (Slurm job {job})" if job else ""
        write_text(self._stem.with_suffix(".owner"), f"process {os.getpid()} on {socket.gethostname()}{slurm}")
        return True

    def keep(self) -> None:
        """Note that the work is done; nothing is noted where an output is missing or hard links cannot be made."""
        self._forget()
        rows = []
        try:
            for number, path in enumerate(self._outputs):
                os.link(path, self._link(number))
                rows.append([path, os.stat(path).st_size])
        except OSError as error:  # then a job that is started again does its work again
            LOG.info("not noted as done: %s", error)
            self._forget()
            return
        write_text(self._record(), json.dumps({"ticket": self._ticket, "outputs": rows}))

    def _is_done(self) -> bool:
        """Tell whether the outputs were finished by the same work; puts back those that were deleted."""
        try:
            record = json.loads(self._record().read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return False
        if record["ticket"] != self._ticket or [row[0] for row in record["outputs"]] != self._outputs:
            return False
        for number, (path, size) in enumerate(record["outputs"]):
            try:
                if not os.path.lexists(path):
                    os.link(self._link(number), path)
                # the same file, whose time Snakemake may have set anew
                same = os.path.samefile(path, self._link(number)) and os.stat(path).st_size == size
            except OSError:
                return False
            if not same:
                return False
        return True

    def _forget(self) -> None:
        self._record().unlink(missing_ok=True)
        for number in range(len(self._outputs)):
            self._link(number).unlink(missing_ok=True)

    def _record(self) -> Path:
        return self._stem.with_suffix(".done")

    def _link(self, number: int) -> Path:
        return self._stem.with_suffix(f".{number}")

    def _owner(self) -> str:
        try:
            return self._stem.with_suffix(".owner").read_text(encoding="utf-8")
        except OSError:
            return "another process"
