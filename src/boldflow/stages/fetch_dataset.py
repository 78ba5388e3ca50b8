"""Find a data set, clone it where it is a DataLad data set, and get the files that all subjects share."""

from pathlib import Path

from boldflow.artifacts import annex, sidecars
from boldflow.stages._arrival import plugin_of, read_settings, relative

WORKSPACE = "resources"


def run(receipt: str, settings: str, code: str) -> None:
    """Write the receipt of a data set: where it comes from, its commit, its folder and the shared files.

    Parameters
    ----------
    receipt : path of the JSON to write
    settings : the data set's catalogue entry, JSON text
    code : digests of the modules of this stage and its plug-in, JSON text
    """
    entry = read_settings(settings)
    plugin = plugin_of("datasets", entry)
    source = plugin.source(entry, Path(WORKSPACE))
    if source.kind == "datalad":
        root = Path(WORKSPACE) / "clones" / entry["name"]
        commit = annex.clone(source.url, root, source.commit)
    else:
        root, commit = Path(source.url), None
    paths = plugin.files_needed(root, "dataset", entry)
    if source.kind == "datalad":
        annex.get(root, paths)
    sidecars.write(
        receipt,
        {
            "what": "dataset",
            "rule": "fetch_dataset",
            "name": entry["name"],
            "kind": source.kind,
            "origin": source.origin,
            "root": relative(root),
            "commit": commit,
            "files": annex.describe(root, paths) if source.kind == "datalad" else annex.folder_receipt(root, paths),
            "settings": entry,
            "code": code,
        },
    )
