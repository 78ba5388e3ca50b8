"""What a clone holds: its files at the checked-out commit, their annex keys, and where content lies.

Paths are relative to the clone and use ``/``. All calls of git and git-annex that only ask or set go through here.
"""

import contextlib
import hashlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

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
IDENTITY = {"NAME": "boldflow", "EMAIL": "boldflow@localhost"}
SLOW = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"}  # bytes per second, over seconds
PUBLIC_URL = "boldflow.public-url"  # key of the clone's own git configuration


@dataclass(frozen=True)
class Entry:
    """A file of the checked-out commit: ``key`` is empty where git itself holds the content."""

    path: str
    blob: str
    is_link: bool
    key: str


def prepare() -> None:
    """Let git and DataLad find git-annex beside this Python, give them an identity, and let no clone hang."""
    python_folder = str(Path(sys.executable).parent)
    search_path = os.environ.get("PATH", "")
    if python_folder not in search_path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([python_folder, search_path]) if search_path else python_folder
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "0")
    for name, value in SLOW.items():
        os.environ.setdefault(name, value)
    for field, value in _identity_missing().items():
        for role in ("AUTHOR", "COMMITTER"):
            os.environ.setdefault(f"GIT_{role}_{field}", value)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a clone: one process at a time writes it; the others wait and say so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logging.getLogger(__name__).warning("another job is fetching into %s: waiting for its turn", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def git(folder: Path, *arguments: str, text: bytes = b"") -> bytes:
    """Run git in a clone and return what it says.

    Raises
    ------
    RuntimeError
        If it fails, with its own words.
    """
    command = ["git", "-C", str(folder), *arguments]
    process = subprocess.run(command, input=text, capture_output=True, check=False)
    if process.returncode:
        error_text = process.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"git {' '.join(arguments[:2])} failed in {folder}: {error_text}")
    return process.stdout


def says(folder: Path, *arguments: str) -> str | None:
    """Return what git says, or None where it fails."""
    try:
        return git(folder, *arguments).decode().strip()
    except RuntimeError:
        return None


