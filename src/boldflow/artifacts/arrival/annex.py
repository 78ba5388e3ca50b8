"""DataLad data sets on this machine: clones at a fixed commit, content on demand, rows for receipts.

A clone is never half there: it is made under a temporary name beside the final one. Writers of one clone take
turns through the lock file ``<clone>.lock`` beside it. Paths are relative to the clone and use ``/``.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_get, annex_tree
from boldflow.artifacts.arrival.annex_get import JOBS, Limits
from boldflow.artifacts.arrival.annex_tree import POINTER, Entry, checksum

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def clone(url: str, folder: str | Path, commit: str | None, public_url: str | None = None) -> str:
    """Bring a clone of a data set to a commit; no annexed content is fetched.

    Parameters
    ----------
    url : str
        Address or folder that ``datalad clone`` understands.
    folder : str or Path
        Where the clone is or will be.
    commit : str or None
        Full hexadecimal name of the commit; None for the HEAD that ``url`` has now.
    public_url : str or None
        Where anyone may read the content of a path: an address that holds ``{path}``. ``get`` tells git-annex of it
        for keys whose remote has no version recorded.

    Returns
    -------
    str
        The commit that is checked out, in full.

    Raises
    ------
    ValueError
        If ``commit`` is not a full name, if ``url`` does not have it (shows both), if ``folder`` is no clone,
        or a clone of another data set (shows both).
    RuntimeError
        If git or DataLad fails, with its own words; an address of the network is tried a bounded number of times.
    """
    folder = Path(folder)
    url = str(Path(url).resolve()) if Path(url).exists() else url  # git would look below the clone
    if commit is not None and not COMMIT.fullmatch(commit):
        raise ValueError(f"commit must be the full 40 hexadecimal digits, not {commit!r}: short names and tags move")
    annex_tree.prepare()
    with annex_tree.locked(folder):
        if not folder.exists():
            _clone_afresh(url, folder, commit)
            wanted = commit or annex_tree.head(folder)
        else:
            annex_tree.check_is_clone(folder)
            if commit is None or not _has(folder, commit) or _origin(folder) != url:
                _fetch(url, folder, commit)
            wanted = commit or _remote_head(url, folder)
            _check_commit(url, folder, wanted)
        if annex_tree.head(folder) != wanted:
            annex_tree.git(folder, "checkout", "--quiet", "--detach", wanted)
        annex_get.settle(folder, public_url, Limits.from_environment())
        return annex_tree.head(folder)


def get(folder: str | Path, paths: Iterable[str], jobs: int = JOBS) -> list[str]:
    """Have the content of files, verified: what is there and right stays, the rest is fetched.

    Content that is there and does not match its key is moved aside and fetched again. The public address that
    ``clone`` was told of is registered for files whose remotes have no version recorded.

    Parameters
    ----------
    folder : str or Path
        A clone.
    paths : iterable of str
        Files below it, or folders for all files in them.
    jobs : int
        Transfers at the same time.

    Returns
    -------
    list of str
        The paths that were fetched.

    Raises
    ------
    FileNotFoundError
        If the checked-out commit does not have a path.
    RuntimeError
        If content could not be had; names each such path with the reason, the others are there. Content that did
        not match its key twice is named with key, expected and found size and checksum.
    """
    folder = Path(folder)
    annex_tree.prepare()
    limits = Limits.from_environment()
    with annex_tree.locked(folder):
        wanted = [entry for entry in annex_tree.entries(folder, paths) if entry.key]
        absent = set(_absent(folder, wanted))
        absent |= set(annex_get.damaged(folder, [entry for entry in wanted if entry.path not in absent]))
        missing = [entry for entry in wanted if entry.path in absent]
        if not missing:
            return []
        annex_get.register(folder, missing)
        by_key = {entry.key: entry.path for entry in reversed(missing)}
        failed = annex_get.transfer(folder, by_key, limits, jobs)
        absent = set(_absent(folder, missing))
        for entry in (one for one in missing if one.path in absent):  # files of one key fail together
            told = failed.get(by_key[entry.key], "git-annex reports no error, but the content is not there")
            failed.setdefault(entry.path, told)
    if failed:
        lines = [f"  {path}: {reason}" for path, reason in sorted(failed.items())]
        raise RuntimeError(
            f"{len(failed)} of {len(missing)} files of {folder} could not be fetched, the others are there:\n"
            + "\n".join(lines)
        )
    return [entry.path for entry in missing]


def describe(folder: str | Path, paths: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of a receipt for files of a clone, whose content must be there.

    Parameters
    ----------
    folder : str or Path
        A clone.
    paths : iterable of str
        Files below it, or folders for all files in them.

    Returns
    -------
    list of dict
        Sorted by path. ``path``; ``key`` (annex key, or git blob); ``size`` (bytes); ``checksum`` ("md5:...",
        "sha256:..."), which is the annex key's own where it holds one, else the SHA-256 of the content; ``url``,
        where git-annex knows that anyone may read this content, or None.

    Raises
    ------
    FileNotFoundError
        If the commit does not have a path, or its content is absent.
    ValueError
        If content has another size than its key says, or a file in git was changed.
    """
    folder = Path(folder)
    annex_tree.prepare()
    entries = annex_tree.entries(folder, paths)
    annexed = [entry for entry in entries if entry.key]
    objects = annex_tree.objects(folder, [entry.key for entry in annexed])
    urls = _urls(folder, annexed)
    return [
        _describe_annexed(folder, entry, objects[entry.key]) | {"url": urls[entry.path]}
        if entry.key
        else _describe_plain(folder, entry)
        for entry in entries
    ]


