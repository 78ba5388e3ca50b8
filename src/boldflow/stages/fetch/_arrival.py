"""Opening a data set that has arrived: what the stages that read it share."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boldflow import provenance, registry
from boldflow.artifacts.arrival import annex, checks, origins, trust
from boldflow.artifacts.store import receipts
from boldflow.core.records.sources import Source
from boldflow.settings import Entry
from boldflow.vocabulary.facts import DatasetFacts

WORKSPACE = "resources"  # folder of clones, receipts and what was unpacked
REMOTE = re.compile(r"[a-z+]+://|([\w.-]+@)?[\w.-]+:(?!\\)")  # an address, or host:path as ssh writes it


def require_agreement(entry: Entry, machine_entry: Entry) -> None:
    """Begin a fetch: stop before the first byte of data whose agreement nobody has signed, as the entry says.

    Parameters
    ----------
    entry : the data set's catalogue entry
    machine_entry : what it says of where this machine finds things, and of the agreement (``agreement``)

    Raises
    ------
    PermissionError
        If the data set has an agreement that nobody has signed; gives the form's address.
    """
    provenance.keep_to({})  # a fetch looks for itself
    form_url = registry.facts(DatasetFacts, "datasets", entry.plugin).agreement
    if form_url and "agreement" not in machine_entry:
        name = entry["name"]
        raise PermissionError(
            f"{name}: nothing was fetched, since its data may be used by those alone who signed its data access "
            f"agreement, and datasets.{name}.agreement is not set. Read and sign it at {form_url} , then write "
            f"agreement: {{name: YOUR NAME, date: THE DAY}} into datasets.{name} of config/config.yaml"
        )


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Say in a note what helps where a fetch of a data set fails for want of a network."""
    try:
        yield
    except RuntimeError as error:
        error.add_note(
            "what has arrived stays, and the next run goes on from there; where this machine has no network, run "
            "`snakemake prefetch --profile cpu` (with your --config) in this folder on one that has, or name a copy in "
            f"datasets.{name}.origin or the variable {origins.VARIABLE}"
        )
        raise


def settle(entry: Entry, machine_entry: Entry, source: Source, root: Path, commit: str | None) -> str:
    """Bring the clone of a data set to a commit, from where the entry or the data set says; give the commit.

    Parameters
    ----------
    entry : the data set's catalogue entry
    machine_entry : what it says of where this machine finds things (``origin``, ``public_url``)
    source : what the data set's plug-in says
    root : folder of the clone
    commit : full name, or None for the newest

    Raises
    ------
    FileNotFoundError
        If the entry names a folder or bundle as origin that is not there.
    """
    url = machine_entry.get("origin", source.url)
    if "origin" in machine_entry and not REMOTE.match(url):
        url = str(Path(url).expanduser())
        if not Path(url).exists():
            raise FileNotFoundError(
                f"datasets.{entry['name']}.origin is {machine_entry['origin']!r}, and there is no such folder or "
                f"bundle: correct it, or leave it out to clone from {source.url}"
            )
    with explained(entry["name"]):
        return annex.clone(url, root, commit, machine_entry.get("public_url", source.public_url))


def arrive(name: str, kind: str, root: Path, paths: list[str], what: str = "dataset") -> list[dict[str, Any]]:
    """Get files of data set ``name`` where it is a clone, look into all of them, and give the rows of their receipt.

    Files of a clone whose keys hold no checksum must stay what they were when they first arrived: the SHA-256 of each
    is kept in ``resources/trusted``. One that differs is fetched once more, and then refused. ``what`` names the
    record, of which fetches that may run at the same time need one each.

    Raises
    ------
    RuntimeError, ValueError
        If files could not be had, are not what their names say, or not what they were at first; names each.
    """
    if kind == "datalad":
        with explained(name):
            annex.get(root, paths)
        receipt_rows = annex.describe(root, paths)
        record_path = Path(WORKSPACE) / "trusted" / name / f"{what}.json"
        changed_paths = trust.others(record_path, _unverified(receipt_rows))
        if changed_paths:
            annex.discard(root, changed_paths)
            with explained(name):
                annex.get(root, changed_paths)
            receipt_rows = annex.describe(root, paths)
        try:
            checks.check(root, (row["path"] for row in receipt_rows))  # before a web page is trusted
        except ValueError:  # what no key vouches for is to be fetched anew by the next run
            annex.discard(root, (path for path in _unverified(receipt_rows) if checks.problem(root / path)))
            raise
        if _unverified(receipt_rows):
            trust.confirm_each(record_path, f"files of {name}", _unverified(receipt_rows))
        return receipt_rows
    receipt_rows = annex.folder_receipt(root, paths)
    checks.check(root, (row["path"] for row in receipt_rows))
    return receipt_rows


def _unverified(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["path"]: row["checksum"] for row in rows if not annex.has_checksum(row)}


def open_dataset(source: str, *others: str) -> Path:
    """Check that everything that receipts list is still there, and give the data set's folder.

    Of a folder that people write (a clone is git-annex's) each file must be what arrived, and from here on this process
    sees no others in it (``provenance.reached``).

    Raises
    ------
    FileNotFoundError
        If content has gone missing since; names the file and the command that brings it back.
    ValueError
        If a file has changed since; names it and the command that takes it as it is now.
    """
    notes = [receipts.read(path) for path in (source, *others)]
    paths_of_root: dict[str | Path, list[str]] = {}
    for note, path in zip(notes, (source, *others), strict=True):
        for row in note["files"]:
            command = receipts.command(path, note)
            if note.get("kind") == "folder":
                annex.require_own(note["root"], row["path"], command)
                annex.check_unchanged(note["root"], row, command)
            else:
                annex.require_content(Path(note["root"]) / row["path"], command)
        if note.get("kind") == "folder":
            paths_of_root.setdefault(note["root"], []).extend(row["path"] for row in note["files"])
    provenance.keep_to(paths_of_root)
    return Path(notes[0]["root"])


def relative(path: Path) -> str:
    """Write a path from the working folder where it lies below it, so that receipts name no machine."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
