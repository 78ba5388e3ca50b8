"""Natural Object Dataset: thirty people look at pictures of ImageNet, nine at 120 of COCO too (OpenNeuro ds004496).

Each ImageNet picture is shown once to one person; the 120 COCO pictures are shown in each of a person's ten or so runs.
So there are two sound tests: the COCO pictures (rule ``repeated``; the nine people), or a share of each person's runs
(rule ``runs``; all thirty, setting ``tasks: [imagenet]``). The tree is complete: pictures and derivatives are inside.

Layout, counts and sizes are taken from the data set's README, from a few of its files and from its paper: nobody has
yet run this plug-in over the whole tree, so sizes are marked unverified, and the commit is pinned when it is cloned
first.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import origins
from boldflow.artifacts.formats import bids, events
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": [
        "sub-01", "sub-02", "sub-03", "sub-04", "sub-05", "sub-06", "sub-07", "sub-08", "sub-09", "sub-10",
        "sub-11", "sub-12", "sub-13", "sub-14", "sub-15", "sub-16", "sub-17", "sub-18", "sub-19", "sub-20",
        "sub-21", "sub-22", "sub-23", "sub-24", "sub-25", "sub-26", "sub-27", "sub-28", "sub-29", "sub-30",
    ],
    "tr_s": 2.0,
    "spaces": ["native", "fsLR"],
    "images": True,
    "split_unit": "image",
    "simulated": False,
    "version": "pinned when cloned first",
    "source": {"accession": "ds004496", "commit": None},
    "licence": "CC0 (data); the pictures keep the terms of ImageNet and COCO",
    "citation": "Gong et al. 2023, Scientific Data 10:559",
    "agreement": None,
    "recordings": {
        "bold-T1w": "fMRIPrep's BOLD volumes aligned to the T1w image, with confounds",
        "bold-fsLR": "ciftify's BOLD on the 32k fsLR surface",
        "betas-fsLR": "betas of each run on the 32k fsLR surface with their labels",
    },
    "unread": ["bold-T1w", "bold-fsLR", "betas-fsLR"],
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
    "rois": ["floc-faces", "floc-bodies", "floc-places", "floc-words"],
    "ceilings": None,
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "tasks": {
        "type": "array", "items": {"enum": ["imagenet", "coco"]}, "minItems": 1, "uniqueItems": True,
        "default": ["imagenet", "coco"],
        "description": "Which runs are read: imagenet (each picture once), coco (120 pictures, often; sub-01 to 09).",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["subjects", "tasks"],
    "fetch_subject": ["tasks"],
    "fetch_stimuli": ["tasks"],
    "list_trials": ["tasks"],
    "pack_stimuli": ["tasks"],
    "project_responses": ["tasks"],
}

COCO_SUBJECTS = 9  # the first ones
RAW = "{subject}/ses-{task}*/func/{subject}_ses-*_task-{task}_run-*_events.tsv"
PREP = "derivatives/fmriprep/{subject}/ses-{task}*/func/{subject}_ses-*_task-{task}_run-*_{suffix}"
CIFTI = "derivatives/ciftify/{subject}/results/ses-{task}*_task-{task}_run-*/*_{suffix}"
FILES = {  # recording -> patterns
    "bold-T1w": ((PREP, "space-T1w_desc-preproc_bold.nii.gz"), (PREP, "desc-confounds_timeseries.tsv")),
    "bold-fsLR": ((CIFTI, "Atlas.dtseries.nii"),),
    "betas-fsLR": ((CIFTI, "beta.dscalar.nii"), (CIFTI, "label.txt")),
}
# the column that names the picture: COCO runs have it under another name, with n/a where none was shown
PICTURE = ("stim_file", "condition")
# Unverified: whole sizes in datasets' listings (161.8 GB of fMRIPrep and 155.2 GB of ciftify in 792 runs) by run.
RUN_BYTES = {"bold-T1w": 204_000_000, "bold-fsLR": 90_000_000, "betas-fsLR": 37_000_000}
PER_RUN = {"imagenet": 100, "coco": 120}
RUNS = {"imagenet": (40, 10), "coco": (10, 0)}  # of the first nine, and of the others
CLONE_BYTES = 400_000_000
STIMULI_BYTES = 1_600_000_000
N_IMAGES = {"imagenet": 57_000, "coco": 120}
IMAGE_BYTES = 500 * 375 * 3  # of one picture, decoded
N_VOLUMES = 240
N_VOXELS = 91_282  # grayordinates of the 32k fsLR space


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the clone of OpenNeuro ds004496, at the commit at which this workspace cloned it first.

    Raises
    ------
    FileNotFoundError
        If ``BOLDFLOW_ORIGINS`` is set and its folder does not hold the data set.
    """
    url, public_url = origins.openneuro(FACTS["source"]["accession"])
    commit = origins.pinned(workspace, settings["name"])
    return Source("datalad", url, commit, f"OpenNeuro {FACTS['source']['accession']}", public_url)


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject's recording need.

    Raises
    ------
    ValueError
        If there is no such subject or recording.
    FileNotFoundError
        If there are no such files; names the folder.
    """
    if what == "dataset":
        subjects = settings.get("subjects") or FACTS["subjects"]
        return bids.found(
            root, *(RAW.format(subject=subject, task=t) for subject in subjects for t in _tasks(subject, settings))
        )
    if what == "stimuli":
        return bids.found(root, *(f"stimuli/{task}/**/*.[jJ][pP]*" for task in settings["tasks"]))
    recording = recording or next(iter(FACTS["recordings"]))
    if recording not in FILES:
        raise ValueError(f"nod has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    tasks = _tasks(what, settings)
    patterns = [
        pattern.format(subject=what, task=t, suffix=suffix) for t in tasks for pattern, suffix in FILES[recording]
    ]
    return bids.found(root, *patterns)


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per picture shown: ImageNet sessions, then COCO.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s, duration_s (s), image_id (path below
        ``stimuli``), usable.

    Raises
    ------
    ValueError
        If the subject is unknown, or a table is not as it should be; names file and line.
    FileNotFoundError
        If there are no events.
    """
    event_tables = []
    for task in _tasks(subject, settings):
        paths = bids.found(root, RAW.format(subject=subject, task=task))
        for path in paths:
            column = next((name for name in PICTURE if name in events.header(Path(root) / path)), PICTURE[0])
            keep = functools.partial(events.is_said, column)
            table = bids.read_runs(root, [path], [], [], [column], keep).rename(columns={column: "image_id"})
            event_tables.append(table)
    return bids.as_trials(pd.concat(event_tables, ignore_index=True).assign(usable=True))


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture, labelled with its ``source`` (imagenet, coco).

    Raises
    ------
    ValueError
        If a file is no whole picture.
    """
    paths = [Path(path).relative_to("stimuli") for path in files_needed(root, "stimuli", settings)]
    labelled_paths = ((path.as_posix(), path.as_posix(), {"source": path.parts[0]}) for path in paths)
    yield from (Stimulus(*picture) for picture in bids.read_pictures(Path(root) / "stimuli", labelled_paths))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """No recording of this data set is read yet.

    Raises
    ------
    NotImplementedError
        Always.
    """
    _tasks(subject, settings)
    raise NotImplementedError(f"recording {recording!r} of nod is not read in this version; trials and splits are")


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No regions are read yet: those of the tree lie on the fsLR surface."""
    _tasks(subject, settings)
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What a recording costs before anything is downloaded; not counted in the tree."""
    tasks = settings["tasks"]
    subjects = {}
    for subject_index, subject in enumerate(FACTS["subjects"]):
        n_runs = {task: RUNS[task][subject_index >= COCO_SUBJECTS] for task in tasks}
        n_subject_runs = sum(n_runs.values())
        n_trials = sum(n_runs[task] * PER_RUN[task] for task in tasks)
        subjects[subject] = SubjectSizes(
            RUN_BYTES[recording] * n_subject_runs, n_trials, n_subject_runs, N_VOLUMES, N_VOXELS
        )
    return Sizes(CLONE_BYTES, STIMULI_BYTES, sum(N_IMAGES[t] for t in tasks), IMAGE_BYTES, subjects, False)


def _tasks(subject: str, settings: Entry) -> list[str]:
    """Tasks of a subject that the settings ask for."""
    if subject not in FACTS["subjects"]:
        raise ValueError(f"nod has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")
    seen_coco = FACTS["subjects"].index(subject) < COCO_SUBJECTS
    tasks = [task for task in settings["tasks"] if task != "coco" or seen_coco]
    if not tasks:
        raise ValueError(f"{subject} of nod has no runs of {settings['tasks']}; those of coco end with sub-09")
    return tasks
