"""``python -m boldflow check FOLDER``: what would stop or mislead a study, and what it would read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from boldflow import provenance
from boldflow.commands.check import draft as drafts
from boldflow.commands.check import looking, pictures, splits, text
from boldflow.commands.check.draft import Draft, WrongUseError
from boldflow.commands.check.findings import Findings, Place
from boldflow.commands.check.looking import SubjectLook
from boldflow.commands.check.pictures import PictureLook
from boldflow.commands.check.splits import SplitTrial
from boldflow.settings import Entry
from boldflow.vocabulary.spaces import kind_of

NAME = "mine"  # of the entry, where nobody gives it one
RESPONSES = {"MNI": "bold-4to10s-fsaverage5", "other": "bold-4to10s-native"}
UNSEEN = (
    "voxel values of BOLD and masks (empty masks, voxels without signal), and whether compressed volumes are whole",
    "pictures that resemble each other: a split joins them when it is made",
    "durations of events, which linear models need",
)


@dataclass(frozen=True)
class Checked:
    """All that a check says of a folder."""

    draft: Draft
    response: Entry
    findings: Findings
    looks: list[SubjectLook]
    pictures: PictureLook
    splits: list[SplitTrial]
    unseen: list[str]


def check(
    folder: str, keys_said: Mapping[str, Any], response: str | None = None, as_json: bool = False
) -> tuple[str, int]:
    """Look at a BIDS folder with derivatives and pictures, headers and tables only.

    Parameters
    ----------
    folder : str
    keys_said : mapping
        Keys of the entry that the user says.
    response : str, optional
        Name of the response whose windows must lie in the scans.
    as_json : bool
        Give one JSON object instead of text.

    Returns
    -------
    (text, code)
        0: no check fails; 1: problems; 2: wrong use, and why.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    try:
        checked = look(NAME, folder, keys_said, response)
    except WrongUseError as error:
        return f"check: {error}", 2
    return text.as_json(checked) if as_json else text.written(checked), int(bool(checked.findings.problems))


def look(name: str, folder: str, keys_said: Mapping[str, Any], response: str | None = None) -> Checked:
    """Make the entry of a folder and run all checks on it; raises as ``draft.make``."""
    provenance.keep_to({})
    draft = drafts.make(name, folder, keys_said)
    findings = Findings(draft.root)
    response_entry = _response(draft, response)
    for guess in draft.missing:
        findings.add(Place(), f"{guess.key}: {guess.reason}", f"say it: {drafts.NEEDED[guess.key]}")
    can_read = not {"subjects", "image_column"} & {guess.key for guess in draft.missing}
    looking.space(draft.entry, findings)
    names = draft.entry["subjects"] if can_read else []
    looks = [looking.subject(draft, subject, response_entry, findings) for subject in names]
    tables = [each.trials for each in looks if each.trials is not None]
    trials = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    shown_ids = set(trials["image_id"][trials["usable"]]) if len(trials) else set()
    are_whole = len(trials) > 0 and all(each.trials_are_whole for each in looks)
    picture_look = pictures.look(draft, shown_ids, findings)
    split_trials = splits.look(draft, trials, findings) if are_whole else []
    skipped = [f"BOLD of {each.subject}: see its problems" for each in looks if not each.bold_was_looked_at]
    unseen = [*UNSEEN, *skipped, *([picture_look.unseen] if picture_look.unseen else [])]
    return Checked(draft, response_entry, findings, looks, picture_look, split_trials, unseen)


def response_for(draft: Draft) -> str:
    """Name the catalogue's response for the space of an entry: on fsaverage where volumes lie in MNI space."""
    return RESPONSES["MNI" if kind_of(draft.entry["space"]) == "MNI" else "other"]


def _response(draft: Draft, name: str | None) -> Entry:
    """Give the response whose windows are asked for.

    Raises
    ------
    WrongUseError
        If the catalogue has none of this name, or it has no windows.
    """
    try:
        entry = draft.setting("responses", name or response_for(draft))
    except ValueError as error:
        raise WrongUseError(f"{error}; --response names the one whose windows are looked at") from None
    if entry["kind"] != "bold" or not {"start_s", "duration_s"} <= set(entry):
        raise WrongUseError(f"response {entry.name!r} is of kind {entry['kind']!r}, which has no windows")
    return entry