def discard(folder: str | Path, paths: Iterable[str]) -> None:
    """Remove the content of files from a clone, so that ``get`` fetches it anew.

    Parameters
    ----------
    folder : str or Path
        A clone.
    paths : iterable of str
        Annexed files below it.

    Raises
    ------
    FileNotFoundError
        If the commit does not have a path.
    RuntimeError
        If git-annex fails, with its own words.
    """
    folder = Path(folder)
    annex_tree.prepare()
    with annex_tree.locked(folder):
        keys = "".join(f"{entry.key}\n" for entry in annex_tree.entries(folder, paths) if entry.key)
        annex_tree.git(folder, "annex", "dropkey", "--force", "--quiet", "--batch", text=keys.encode())


def has_checksum(row: dict[str, Any]) -> bool:
    """Tell whether a row of ``describe`` was verified by what its commit says of the content (key or git blob)."""
    key = row["key"]
    return key is not None and (annex_tree.KEY.fullmatch(key) is None or annex_tree.key_checksum(key) is not None)


def require_content(path: str | Path, command: str) -> None:
    """Stop with the command that helps where a file's annexed content is not there.

    Parameters
    ----------
    path : str or Path
    command : str
        What brings the content back, such as ``snakemake --profile cpu -R fetch_subject``.

    Raises
    ------
    FileNotFoundError
        If ``path`` is a dangling link, an unlocked file without content, or no file at all.
    """
    path = Path(path)
    if path.is_file() and not _is_pointer(path):
        return
    if path.is_symlink() or path.is_file():
        raise FileNotFoundError(f"content absent: {path} (dropped, or never fetched); run: {command}")
    raise FileNotFoundError(f"no such file: {path}; run: {command}")


