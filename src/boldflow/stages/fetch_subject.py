"""Get one recording of one subject of a data set that has been found."""

from pathlib import Path

from boldflow.artifacts import sidecars
from boldflow.stages._arrival import arrive, plugin_of, read_settings


def run(source: str, receipt: str, subject: str, recording: str, settings: str, code: str) -> None:
    """Get exactly the files needed and write what arrived.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    subject : the subject
    recording : one of the data set's recordings
    settings : the data set's catalogue entry, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_settings(settings)
    note = sidecars.read(source)
    root = Path(note["root"])
    paths = plugin_of("datasets", entry).files_needed(root, subject, entry, recording)
    kept = {key: note[key] for key in ("name", "kind", "origin", "root", "commit")}
    what = {"what": subject, "recording": recording, "rule": "fetch_subject", "code": code}
    sidecars.write(receipt, {**kept, **what, "files": arrive(note["kind"], root, paths)})
