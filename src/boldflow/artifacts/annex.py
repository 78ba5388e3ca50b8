"""DataLad data sets on this machine: clones at a fixed commit, content on demand, rows for receipts.

A clone is never half there: it is made under a temporary name beside the final one. Writers of one clone take
turns through the lock file ``<clone>.lock`` beside it. Paths are relative to the clone and use ``/``.
"""

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

# git-annex names a backend that keeps the file's suffix with a final E: MD5E and MD5 hold the same digest.
HASHES = {
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
}
KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?P<fields>(?:-[sSCm]\d+)*)--(?P<name>.+)", re.DOTALL)
POINTER = b"/annex/objects/"  # how the content of an unlocked file without content begins
POINTER_BYTES = 32768  # git-annex takes no larger file for a pointer
LINK = re.compile(r"(^|/)\.git/annex/objects/")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
IDENTITY = {"NAME": "boldflow", "EMAIL": "boldflow@localhost"}


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
        If git or DataLad fails, with its own words.
    """
    folder = Path(folder)
    url = str(Path(url).resolve()) if Path(url).exists() else url  # git would look below the clone
    if commit is not None and not COMMIT.fullmatch(commit):
        raise ValueError(f"commit must be the full 40 hexadecimal digits, not {commit!r}: short names and tags move")
    _prepare()
    with _lock(folder):
        if not folder.exists():
            _clone_afresh(url, folder, commit)
            wanted = commit or _head(folder)
        else:
            _check_is_clone(folder)
            if commit is None or not _has(folder, commit) or _origin(folder) != url:
                _fetch(url, folder, commit)
            wanted = commit or _remote_head(url, folder)
            _check_commit(url, folder, wanted)
        if _head(folder) != wanted:
            _git(folder, "checkout", "--quiet", "--detach", wanted)
        return _head(folder)


def get(folder: str | Path, paths: Iterable[str], jobs: int = 4) -> None:
    """Fetch the content of files that is not there yet; git-annex verifies what arrives.

    Parameters
    ----------
    folder : str or Path
        A clone.
    paths : iterable of str
        Files below it, or folders for all files in them.
    jobs : int
        Transfers at the same time.

    Raises
    ------
    FileNotFoundError
        If the checked-out commit does not have a path.
    RuntimeError
        If content could not be had; names each such path with DataLad's reason.
    """
    folder = Path(folder)
    _prepare()
    with _lock(folder):
        missing = _absent(folder, _entries(folder, paths))
        if not missing:
            return
        from datalad import api  # takes most of a second, and only a fetch needs it

        results = api.get(
            dataset=str(folder.resolve()),
            path=[str(folder.resolve() / path) for path in missing],
            jobs=jobs,
            on_failure="ignore",
            result_renderer="disabled",
            return_type="list",
        )
        failed = {_below(folder, row["path"]): row for row in results if row["status"] in ("error", "impossible")}
        for path in _absent(folder, _entries(folder, missing)):
            failed.setdefault(path, {"message": "DataLad reports no error, but the content is not there"})
    if failed:
        lines = [f"  {path}: {_reason(row)}" for path, row in sorted(failed.items())]
        raise RuntimeError(
            f"{len(failed)} of {len(missing)} files of {folder} could not be fetched:\n" + "\n".join(lines)
        )


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
        "sha256:..."), which is the annex key's own where it holds one, else the SHA-256 of the content.

    Raises
    ------
    FileNotFoundError
        If the commit does not have a path, or its content is absent.
    ValueError
        If content has another size than its key says, or a file in git was changed.
    """
    folder = Path(folder)
    _prepare()
    entries = _entries(folder, paths)
    objects = _objects(folder, [entry.key for entry in entries if entry.key])
    return [
        _describe_annexed(folder, entry, objects[entry.key]) if entry.key else _describe_plain(folder, entry)
        for entry in entries
    ]


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
        Sorted by path. ``path``; ``key`` (None); ``size`` (bytes); ``checksum`` ("sha256:...").

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
        {"path": path, "key": None, "size": (root / path).stat().st_size, "checksum": _sha256(root / path)}
        for path in wanted
    ]


def _prepare() -> None:
    """Let git and DataLad find git-annex beside this Python; give them an identity where there is none."""
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if own not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, path]) if path else own
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "0")
    for part, value in _identity_missing().items():
        for role in ("AUTHOR", "COMMITTER"):
            os.environ.setdefault(f"GIT_{role}_{part}", value)


