"""Get one recording of one subject of a data set that has been found."""

from pathlib import Path

from boldflow.artifacts import sidecars
from boldflow.stages._arrival import WORKSPACE, arrive, plugin_of, read_settings, settle


def run(source: str, receipt: str, subject: str, recording: str, settings: str, places: str, code: str) -> None:
    """Get exactly the files needed and write what arrived.

    Parameters
    ----------
    source : path of the data set's receipt
    receipt : path of the JSON to write
    subject : the subject
    recording : one of the data set's recordings
    settings : the data set's catalogue entry, JSON text
    places : what the entry says of where this machine finds things (``origin``, ``public_url``), JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_settings(settings)
    note = sidecars.read(source)
    root = Path(note["root"])
    plugin = plugin_of("datasets", entry)
    if note["kind"] == "datalad":  # the address may be another one by now
        settle(entry, read_settings(places), plugin.source(entry, Path(WORKSPACE)), root, note["commit"])
    paths = plugin.files_needed(root, subject, entry, recording)
    kept = {key: note[key] for key in ("name", "kind", "origin", "root", "commit")}
    what = {"what": subject, "recording": recording, "rule": "fetch_subject", "code": code}
    sidecars.write(receipt, {**kept, **what, "files": arrive(entry["name"], note["kind"], root, paths)})
