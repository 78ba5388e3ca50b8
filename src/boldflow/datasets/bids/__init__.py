"""Your own data: a BIDS folder with fMRIPrep's derivatives, read in place and described by its catalogue entry alone.

    mine: {plugin: bids, folder: /data/mine, subjects: [sub-01, sub-02], tr_s: 2.0, image_column: stim_file,
           stimuli_root: /data/mine/stimuli}

Events are read from ``sub-*/[ses-*/]func/*_events.tsv`` below the folder, or inherited from a folder above, BOLD from
``derivatives`` below it. Events whose image column is empty or n/a show no picture and are no trials, nor are those
that ``events_where`` leaves out: what their rows say elsewhere is not looked at. The module ``files`` tells which files
are meant.
"""

import functools
import operator
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.formats import bids, bids_times, confounds, events
from boldflow.core.records.runs import BoldRun, SliceTiming
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.bids.files import (
    EventRun,
    RunFiles,
    bold_of_runs,
    event_runs,
    files_of_runs,
    masks_of,
    tables_of,
)
from boldflow.datasets.bids.left_out import sidecar_of, without_left_out
from boldflow.settings import Entry
from boldflow.vocabulary.spaces import kind_of

# A fact that is None here is the entry's key of that name (catalogue.dataset_facts).

FACTS: dict[str, Any] = {
    "subjects": [],
    "tr_s": None,
    "spaces": ["MNI", "native"],
    "images": True,
    "split_unit": "image",
    "simulated": False,
    "version": "your own",
    "source": {"accession": "bids", "commit": None},
    "licence": "your own",
    "citation": "your own data",
    "agreement": None,
    "recordings": {
        "bold": "fMRIPrep's preprocessed BOLD volumes in the space that the entry names, with brain masks",
    },
    "stimuli_inside": False,
    "stimuli_from": "Your own folder or archive of pictures.",
    "stimuli_password": None,
    "rois": [],
    "ceilings": None,
}
REQUIRED = ["folder", "subjects", "tr_s", "image_column"]
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {
        "type": "string", "minLength": 1,
        "description": "The BIDS folder: sub-*/[ses-*/]func/*_events.tsv lie below it. It is read in place.",
    },
    "derivatives": {
        "type": "string", "minLength": 1, "default": "derivatives/fmriprep",
        "description": "fMRIPrep's folder: below it, elsewhere (../.. or a full path), or . where both are one folder.",
    },
    "task": {
        "type": "string", "pattern": "^[A-Za-z0-9*]+$", "default": "*",
        "description": "The BIDS label of the task to read; * for all.",
    },
    "entities": {
        "type": "object", "default": {},
        "propertyNames": {
            "enum": ["ses", "task", "acq", "ce", "trc", "rec", "dir", "run", "echo", "part", "res", "den"],
        },
        "additionalProperties": {
            "anyOf": [
                {"type": "string", "pattern": "^[A-Za-z0-9]*$"},
                {
                    "type": "array", "minItems": 1, "uniqueItems": True,
                    "items": {"type": "string", "pattern": "^[A-Za-z0-9]*$"},
                },
            ],
        },
        "description": "Which files to read where names differ in more than session and run, such as {acq: mb} or "
        "{acq: [a, b]}: then runs are named a-01, b-01. '' stands for names without the entity.",
    },
    "image_column": {
        "type": "string", "minLength": 1,
        "description": "The column of the events that names the picture, such as stim_file.",
    },
    "events_where": {
        "type": "object", "default": {}, "minProperties": 0,
        "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "description": "Values of columns, such as {trial_type: [exp, test]}: other events are no trials.",
    },
    "image_name": {
        "enum": ["path", "name", "stem"], "default": "path",
        "description": "How that column names a file below stimuli_root: by path, by name, or by name without suffix.",
    },
    "space": {
        "type": "string", "pattern": "^[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*$", "default": "MNI152NLin2009cAsym",
        "description": "The space of the volumes to read, as fMRIPrep's names have it, T1w or a template; with its "
        "resolution where they have several, such as MNI152NLin2009cAsym_res-2. fsaverage lies in MNI152 of adults.",
    },
    "tr_s": {
        "type": "number", "exclusiveMinimum": 0,
        "description": "Repetition time, seconds; headers and sidecars must agree.",
    },
    "slice_time_ref": {
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "To which time within the TR slice timing has moved the slices, as a share of it, where no "
        "sidecar states StartTime: 0.5 is the middle. By default 0.",
    },
    "leave_out": {
        "type": "array", "default": [], "uniqueItems": True,
        "items": {"enum": ["trials_beyond_end", "trials_before_start", "runs_without_bold"]},
        "description": "Trials that are listed, counted and not used, rather than refused: those whose response the "
        "scan does not hold (scanned_after_onset_s), those before it begins, those of runs without BOLD.",
    },
    "scanned_after_onset_s": {
        "type": "number", "minimum": 0, "default": 10.0,
        "description": "How long after a trial's onset the scan must go on, seconds, where leave_out names "
        "trials_beyond_end: the end of the response's window.",
    },
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder or archive of the pictures.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["folder", "subjects", "derivatives", "space", "task", "entities", "leave_out"],
    "fetch_subject": ["derivatives", "space", "task", "entities"],
    "fetch_stimuli": [
        "subjects", "derivatives", "space", "task", "entities", "events_where", "image_column", "image_name",
        "leave_out", "scanned_after_onset_s",
    ],
    "list_trials": [
        "derivatives", "space", "task", "entities", "events_where", "image_column", "leave_out",
        "scanned_after_onset_s",
    ],
    "pack_stimuli": ["image_name"],
    "project_responses": ["derivatives", "space", "task", "entities", "slice_time_ref"],
}  # fmt: skip
# Which files each fetch looks at when the workflow is parsed (``provenance.reached``).
LOOKS: dict[str, list[str]] = {
    "fetch_dataset": [
        "*_events.*", "{subject}/*_events.*", "{subject}/func/*_events.*", "{subject}/ses-*/*_events.*",
        "{subject}/ses-*/func/*_events.*",
        # trials that are left out hang on the BOLD that there is
        "{leave_out?}{derivatives}/{subject}/func/*", "{leave_out?}{derivatives}/{subject}/ses-*/func/*",
    ],
    "fetch_subject": [
        "task-*_bold.json", "{subject}/func/*_bold.json", "{subject}/ses-*/func/*_bold.json",
        "{derivatives}/task-*", "{derivatives}/{subject}/*", "{derivatives}/{subject}/func/*",
        "{derivatives}/{subject}/ses-*/*", "{derivatives}/{subject}/ses-*/func/*",
    ],
    "fetch_stimuli": [],  # stimuli_root is looked at, and its trials are those of fetch_dataset
}  # fmt: skip

