"""Get the files of one subject, or the stimuli, of a data set that has been found."""

from pathlib import Path

from boldflow.artifacts import annex, sidecars
from boldflow.stages._arrival import plugin_of, read_settings


def run(source: str, receipt: str, what: str, settings: str, code: str) -> None:
    """Get exactly the files needed and write what arrived.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    what : a subject, or "stimuli"
    settings : the data set's catalogue entry, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_settings(settings)
    note = sidecars.read(source)
    root = Path(note["root"])
    paths = plugin_of("datasets", entry).files_needed(root, what, entry)
    if note["kind"] == "datalad":
        annex.get(root, paths)
    files = annex.describe(root, paths) if note["kind"] == "datalad" else annex.folder_receipt(root, paths)
    rule = "fetch_stimuli" if what == "stimuli" else "fetch_subject"
    kept = {key: note[key] for key in ("name", "kind", "origin", "root", "commit")}
    sidecars.write(receipt, {**kept, "what": what, "rule": rule, "files": files, "code": code})
