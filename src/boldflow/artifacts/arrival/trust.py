"""Trust on first use: what has no published checksum must stay what it was when it was first seen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boldflow.artifacts.store import sidecars


def others(record: str | Path, files: Mapping[str, str]) -> list[str]:
    """List files whose checksums are not those of their first use; those without a record are not among them.

    Parameters
    ----------
    record : str or Path
        JSON file that ``confirm_each`` keeps.
    files : mapping of str to str
        Checksums by path.
    """
    first = _first(Path(record))
    return sorted(path for path, checksum in files.items() if first.get(path, checksum) != checksum)


def confirm_each(record: str | Path, name: str, files: Mapping[str, str]) -> None:
    """Compare the checksum of each file with that of its own first use, which is recorded where there is none yet.

    Unlike with ``confirm``, files may come a few at a time: those that are not named now are no news.

    Parameters
    ----------
    record : str or Path
        JSON file that keeps what was first seen; no rule makes or removes it.
    name : str
        What the files are, for messages.
    files : mapping of str to str
        Checksums by path.

    Raises
    ------
    ValueError
        If files have other checksums than at their first use; shows both, for the first five, and says how to accept
        the new ones.
    """
    record = Path(record)
    first, changed = _first(record), others(record, files)
    if changed:
        _refuse(record, name, [(path, first[path], files[path]) for path in changed], len(files))
    if set(files) - set(first):
        sidecars.write(record, {"name": name, "archive": None, "files": {**first, **files}})


def confirm(record: str | Path, name: str, files: dict[str, str], archive: str | None = None) -> None:
    """Compare checksums with those of the first use, which are recorded when there is no record yet.

    Parameters
    ----------
    record : str or Path
        JSON file that keeps what was first seen; no rule makes or removes it.
    name : str
        What the files are, for messages.
    files : dict of str to str
        Checksums by path.
    archive : str or None
        Checksum of the archive from which they came, where there is one.

    Raises
    ------
    ValueError
        If a file or the archive has another checksum than at first, or a file is missing; shows both, for the first
        five, and says how to accept the new ones.
    """
    record = Path(record)
    now: dict[str, Any] = {"name": name, "archive": archive, "files": files}
    if not record.is_file():
        sidecars.write(record, now)
        return
    first = sidecars.read(record)
    pairs = [(path, was, files.get(path, "missing")) for path, was in sorted(first["files"].items())]
    if archive and first["archive"]:
        pairs.insert(0, ("the archive", first["archive"], archive))
    changed = [(path, was, is_now) for path, was, is_now in pairs if was != is_now]
    if changed:
        _refuse(record, name, changed, len(pairs))
    if set(files) - set(first["files"]) or (archive and not first["archive"]):
        sidecars.write(record, {**now, "archive": first["archive"] or archive})


def _first(record: Path) -> dict[str, str]:
    checksums: dict[str, str] = sidecars.read(record)["files"] if record.is_file() else {}
    return checksums


def _refuse(record: Path, name: str, changed: list[tuple[str, str, str]], n_files: int) -> None:
    lines = [f"  {path}: {was} at first use, {is_now} now" for path, was, is_now in changed[:5]]
    more = f"\n  and {len(changed) - 5} more" if len(changed) > 5 else ""
    raise ValueError(
        f"{name}: {len(changed)} of {n_files} checksums are not those of the first use:\n"
        + "\n".join(lines)
        + f"{more}\nbring the first files back, or remove {record} to accept the new ones"
    )
