"""Where data sets of OpenNeuro are cloned from: GitHub, or a folder of bundles and clones on this machine.

``BOLDFLOW_ORIGINS`` names a folder that holds ``<accession>.bundle`` (a git bundle) or ``<accession>`` (a clone) for
each data set in use: for machines without a network, and for tests. The key ``origin`` of a data set's entry in the
catalogue goes before it. Wherever a clone comes from, the commit is the plug-in's.
"""

import json
import os
from pathlib import Path

from boldflow.artifacts.store.atomic import write_text

VARIABLE = "BOLDFLOW_ORIGINS"
REPOSITORY = "https://github.com/OpenNeuroDatasets/{accession}.git"
CONTENT = "https://s3.amazonaws.com/openneuro.org/{accession}/{{path}}"


def openneuro(accession: str) -> tuple[str, str]:
    """Give the address to clone a data set of OpenNeuro from, and where anyone may read its content.

    Parameters
    ----------
    accession : str
        Such as ``ds001499``.

    Returns
    -------
    (url, public_url)
        ``public_url`` holds ``{path}`` for the path of a file.

    Raises
    ------
    FileNotFoundError
        If ``BOLDFLOW_ORIGINS`` is set and its folder has neither the bundle nor the clone; names both.
    """
    content_url = CONTENT.format(accession=accession)
    origins_folder = os.environ.get(VARIABLE)
    if not origins_folder:
        return REPOSITORY.format(accession=accession), content_url
    candidates = [Path(origins_folder) / f"{accession}.bundle", Path(origins_folder) / accession]
    for candidate in candidates:
        if candidate.exists():
            return str(candidate.resolve()), content_url
    raise FileNotFoundError(
        f"${VARIABLE} is {origins_folder!r}, which holds neither {candidates[0].name} nor {candidates[1].name}: put "
        f"one there, or unset the variable to clone from {REPOSITORY.format(accession=accession)}"
    )


def pinned(workspace: str | Path, name: str) -> str | None:
    """Give the commit at which a data set without a commit in its facts was cloned first, or None before that."""
    pin_path = _pin(workspace, name)
    return str(json.loads(pin_path.read_text(encoding="utf-8"))["commit"]) if pin_path.is_file() else None


def pin(workspace: str | Path, name: str, commit: str) -> None:
    """Keep the commit at which a data set was cloned first: every later clone of it in this workspace is the same.

    Parameters
    ----------
    workspace : str or Path
    name : str
        Of the catalogue's entry.
    commit : str
    """
    if not _pin(workspace, name).is_file():
        write_text(_pin(workspace, name), json.dumps({"commit": commit, "name": name}, sort_keys=True) + "\n")


def _pin(workspace: str | Path, name: str) -> Path:
    return Path(workspace) / "pins" / f"{name}.json"
