"""The checks: what readers and stages refuse, asked of headers and tables, subject by subject and run by run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import annex
from boldflow.artifacts.formats import bids
from boldflow.commands.check.draft import Draft
from boldflow.commands.check.findings import Findings, Place
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.stimuli import composed
from boldflow.core.responses import cleaning, confounds
from boldflow.datasets import bids as plugin
from boldflow.datasets.bids import files
from boldflow.settings import Entry
from boldflow.stages.responses._cleaning import table_of
from boldflow.stages.responses._series import check_halves, named
from boldflow.stages.responses._times import VolumeTimes
from boldflow.stages.responses.project_responses import REMEDIES
from boldflow.stages.trials import list_trials
from boldflow.vocabulary.spaces import MNI, kind_of

CHOOSE = "say which files are meant: --task, --space, --derivatives, --subjects or --set entities='{acq: mb}'"
TABLE = (
    "mend the line; rows that are no trials can be left out: --set events_where='{trial_type: [image]}' with the "
    "column and the values that mark trials in your tables"
)
GET = "bring the content, or put the file back; then look again"
HEADER = "mend or replace the file, or leave the subject out: --subjects"
TIMES = "mend the wrong statement; --set tr_s=SECONDS is the entry's own"
CONFOUNDS = "responses without confounds are not concerned; for others mend the table, or leave the group out"
PLACED = "give the header its affine as the sentence says; a response in voxels (space: native) does without"
SLICES = "if slices were moved to the middle of the TR, --set slice_time_ref=0.5 says so; else mend the sidecar"
# Groups of confounds that are tried where a table has their columns.
GROUPS = ("motion6", "csf-wm")


@dataclass
class SubjectLook:
    """What would be read of a subject; ``trials`` is None, or those of some runs, where tables cannot be read."""

    subject: str
    trials: pd.DataFrame | None = None
    trials_are_whole: bool = False
    n_volumes: list[int] = field(default_factory=list)
    tr_s: list[float] = field(default_factory=list)
    offsets: list[tuple[float, str]] = field(default_factory=list)
    n_confounds: int = 0
    bold_was_looked_at: bool = False


def subject(draft: Draft, name: str, response: Entry, findings: Findings) -> SubjectLook:
    """Look at names, tables and headers of a subject.

    Parameters
    ----------
    draft : Draft
    name : str
        The subject.
    response : Entry
        The response whose windows are asked for.
    findings : Findings
        Grows.
    """
    look = SubjectLook(name)
    _look_at_tables(draft, look, findings)
    paths: list[str] = []
    with findings.at(Place(name), CHOOSE):
        paths = sorted(set(plugin.files_needed(draft.root, name, draft.entry)))
    with findings.at(Place(name), GET) as absent_sentences:
        annex.require_all(draft.root, paths)
    look.bold_was_looked_at = bool(paths) and not absent_sentences
    if look.bold_was_looked_at:
        _look_at_bold(draft, look, response, findings)
    return look


def _look_at_tables(draft: Draft, look: SubjectLook, findings: Findings) -> None:
    """Read the tables of events of a subject run by run, and then its trials as the stage does."""
    entry, root, name = draft.entry, draft.root, look.subject
    runs: list[files.EventRun] = []
    with findings.at(Place(name), CHOOSE):
        runs = files.event_runs(root, name, entry)
    with findings.at(Place(name), GET) as absent_sentences:
        annex.require_all(root, sorted({run.table for run in runs}))
    shown_tables = []
    for run in [] if absent_sentences else runs:
        with findings.at(Place(name, _label(run.session, run.run), run.table), TABLE):
            shown_tables.append(plugin.shown_in(root, run, entry))
    if not runs or absent_sentences:
        return
    if len(shown_tables) < len(runs):  # what can be read is looked at nevertheless
        look.trials = plugin.trials_of(shown_tables, entry) if shown_tables else None
        return
    with findings.at(Place(name), TABLE):
        table = plugin.trials(root, name, entry)
        list_trials.check(table, name)
        list_trials.count_left_out(table, name)
        look.trials = table.assign(subject=name, image_id=table["image_id"].map(composed))
        look.trials_are_whole = True


def _look_at_bold(draft: Draft, look: SubjectLook, response: Entry, findings: Findings) -> None:
    """Look at masks, headers, sidecars and confounds of a subject, and at its windows where trials are there."""
    root, entry = draft.root, draft.entry
    mask = _mask(root, look.subject, entry, findings)
    times = VolumeTimes(entry["tr_s"]) if "tr_s" in draft.keys else None
    run_files: Sequence[files.RunFiles] = files.files_of_runs(root, look.subject, entry)
    for each in run_files:
        place = Place(look.subject, _label(each.events.session, each.events.run), each.bold)
        with findings.at(place, HEADER):
            image, bold = bids.bold(root / each.bold, bids.header_of)
            look.n_volumes.append(bold.shape[3])
            if mask is not None:
                bids.check_grid(root / each.bold, image, *mask)
            run = plugin.run_of(root, each, entry, image, bold, None)
            _look_at_confounds(run, look, Place(place.subject, place.run, each.confounds), findings)
            if run.unplaced:
                findings.add(place, run.unplaced, PLACED, stops=run.space == "MNI")
            if times is not None:
                _look_at_times(run, look, response, times, place, findings)
    look.offsets = list(dict.fromkeys(times.origin_of_run.values())) if times is not None else []
    if look.trials is None or not look.trials_are_whole:
        return
    keys = {(each.events.session, each.events.run) for each in run_files}
    try:
        check_halves(look.trials, keys, look.subject)
    except tuple(REMEDIES) as error:
        findings.add(Place(look.subject), str(error), _advice(type(error)))


def _mask(root: Path, name: str, entry: Entry, findings: Findings) -> tuple[Path, nib.Nifti1Image] | None:
    """Look at the headers of a subject's masks; give the first."""
    first: tuple[Path, nib.Nifti1Image] | None = None
    for path in files.masks_of(root, name, entry):
        with findings.at(Place(name, file=path), HEADER):
            image, _ = bids.mask(root / path, bids.header_of)
            if first is not None:
                bids.check_grid(root / path, image, *first)
            first = first or (root / path, image)
    return first


