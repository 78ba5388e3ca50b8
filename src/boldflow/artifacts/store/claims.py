"""Claims on sets of outputs: one process at a time makes them, and what has been made of the same is put back.

A Snakemake that was killed leaves its jobs alive, and its next run starts the same jobs again. Each job therefore holds
a file lock, named by its outputs. When it is done it keeps a hard link to each output beside a record of what they were
made of (the ticket; ``boldflow.runs.kept``), since Snakemake deletes outputs before it starts a job, and starts all
jobs behind one that has run, whatever that one made. A job whose ticket is that of the kept outputs puts these back.
Where the user asks for a job (-R), Snakemake's main process has made its ticket void before.
"""

import logging
import os
import socket
from collections.abc import Sequence

from filelock import FileLock, Timeout

from boldflow.artifacts.store.atomic import write_text
from boldflow.runs import kept, records

LOG = logging.getLogger(__name__)


class Claim:
    """One process's claim on a set of outputs; the lock lives as long as the object or the process.

    Parameters
    ----------
    outputs : paths of all files that the job makes
    ticket : digest of what they are made of
    looks_outside : whether the job looks at what is no input of it, as a download does: then it is done again, unless
        another process has done it just now
    """

    def __init__(self, outputs: Sequence[str], ticket: str, looks_outside: bool = False) -> None:
        """Name the claim; nothing is taken yet."""
        self._outputs, self._ticket, self._looks_outside = sorted(outputs), ticket, looks_outside
        self._name = kept.claim_name(outputs)
        self._run = os.getppid()  # Snakemake, or Slurm's job
        self._lock = FileLock(kept.CLAIMS / f"{self._name}.lock", mode=0o644)

    def take(self) -> bool:
        """Wait for the lock; True where the work is to be done, False where its outputs were there already.

        Raises
        ------
        OSError
            If the file system has no file locks.
        RuntimeError
            If the run that started this job is gone, and a later one has seen to the outputs.
        """
        kept.CLAIMS.mkdir(parents=True, exist_ok=True)
        waited = self._acquire()
        if (waited or not self._looks_outside) and self._is_put_back():
            if waited:
                LOG.warning("%s was finished by %s: left as it is", self._outputs[0], kept.owner(self._name))
            else:
                LOG.info("put back: code, parameters and content of the inputs are those that it was made from before")
            return False
        self._require_run(waited)
        job = os.environ.get("SLURM_JOB_ID")
        slurm_text = f" (Slurm job {job})" if job else ""
        write_text(kept.CLAIMS / f"{self._name}.owner", f"process {os.getpid()} on {socket.gethostname()}{slurm_text}")
        return True

    def keep(self) -> None:
        """Note that the work is done; nothing is noted where an output is missing or hard links cannot be made."""
        try:
            kept.keep(self._outputs, self._ticket)
        except FileNotFoundError as error:  # Snakemake will say so: the job has failed
            LOG.info("not noted as done: %s", error)
        except OSError as error:  # no hard links: a job that is started again does its work again
            LOG.info("not noted as done: %s", error)
            kept.forget(self._name)

    def _require_run(self, waited: bool) -> None:
        """See that this job is still asked for: the next run may have other parameters, and records of its own.

        Snakemake deletes outputs and marks them before it starts a job: outputs without a mark have been put back
        since. Whether another run has made them while this job waited, only the process that started it tells.
        """
        is_seen_to = all(os.path.lexists(path) and not records.is_marked(path) for path in self._outputs)
        if is_seen_to or (waited and os.getppid() != self._run):
            raise RuntimeError(f"{self._outputs[0]} is left as it is: the run that started this job is gone")

    def _acquire(self) -> bool:
        """Take the lock; tell whether it was another's before."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            LOG.warning("%s is being made by %s: waiting for it to end", self._outputs[0], kept.owner(self._name))
            self._lock.acquire()
            return True
        except NotImplementedError as error:
            raise OSError(f"the file system of {kept.CLAIMS.resolve()} has no file locks (flock): {error}") from error
        return False

    def _is_put_back(self) -> bool:
        """Put back what was made of the same, if there is such and it is whole; tell whether it was."""
        record = kept.read(self._outputs)
        if record is None or record.ticket != self._ticket or not kept.is_whole(record):
            return False
        try:
            kept.put_back(record)
        except OSError as error:
            LOG.info("not put back: %s", error)
            return False
        return True
