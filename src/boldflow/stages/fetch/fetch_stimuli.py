"""Get the stimuli of a data set that has been found: from itself, or from a copy of the user's."""

import os
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_tree, trust
from boldflow.artifacts.formats import archives
from boldflow.artifacts.store import receipts
from boldflow.registry import plugin_of
from boldflow.settings import read_entry, read_settings
from boldflow.stages.fetch._arrival import WORKSPACE, arrive, relative, require_agreement, settle


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
        If there are fewer pictures than the trials show, the archive is refused, a file is not what its name says, or
        checksums are not those of the first use.
    """
    entry, here, known = read_entry(settings), read_settings(places), read_settings(facts)
    require_agreement(entry, here)
    note = receipts.read(source)
    name = entry["name"]
    about: dict[str, Any] = {key: note[key] for key in ("name", "origin", "commit")}
    plugin = plugin_of("datasets", entry)
    if known["stimuli_inside"]:
        kind, root, archive = note["kind"], Path(note["root"]), None
        if kind == "datalad":
            settle(entry, here, plugin.source(entry, Path(WORKSPACE)), root, note["commit"])
    else:
        kind = "folder"
        root, archive = _own_copy(name, here.get("stimuli_root"), known)
        about |= {"origin": "a copy of the user's", "commit": None, "archive": archive}
    paths = plugin.files_needed(root, "stimuli", entry)
    if known["images"] and not known["stimuli_inside"]:
        subjects = entry.get("subjects") or known["subjects"]
        tables = (plugin.trials(Path(note["root"]), subject, entry) for subject in subjects)
        shown = {image for table in tables for image in table["image_id"][table["usable"]]}
        _check_count(name, root, len(paths), len(shown))
    rows = arrive(name, kind, root, paths, "stimuli")
    if not known["stimuli_inside"]:
        record = Path(WORKSPACE) / "trusted" / f"{name}-stimuli.json"
        trust.confirm(
            record,
            f"stimuli of {name}",
            {row["path"]: row["checksum"] for row in rows},
            (archive or {}).get("checksum"),
        )
    what = {"what": "stimuli", "kind": kind, "root": relative(root)}
    receipts.write(receipt, {**about, **what, "files": rows})


def _check_count(name: str, root: Path, n_found: int, n_shown: int) -> None:
    """Refuse a part of the pictures before it is trusted."""
    if n_found < n_shown:
        raise ValueError(
            f"datasets.{name}.stimuli_root: {root} holds {n_found} pictures, and the trials of {name} show {n_shown} "
            "different ones; complete the folder or the archive"
        )


def _own_copy(name: str, given: str | None, known: dict[str, Any]) -> tuple[Path, dict[str, Any] | None]:
    """Find the user's pictures; an archive is unpacked into the workspace, and described."""
    key = f"datasets.{name}.stimuli_root"
    if given is None:
        raise FileNotFoundError(
            f"the pictures of {name} do not come with its data. {known['stimuli_from']} Then set {key} in "
            "config/config.yaml to the folder or the archive that holds them"
        )
    path = Path(given).expanduser()
    if path.is_dir():
        return path.resolve(), None
    if not path.is_file():
        raise FileNotFoundError(f"{key} is {given!r}, and there is no such folder or archive")
    variable = known["stimuli_password"]
    described = {
        "name": path.name,
        "size": path.stat().st_size,
        "checksum": annex_tree.checksum(path),
    }
    folder = Path(WORKSPACE) / "stimuli" / name
    try:
        archives.unpack(path, folder, os.environ.get(variable) if variable else None)
    except PermissionError as error:
        if variable and error.errno is None:
            error.add_note(f"put the password into the environment variable {variable}")
        raise
    return folder, described
