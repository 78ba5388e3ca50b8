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
        limits = {}
        for name, number_type in (("attempts", int), ("backoff_s", float), ("stall_s", float)):
            variable = f"BOLDFLOW_FETCH_{name.upper()}"
            if variable in os.environ:
                try:
                    limits[name] = number_type(os.environ[variable])
                except ValueError:
                    limits[name] = -1
                if limits[name] <= 0:
                    raise ValueError(f"{variable} must be a number above 0, not {os.environ[variable]!r}")
        return cls(**limits)  # type: ignore[arg-type]


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
    remote_log = annex_tree.blobs(folder, ["git-annex:remote.log"])["git-annex:remote.log"] or b""
    private_identities = {
        line.split()[0]
        for line in remote_log.decode(errors="replace").splitlines()
        if " type=S3" in line and not re.search(r" publicurl=https?:", line)
    }
    for name, identity in annex_tree.remotes(folder).items():
        if (
            identity in private_identities
            and annex_tree.says(folder, "config", "--get", f"remote.{name}.annex-ignore") is None
        ):
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
    public_entries = [entry for entry in entries if entry.key and addresses[entry.path]]
    if not public_entries:
        return
    log_names = {
        (entry, kind): f"git-annex:{_log_folder(entry.key)}/{annex_tree.key_file(entry.key)}.log.{kind}"
        for entry in public_entries
        for kind in ("rmet", "web")
    }
    log_texts = annex_tree.blobs(folder, list(dict.fromkeys(log_names.values())))
    ignored_names = annex_tree.ignored_remotes(folder)
    usable_identities = [identity for name, identity in annex_tree.remotes(folder).items() if name not in ignored_names]
    lines = []
    for entry in public_entries:
        version_log = (log_texts[log_names[entry, "rmet"]] or b"").decode(errors="replace")
        web_log = (log_texts[log_names[entry, "web"]] or b"").decode(errors="replace")
        has_version = any(f" {identity}:V +" in version_log for identity in usable_identities)
        if not has_version and f" 1 {addresses[entry.path]}\n" not in web_log:
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
    failure_reasons: dict[str, str] = {}
    n_bytes = sum(annex_tree.key_size(key) or 0 for key in absent)
    n_fruitless = 0
    with tqdm(total=n_bytes, unit="B", unit_scale=True, desc=f"get {len(absent)} files") as bar:
        for _ in range(MOST):
            open_keys = [key for key, state in states.items() if state.path not in failure_reasons]
            answers = annex_process.one_round(
                folder, {key: states[key].path for key in open_keys}, limits.stall_s, jobs, bar
            )
            object_of_key = annex_tree.objects(folder, open_keys)
            for key in open_keys:
                if object_of_key[key] is not None:
                    log.info("got %s (%s bytes)", states[key].path, annex_tree.key_size(key))
                    del states[key]
                elif _is_final(folder, key, states[key], answers[key], limits):
                    failure_reasons[states[key].path] = states[key].reason
            annex_process.unlink(folder, open_keys)
            waiting_states = [state for state in states.values() if state.path not in failure_reasons]
            if not waiting_states:
                return failure_reasons
            has_progress = len(waiting_states) < len(open_keys) or any(not state.fruitless for state in waiting_states)
            n_fruitless = 0 if has_progress else n_fruitless + 1
            wait_s = limits.backoff_s * 2**n_fruitless * random.uniform(0.5, 1)
            log.warning(
                "%d files are to be tried again in %.1f s: %s", len(waiting_states), wait_s, waiting_states[0].reason
            )
            time.sleep(wait_s)
    return failure_reasons | {
        state.path: f"{state.reason} ({MOST} tries)" for state in states.values() if state.path not in failure_reasons
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
    object_of_key = annex_tree.objects(folder, [entry.key for entry in entries])
    mismatch_of_key: dict[str, str] = {}  # keys, each with what is wrong: one content may have several paths
    good_keys = set()
    for entry in tqdm(entries, desc="verify", unit="file", disable=not entries):
        object_path = object_of_key[entry.key]
        if object_path is None or entry.key in good_keys or entry.key in mismatch_of_key:
            continue
        mismatch = _mismatch(entry.key, object_path)
        if not mismatch:
            good_keys.add(entry.key)
            continue
        log.warning("%s: %s: fetching it again", entry.path, mismatch)
        annex_tree.says(folder, "annex", "fsck", "--quiet", entry.path)  # fails, since the content is bad
        if object_path.exists():
            raise RuntimeError(f"{entry.path}: {mismatch}; git-annex could not move it away: remove {object_path}")
        mismatch_of_key[entry.key] = mismatch
    return [entry.path for entry in entries if entry.key in mismatch_of_key]


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
    size_words = [f"{annex_tree.key_size(key)} bytes"] if annex_tree.key_size(key) is not None else []
    return ", ".join([*size_words, annex_tree.key_checksum(key) or "no checksum"])


def _arrived(key: str, path: Path | None) -> str:
    if path is None:
        return "unknown content (it was not kept)"
    algorithm = (annex_tree.key_checksum(key) or "sha256:").split(":")[0]
    with path.open("rb") as handle:
        page_text = ", a web page" if is_page(handle.read(512)) else ""
    return f"{path.stat().st_size} bytes, {annex_tree.checksum(path, algorithm)}{page_text}"


def _log_folder(key: str) -> str:
    """Folder of a key's logs in the git-annex branch (its hashDirLower)."""
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:3]}/{digest[3:6]}"


def _is_final(folder: Path, key: str, state: _State, answer: Said, limits: Limits) -> bool:
    """Look at what a failed try left; tell whether there is no use in another one."""
    partial_path = folder / annex_process.ARRIVING / annex_tree.key_file(key)
    link_path = folder / annex_process.LINKS / annex_tree.key_file(key)
    arrived_path = next((path for path in (partial_path, link_path) if path.is_file() and path.stat().st_size), None)
    heard_lines = [line for line in answer.lines if not NOISE.match(line)]
    complaints = [line for line in heard_lines if not annex_process.AWAY.match(line)]
    size = arrived_path.stat().st_size if arrived_path else 0
    expected_size = annex_tree.key_size(key)
    # a server's complete answer that is too short ends without any complaint of the transfer; what is long enough was
    # refused, unless git-annex was ended before it could verify it
    answered_wrongly = (
        answer.ended and size > 0 and expected_size is not None and (size >= expected_size or not complaints)
    )
    if any(MISMATCH.search(line) for line in answer.lines) or answered_wrongly:
        state.mismatches += 1
        state.reason = (
            f"content does not match its key {key}: expected {_expected(key)}; found {_arrived(key, arrived_path)}"
        )
        partial_path.unlink(missing_ok=True)  # the next try begins at the beginning
        state.bytes = 0
        if state.mismatches >= MISMATCHES:
            state.reason += f" ({state.mismatches} times)"
        return state.mismatches >= MISMATCHES
    state.fruitless = 0 if size > state.bytes else state.fruitless + 1
    state.bytes = max(size, state.bytes)
    no_remote_text = "no remote has a version recorded, and no public address is known (key public_url of the data set)"
    state.reason = f"{'; '.join(dict.fromkeys(complaints or heard_lines)) or no_remote_text} (key {key})"
    if answer.ended and all(PERMANENT.search(line) for line in complaints or heard_lines):
        return True
    if state.fruitless >= limits.attempts:
        state.reason += f" ({limits.attempts} tries without progress)"
        return True
    return False