def folder_receipt(root: str | Path, paths: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of a receipt for files that lie in a plain folder.

    Parameters
    ----------
    root : str or Path
    paths : iterable of str
        Files below ``root``.

    Returns
    -------
    list of dict
        Sorted by path. ``path``; ``key`` (None); ``size`` (bytes); ``checksum`` ("sha256:..."); ``url`` (None).

    Raises
    ------
    FileNotFoundError
        If files are missing; names ``root``, their count and the first five.
    """
    root = Path(root)
    wanted = sorted(set(paths))
    missing = [path for path in wanted if not (root / path).is_file()]
    if missing:
        raise FileNotFoundError(f"{root} lacks {len(missing)} of {len(wanted)} files: {', '.join(missing[:5])}")
    return [
        {
            "path": path,
            "key": None,
            "size": (root / path).stat().st_size,
            "checksum": checksum(root / path),
            "url": None,
        }
        for path in wanted
    ]


def _clone_afresh(url: str, folder: Path, commit: str | None) -> None:
    pattern = f".{folder.name}.*.part"
    for left in folder.parent.glob(pattern):  # of a clone that was interrupted: the lock is ours, nobody writes it
        _remove(left)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        _clone_with_datalad(url, part, folder)
        annex_tree.git(part, "remote", "set-url", "origin", url)
        if commit is not None and not _has(part, commit):
            _fetch(url, part, commit)
        _check_commit(url, part, commit or annex_tree.head(part))
        part.rename(folder)
    finally:
        if part.exists():
            _remove(part)


def _clone_with_datalad(url: str, part: Path, folder: Path) -> None:
    """Clone; an address of the network that fails is tried again a bounded number of times."""
    from datalad import api  # takes most of a second, and only a fetch needs it

    limits = Limits.from_environment()
    tries = limits.attempts if url.startswith(("http://", "https://", "ssh://", "git://")) else 1
    for attempt in range(tries):
        results = api.clone(
            source=url, path=str(part), on_failure="ignore", result_renderer="disabled", return_type="list",
            result_xfm=None, result_filter=None,
        )  # fmt: skip
        failed = [row for row in results if row["status"] in ("error", "impossible")]
        if not failed:
            return
        said = f"cannot clone {url} to {folder}: {'; '.join(_reason(row) for row in failed)}"
        if part.exists():
            _remove(part)
        if attempt + 1 < tries:
            wait_s = limits.backoff_s * 2**attempt
            logging.getLogger(__name__).warning("%s; trying again in %.0f s", said, wait_s)
            time.sleep(wait_s)
    raise RuntimeError(said)


def _remove(folder: Path) -> None:
    """Remove a clone, whose annexed objects lie in folders without write permission."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder)


def _origin(folder: Path) -> str | None:
    return annex_tree.says(folder, "config", "--get", "remote.origin.url")


def _has(folder: Path, commit: str) -> bool:
    return annex_tree.says(folder, "cat-file", "-t", commit) == "commit"


def _remote_head(url: str, folder: Path) -> str:
    return _remote_tip(url, folder)[1]


def _remote_tip(url: str, folder: Path) -> tuple[str, str]:
    """Return the name and the commit of what a clone of ``url`` checks out."""
    said = annex_tree.git(folder, "ls-remote", url, "HEAD", "refs/heads/*").decode().split()
    branches = dict(zip(said[1::2], said[0::2], strict=True))
    if "HEAD" in branches:
        return "HEAD", branches["HEAD"]
    # a bundle may have none; DataLad then takes the branch that is not git-annex's own
    plain = [name for name in branches if name != "refs/heads/git-annex" and "/synced/" not in name]
    if len(plain) != 1:
        raise RuntimeError(f"{url} has no HEAD and branches {sorted(branches)}: name a commit")
    return plain[0], branches[plain[0]]


def _fetch(url: str, folder: Path, commit: str | None) -> None:
    """Fetch from ``url`` after making sure that it is the same data set; the clone then follows it."""
    name, theirs = _remote_tip(url, folder)
    if not _has(folder, theirs):
        annex_tree.git(folder, "fetch", "--quiet", url, name)
    _check_same(url, folder, theirs)
    annex_tree.git(folder, "remote", "set-url", "origin", url)
    annex_tree.git(folder, "fetch", "--quiet", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*")
    if commit is not None and not _has(folder, commit):
        # a commit that no branch holds; the check comes after
        annex_tree.says(folder, "fetch", "--quiet", "origin", commit)


def _check_same(url: str, folder: Path, theirs: str) -> None:
    ours = _dataset_id(folder, "HEAD")
    other = _dataset_id(folder, theirs)
    if ours is None and other is None:  # plain git-annex repositories: one history, or two
        same = annex_tree.says(folder, "merge-base", "HEAD", theirs) is not None
        ours, other = "another history", "its own"
    else:
        same = ours == other
    if not same:
        raise ValueError(
            f"{folder} is a clone of another data set ({ours}) than {url} ({other}): move it away, or choose "
            "another workspace"
        )


def _dataset_id(folder: Path, commit: str) -> str | None:
    return annex_tree.says(folder, "config", "--blob", f"{commit}:.datalad/config", "--get", "datalad.dataset.id")


def _check_commit(url: str, folder: Path, wanted: str) -> None:
    if not _has(folder, wanted):
        raise ValueError(
            f"{url} has no commit {wanted}; its HEAD is {_remote_head(url, folder)}: correct the commit in "
            "the data set's facts, or the address"
        )


def _absent(folder: Path, entries: Sequence[Entry]) -> list[str]:
    objects = annex_tree.objects(folder, [entry.key for entry in entries if entry.key])
    return [entry.path for entry in entries if entry.key and objects[entry.key] is None]


def _describe_annexed(folder: Path, entry: Entry, content: Path | None) -> dict[str, Any]:
    key = entry.key
    if content is None:
        raise FileNotFoundError(f"content absent: {folder / entry.path} (key {key})")
    size, told = content.stat().st_size, annex_tree.key_size(key)
    if told not in (None, size):
        raise ValueError(f"{folder / entry.path} has {size} bytes, its key {key} says {told}: drop it and get it again")
    known = annex_tree.key_checksum(key) or checksum(content)
    return {"path": entry.path, "key": key, "size": size, "checksum": known}


def _urls(folder: Path, entries: Sequence[Entry]) -> dict[str, str | None]:
    """Where git-annex knows the content of files to be: a version first, then the file's own address."""
    if not entries:
        return {}
    asked = "".join(f"{entry.key}\n" for entry in entries).encode()
    said = annex_tree.git(folder, "annex", "whereis", "--batch-keys", "--json", text=asked).decode().splitlines()
    addresses = annex_tree.public_addresses(folder, [entry.path for entry in entries])
    found: dict[str, str | None] = {}
    for entry, line in zip(entries, said, strict=True):
        urls = sorted({url for place in json.loads(line).get("whereis", []) for url in place["urls"]})
        own = addresses[entry.path]
        found[entry.path] = next((url for url in urls if "versionId=" in url), own if own in urls else None) or next(
            iter(urls), None
        )
    return found


def _describe_plain(folder: Path, entry: Entry) -> dict[str, Any]:
    path = folder / entry.path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is in git but not on disk: git -C {folder} checkout -- {entry.path}")
    if not entry.is_link and _blob_name(path, entry.blob) != entry.blob:
        raise ValueError(f"{path} was changed since it was cloned: git -C {folder} checkout -- {entry.path}")
    return {"path": entry.path, "key": entry.blob, "size": path.stat().st_size, "checksum": checksum(path), "url": None}


def _blob_name(path: Path, like: str) -> str:
    content = path.read_bytes()
    algorithm = "sha1" if len(like) == 40 else "sha256"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest()


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(POINTER)) == POINTER


def _reason(row: dict[str, Any]) -> str:
    """Return why DataLad failed at a path, each sentence once, with the key where the content was wrong."""
    message = row.get("message") or ""
    if isinstance(message, tuple):
        message = message[0] % message[1:]
    lines = [*str(message).splitlines(), *str(row.get("error_message") or "").splitlines()]
    said = "; ".join(dict.fromkeys(line.strip() for line in lines if line.strip())) or f"status {row.get('status')}"
    return f"{said} (key {row['annexkey']})" if row.get("annexkey") else said