IMAGE_BYTES = 500 * 500 * 3  # of one picture, decoded: a guess


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the user's folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    return Source("folder", own_folder.folder_of(settings), None, f"a folder of the user's ({settings['name']})")


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need.

    Raises
    ------
    FileNotFoundError
        If there are no such files; names folder and patterns.
    """
    if what == "dataset":
        return [path for subject in settings["subjects"] for path in _shared_files(root, subject, settings)]
    if what == "stimuli":
        return bids.pictures(root)
    run_files = files_of_runs(root, what, settings)
    companions = [path for files in run_files for path in (*files.sidecars, files.confounds) if path]
    return list(dict.fromkeys([*(files.bold for files in run_files), *companions, *masks_of(root, what, settings)]))


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per event with a picture, in the order of names of sessions and runs.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str; "01" where the names have none), trial (int, from 1 within the run), onset_s, duration_s
        (s; NaN where the row says n/a), image_id (what the image column says), usable; left_out, why a trial is not, or
        nothing.

    Raises
    ------
    ValueError
        If a table is not as it should be (file and line are named), lacks the image column or one of ``events_where``
        (the columns are named), or if no event is left that shows a picture.
    FileNotFoundError
        If there are no events.
    """
    column, accepted_values = settings["image_column"], settings["events_where"]
    runs_with_events = event_runs(root, subject, settings)
    shown_tables = [shown_in(root, run, settings) for run in runs_with_events]
    if all(shown.empty for shown in shown_tables):
        raise _no_trials(root, subject, column, accepted_values, [run.table for run in runs_with_events])
    trial_rows = trials_of(shown_tables, settings)
    return without_left_out(root, subject, settings, trial_rows) if settings["leave_out"] else trial_rows


def trials_of(shown_tables: Iterable[pd.DataFrame], settings: Entry) -> pd.DataFrame:
    """Bring the events of runs (``shown_in``) to the columns of a trial table."""
    shown = pd.concat(shown_tables, ignore_index=True)
    return bids.as_trials(shown.rename(columns={settings["image_column"]: "image_id"}).assign(usable=True))


def shown_in(root: str | Path, run: EventRun, settings: Entry) -> pd.DataFrame:
    """Read the events of a run that show pictures and are meant by ``events_where``; raises as ``trials``."""
    column, accepted_values = settings["image_column"], settings["events_where"]
    text_columns = [column, *(name for name in accepted_values if name != column)]

    def keep(texts: pd.DataFrame) -> "pd.Series[bool]":
        fitting = [texts[name].isin(values) for name, values in accepted_values.items()]
        return functools.reduce(operator.and_, fitting, events.is_said(column, texts))

    return bids.read_run(Path(root) / run.table, (run.session, run.run), ([], [], text_columns), keep)


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each picture, by ``image_name``."""
    return bids.named_pictures(root, settings["image_name"])


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture below ``root`` under the name that events use, labelled with the name of its ``folder``.

    Raises
    ------
    ValueError
        If two files have one name, or one is no whole picture.
    """
    yield from (Stimulus(*picture) for picture in bids.read_pictures(root, named_pictures(root, settings)))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """Yield the preprocessed BOLD of each run, in the order of names.

    Yields
    ------
    BoldRun
        ``bold`` is float32 (x, y, z, n_volumes); ``mask`` the voxels in the brain mask of every run; ``space`` is "MNI"
        where the setting ``space`` is an MNI template of adults, "native" where it is the subject's own.

    Raises
    ------
    ValueError
        If BOLD and mask lie on different grids or have another number of axes, or a file is no whole NIfTI.
    FileNotFoundError
        If there is no BOLD or no mask.
    """
    root = Path(root)
    mask, mask_path, mask_image = _mask(root, subject, settings)
    for files in files_of_runs(root, subject, settings):
        image, bold = bids.bold(root / files.bold)
        bids.check_grid(root / files.bold, image, mask_path, mask_image)
        yield run_of(root, files, settings, image, bold, mask)


