"""Unpacking archives from elsewhere: looked through before a byte is written, and there whole or not at all.

An archive may hold folders and plain files below one folder, each name once, within bounds of size and number. Anything
else (``../``, absolute paths, links, devices, doubled names, more bytes than stated) is refused.
"""

import os
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

MAX_BYTES = 200 * 1024**3  # of all files unpacked; the largest stimuli known here are 40 GB
MAX_FILES = 1_000_000
MAX_RATIO = 200  # bytes unpacked per byte of the archive; pictures are compressed already
SMALL = 10 * 1024**2  # bytes unpacked up to which the ratio tells nothing
MAX_HEADER = 1 << 20  # bytes of one header of a tar
CHUNK = 1 << 20
KINDS = "a zip, tar, tar.gz, tar.bz2 or tar.xz"


class Refused(ValueError):
    """An archive that must not be unpacked."""


@dataclass(frozen=True)
class _Member:
    """A plain file of an archive: its name with ``/``, the bytes it states, and how to read it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: str | Path) -> bool:
    """Tell whether a file is an archive that ``unpack`` reads, by what it holds."""
    return Path(path).is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(
    archive: str | Path,
    folder: str | Path,
    password: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
    max_ratio: float = MAX_RATIO,
) -> None:
    """Unpack an archive into a folder that is there whole or not at all.

    Parameters
    ----------
    archive : str or Path
        Zip or tar, the latter also compressed.
    folder : str or Path
        Is replaced if it is there; its last part is made, its parents too.
    password : str or None
        Of an encrypted zip; it is never logged and stands in no message.
    max_bytes, max_files : int
        Bounds of what is unpacked, both as stated by the archive and as it comes.
    max_ratio : float
        Largest number of bytes unpacked per byte of the archive, once they are more than 10 MiB.

    Raises
    ------
    FileNotFoundError
        If there is no such archive.
    Refused
        If it is no archive, or holds what it must not hold; names the member. Nothing is written then, except
        where more bytes come than were stated: what was written is then removed.
    PermissionError
        If it is encrypted and the password is missing or wrong.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise FileNotFoundError(f"no such archive: {archive}")
    part_folder = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    with _Reader(archive, password) as reader:
        byte_limit = min(max_bytes, max(SMALL, int(max_ratio * archive.stat().st_size)))
        members = reader.members(byte_limit, max_files)
        _check(archive, members)
        for leftover in folder.parent.glob(f".{folder.name}.*.part"):  # of an unpacking that was interrupted
            shutil.rmtree(leftover)
        try:
            part_folder.mkdir(parents=True)
            _write(archive, members, part_folder)
            os.sync()  # once: a call per file would take longer than the unpacking
            _put_in_place(part_folder, folder)
        except NotImplementedError as error:
            raise Refused(f"{archive}: {error}; unpack it yourself and name the folder") from None
        except RuntimeError as error:  # how zipfile tells of a wrong or missing password
            raise _locked(archive, password) from error
        except (OSError, zlib.error, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            doubt_text = " (or the password is wrong)" if password else ""
            size = archive.stat().st_size
            raise Refused(f"{archive} ({size} bytes) is no whole archive{doubt_text}: {error}") from None
        finally:
            if part_folder.exists():
                shutil.rmtree(part_folder)


def _put_in_place(part_folder: Path, folder: Path) -> None:
    """Give a folder that is whole its name; one that is there is replaced."""
    if not folder.exists():
        part_folder.rename(folder)
        return
    folder.rename(old_folder := part_folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part"))
    part_folder.rename(folder)
    shutil.rmtree(old_folder)


def _locked(archive: Path, password: str | None) -> PermissionError:
    reason = "the password is wrong" if password else "it is encrypted and no password was given"
    return PermissionError(f"{archive}: {reason}")


def _check(archive: Path, members: list[_Member]) -> None:
    """Refuse an empty archive, names that come twice, and files that are folders too."""
    if not members:
        raise Refused(f"{archive} holds no files")
    file_names: set[str] = set()
    for member in members:
        if member.name in file_names:
            raise Refused(f"{archive} holds {member.name!r} twice")
        file_names.add(member.name)
    for member in members:
        file_parents = file_names.intersection(str(parent) for parent in PurePosixPath(member.name).parents)
        if file_parents:
            raise Refused(f"{archive} holds {min(file_parents)!r} as a file and as a folder")


def _write(archive: Path, members: list[_Member], part_folder: Path) -> None:
    """Write files; each ends where the archive said it would."""
    for member in tqdm(members, desc=f"unpack {archive.name}", unit="file"):
        path = part_folder.joinpath(*PurePosixPath(member.name).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        n_written = 0
        with member.open() as source, path.open("xb") as target:
            while piece := source.read(CHUNK):
                n_written += len(piece)
                if n_written > member.size:
                    break
                target.write(piece)
        if n_written != member.size:
            found_text = "more" if n_written > member.size else f"{n_written}"
            raise Refused(f"{archive}: {member.name!r} states {member.size} bytes, {found_text} came: is it a bomb?")


def _checked_name(archive: Path, name: str) -> str:
    """Give a member's name if it stays below the folder."""
    parts = PurePosixPath(name).parts
    leads_out = (
        not parts or name.startswith(("/", "\\")) or "\\" in name or "\0" in name or ".." in parts
        or parts[0].endswith(":") or any(ord(character) < 32 for character in name)
    )  # fmt: skip
    if leads_out:
        raise Refused(f"{archive} holds {name!r}: names must stay below the folder they are unpacked to")
    return str(PurePosixPath(name))


class _Info(tarfile.TarInfo):
    """A tar's header, whose own additions (long names, attributes) are read into memory: within bounds."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        plain_types = (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)
        if self.type not in plain_types and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes, more than {MAX_HEADER}")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Reader:
    """Members of a zip or a tar, in one form."""

    def __init__(self, archive: Path, password: str | None) -> None:
        self._archive, self._password = archive, password
        self._zip: zipfile.ZipFile | None = None
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> "_Reader":
        try:
            if zipfile.is_zipfile(self._archive):
                self._zip = zipfile.ZipFile(self._archive)
            else:
                self._tar = tarfile.open(self._archive, tarinfo=_Info)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            size = self._archive.stat().st_size
            raise Refused(f"{self._archive} ({size} bytes) is not {KINDS}: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        for archive in (self._zip, self._tar):
            if archive is not None:
                archive.close()

    def members(self, max_bytes: int, max_files: int) -> list[_Member]:
        """List plain files; refuse what is neither a file nor a folder, names that lead out, and too much."""
        members: list[_Member] = []
        n_bytes = 0
        try:
            # counted as they are listed: the names of a compressed tar are found by unpacking all before them
            for member in self._of_zip(self._zip) if self._zip else self._of_tar(self._tar):
                members.append(member)
                n_bytes += member.size
                if n_bytes > max_bytes or len(members) > max_files:
                    raise Refused(
                        f"{self._archive} ({self._archive.stat().st_size} bytes) would unpack to {n_bytes} "
                        f"bytes or more in {len(members)} files; "
                        f"{max_bytes} bytes and {max_files} files are allowed: is it a bomb?"
                    )
        except PermissionError:
            raise
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            size = self._archive.stat().st_size
            raise Refused(f"{self._archive} ({size} bytes) is no whole archive: {error}") from None
        return members

    def _of_zip(self, archive: zipfile.ZipFile) -> Iterator[_Member]:
        password = self._password.encode() if self._password else None
        for info in archive.infolist():
            name = _checked_name(self._archive, info.filename)
            file_type = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() and file_type in (0, stat.S_IFDIR):
                continue
            if file_type not in (0, stat.S_IFREG):
                raise Refused(f"{self._archive} holds {info.filename!r}, which is no plain file: links are refused")
            if info.flag_bits & 1 and password is None:
                raise _locked(self._archive, None)
            yield _Member(name, info.file_size, lambda info=info: archive.open(info, pwd=password))  # type: ignore[misc]

    def _of_tar(self, archive: tarfile.TarFile | None) -> Iterator[_Member]:
        assert archive is not None
        for info in archive:
            if info.isdir() and not PurePosixPath(info.name).parts:
                continue  # the folder itself
            name = _checked_name(self._archive, info.name)
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise Refused(f"{self._archive} holds {info.name!r}, which is no plain file: links are refused")
            yield _Member(name, info.size, lambda info=info: archive.extractfile(info))  # type: ignore[misc,arg-type]
