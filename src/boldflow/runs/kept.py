"""What each job of a folder has made last, and of what: a hard link to each output beside a record.

Snakemake deletes the outputs of a job before it starts it. The links outlive that: the outputs can be put back where
nothing has changed that they are made of (``artifacts.store.claims``), and where the job fails (``runs.survival``).
A link costs nothing until its output is replaced or deleted. Where hard links are impossible nothing is kept.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boldflow.runs.checksums import read_json, sha256, write_json

CLAIMS = Path(".snakemake/boldflow-claims")


@dataclass(frozen=True)
class Record:
    """What a job has made.

    Parameters
    ----------
    name : name of the claim on the outputs
    series : name of this set of links: each time the job is done it is another
    ticket : digest of what they are made of; None where that is not known, or the job is asked to be done again
    outputs : path, bytes and SHA-256 of each, sorted; the SHA-256 is empty where the ticket is None
    """

    name: str
    series: str
    ticket: str | None
    outputs: tuple[tuple[str, int, str], ...]

    def link(self, number: int) -> Path:
        """Name the link to one of the outputs."""
        return CLAIMS / f"{self.name}.{self.series}.{number}"

    def write(self) -> None:
        """Write the record whole."""
        rows = [list(row) for row in self.outputs]
        write_json(_note(self.name), {"series": self.series, "ticket": self.ticket, "outputs": rows})


def claim_name(outputs: Sequence[str]) -> str:
    """Name the claim on a set of outputs."""
    return hashlib.sha256("\n".join(sorted(outputs)).encode()).hexdigest()[:16]


def read(outputs: Sequence[str]) -> Record | None:
    """Read what is kept of a set of outputs; None where nothing is."""
    record = _record(claim_name(outputs))
    return record if record is not None and [row[0] for row in record.outputs] == sorted(outputs) else None


def keep(outputs: Sequence[str], ticket: str | None) -> Record:
    """Keep outputs as they are, in place of what was kept of them before.

    Raises
    ------
    OSError
        If an output is missing or hard links cannot be made; what was kept before stays.
    """
    name = claim_name(outputs)
    record = Record(name, secrets.token_hex(4), ticket, tuple((path, 0, "") for path in sorted(outputs)))
    CLAIMS.mkdir(parents=True, exist_ok=True)
    try:
        for number, (path, _, _) in enumerate(record.outputs):
            os.link(path, record.link(number))
        rows = [
            (path, os.stat(path).st_size, "" if ticket is None else sha256(record.link(number), path))
            for number, (path, _, _) in enumerate(record.outputs)
        ]
    except OSError:
        _remove_links(name, record.series)
        raise
    record = Record(name, record.series, ticket, tuple(rows))
    record.write()
    for series in _series(name) - {record.series}:
        _remove_links(name, series)
    return record


def rows_folder(features: str | Path) -> Path:
    """Name the folder in which the rows of a feature's file are kept for later jobs; a shard's is that."""
    path = Path(features)
    return path.parent / ".described" / path.stem.partition(".shard-")[0]


def ask_again(outputs: Sequence[str]) -> None:
    """Have the job with these outputs done again, whatever it is made of; what it made last stays kept.

    Only rows of features are forgotten, from which it would take what it is asked to make.
    """
    for folder in {rows_folder(path) for path in outputs}:
        shutil.rmtree(folder, ignore_errors=True)
    record = read(outputs)
    if record is not None and record.ticket is not None:
        Record(record.name, record.series, None, record.outputs).write()


def forget(name: str) -> None:
    """Forget what is kept under a name of a claim."""
    _note(name).unlink(missing_ok=True)
    for series in _series(name):
        _remove_links(name, series)


def stands(record: Record) -> bool:
    """Tell whether all outputs are those that are kept."""
    return all(_same(path, record.link(number)) for number, (path, _, _) in enumerate(record.outputs))


def is_whole(record: Record) -> bool:
    """Tell whether the content of all that is kept is what the job made: an edit in place changes the links too."""
    try:
        return record.ticket is not None and all(
            os.stat(record.link(number)).st_size == size and sha256(record.link(number), path) == checksum
            for number, (path, size, checksum) in enumerate(record.outputs)
        )
    except OSError:
        return False


def is_same(record: Record) -> bool:
    """Tell whether the outputs hold what the job made, though they are no longer the files that are kept.

    So it is in a copy of a folder in which links became files of their own.
    """
    try:
        return record.ticket is not None and all(
            os.stat(path).st_size == size and sha256(path) == checksum for path, size, checksum in record.outputs
        )
    except OSError:
        return False


def put_back(record: Record) -> None:
    """Put each output that is not the one that is kept back in its place, with the time that it had.

    Raises
    ------
    OSError
        If a link is gone or cannot be made.
    """
    for number, (path, _, _) in enumerate(record.outputs):
        link = record.link(number)
        if _same(path, link):
            continue
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        temporary = f"{path}.{os.getpid()}-back.part"
        os.link(link, temporary)
        os.replace(temporary, path)


def is_claimed(name: str) -> bool:
    """Tell whether a process holds the claim of a name; another user's lock, which cannot be tried, counts as held."""
    if not _lock(name).exists():
        return False
    with held(name) as is_free:
        return not is_free


