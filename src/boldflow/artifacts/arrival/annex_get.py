"""Transfers of annexed content: few at a time, watched, resumed, tried again a bounded number of times, verified.

git-annex transfers, resumes and verifies. What it cannot do is done here: a file whose content does not match its key
is fetched once more from the beginning and then named with what was expected and what was found; a server that says
nothing at all is given up; waits grow between tries; nothing outlives this process.
"""

import hashlib
import logging
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from boldflow.artifacts.arrival import annex_process, annex_tree
from boldflow.artifacts.arrival.annex_process import Said
from boldflow.artifacts.arrival.annex_tree import Entry

log = logging.getLogger(__name__)

JOBS = 4  # transfers at the same time; more have exhausted file handles and earned refusals
MOST = 20  # rounds, however much each of them brings
MISMATCHES = 2  # the first arrival and one more
PERMANENT = re.compile(
    r"download failed: (Not Found|Forbidden|Unauthorized|Gone|Bad Request|Method Not Allowed)$"
    r"|does not allow accessing address|not enough free space"
)
# the second is a server's word that it has no more bytes than have come
MISMATCH = re.compile(r"verification of content failed|Requested Range Not Satisfiable", re.IGNORECASE)
NOISE = re.compile(
    r"^(from .*\.\.\.|checksum\.\.\.|downloading from all .* failed|Unable to access these remotes:.*|"
    r"\(Note that these git remotes.*|unknown export location|verification of content failed|"
    r"Remote is configured to use versioning, but no S3 version ID is recorded for this key)$",
    re.IGNORECASE,
)
PAGE = re.compile(rb"\s*(<!doctype\s+html|<html|<\?xml[^>]*>\s*<(html|Error))", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Bounds of a transfer: tries without progress, the first wait in seconds (then doubled), the stall in seconds."""

    attempts: int = 5
    backoff_s: float = 1.0
    stall_s: float = 30.0

    @classmethod
    def from_environment(cls) -> "Limits":
        """Read BOLDFLOW_FETCH_ATTEMPTS, BOLDFLOW_FETCH_BACKOFF_S and BOLDFLOW_FETCH_STALL_S.

        Raises
        ------
        ValueError
            If one is not a number above 0; names it.
        """
        values = {}
        for name, kind in (("attempts", int), ("backoff_s", float), ("stall_s", float)):
            variable = f"BOLDFLOW_FETCH_{name.upper()}"
            if variable in os.environ:
                try:
                    values[name] = kind(os.environ[variable])
                except ValueError:
                    values[name] = -1
                if values[name] <= 0:
                    raise ValueError(f"{variable} must be a number above 0, not {os.environ[variable]!r}")
        return cls(**values)  # type: ignore[arg-type]


@dataclass
class _State:
    """What is known of a key that is to arrive."""

    path: str
    mismatches: int = 0
    bytes: int = 0  # the most that ever lay there
    fruitless: int = 0  # tries in a row that brought no more
    reason: str = "it was not tried"


def settle(folder: Path, public_url: str | None, limits: Limits) -> None:
    """Set a clone up for transfers: private remotes ignored, stalls detected, the public address remembered.

    A remote of type S3 without a public address can only answer with a refusal. What the user has set of it stays.

    Parameters
    ----------
    folder : Path
        A clone.
    public_url : str or None
        Where anyone may read the content of a path: an address that holds ``{path}``.
    limits : Limits

    Raises
    ------
    ValueError
        If ``public_url`` does not hold ``{path}``.
    """
    if public_url is not None and "{path}" not in public_url:
        raise ValueError(
            f"public_url must hold {{path}}, as in https://example.org/ds000001/{{path}}, not {public_url!r}"
        )
    settings = {"annex.stalldetection": f"1KB/{max(1, round(limits.stall_s))}s"}
    remotes = annex_tree.blobs(folder, ["git-annex:remote.log"])["git-annex:remote.log"] or b""
    private = {
        line.split()[0]
        for line in remotes.decode(errors="replace").splitlines()
        if " type=S3" in line and not re.search(r" publicurl=https?:", line)
    }
    for name, identity in annex_tree.remotes(folder).items():
        if identity in private and annex_tree.says(folder, "config", "--get", f"remote.{name}.annex-ignore") is None:
            settings[f"remote.{name}.annex-ignore"] = "true"
    if Path(annex_tree.says(folder, "config", "--get", "remote.origin.url") or "").is_file():
        settings["remote.origin.annex-ignore"] = "true"  # a bundle holds no content
    if public_url is not None:
        settings[annex_tree.PUBLIC_URL] = public_url
    else:
        annex_tree.says(folder, "config", "--unset-all", annex_tree.PUBLIC_URL)
    for key, value in settings.items():
        annex_tree.git(folder, "config", key, value)


def register(folder: Path, entries: Sequence[Entry]) -> None:
    """Tell git-annex the public address of each file whose remotes have no version recorded.

    Parameters
    ----------
    folder : Path
        A clone that ``settle`` has set up; without a public address nothing is done.
    entries : sequence of Entry
        Files whose content is wanted.
    """
    addresses = annex_tree.public_addresses(folder, [entry.path for entry in entries])
    public = [entry for entry in entries if entry.key and addresses[entry.path]]
    if not public:
        return
    logs = {
        (entry, kind): f"git-annex:{_log_folder(entry.key)}/{annex_tree.key_file(entry.key)}.log.{kind}"
        for entry in public
        for kind in ("rmet", "web")
    }
    texts = annex_tree.blobs(folder, list(dict.fromkeys(logs.values())))
    ignored = annex_tree.ignored_remotes(folder)
    usable = [identity for name, identity in annex_tree.remotes(folder).items() if name not in ignored]
    lines = []
    for entry in public:
        versions = (texts[logs[entry, "rmet"]] or b"").decode(errors="replace")
        registered = (texts[logs[entry, "web"]] or b"").decode(errors="replace")
        has_version = any(f" {identity}:V +" in versions for identity in usable)
        if not has_version and f" 1 {addresses[entry.path]}\n" not in registered:
            lines.append(f"{entry.key} {addresses[entry.path]}\n")
    if lines:
        log.info("%d files of %s have no version recorded: registering their public addresses", len(lines), folder)
        annex_tree.git(folder, "annex", "registerurl", "--batch", text="".join(lines).encode())


def transfer(folder: Path, absent: Mapping[str, str], limits: Limits, jobs: int = JOBS) -> dict[str, str]:
    """Get the content of keys.

    Parameters
    ----------
    folder : Path
        A clone.
    absent : mapping of str to str
        Keys that are absent, and a path of each.
    limits : Limits
    jobs : int
        Transfers at the same time.

    Returns
    -------
    dict of str to str
        Paths that could not be had, each with the reason.
    """
    states = {key: _State(path) for key, path in absent.items()}
    failed: dict[str, str] = {}
    sizes = sum(annex_tree.key_size(key) or 0 for key in absent)
    fruitless = 0
    with tqdm(total=sizes, unit="B", unit_scale=True, desc=f"get {len(absent)} files") as bar:
        for _ in range(MOST):
            left = [key for key, state in states.items() if state.path not in failed]
            said = annex_process.one_round(folder, {key: states[key].path for key in left}, limits.stall_s, jobs, bar)
            there = annex_tree.objects(folder, left)
            for key in left:
                if there[key] is not None:
                    log.info("got %s (%s bytes)", states[key].path, annex_tree.key_size(key))
                    del states[key]
                elif _is_final(folder, key, states[key], said[key], limits):
                    failed[states[key].path] = states[key].reason
            annex_process.unlink(folder, left)
            waiting = [state for state in states.values() if state.path not in failed]
            if not waiting:
                return failed
            came = len(waiting) < len(left) or any(not state.fruitless for state in waiting)
            fruitless = 0 if came else fruitless + 1
            wait_s = limits.backoff_s * 2**fruitless * random.uniform(0.5, 1)
            log.warning("%d files are to be tried again in %.1f s: %s", len(waiting), wait_s, waiting[0].reason)
            time.sleep(wait_s)
    return failed | {
        state.path: f"{state.reason} ({MOST} tries)" for state in states.values() if state.path not in failed
    }


def damaged(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Check content that is there against its keys; what does not match is moved aside by git-annex.

    Parameters
    ----------
    folder : Path
        A clone.
    entries : sequence of Entry
        Files whose content is there.

    Returns
    -------
    list of str
        Paths whose content was moved to ``.git/annex/bad``.

    Raises
    ------
    RuntimeError
        If it could not be moved.
    """
    places = annex_tree.objects(folder, [entry.key for entry in entries])
    bad: dict[str, str] = {}  # keys, each with what is wrong: one content may have several paths
    good = set()
    for entry in tqdm(entries, desc="verify", unit="file", disable=not entries):
        place = places[entry.key]
        if place is None or entry.key in good or entry.key in bad:
            continue
        mismatch = _mismatch(entry.key, place)
        if not mismatch:
            good.add(entry.key)
            continue
        log.warning("%s: %s: fetching it again", entry.path, mismatch)
        annex_tree.says(folder, "annex", "fsck", "--quiet", entry.path)  # fails, since the content is bad
        if place.exists():
            raise RuntimeError(f"{entry.path}: {mismatch}; git-annex could not move it away: remove {place}")
        bad[entry.key] = mismatch
    return [entry.path for entry in entries if entry.key in bad]


def is_page(start: bytes) -> bool:
    """Tell whether bytes begin as a web page or a server's error message do."""
    return PAGE.match(start) is not None


def _mismatch(key: str, path: Path) -> str:
    """Say how a file differs from what its key asks for; nothing where it does not."""
    size, checksum = path.stat().st_size, annex_tree.key_checksum(key)
    if annex_tree.key_size(key) in (None, size) and (
        checksum is None or annex_tree.checksum(path, checksum.split(":")[0]) == checksum
    ):
        return ""
    return _differs(key, path)


def _differs(key: str, path: Path | None) -> str:
    return f"content does not match its key {key}: expected {_expected(key)}; found {_arrived(key, path)}"


def _expected(key: str) -> str:
    size = [f"{annex_tree.key_size(key)} bytes"] if annex_tree.key_size(key) is not None else []
    return ", ".join([*size, annex_tree.key_checksum(key) or "no checksum"])


def _arrived(key: str, path: Path | None) -> str:
    if path is None:
        return "unknown content (it was not kept)"
    algorithm = (annex_tree.key_checksum(key) or "sha256:").split(":")[0]
    with path.open("rb") as handle:
        page = ", a web page" if is_page(handle.read(512)) else ""
    return f"{path.stat().st_size} bytes, {annex_tree.checksum(path, algorithm)}{page}"


def _log_folder(key: str) -> str:
    """Folder of a key's logs in the git-annex branch (its hashDirLower)."""
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:3]}/{digest[3:6]}"


