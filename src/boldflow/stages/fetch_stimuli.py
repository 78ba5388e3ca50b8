"""Get the stimuli of a data set that has been found: from itself, or from a copy of the user's."""

from pathlib import Path

from boldflow.artifacts import sidecars
from boldflow.stages._arrival import arrive, plugin_of, read_settings


def run(source: str, receipt: str, settings: str, places: str, facts: str, code: str) -> None:
    """Get the pictures, or find them where the user keeps them, and write what arrived.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    settings : the data set's catalogue entry, JSON text
    places : what the entry says of where this machine finds things, JSON text
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_settings(settings)
    note = sidecars.read(source)
    root = Path(note["root"])
    paths = plugin_of("datasets", entry).files_needed(root, "stimuli", entry)
    kept = {key: note[key] for key in ("name", "kind", "origin", "root", "commit")}
    what = {"what": "stimuli", "rule": "fetch_stimuli", "code": code}
    sidecars.write(receipt, {**kept, **what, "files": arrive(note["kind"], root, paths)})
