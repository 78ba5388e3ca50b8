"""DataLad data sets on this machine: clones at a fixed commit, content on demand, rows for receipts.

A clone is never half there: it is made under a temporary name beside the final one. Writers of one clone take
turns through the lock file ``<clone>.lock`` beside it. Paths are relative to the clone and use ``/``.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_clone, annex_get, annex_rows, annex_tree
from boldflow.artifacts.arrival.annex_get import JOBS, Limits
from boldflow.artifacts.arrival.annex_tree import POINTER, Entry
from boldflow.runs.checksums import sha256

ANNEXED = ".git/annex/objects/"  # in what a link to annexed content names
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
            annex_clone.afresh(url, folder, commit)
            target = commit or annex_tree.head(folder)
        else:
            annex_tree.check_is_clone(folder)
            if commit is None or not annex_clone.has(folder, commit) or annex_clone.origin(folder) != url:
                annex_clone.fetch(url, folder, commit)
            target = commit or annex_clone.remote_head(url, folder)
            annex_clone.check_commit(url, folder, target)
        if annex_tree.head(folder) != target:
            annex_tree.git(folder, "checkout", "--quiet", "--detach", target)
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
        annexed_entries = [entry for entry in annex_tree.entries(folder, paths) if entry.key]
        absent_paths = set(_absent(folder, annexed_entries))
        absent_paths |= set(
            annex_get.damaged(folder, [entry for entry in annexed_entries if entry.path not in absent_paths])
        )
        missing_entries = [entry for entry in annexed_entries if entry.path in absent_paths]
        if not missing_entries:
            return []
        annex_get.register(folder, missing_entries)
        path_of_key = {entry.key: entry.path for entry in reversed(missing_entries)}
        failure_reasons = annex_get.transfer(folder, path_of_key, limits, jobs)
        absent_paths = set(_absent(folder, missing_entries))
        for entry in missing_entries:  # files of one key fail together
            if entry.path in absent_paths:
                reason = failure_reasons.get(
                    path_of_key[entry.key], "git-annex reports no error, but the content is not there"
                )
                failure_reasons.setdefault(entry.path, reason)
    if failure_reasons:
        lines = [f"  {path}: {reason}" for path, reason in sorted(failure_reasons.items())]
        raise RuntimeError(
            f"{len(failure_reasons)} of {len(missing_entries)} files of {folder} could not be fetched, the others are "
            "there:\n" + "\n".join(lines)
        )
    return [entry.path for entry in missing_entries]


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
    annexed_entries = [entry for entry in entries if entry.key]
    objects = annex_tree.objects(folder, [entry.key for entry in annexed_entries])
    urls = annex_rows.urls_of(folder, annexed_entries)
    return [
        annex_rows.of_annexed(folder, entry, objects[entry.key]) | {"url": urls[entry.path]}
        if entry.key
        else annex_rows.of_plain(folder, entry)
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


def require_own(root: str | Path, path: str, command: str) -> None:
    """Stop where a file of a folder of the user's is not there any more: nothing but the user brings it back.

    Parameters
    ----------
    root : str or Path
    path : str
        The file below it.
    command : str
        What looks at the folder again.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or its annexed content is absent; names what helps.
    """
    if _lacks_content(Path(root) / path):
        get_command = _get_command(Path(root), [path])
        raise FileNotFoundError(f"content absent: {Path(root) / path} (dropped since); run: {get_command}")
    if not (Path(root) / path).is_file():
        raise FileNotFoundError(f"no such file: {Path(root) / path}; put it back, or leave it out and run: {command}")


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
        If files are missing, or the content of annexed ones; names ``root``, their count and the first five.
    """
    root = Path(root)
    ordered_paths = sorted(set(paths))
    require_all(root, ordered_paths)
    return [
        {
            "path": path,
            "key": None,
            "size": (root / path).stat().st_size,
            "checksum": f"sha256:{sha256(root / path, is_read_again=True)}",
            "url": None,
        }
        for path in ordered_paths
    ]


def require_all(root: Path, ordered_paths: Sequence[str]) -> None:
    """Stop where files of a plain folder, or the content of annexed ones, are not there.

    Raises
    ------
    FileNotFoundError
        Names ``root``, their count and the first five.
    """
    absent_paths = [path for path in ordered_paths if _lacks_content(root / path)]
    if absent_paths:
        raise FileNotFoundError(
            f"content absent: {root} has {len(absent_paths)} of {len(ordered_paths)} files by name only, as git-annex "
            f"or DataLad leaves them: {', '.join(absent_paths[:5])}; run: {_get_command(root, absent_paths)}"
        )
    missing_paths = [path for path in ordered_paths if not (root / path).is_file()]
    if missing_paths:
        raise FileNotFoundError(
            f"{root} lacks {len(missing_paths)} of {len(ordered_paths)} files: {', '.join(missing_paths[:5])}"
        )


def _absent(folder: Path, entries: Sequence[Entry]) -> list[str]:
    objects = annex_tree.objects(folder, [entry.key for entry in entries if entry.key])
    return [entry.path for entry in entries if entry.key and objects[entry.key] is None]


def _lacks_content(path: Path) -> bool:
    """Tell whether a file of any folder is annexed and has no content: a dangling link, or a pointer."""
    if path.is_file():
        return _is_pointer(path)
    return path.is_symlink() and ANNEXED in path.readlink().as_posix()


def _get_command(root: Path, paths: Sequence[str]) -> str:
    names = " ".join(shlex.quote(path) for path in paths[:5])
    return f"cd {shlex.quote(str(root))} && datalad get {names}{' ...' if len(paths) > 5 else ''}"


def check_unchanged(root: str | Path, row: Mapping[str, Any], command: str) -> None:
    """Refuse a file that is no longer what a row of its receipt says.

    Its content is read again where its size, time of change or inode is another than when it was read last.

    Raises
    ------
    ValueError
        If it is another; names it and the command that takes it as it is now.
    """
    path = Path(root) / row["path"]
    size = path.stat().st_size
    if size != row["size"]:
        raise ValueError(f"{path} has changed since it arrived: {row['size']} bytes then, {size} now; run: {command}")
    if f"sha256:{sha256(path)}" != row["checksum"]:
        raise ValueError(f"{path} has changed since it arrived: its content is another; run: {command}")


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(POINTER)) == POINTER