def _is_final(folder: Path, key: str, state: _State, said: Said, limits: Limits) -> bool:
    """Look at what a failed try left; tell whether there is no use in another one."""
    partial = folder / annex_process.ARRIVING / annex_tree.key_file(key)
    link = folder / annex_process.LINKS / annex_tree.key_file(key)
    arrived = next((path for path in (partial, link) if path.is_file() and path.stat().st_size), None)
    heard = [line for line in said.lines if not NOISE.match(line)]
    complaints = [line for line in heard if not annex_process.AWAY.match(line)]
    size = arrived.stat().st_size if arrived else 0
    whole = annex_tree.key_size(key)
    # a server's complete answer that is too short ends without any complaint of the transfer; what is long enough was
    # refused, unless git-annex was ended before it could verify it
    answered = said.ended and size > 0 and whole is not None and (size >= whole or not complaints)
    if any(MISMATCH.search(line) for line in said.lines) or answered:
        state.mismatches += 1
        state.reason = (
            f"content does not match its key {key}: expected {_expected(key)}; found {_arrived(key, arrived)}"
        )
        partial.unlink(missing_ok=True)  # the next try begins at the beginning
        state.bytes = 0
        if state.mismatches >= MISMATCHES:
            state.reason += f" ({state.mismatches} times)"
        return state.mismatches >= MISMATCHES
    state.fruitless = 0 if size > state.bytes else state.fruitless + 1
    state.bytes = max(size, state.bytes)
    nothing = "no remote has a version recorded, and no public address is known (key public_url of the data set)"
    state.reason = f"{'; '.join(dict.fromkeys(complaints or heard)) or nothing} (key {key})"
    if said.ended and all(PERMANENT.search(line) for line in complaints or heard):
        return True
    if state.fruitless >= limits.attempts:
        state.reason += f" ({limits.attempts} tries without progress)"
        return True
    return False
