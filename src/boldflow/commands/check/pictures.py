"""The pictures of a folder: names against what trials show, and whether files can be read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boldflow.artifacts.arrival import annex
from boldflow.artifacts.formats import bids
from boldflow.artifacts.formats import pictures as picture_files
from boldflow.commands.check.draft import Draft
from boldflow.commands.check.findings import Findings, Place
from boldflow.core.records.stimuli import composed
from boldflow.datasets import bids as plugin
from boldflow.stages.fetch._pictures import check_names, turned

N_READ = 2000  # pictures that are read whole; of the others names are compared
MISSING = "name the folder that holds them: --pictures FOLDER (stimuli_root of the entry)"
NAMES = "mend names or tables, or say how the column names files: --set image_name=name, --pictures FOLDER"
CONTENT = "replace the picture by what was shown, as RGB of 8 bits"


@dataclass(frozen=True)
class PictureLook:
    """How many pictures there are, how many were read, and what was not looked at."""

    n_files: int = 0
    n_read: int = 0
    unseen: str = ""


def look(draft: Draft, shown_ids: Iterable[str], findings: Findings) -> PictureLook:
    """Look at the pictures: those that trials show are read, up to ``N_READ``."""
    entry, stated = draft.entry, draft.keys.get("stimuli_root")
    if stated is None:
        findings.add(Place(), f"no folder of pictures: there is no {draft.root / 'stimuli'}", MISSING)
        return PictureLook()
    root = Path(stated).expanduser()
    if root.is_file():
        return PictureLook(unseen=f"the archive {root}: it is unpacked when pictures are fetched")
    if not root.is_dir():
        findings.add(Place(), f"stimuli_root is {stated!r}, and there is no such folder or archive", MISSING)
        return PictureLook()
    names, paths = {composed(name) for name in shown_ids}, []
    with findings.at(Place(), MISSING):
        paths = bids.pictures(root)
    if not paths:
        return PictureLook()
    with findings.at(Place(), NAMES):
        check_names(entry, plugin, root, names)
    with findings.at(Place(), "get the content of the pictures"):
        annex.require_all(root, paths)
        return _read(draft, root, [path for path, name, _ in plugin.named_pictures(root, entry)
                                   if composed(name) in names], len(paths), findings)  # fmt: skip
    return PictureLook(len(paths))


def _read(draft: Draft, root: Path, shown_paths: list[str], n_files: int, findings: Findings) -> PictureLook:
    """Read pictures that trials show, as packing them would."""
    whole_paths = []
    for path in shown_paths[:N_READ]:
        with findings.at(Place(file=str(root / path)), CONTENT):
            picture_files.read(root / path)
            whole_paths.append(path)
    with findings.at(Place(), "save them as they were shown, without EXIF, if they were not turned"):
        turned(root, whole_paths, draft.entry)
    n_unread = n_files - min(len(shown_paths), N_READ)
    unseen = f"{n_unread} pictures that no trial shows, or beyond the first {N_READ}, were not opened"
    return PictureLook(n_files, min(len(shown_paths), N_READ), unseen if n_unread else "")
