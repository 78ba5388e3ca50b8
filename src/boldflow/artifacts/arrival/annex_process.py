"""The process of git-annex that transfers: watched, ended when it is silent or this process ends, heard key by key."""

import collections
import contextlib
import ctypes
import json
import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from boldflow.artifacts.arrival import annex_tree

log = logging.getLogger(__name__)

SILENT = 4  # a transfer that says nothing for so many times the stall limit is given up
ARRIVING = ".git/annex/tmp"  # where git-annex keeps what is arriving
LINKS = ".git/boldflow-arriving"  # second names of that: git-annex removes what does not match
AWAY = re.compile(r"Remote (\S+) cannot currently be accessed\.$")  # said beside what the other remotes did


@dataclass
class Said:
    """What git-annex said of one key in one round."""

    lines: list[str] = field(default_factory=list)
    ended: bool = False


def one_round(
    folder: Path, absent: Mapping[str, str], stall_s: float, jobs: int, bar: "tqdm[Any]"
) -> Mapping[str, Said]:
    """Let git-annex try each key once.

    Parameters
    ----------
    folder : Path
        A clone.
    absent : mapping of str to str
        Keys, and a path of each.
    stall_s : float
        Seconds without a byte after which git-annex gives a transfer up; it is ended after ``SILENT`` times that.
    jobs : int
        Transfers at the same time.
    bar : tqdm
        Counts bytes.

    Returns
    -------
    mapping of str to Said
        What git-annex said of each key.
    """
    answers: dict[str, Said] = collections.defaultdict(Said)
    ignored_names = set(annex_tree.ignored_remotes(folder))
    n_bytes = dict.fromkeys(absent, 0)
    n_bytes_before = bar.n
    _link(folder, absent)
    for line in _lines(folder, absent, stall_s, jobs):
        if not line.startswith("{"):
            continue
        note = json.loads(line)
        key = note.get("action", note).get("key")
        if key not in absent:
            continue
        if "byte-progress" in note:
            n_bytes[key] = note["byte-progress"]
            bar.set_postfix_str(absent[key].rsplit("/", 1)[-1], refresh=False)
        else:
            answers[key].ended = True
            answers[key].lines += _complaints(note, ignored_names)
            n_bytes[key] = (annex_tree.key_size(key) or 0) if note.get("success") else 0
        bar.update(max(0, n_bytes_before + sum(n_bytes.values()) - bar.n))
    for key in absent:
        if not answers[key].ended:
            answers[key].lines.append(f"no data for {SILENT * stall_s:g} s, or the transfer was ended")
    bar.n = n_bytes_before + sum(size for key, size in n_bytes.items() if answers[key].ended)
    bar.refresh()
    return answers


def _complaints(note: Mapping[str, Any], ignored_names: Collection[str]) -> list[str]:
    """Take what git-annex says of a key's end, without what it says of remotes that it is told to ignore."""
    lines = [*note.get("error-messages", []), *str(note.get("note", "")).splitlines()]
    stripped_lines = [line.strip() for line in lines]
    away_matches = [AWAY.match(line) for line in stripped_lines]
    return [
        line
        for line, away_match in zip(stripped_lines, away_matches, strict=True)
        if line and not (away_match and away_match[1] in ignored_names)
    ]


def _lines(folder: Path, absent: Mapping[str, str], stall_s: float, jobs: int) -> Iterator[str]:
    """Run git-annex and yield its lines; it is ended when it is silent for too long, and when this process ends."""
    command = ["git-annex", "get", "--batch", "-z", f"--jobs={jobs}", "--json", "--json-progress"]
    command += ["--json-error-messages", "-c", "annex.forward-retry=0", "-c", "annex.retry=0"]
    with tempfile.TemporaryFile() as paths, tempfile.TemporaryFile() as complaints:
        paths.write(b"".join(path.encode() + b"\0" for path in absent.values()))
        paths.seek(0)
        process = subprocess.Popen(
            command, cwd=folder, stdin=paths, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True,
            preexec_fn=_end_with_parent,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield from _watched(process.stdout, SILENT * stall_s)
        finally:
            _end(process)
            complaints.seek(0)
            for line in complaints.read().decode(errors="replace").splitlines():
                log.info("git-annex: %s", line)


def _watched(stream: IO[bytes], silence_s: float) -> Iterator[str]:
    """Yield lines until the end, or until none has come for a while."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        partial_line = b""
        while selector.select(silence_s):
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return
            *lines, partial_line = (partial_line + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    log.warning("no transfer has moved for %g s: ending git-annex", silence_s)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git-annex; its own children end with it when it is asked, not when it is killed."""
    for ask in (process.terminate, process.kill):
        if process.poll() is None:
            ask()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)


def _end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, even by kill -9 (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _link(folder: Path, keys: Iterable[str]) -> None:
    """Give what is about to arrive a second name, so that it can be looked at when git-annex removes it."""
    arriving_folder, links_folder = folder / ARRIVING, folder / LINKS
    unlink(folder)
    arriving_folder.mkdir(parents=True, exist_ok=True)
    links_folder.mkdir(exist_ok=True)
    for key in keys:
        arriving_path = arriving_folder / annex_tree.key_file(key)
        arriving_path.touch()
        with contextlib.suppress(OSError):  # a file system without hard links: what was found is then not told
            (links_folder / arriving_path.name).hardlink_to(arriving_path)


def unlink(folder: Path, keys: Sequence[str] = ()) -> None:
    """Take second names away, and first ones under which nothing has arrived."""
    for link in (folder / LINKS).glob("*"):
        link.unlink()
    for key in keys:
        arriving_path = folder / ARRIVING / annex_tree.key_file(key)
        if arriving_path.is_file() and not arriving_path.stat().st_size:
            arriving_path.unlink()
