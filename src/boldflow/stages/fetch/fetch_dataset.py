"""Find a data set, clone it where it is a DataLad data set, and get the files that all subjects share."""

from pathlib import Path

from boldflow.artifacts.arrival import origins
from boldflow.artifacts.store import receipts
from boldflow.registry import plugin_of
from boldflow.settings import read_entry
from boldflow.stages.fetch._arrival import WORKSPACE, arrive, relative, require_agreement, settle


def run(receipt: str, settings: str, places: str) -> None:
    """Write the receipt of a data set: where it comes from, its commit, its folder and the shared files.

    Parameters
    ----------
    receipt : path of the JSON to write
    settings : the data set's catalogue entry, JSON text
    places : what the entry says of where this machine finds things (``origin``, ``public_url``), JSON text

    Raises
    ------
    PermissionError
        If the data set has an agreement that nobody has signed.
    FileNotFoundError
        If the entry names a folder or bundle as origin that is not there.
    ValueError
        If the entry names another origin for a data set that is not cloned.
    """
    entry, machine_entry = read_entry(settings), read_entry(places)
    require_agreement(entry, machine_entry)
    plugin = plugin_of("datasets", entry)
    source = plugin.source(entry, Path(WORKSPACE))
    if source.kind == "datalad":
        root = Path(WORKSPACE) / "clones" / entry["name"]
        commit = settle(entry, machine_entry, source, root, source.commit)
        if source.commit is None:
            origins.pin(WORKSPACE, entry["name"], commit)
    else:
        clone_keys = sorted({"origin", "public_url"} & set(machine_entry))
        if clone_keys:
            raise ValueError(f"data set {entry['name']} is read from {source.url}, not cloned: leave out {clone_keys}")
        root, commit = Path(source.url), None
    paths = plugin.files_needed(root, "dataset", entry)
    content = {
        "what": "dataset",
        "name": entry["name"],
        "kind": source.kind,
        "origin": source.origin,
        "root": relative(root),
        "commit": commit,
        "files": arrive(entry["name"], source.kind, root, paths),
    }
    subjects = [*plugin.FACTS["subjects"], *(entry.get("subjects", ()) if "subjects" in entry.keys_handed else ())]
    receipts.write(receipt, {**content, "rows_by_subject": receipts.by_subject(content, dict.fromkeys(subjects))})