def run_of(
    root: Path, files: RunFiles, settings: Entry, image: nib.Nifti1Image, bold: np.ndarray, mask: np.ndarray | None
) -> BoldRun:
    """Join the BOLD of a run with what its header, sidecars and names state.

    Raises
    ------
    ValueError
        If a sidecar is not whole JSON, or states something else than times.
    """
    sidecar, sidecar_path = sidecar_of(root, files)
    return BoldRun(
        files.events.session,
        files.events.run,
        bold,
        np.asarray(image.affine),
        mask,
        bids_times.header_tr(image) | bids_times.sidecar_tr(sidecar, sidecar_path),
        kind_of(settings["space"]),
        functools.partial(confounds.read, root / files.confounds) if files.confounds else None,
        SliceTiming(*bids_times.slice_timing(sidecar, sidecar_path), settings.get("slice_time_ref")),
        bids.unplaced(root / files.bold, image),
    )


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No named regions are read from a folder of one's own."""
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What there is: nothing is fetched, since the folder is read in place; trials are the rows of the events."""
    root = Path(settings["folder"]).expanduser()
    subjects = {}
    image_ids: set[str] = set()
    for subject in settings["subjects"]:
        trial_table = trials(root, subject, settings)
        image_ids |= set(trial_table["image_id"])
        bold_paths = [path for _, path in bold_of_runs(root, subject, settings)]
        shapes = [(*nib.Nifti1Image.from_filename(root / path).shape, 1)[:4] for path in bold_paths]
        largest = max(shapes, key=lambda shape: int(np.prod(shape)))
        subjects[subject] = SubjectSizes(0, len(trial_table), len(shapes), largest[3], int(np.prod(largest[:3])))
    return Sizes(0, 0, len(image_ids), IMAGE_BYTES, subjects, True)


def _shared_files(root: str | Path, subject: str, settings: Entry) -> list[str]:
    """Tables of events of a subject; BOLD too where trials hang on what there is of it."""
    own_tables, shared_tables = tables_of(root, subject, settings)
    paths = [*shared_tables, *own_tables]
    event_runs(root, subject, settings)  # two tables of one run are refused before anything is made
    if shared_tables or settings["leave_out"]:
        run_files = files_of_runs(root, subject, settings)
        paths += [path for files in run_files for path in (files.bold, *files.sidecars)]
    return list(dict.fromkeys(paths))


def _no_trials(
    root: str | Path, subject: str, column: str, accepted_values: dict[str, list[str]], tables: list[str]
) -> ValueError:
    """Say which of the conditions leaves no event."""
    columns = [column, *(name for name in accepted_values if name != column)]
    kept_events = pd.concat([events.read(Path(root) / path, [], [], columns) for path in tables], ignore_index=True)
    for name, values in accepted_values.items():
        present_values = sorted(kept_events[name].unique())
        kept_events = kept_events[kept_events[name].isin(values)]
        if kept_events.empty:
            return ValueError(
                f"{subject}: no event has a {name} of {values} (events_where); found {present_values[:5]}"
            )
    return ValueError(f"{subject}: none of {len(kept_events)} events names a picture in column {column!r}")


def _mask(root: Path, subject: str, settings: Entry) -> tuple[np.ndarray, Path, nib.Nifti1Image]:
    """Voxels in all brain masks (x, y, z), the path of the first and its image."""
    first_path, *other_paths = [root / path for path in masks_of(root, subject, settings)]
    first_image, first_mask = bids.mask(first_path)
    mask = _filled(first_mask, first_path)
    for path in other_paths:
        image, run_mask = bids.mask(path)
        bids.check_grid(path, image, first_path, first_image)
        mask = mask & _filled(run_mask, path)
    return _filled(mask, f"{first_path} and the other masks of {subject}, where they overlap,"), first_path, first_image


def _filled(mask: np.ndarray, of: Path | str) -> np.ndarray:
    if not mask.any():
        raise ValueError(f"{of} is an empty mask: no voxel is above 0")
    return mask
