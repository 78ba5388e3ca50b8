"""Get one recording of one subject of a data set that has been found, or of a folder of the user's own."""

from pathlib import Path

from boldflow import registry
from boldflow.artifacts.store import receipts
from boldflow.registry import plugin_of
from boldflow.settings import read_entry
from boldflow.stages.fetch._arrival import WORKSPACE, arrive, relative, require_agreement, settle
from boldflow.vocabulary.facts import DatasetFacts


def run(source: str, receipt: str, subject: str, recording: str, settings: str, places: str) -> None:
    """Get exactly the files needed and write what arrived.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    subject : the subject
    recording : one of the data set's recordings
    settings : the data set's catalogue entry, JSON text
    places : what the entry says of where this machine finds things (``origin``, ``public_url``, ``betas_root``),
        JSON text

    Raises
    ------
    PermissionError
        If the data set has an agreement that nobody has signed.
    FileNotFoundError
        If the recording is read from a folder of the user's own, and there is none.
    """
    entry, machine_entry = read_entry(settings), read_entry(places)
    require_agreement(entry, machine_entry)
    note = receipts.read(source)
    plugin = plugin_of("datasets", entry)
    identity = {key: note[key] for key in ("name", "kind", "origin", "root", "commit")}
    if recording in registry.facts(DatasetFacts, "datasets", entry.plugin).recordings_outside:
        folder = _folder_of_betas(entry.name, machine_entry.get("betas_root"))
        identity |= {"kind": "folder", "origin": "a copy of the user's", "root": relative(folder), "commit": None}
    elif note["kind"] == "datalad":  # the address may be another one by now
        settle(entry, machine_entry, plugin.source(entry, Path(WORKSPACE)), Path(note["root"]), note["commit"])
    root = Path(identity["root"])
    paths = plugin.files_needed(root, subject, entry, recording)
    recording_keys = {"what": subject, "recording": recording}
    receipt_rows = arrive(entry.name, identity["kind"], root, paths, f"{subject}-{recording}")
    receipts.write(receipt, {**identity, **recording_keys, "files": receipt_rows})


def _folder_of_betas(name: str, betas_root: str | None) -> Path:
    key = f"datasets.{name}.betas_root"
    if betas_root is None:
        raise FileNotFoundError(f"{key} is not set: it names the folder that holds the betas of {name}")
    path = Path(betas_root).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{key} is {betas_root!r}, and there is no such folder")
    return path.resolve()
