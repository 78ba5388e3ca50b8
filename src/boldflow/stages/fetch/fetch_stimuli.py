"""Get the stimuli of a data set that has been found: from itself, or from a copy of the user's."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_tree, trust
from boldflow.artifacts.formats import archives
from boldflow.artifacts.store import receipts
from boldflow.registry import plugin_of
from boldflow.settings import read_entry, read_facts
from boldflow.stages.fetch._arrival import WORKSPACE, arrive, relative, require_agreement, settle
from boldflow.stages.fetch._pictures import check_names, turned


@dataclass(frozen=True)
class _Facts:
    """What fetching pictures goes by of the data set's facts."""

    images: bool
    stimuli_inside: bool
    stimuli_from: str | None
    stimuli_password: str | None
    subjects: Sequence[str]


@dataclass(frozen=True)
class _Pictures:
    """Where the pictures are.

    Parameters
    ----------
    kind, root : of their folder, as in receipts
    archive : name, size and checksum of the archive that they were unpacked from
    """

    kind: str
    root: Path
    archive: dict[str, Any] | None = None


def run(source: str, receipt: str, settings: str, places: str, facts: str) -> None:
    """Get the pictures, or find them where the user keeps them, and write what arrived.

    Pictures that do not come with the data have no published checksum: the first that is seen is kept in
    ``resources/trusted``, and another one later stops.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    settings : the data set's catalogue entry, JSON text
    places : what the entry says of where this machine finds things (``stimuli_root``), JSON text
    facts : facts of the data set's plug-in, JSON text

    Raises
    ------
    FileNotFoundError
        If the pictures are nowhere: says where to get them and which key to set.
    PermissionError
        If the data set has an agreement that nobody has signed; if the pictures' archive asks for a password that is
        missing or wrong, names the environment variable.
    ValueError
        If there are fewer pictures than the trials show, or others by name, the archive is refused, a file is not what
        its name says, is turned where the entry refuses that, or checksums are not those of the first use.
    """
    entry, machine_entry = read_entry(settings), read_entry(places)
    require_agreement(entry, machine_entry)
    dataset_facts = read_facts(facts, _Facts)
    note = receipts.read(source)
    plugin = plugin_of("datasets", entry)
    identity: dict[str, Any] = {key: note[key] for key in ("name", "origin", "commit")}
    if dataset_facts.stimuli_inside:
        pictures = _Pictures(note["kind"], Path(note["root"]))
        if pictures.kind == "datalad":
            settle(entry, machine_entry, plugin.source(entry, Path(WORKSPACE)), pictures.root, note["commit"])
    else:
        pictures = _copy_of_the_users(entry.name, machine_entry.get("stimuli_root"), dataset_facts)
        identity |= {"origin": "a copy of the user's", "commit": None, "archive": pictures.archive}
    paths = plugin.files_needed(pictures.root, "stimuli", entry)
    if dataset_facts.images and not dataset_facts.stimuli_inside:
        subjects = entry.get("subjects") or dataset_facts.subjects
        tables = (plugin.trials(Path(note["root"]), subject, entry) for subject in subjects)
        shown_ids = {image_id for table in tables for image_id in table["image_id"][table["usable"]]}
        if hasattr(plugin, "named_pictures"):
            check_names(entry, plugin, pictures.root, shown_ids)
        else:
            _check_count(entry.name, pictures.root, len(paths), len(shown_ids))
    receipt_rows = arrive(entry.name, pictures.kind, pictures.root, paths, "stimuli")
    turned_paths = turned(pictures.root, (row["path"] for row in receipt_rows), entry)
    if not dataset_facts.stimuli_inside:
        _confirm(entry.name, receipt_rows, pictures)
    location = {"what": "stimuli", "kind": pictures.kind, "root": relative(pictures.root)}
    receipts.write(receipt, {**identity, **location, "turned": turned_paths, "files": receipt_rows})


def _confirm(name: str, rows: list[dict[str, Any]], pictures: _Pictures) -> None:
    """Refuse pictures that are others than at first use."""
    checksums = {row["path"]: row["checksum"] for row in rows}
    record_path = Path(WORKSPACE) / "trusted" / f"{name}-stimuli.json"
    trust.confirm(record_path, f"stimuli of {name}", checksums, (pictures.archive or {}).get("checksum"))


def _check_count(name: str, root: Path, n_pictures: int, n_shown: int) -> None:
    """Refuse a part of the pictures before it is trusted."""
    if n_pictures < n_shown:
        raise ValueError(
            f"datasets.{name}.stimuli_root: {root} holds {n_pictures} pictures, and the trials of {name} show "
            f"{n_shown} different ones; complete the folder or the archive"
        )


def _copy_of_the_users(name: str, stimuli_root: str | None, facts: _Facts) -> _Pictures:
    """Find the user's pictures; an archive is unpacked into the workspace, and described."""
    key = f"datasets.{name}.stimuli_root"
    if stimuli_root is None:
        raise FileNotFoundError(
            f"the pictures of {name} do not come with its data. {facts.stimuli_from} Then set {key} in "
            "config/config.yaml to the folder or the archive that holds them"
        )
    path = Path(stimuli_root).expanduser()
    if path.is_dir():
        return _Pictures("folder", path.resolve())
    if not path.is_file():
        raise FileNotFoundError(f"{key} is {stimuli_root!r}, and there is no such folder or archive")
    archive = {"name": path.name, "size": path.stat().st_size, "checksum": annex_tree.checksum(path)}
    folder = Path(WORKSPACE) / "stimuli" / name
    _unpack(path, folder, facts.stimuli_password)
    return _Pictures("folder", folder, archive)


def _unpack(archive: Path, folder: Path, variable: str | None) -> None:
    """Unpack with the password that an environment variable holds, where the data set names one."""
    try:
        archives.unpack(archive, folder, os.environ.get(variable) if variable else None)
    except PermissionError as error:
        if variable and error.errno is None:
            error.add_note(f"put the password into the environment variable {variable}")
        raise
