"""Your own data: a BIDS folder with fMRIPrep's derivatives, read in place and described by its catalogue entry alone.

    mine: {plugin: bids, folder: /data/mine, subjects: [sub-01, sub-02], tr_s: 2.0, image_column: stim_file,
           stimuli_root: /data/mine/stimuli}

Events are read from ``sub-*/[ses-*/]func/*_events.tsv`` below the folder, BOLD from ``derivatives`` below it. Events
whose image column is empty or n/a show no picture and are no trials, nor are those that ``events_where`` leaves out.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids, confounds
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.provenance import is_reached, reached
from boldflow.settings import Entry

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
        "description": "The space of the volumes to read, as fMRIPrep's names have it, beginning with MNI, or T1w; "
        "with its resolution where they have one, such as MNI152NLin2009cAsym_res-2.",
    },
    "tr_s": {
        "type": "number", "exclusiveMinimum": 0,
        "description": "Repetition time, seconds; headers and sidecars must agree.",
    },
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder or archive of the pictures.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["folder", "subjects", "task"],
    "fetch_subject": ["derivatives", "space", "task"],
    "fetch_stimuli": ["subjects", "events_where", "image_column", "image_name", "task"],
    "list_trials": ["events_where", "image_column", "task"],
    "pack_stimuli": ["image_name"],
    "project_responses": ["derivatives", "space", "task"],
}
# Which files each fetch looks at when the workflow is parsed (``provenance.reached``).
LOOKS: dict[str, list[str]] = {
    "fetch_dataset": [
        "*_events.*", "{subject}/*_events.*", "{subject}/func/*_events.*", "{subject}/ses-*/*_events.*",
        "{subject}/ses-*/func/*_events.*",
    ],
    "fetch_subject": [
        "task-*_bold.json", "{subject}/func/*_bold.json", "{subject}/ses-*/func/*_bold.json",
        "{derivatives}/task-*", "{derivatives}/{subject}/*", "{derivatives}/{subject}/func/*",
        "{derivatives}/{subject}/ses-*/*", "{derivatives}/{subject}/ses-*/func/*",
    ],
    "fetch_stimuli": [],  # stimuli_root is looked at, and its trials are those of fetch_dataset
}  # fmt: skip

EVENTS = (
    "{subject}/func/{subject}_*task-{task}_*events.tsv",
    "{subject}/ses-*/func/{subject}_*task-{task}_*events.tsv",
)
PREP = ("{subject}/func/{subject}_*task-{task}_*", "{subject}/ses-*/func/{subject}_*task-{task}_*")
IMAGE_BYTES = 500 * 500 * 3  # of one picture, decoded: a guess
BOLD, MASK = "desc-preproc_bold.nii.gz", "desc-brain_mask.nii.gz"


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the user's folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(settings["folder"]).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"folder of data set {settings['name']} does not exist: {folder}")
    return Source("folder", str(folder.resolve()), None, f"a folder of the user's ({settings['name']})")


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need.

    Raises
    ------
    FileNotFoundError
        If there are no such files; names folder and patterns.
    """
    if what == "dataset":
        return [path for subject in settings["subjects"] for path in _events(root, subject, settings)]
    if what == "stimuli":
        return bids.pictures(root)
    paths = _bold(root, what, settings)
    companions = [path.replace(".nii.gz", ".json") for path in paths]
    companions += [table for table in (_confounds(root, path) for path in paths) if table]
    return [*paths, *(path for path in companions if is_reached(root, path)), *_masks(root, what, settings)]


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
        (s), image_id (what the image column says), usable.

    Raises
    ------
    ValueError
        If a table is not as it should be (file and line are named), lacks the image column or one of ``events_where``
        (the columns are named), or if no event is left that shows a picture.
    FileNotFoundError
        If there are no events.
    """
    column, accepted_values = settings["image_column"], settings["events_where"]
    events = bids.read_runs(
        root, _events(root, subject, settings), [], [], [column, *(set(accepted_values) - {column})]
    )
    kept_events = events
    for name, values in accepted_values.items():
        present_values = sorted(kept_events[name].unique())
        kept_events = kept_events[kept_events[name].isin(values)]
        if kept_events.empty:
            raise ValueError(f"{subject}: no event has a {name} of {values} (events_where); found {present_values[:5]}")
    picture_events = kept_events[kept_events[column] != ""].rename(columns={column: "image_id"})
    if picture_events.empty:
        raise ValueError(f"{subject}: none of {len(kept_events)} events names a picture in column {column!r}")
    return bids.as_trials(picture_events.assign(usable=True))


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each picture, by ``image_name``."""
    namers = {"path": lambda path: path, "name": lambda path: Path(path).name, "stem": lambda path: Path(path).stem}
    image_name_of = namers[settings["image_name"]]
    for path in bids.pictures(root):
        yield path, image_name_of(path), {"folder": Path(path).parent.name or Path(root).name}


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
        where the setting ``space`` begins with MNI, else "native".

    Raises
    ------
    ValueError
        If BOLD and mask lie on different grids, or a file is no whole NIfTI.
    FileNotFoundError
        If there is no BOLD or no mask.
    """
    root = Path(root)
    space = "MNI" if settings["space"].startswith("MNI") else "native"
    paths = _bold(root, subject, settings)
    mask, mask_path, mask_image = _mask(root, subject, settings)
    for path in paths:
        image, bold = bids.volume(root / path)
        bids.check_grid(root / path, image, mask_path, mask_image)
        tr_s = {"header": bids.header_tr(image)}
        sidecar_path = root / path.replace(".nii.gz", ".json")
        if is_reached(root, path.replace(".nii.gz", ".json")):
            tr_s["sidecar"] = bids.sidecar_tr(sidecar_path)
        labels = (bids.entity(path, "ses") or "01", bids.entity(path, "run") or "01")
        confounds_path = _confounds(root, path)
        reader = functools.partial(confounds.read, root / confounds_path) if confounds_path else None
        yield BoldRun(*labels, bold, np.asarray(image.affine), mask, tr_s, space, reader)


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
        shapes = [nib.Nifti1Image.from_filename(root / path).shape for path in _bold(root, subject, settings)]
        largest = max(shapes, key=lambda shape: int(np.prod(shape)))
        subjects[subject] = SubjectSizes(0, len(trial_table), len(shapes), largest[3], int(np.prod(largest[:3])))
    return Sizes(0, 0, len(image_ids), IMAGE_BYTES, subjects, True)


def _some(root: str | Path, patterns: list[str]) -> list[str]:
    """Files of either pattern: with sessions and without."""
    paths = sorted(path for pattern in patterns for path in reached(root, pattern))
    if not paths:
        raise FileNotFoundError(f"{root} has neither {' nor '.join(patterns)}")
    return paths


def _events(root: str | Path, subject: str, settings: Entry) -> list[str]:
    if not Path(root).is_dir():
        raise FileNotFoundError(f"{root} is not there: set folder of the data set in config/config.yaml to yours")
    if not (Path(root) / subject).is_dir():
        there = sorted(path.name for path in Path(root).glob("sub-*") if path.is_dir())
        raise FileNotFoundError(f"{root} has no folder {subject!r}: subjects are named as their folders, {there[:5]}")
    paths = _some(root, [pattern.format(subject=subject, task=settings["task"]) for pattern in EVENTS])
    return _one_each(root, paths)


def _one_each(root: str | Path, paths: list[str]) -> list[str]:
    """Refuse two files of one run: runs are known by session and run, so that those of two tasks would be mixed up."""
    path_by_run: dict[tuple[str, str], str] = {}
    for path in paths:
        namesake = path_by_run.setdefault((bids.entity(path, "ses"), bids.entity(path, "run")), path)
        if namesake != path:
            raise ValueError(
                f"{root} has two files of one session and run, {namesake} and {path}: choose one (keys task and space)"
            )
    return paths


def _with_events(
    root: str | Path, subject: str, settings: Entry, paths: list[str], entities: tuple[str, ...]
) -> list[str]:
    """Leave out what belongs to no run with events, as far as names tell it: such as a run at rest."""
    runs_with_events = {
        tuple(bids.entity(path, entity) for entity in entities) for path in _events(root, subject, settings)
    }
    run_paths = [path for path in paths if tuple(bids.entity(path, entity) for entity in entities) in runs_with_events]
    if not run_paths:
        raise FileNotFoundError(f"{root}: none of {len(paths)} files such as {paths[0]} belongs to a run with events")
    return run_paths


def _derived(subject: str, settings: Entry, ending: str) -> list[str]:
    below = settings["derivatives"].rstrip("/") + "/"
    return [below + pattern.format(subject=subject, task=settings["task"]) + ending for pattern in PREP]


def _bold(root: str | Path, subject: str, settings: Entry) -> list[str]:
    paths = _some(root, _derived(subject, settings, f"space-{settings['space']}_{BOLD}"))
    return _one_each(root, _with_events(root, subject, settings, paths, ("ses", "task", "run")))


def _masks(root: str | Path, subject: str, settings: Entry) -> list[str]:
    paths = _some(root, _derived(subject, settings, f"space-{settings['space']}_{MASK}"))
    return _with_events(root, subject, settings, paths, ("ses", "task"))  # one of a run, or of a session


def _confounds(root: str | Path, path: str) -> str:
    """Name the table of confounds of a run's BOLD, as fMRIPrep has called it since 20.2 or before; empty for none."""
    stem = path[: path.index("_space-")]
    names = (f"{stem}_desc-confounds_{kind}.tsv" for kind in ("timeseries", "regressors"))
    return next((name for name in names if is_reached(root, name)), "")


def _mask(root: Path, subject: str, settings: Entry) -> tuple[np.ndarray, Path, Any]:
    """Voxels in all brain masks (x, y, z), the path of the first and its image."""
    first_path, *other_paths = [root / path for path in _masks(root, subject, settings)]
    first_image, mask_values = bids.volume(first_path)
    mask = _filled(mask_values > 0, first_path)
    for path in other_paths:
        image, mask_values = bids.volume(path)
        bids.check_grid(path, image, first_path, first_image)
        mask &= _filled(mask_values > 0, path)
    return _filled(mask, f"{first_path} and the other masks of {subject}, where they overlap,"), first_path, first_image


def _filled(mask: np.ndarray, of: Path | str) -> np.ndarray:
    if not mask.any():
        raise ValueError(f"{of} is an empty mask: no voxel is above 0")
    return mask
