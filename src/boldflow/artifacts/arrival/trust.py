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
    first_checksums = _first(Path(record))
    return sorted(path for path, checksum in files.items() if first_checksums.get(path, checksum) != checksum)


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
    first_checksums, changed_paths = _first(record), others(record, files)
    if changed_paths:
        _refuse(record, name, [(path, first_checksums[path], files[path]) for path in changed_paths], len(files))
    if set(files) - set(first_checksums):
        sidecars.write(record, {"name": name, "archive": None, "files": {**first_checksums, **files}})


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
    new_record: dict[str, Any] = {"name": name, "archive": archive, "files": files}
    if not record.is_file():
        sidecars.write(record, new_record)
        return
    first_record = sidecars.read(record)
    comparisons = [
        (path, first_checksum, files.get(path, "missing"))
        for path, first_checksum in sorted(first_record["files"].items())
    ]
    if archive and first_record["archive"]:
        comparisons.insert(0, ("the archive", first_record["archive"], archive))
    changed_files = [
        (path, first_checksum, new_checksum)
        for path, first_checksum, new_checksum in comparisons
        if first_checksum != new_checksum
    ]
    if changed_files:
        _refuse(record, name, changed_files, len(comparisons))
    if set(files) - set(first_record["files"]) or (archive and not first_record["archive"]):
        sidecars.write(record, {**new_record, "archive": first_record["archive"] or archive})


def _first(record: Path) -> dict[str, str]:
    checksums: dict[str, str] = sidecars.read(record)["files"] if record.is_file() else {}
    return checksums


def _refuse(record: Path, name: str, changed_files: list[tuple[str, str, str]], n_files: int) -> None:
    lines = [
        f"  {path}: {first_checksum} at first use, {new_checksum} now"
        for path, first_checksum, new_checksum in changed_files[:5]
    ]
    ending = f"\n  and {len(changed_files) - 5} more" if len(changed_files) > 5 else ""
    raise ValueError(
        f"{name}: {len(changed_files)} of {n_files} checksums are not those of the first use:\n"
        + "\n".join(lines)
        + f"{ending}\nbring the first files back, or remove {record} to accept the new ones"
    )