@contextlib.contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold the claim of a name, unless another process does; give whether it is free."""
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(open(os.open(_lock(name), os.O_RDWR | os.O_CREAT, 0o644), "r+"))
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = True
        except (BlockingIOError, PermissionError):
            is_free = False
        except OSError:  # a file system that takes no locks: the job itself will say so
            is_free = True
        yield is_free


def owner(name: str) -> str:
    """Say who took a claim last."""
    try:
        return (CLAIMS / f"{name}.owner").read_text(encoding="utf-8")
    except OSError:
        return "another process"


def at_work(outputs: Iterable[Sequence[str]]) -> list[str]:
    """Say which outputs are being made at this moment, by a job that a run that is gone has left.

    Parameters
    ----------
    outputs : the outputs of each job of this run, none of which has started
    """
    path_of_claim = {claim_name(paths): sorted(paths)[0] for paths in outputs if paths}
    return [
        f"{path} is being made by {owner(name)}, of a run that is gone: it is waited for"
        for name, path in path_of_claim.items()
        if is_claimed(name)
    ]


def forget_unused(planned: Container[str] = ()) -> None:
    """Forget what no output leads to any more, and is being made by nobody: only then does it take room of its own.

    Parameters
    ----------
    planned : names of claims that a run may still put back; their jobs may not have started, their outputs are deleted
    """
    for note_path in CLAIMS.glob("*.json"):
        if note_path.stem in planned:
            continue
        record = _record(note_path.stem)
        if record is None or not (_is_used(record) or is_claimed(record.name)):
            forget(note_path.stem)


def _is_used(record: Record) -> bool:
    return any(_same(path, record.link(number)) for number, (path, _, _) in enumerate(record.outputs))


def _record(name: str) -> Record | None:
    content = read_json(_note(name))
    if content is None:
        return None
    rows = tuple((str(path), int(size), str(checksum)) for path, size, checksum in content["outputs"])
    return Record(name, content["series"], content["ticket"], rows)


def _note(name: str) -> Path:
    return CLAIMS / f"{name}.json"


def _lock(name: str) -> Path:
    return CLAIMS / f"{name}.lock"


def _series(name: str) -> set[str]:
    return {path.name.split(".")[1] for path in CLAIMS.glob(f"{name}.*.*") if path.suffix[1:].isdigit()}


def _remove_links(name: str, series: str) -> None:
    for path in CLAIMS.glob(f"{name}.{series}.*"):
        path.unlink(missing_ok=True)


def _same(path: str, link: Path) -> bool:
    try:
        return os.path.samefile(path, link)
    except OSError:
        return False