def _identity_missing() -> dict[str, str]:
    def known(part: str) -> bool:
        command = ["git", "config", "--get", f"user.{part.lower()}"]
        # away from the working folder, whose own settings do not hold in a clone
        return subprocess.run(command, cwd=os.sep, capture_output=True, check=False).returncode == 0

    return {part: value for part, value in IDENTITY.items() if not known(part)}


def _lock(folder: Path) -> FileLock:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(folder.name + ".lock"))


def _git(folder: Path, *arguments: str, text: bytes = b"") -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"git {' '.join(arguments[:2])} failed in {folder}: {said}")
    return done.stdout


def _says(folder: Path, *arguments: str) -> str | None:
    """Return what git says, or None where it fails."""
    try:
        return _git(folder, *arguments).decode().strip()
    except RuntimeError:
        return None


def _clone_afresh(url: str, folder: Path, commit: str | None) -> None:
    pattern = f".{folder.name}.*.part"
    for left in folder.parent.glob(pattern):  # of a clone that was interrupted: the lock is ours, nobody writes it
        _remove(left)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        from datalad import api

        results = api.clone(
            source=url, path=str(part), on_failure="ignore", result_renderer="disabled", return_type="list",
            result_xfm=None, result_filter=None,
        )  # fmt: skip
        failed = [row for row in results if row["status"] in ("error", "impossible")]
        if failed:
            raise RuntimeError(f"cannot clone {url} to {folder}: {'; '.join(_reason(row) for row in failed)}")
        _git(part, "remote", "set-url", "origin", url)
        if commit is not None and not _has(part, commit):
            _fetch(url, part, commit)
        _check_commit(url, part, commit or _head(part))
        part.rename(folder)
    finally:
        if part.exists():
            _remove(part)