def check_is_clone(folder: Path) -> None:
    """Refuse a folder that is no git repository of its own (ValueError)."""
    top_folder = says(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
    if top_folder is None or Path(top_folder).resolve() != folder.resolve():
        raise ValueError(f"{folder} is no clone of a data set: move it away, or choose another workspace")


def head(folder: Path) -> str:
    """Name the commit that is checked out, in full."""
    return git(folder, "rev-parse", "HEAD^{commit}").decode().strip()


def entries(folder: Path, paths: Iterable[str]) -> list[Entry]:
    """List files of the checked-out commit: those that are named, and all in folders that are.

    Raises
    ------
    FileNotFoundError
        If the commit does not have a path; names the count and the first five.
    """
    check_is_clone(folder)
    asked_paths = {path.rstrip("/") for path in paths}
    rows = []  # (path, mode, blob, may hold a key)
    present_paths = set()
    for line in git(folder, "ls-tree", "-r", "-l", "-z", "HEAD").decode().split("\0")[:-1]:
        description, path = line.split("\t", 1)
        mode, kind, blob, size = description.split()
        matching_paths = _matches(path, asked_paths)
        if kind == "blob" and matching_paths:
            present_paths |= matching_paths
            rows.append((path, mode, blob, mode == "120000" or int(size) < POINTER_BYTES))
    missing_paths = sorted(asked_paths - present_paths)
    if missing_paths:
        counts_text = f"{len(missing_paths)} of {len(asked_paths)} paths"
        raise FileNotFoundError(
            f"{folder} at commit {head(folder)} lacks {counts_text}: {', '.join(missing_paths[:5])}"
        )
    blob_texts = blobs(folder, [blob for _, _, blob, may_hold_key in rows if may_hold_key])
    listed_entries = [
        Entry(path, blob, mode == "120000", key_in(blob_texts[blob] or b"") if may_hold_key else "")
        for path, mode, blob, may_hold_key in rows
    ]
    return sorted(listed_entries, key=lambda entry: entry.path)


def blobs(folder: Path, names: Sequence[str]) -> dict[str, bytes | None]:
    """Read objects of git by name (a hash, or ``branch:path``); None for those that there are not."""
    output = git(folder, "cat-file", "--batch", text="".join(f"{name}\n" for name in names).encode())
    content_of_name: dict[str, bytes | None] = {}
    position = 0
    for name in names:
        end = output.index(b"\n", position)
        header = output[position:end]
        if header.endswith(b" missing"):
            content_of_name[name], position = None, end + 1
            continue
        size = int(header.split()[2])
        content_of_name[name] = output[end + 1 : end + 1 + size]
        position = end + size + 2
    return content_of_name


def key_in(text: bytes) -> str:
    """Return the annex key to which a link or a pointer file leads, or nothing."""
    first_line = text.split(b"\n", 1)[0].decode(errors="replace")
    if not (text.startswith(POINTER) or LINK.search(first_line)):
        return ""
    name = first_line.rsplit("/", 1)[1].replace("&c", ":").replace("%", "/").replace("&s", "%").replace("&a", "&")
    return name if KEY.fullmatch(name) else ""


def key_file(key: str) -> str:
    """Name the file in which git-annex keeps a key's content while it arrives, or its logs."""
    return key.replace("&", "&a").replace("%", "&s").replace("/", "%").replace(":", "&c")


def key_size(key: str) -> int | None:
    """Bytes that a key's content must have, where the key tells."""
    key_match = KEY.fullmatch(key)
    size_match = re.search(r"-s(\d+)", key_match["fields"]) if key_match else None
    return int(size_match[1]) if size_match else None


def key_checksum(key: str) -> str | None:
    """Checksum of a key's content ("md5:..."), where the key holds one."""
    key_match = KEY.fullmatch(key)
    algorithm = HASHES.get(key_match["backend"].removesuffix("E")) if key_match else None
    return f"{algorithm}:{key_match['name'].split('.')[0]}" if key_match and algorithm else None


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file, such as "sha256:..."."""
    with path.open("rb") as handle:
        return f"{algorithm}:" + hashlib.file_digest(handle, algorithm).hexdigest()


def objects(folder: Path, keys: Sequence[str]) -> dict[str, Path | None]:
    """Return the file in which a clone keeps the content of each key, or None."""
    if not keys:
        return {}
    output = git(folder, "annex", "contentlocation", "--batch", text="".join(f"{key}\n" for key in keys).encode())
    lines = output.decode().split("\n")
    return {key: folder / line if line else None for key, line in zip(keys, lines, strict=False)}


def public_addresses(folder: Path, paths: Iterable[str]) -> dict[str, str | None]:
    """Addresses at which anyone may read files, as the clone was told; None where it was not."""
    pattern = says(folder, "config", "--get", PUBLIC_URL)
    return {path: pattern.replace("{path}", quote(path)) if pattern else None for path in paths}


def remotes(folder: Path) -> dict[str, str]:
    """UUIDs of a clone's annex remotes by name."""
    output = says(folder, "config", "--get-regexp", r"^remote\..*\.annex-uuid$") or ""
    rows = (line.split(" ", 1) for line in output.splitlines())
    return {name.removeprefix("remote.").removesuffix(".annex-uuid"): identity for name, identity in rows}


def ignored_remotes(folder: Path) -> list[str]:
    """Names of a clone's remotes that git-annex is told to ignore."""
    output = says(folder, "config", "--type=bool", "--get-regexp", r"^remote\..*\.annex-ignore$") or ""
    rows = (line.split(" ", 1) for line in output.splitlines())
    return [name.removeprefix("remote.").removesuffix(".annex-ignore") for name, value in rows if value == "true"]


def _identity_missing() -> dict[str, str]:
    def is_set(part: str) -> bool:
        command = ["git", "config", "--get", f"user.{part.lower()}"]
        # away from the working folder, whose own settings do not hold in a clone
        return subprocess.run(command, cwd=os.sep, capture_output=True, check=False).returncode == 0

    return {part: value for part, value in IDENTITY.items() if not is_set(part)}


def _matches(path: str, asked_paths: set[str]) -> set[str]:
    """Return those of the paths asked for that are ``path`` or a folder above it."""
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts) + 1)} & asked_paths
