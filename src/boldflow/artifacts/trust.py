"""Trust on first use: what has no published checksum must stay what it was when it was first seen."""

from pathlib import Path
from typing import Any

from boldflow.artifacts import sidecars


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
    changed = [f"  {path}: {was} at first use, {found} now" for path, was, found in pairs if was != found]
    if changed:
        more = f"\n  and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise ValueError(
            f"{name}: {len(changed)} of {len(pairs)} checksums are not those of the first use:\n"
            + "\n".join(changed[:5])
            + f"{more}\nbring the first files back, or remove {record} to accept the new ones"
        )
    if set(files) - set(first["files"]) or (archive and not first["archive"]):
        sidecars.write(record, {**now, "archive": first["archive"] or archive})