def _look_at_times(
    run: BoldRun, look: SubjectLook, response: Entry, times: VolumeTimes, place: Place, findings: Findings
) -> None:
    """Look at what a run states of the times of its volumes, and whether its trials' windows lie in it."""
    label = f"{look.subject}, session {run.session}, run {run.run}"
    look.tr_s += run.tr_s.values()
    offset_s = None
    with findings.at(place, TIMES) as tr_sentences:
        times.check_tr(run, label)
    with findings.at(place, SLICES):
        offset_s = times.offset_of(run, label)
    timing = run.slice_timing
    if timing.start_time_s and not timing.corrected:
        findings.add(
            place,
            f"{label}: the sidecar states StartTime {timing.start_time_s:g} s and does not say SliceTimingCorrected: "
            "volumes are taken to be that much later",
            "right if slices were moved to that time; else take StartTime out of the sidecar",
            stops=False,
        )
    if look.trials is not None and offset_s is not None and not tr_sentences:
        _look_at_windows(run, look.trials, response, (times.tr_s, offset_s), (label, place), findings)


def _look_at_confounds(run: BoldRun, look: SubjectLook, place: Place, findings: Findings) -> None:
    """Read a run's table of confounds, where there is one, as responses with confounds would."""
    if run.confounds is None:
        return
    look.n_confounds += 1
    with findings.at(place, CONFOUNDS, stops=False):
        try:
            table = table_of(run, run.bold.shape[3])
            names = {confounds.spelling(column) for column in table}
            for group in GROUPS:
                if names.issuperset(confounds.GROUPS[group]):
                    confounds.regressors(table, [group])
            if confounds.DISPLACEMENT in names:
                confounds.displacement(table)
        except ValueError as error:
            raise named(error, f"{look.subject}, {place.run}") from None


def _look_at_windows(
    run: BoldRun,
    trials: pd.DataFrame,
    response: Entry,
    clock: tuple[float, float],
    named_place: tuple[str, Place],
    findings: Findings,
) -> None:
    """Ask whether the windows of a run's trials lie in it; ``clock`` is TR and offset, seconds."""
    (tr_s, offset_s), (label, place) = clock, named_place
    with findings.at(place, _advice(cleaning.OutsideRunError)):
        start_s, n_volumes = cleaning.window_volumes(response["start_s"], response["duration_s"], tr_s)
        run_trials = trials[(trials["session"] == run.session) & (trials["run"] == run.run) & trials["usable"]]
        no_columns = np.empty((run.bold.shape[3], 0), dtype=np.float32)
        onsets_s = run_trials["onset_s"].to_numpy()
        try:
            cleaning.windows(no_columns, onsets_s, start_s, n_volumes, tr_s, offset_s)
        except ValueError as error:
            raise named(error, label) from None


def space(entry: Entry, findings: Findings) -> None:
    """Say where volumes lie in a space that has no way to fsaverage."""
    kind = kind_of(entry["space"])
    if kind not in ("MNI", "native"):
        findings.add(
            Place(),
            f"space {entry['space']!r} is no template of adults in which fsaverage lies ({', '.join(MNI)})",
            "choose one of these with --space where fMRIPrep wrote it; responses in voxels (space: native) can be made",
            stops=False,
        )


def _advice(error: type[ValueError]) -> str:
    """What helps, as the stage says it of the entry; here the key is an option."""
    return f"{REMEDIES[error].removeprefix('; ')} (here: --set KEY=VALUE)"


def _label(session: str, run: str) -> str:
    return f"session {session}, run {run}"
