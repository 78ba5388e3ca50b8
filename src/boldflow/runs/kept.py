"""Records of claims: what each job of a folder has made, and of what."""

import fcntl
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

CLAIMS = Path(".snakemake/boldflow-claims")


def claim_name(outputs: Sequence[str]) -> str:
    """Name the claim on a set of outputs."""
    return hashlib.sha256("\n".join(sorted(outputs)).encode()).hexdigest()[:16]


def at_work(outputs: Iterable[Sequence[str]]) -> list[str]:
    """Say which outputs are being made at this moment, by a job that a run that is gone has left.

    Parameters
    ----------
    outputs : the outputs of each job of this run, none of which has started
    """
    lines = []
    for paths in outputs:
        stem = CLAIMS / claim_name(paths)
        try:
            with stem.with_suffix(".lock").open("r+") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    owner = stem.with_suffix(".owner").read_text(encoding="utf-8")
                    lines.append(
                        f"{sorted(paths)[0]} is being made by {owner}, of a run that is gone: it is waited for"
                    )
        except OSError:
            continue  # never claimed, or a file system that takes no locks: the job itself will say so
    return lines


def forget(outputs: Iterable[Sequence[str]]) -> None:
    """Forget which jobs of a run were finished: the next run may ask for them again.

    Parameters
    ----------
    outputs : the outputs of each job of the run
    """
    finished = {path.name.partition(".")[0] for path in CLAIMS.glob("*.done")}
    for name in finished & {claim_name(paths) for paths in outputs}:
        for path in CLAIMS.glob(f"{name}.*"):
            if path.suffix == ".done" or path.suffix[1:].isdigit():
                path.unlink(missing_ok=True)