def _remove(folder: Path) -> None:
    """Remove a clone, whose annexed objects lie in folders without write permission."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder)


def _check_is_clone(folder: Path) -> None:
    top = _says(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
    if top is None or Path(top).resolve() != folder.resolve():
        raise ValueError(f"{folder} is no clone of a data set: move it away, or choose another workspace")


def _origin(folder: Path) -> str | None:
    return _says(folder, "config", "--get", "remote.origin.url")


def _has(folder: Path, commit: str) -> bool:
    return _says(folder, "cat-file", "-t", commit) == "commit"


def _head(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD^{commit}").decode().strip()


def _remote_head(url: str, folder: Path) -> str:
    return _remote_tip(url, folder)[1]


def _remote_tip(url: str, folder: Path) -> tuple[str, str]:
    """Return the name and the commit of what a clone of ``url`` checks out."""
    said = _git(folder, "ls-remote", url, "HEAD", "refs/heads/*").decode().split()
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
        _git(folder, "fetch", "--quiet", url, name)
    _check_same(url, folder, theirs)
    _git(folder, "remote", "set-url", "origin", url)
    _git(folder, "fetch", "--quiet", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*")
    if commit is not None and not _has(folder, commit):
        _says(folder, "fetch", "--quiet", "origin", commit)  # a commit that no branch holds; the check comes after


def _check_same(url: str, folder: Path, theirs: str) -> None:
    ours = _dataset_id(folder, "HEAD")
    other = _dataset_id(folder, theirs)
    if ours is None and other is None:  # plain git-annex repositories: one history, or two
        same = _says(folder, "merge-base", "HEAD", theirs) is not None
        ours, other = "another history", "its own"
    else:
        same = ours == other
    if not same:
        raise ValueError(
            f"{folder} is a clone of another data set ({ours}) than {url} ({other}): move it away, or choose "
            "another workspace"
        )


def _dataset_id(folder: Path, commit: str) -> str | None:
    return _says(folder, "config", "--blob", f"{commit}:.datalad/config", "--get", "datalad.dataset.id")


def _check_commit(url: str, folder: Path, wanted: str) -> None:
    if not _has(folder, wanted):
        raise ValueError(
            f"{url} has no commit {wanted}; its HEAD is {_remote_head(url, folder)}: correct the commit in "
            "the data set's facts, or the address"
        )


@dataclass(frozen=True)
class _Entry:
    """A file of the checked-out commit: ``key`` is empty where git itself holds the content."""

    path: str
    blob: str
    is_link: bool
    key: str


def _entries(folder: Path, paths: Iterable[str]) -> list[_Entry]:
    _check_is_clone(folder)
    wanted = {path.rstrip("/") for path in paths}
    rows = []  # (path, mode, blob, may hold a key)
    found = set()
    for line in _git(folder, "ls-tree", "-r", "-l", "-z", "HEAD").decode().split("\0")[:-1]:
        description, path = line.split("\t", 1)
        mode, kind, blob, size = description.split()
        hits = _hits(path, wanted)
        if kind == "blob" and hits:
            found |= hits
            rows.append((path, mode, blob, mode == "120000" or int(size) < POINTER_BYTES))
    missing = sorted(wanted - found)
    if missing:
        counts = f"{len(missing)} of {len(wanted)} paths"
        raise FileNotFoundError(f"{folder} at commit {_head(folder)} lacks {counts}: {', '.join(missing[:5])}")
    texts = _blobs(folder, [blob for _, _, blob, small in rows if small])
    entries = [
        _Entry(path, blob, mode == "120000", _key_in(texts[blob]) if small else "") for path, mode, blob, small in rows
    ]
    return sorted(entries, key=lambda entry: entry.path)


def _hits(path: str, wanted: set[str]) -> set[str]:
    """Return those of the wanted paths that are ``path`` or a folder above it."""
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts) + 1)} & wanted


def _blobs(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    said = _git(folder, "cat-file", "--batch", text="".join(f"{name}\n" for name in names).encode())
    texts = {}
    place = 0
    for name in names:
        end = said.index(b"\n", place)
        size = int(said[place:end].split()[2])
        texts[name] = said[end + 1 : end + 1 + size]
        place = end + size + 2
    return texts


def _key_in(text: bytes) -> str:
    """Return the annex key to which a link or a pointer file leads, or nothing."""
    first = text.split(b"\n", 1)[0].decode(errors="replace")
    if not (text.startswith(POINTER) or LINK.search(first)):
        return ""
    name = first.rsplit("/", 1)[1].replace("&c", ":").replace("%", "/").replace("&s", "%").replace("&a", "&")
    return name if KEY.fullmatch(name) else ""


def _objects(folder: Path, keys: Sequence[str]) -> dict[str, Path | None]:
    """Return the file in which a clone keeps the content of each key, or None."""
    if not keys:
        return {}
    said = _git(folder, "annex", "contentlocation", "--batch", text="".join(f"{key}\n" for key in keys).encode())
    lines = said.decode().split("\n")
    return {key: folder / line if line else None for key, line in zip(keys, lines, strict=False)}


def _absent(folder: Path, entries: Sequence[_Entry]) -> list[str]:
    objects = _objects(folder, [entry.key for entry in entries if entry.key])
    return [entry.path for entry in entries if entry.key and objects[entry.key] is None]


def _describe_annexed(folder: Path, entry: _Entry, content: Path | None) -> dict[str, Any]:
    key = entry.key
    if content is None:
        raise FileNotFoundError(f"content absent: {folder / entry.path} (key {key})")
    parts = KEY.fullmatch(key)
    if parts is None:
        raise ValueError(f"{folder / entry.path} has a key of unknown form: {key}")
    size = content.stat().st_size
    told = re.search(r"-s(\d+)", parts["fields"])
    if told and int(told[1]) != size:
        raise ValueError(
            f"{folder / entry.path} has {size} bytes, its key {key} says {told[1]}: drop it and get it again"
        )
    algorithm = HASHES.get(parts["backend"].removesuffix("E"))
    checksum = f"{algorithm}:{parts['name'].split('.')[0]}" if algorithm else _sha256(content)
    return {"path": entry.path, "key": key, "size": size, "checksum": checksum}


def _describe_plain(folder: Path, entry: _Entry) -> dict[str, Any]:
    path = folder / entry.path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is in git but not on disk: git -C {folder} checkout -- {entry.path}")
    if not entry.is_link and _blob_name(path, entry.blob) != entry.blob:
        raise ValueError(f"{path} was changed since it was cloned: git -C {folder} checkout -- {entry.path}")
    return {"path": entry.path, "key": entry.blob, "size": path.stat().st_size, "checksum": _sha256(path)}


def _blob_name(path: Path, like: str) -> str:
    content = path.read_bytes()
    algorithm = "sha1" if len(like) == 40 else "sha256"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(POINTER)) == POINTER


def _below(folder: Path, path: str) -> str:
    return Path(path).relative_to(folder.resolve()).as_posix()


def _reason(row: dict[str, Any]) -> str:
    """Return why DataLad failed at a path, each sentence once, with the key where the content was wrong."""
    message = row.get("message") or ""
    if isinstance(message, tuple):
        message = message[0] % message[1:]
    lines = [*str(message).splitlines(), *str(row.get("error_message") or "").splitlines()]
    said = "; ".join(dict.fromkeys(line.strip() for line in lines if line.strip())) or f"status {row.get('status')}"
    return f"{said} (key {row['annexkey']})" if row.get("annexkey") else said
