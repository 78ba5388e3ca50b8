"""The Natural Scenes Dataset: eight people look at up to 10,000 pictures of COCO, three times each, in 7 T.

Its DataLad data set is written on the user's machine from the bucket's known keys; nothing is fetched before the
data access agreement was signed. Single-trial betas come in volumes of 1.8 mm (whole numbers, 300 a percent) and on
fsaverage (percent). A picture is called by its row in the picture brick, from 0: ``nsd-00013``.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.releases import nsd_files, nsd_tables, nsd_tree
from boldflow.core.records.runs import BetaRun, BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.nsd import coco, reading
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["subj01", "subj02", "subj03", "subj04", "subj05", "subj06", "subj07", "subj08"],
    "tr_s": 1.6,
    "spaces": ["native", "fsaverage"],
    "images": True,
    "split_unit": "image",
    "simulated": None,  # the entry's: made files in these layouts are no data
    "version": "betas_fithrf_GLMdenoise_RR",
    "source": {"accession": "s3://natural-scenes-dataset", "commit": None},
    "licence": "NSD Terms and Conditions: research and education, no redistribution of the data or parts of them",
    "citation": "Allen et al. 2022, Nat. Neurosci. 25, 116-126",
    "agreement": "https://forms.gle/eT4jHxaWwYUDEf2i9",
    "sessions": {
        "subj01": 40,
        "subj02": 40,
        "subj03": 32,
        "subj04": 30,
        "subj05": 40,
        "subj06": 32,
        "subj07": 40,
        "subj08": 30,
    },
    "recordings": {
        "betas-hdf5": "single-trial betas of the voxels of a mask (1.8 mm), from HDF5",
        "betas-nifti": "the same from compressed NIfTI: smaller to fetch, slower to read",
        "betas-fsaverage": "single-trial betas on fsaverage",
    },
    "recording_spaces": {"betas-hdf5": ["native"], "betas-nifti": ["native"], "betas-fsaverage": ["fsaverage"]},
    "beta_recordings": ["betas-hdf5", "betas-nifti", "betas-fsaverage"],
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
    "rois": ["nsdgeneral", "prf-visualrois-V1", "prf-visualrois-hV4", "floc-faces-FFA-1", "streams-ventral"],
    "ceilings": "from ncsnr of each voxel, for single trials (nc_1) and means of three (nc_3)",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sessions": {
        "type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 40}, "minItems": 1, "uniqueItems": True,
        "description": "Only these sessions of those that a subject has, and their files alone; all if left out.",
    },
    "mask": {
        "type": "array", "items": {"enum": [
            "nsdgeneral", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
            "Kastner2015", "HCP_MMP1",
        ]},
        "minItems": 1, "uniqueItems": True, "default": ["nsdgeneral"],
        "description": "Sets of regions whose voxels are read from betas in volumes; the others never are.",
    },
    "regions": {
        "type": "array", "items": {"enum": [
            "nsdgeneral", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
            "Kastner2015", "HCP_MMP1",
        ]},
        "uniqueItems": True, "default": ["nsdgeneral", "prf-visualrois", "streams"],
        "description": (
            "Sets of regions to fetch and to name, such as streams-ventral. On fsaverage there are nsdgeneral, "
            "streams, Kastner2015 and HCP_MMP1."
        ),
    },
    "coco_instances": {
        "type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
        "description": (
            "Your copies of COCO's instances_train2017.json and instances_val2017.json: pictures are then labelled "
            "with category (the one that covers most of the photograph), categories and person."
        ),
    },
    "simulated": {
        "type": "boolean", "default": False,
        "description": "true: the files are made, not measured; every table says so.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["subjects"],
    "fetch_subject": ["sessions", "mask", "regions"],
    "fetch_stimuli": [],
    "list_trials": ["sessions"],
    "pack_stimuli": ["subjects", "sessions", "coco_instances"],
    "project_responses": ["sessions", "mask", "regions"],
}
# Shared pictures, by the design: no picture's number is in this repository.
TEST_SETS: dict[str, str] = {"shared-1000": "", "shared-982": "", "shared-515": ""}

DURATION_S = 3.0  # of a picture
# Voxels of a volume of 1.8 mm.
GRID = {
    "subj01": (81, 104, 83), "subj02": (82, 106, 84), "subj03": (81, 106, 82), "subj04": (85, 99, 80),
    "subj05": (79, 97, 78), "subj06": (85, 113, 83), "subj07": (78, 95, 81), "subj08": (80, 103, 78),
}  # fmt: skip
N_IMAGES = {
    "subj01": 10000, "subj02": 10000, "subj03": 9411, "subj04": 9209, "subj05": 10000, "subj06": 9411,
    "subj07": 10000, "subj08": 9209,
}  # fmt: skip
N_RUNS = 12  # of a session
N_BRICK, SIDE = 73000, 425  # pictures and px of the brick
CLONE_BYTES = 30_000_000
N_VOXELS = 20_000  # of nsdgeneral, at most


def source(settings: Entry, workspace: str | Path) -> Source:
    """Write the DataLad data set of the bucket's keys on this machine; nobody is asked."""
    folder, commit = nsd_tree.create(workspace, "nsd")
    return Source("datalad", folder, commit, f"s3://{nsd_tree.BUCKET}", nsd_tree.PUBLIC_URL)


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject's recording need.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or the subject has none of the sessions.
    """
    if what == "dataset":
        return [nsd_tree.DESIGN, nsd_tree.PICTURES, *map(nsd_tree.responses, _subjects(settings))]
    if what == "stimuli":
        return [nsd_tree.BRICK]
    _check_subject(what)
    sessions = _sessions(what, settings)
    recording = recording or next(iter(FACTS["recordings"]))
    if recording == "betas-fsaverage":
        region_sets, owner = _surface_sets(settings), "fsaverage"
        paths = [path for session in sessions for path in nsd_tree.surface_betas(what, session)]
        paths += [
            *nsd_tree.surface_ncsnr(what),
            *(path for name in region_sets for path in nsd_tree.surface_regions(name)),
        ]
    else:
        region_sets, owner = _volume_sets(settings), what
        paths = [nsd_tree.volume_betas(what, session, _ending(recording)) for session in sessions]
        paths += [nsd_tree.volume_ncsnr(what), *(nsd_tree.volume_regions(what, name) for name in region_sets)]
    return paths + [nsd_tree.region_names(owner, name) for name in region_sets if name not in nsd_tree.UNNAMED]


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per picture shown in the chosen sessions, in the order of acquisition.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s (s after the run's first picture), duration_s
        (s), image_id (``nsd-`` and the row of the brick), usable, test_sets (names of the published test sets that the
        picture is in), behaviour_* (NaN where there is none).

    Raises
    ------
    ValueError
        If the subject is unknown or has none of the sessions; if its table contradicts the design.
    """
    _check_subject(subject)
    root = Path(root)
    design = nsd_tables.design(root / nsd_tree.DESIGN)
    shown_trials = nsd_tables.responses(
        root / nsd_tree.responses(subject), subject, design, _sessions(subject, settings)
    )
    if shown_trials.empty:
        raise ValueError(f"{subject} has no trials in sessions {_sessions(subject, settings)}")
    test_sets_of: dict[int, list[str]] = defaultdict(list)
    for test_set, pictures in nsd_tables.test_sets(design).items():
        for picture in pictures.tolist():
            test_sets_of[picture].append(test_set)
    return shown_trials.drop(columns=["picture", "place"]).assign(
        session=shown_trials["session"].map("{:02d}".format),
        run=shown_trials["run"].map("{:02d}".format),
        duration_s=DURATION_S,
        image_id=shown_trials["picture"].map(nsd_tables.picture_name),
        usable=True,
        test_sets=[" ".join(test_sets_of[picture]) for picture in shown_trials["picture"]],
    )


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture that the subjects see in the chosen sessions, read from the brick one at a time.

    Yields
    ------
    Stimulus
        Labelled with its ``coco_id``; with ``coco_instances`` also with ``category``, ``categories`` (names joined by
        +) and ``person`` (person, or none).

    Raises
    ------
    ValueError
        If a picture has no COCO id, or the files of instances do not know it; if the brick is not whole.
    """
    root = Path(root)
    design = nsd_tables.design(root / nsd_tree.DESIGN)
    shown_pictures: set[int] = set()
    for subject in _subjects(settings):
        path = root / nsd_tree.responses(subject)
        shown_pictures |= set(
            nsd_tables.responses(path, subject, design, _sessions(subject, settings))["picture"].tolist()
        )
    rows = sorted(shown_pictures)
    coco_ids = nsd_tables.coco_ids(root / nsd_tree.PICTURES)
    lost_names = [nsd_tables.picture_name(row) for row in rows if row not in coco_ids.index]
    if lost_names:
        raise ValueError(
            f"{root / nsd_tree.PICTURES} lacks {len(lost_names)} of {len(rows)} pictures, the first is {lost_names[0]}"
        )
    labels = coco.labels_of(settings.get("coco_instances", ()), {int(coco_ids[row]) for row in rows})
    for row, pixels in zip(rows, nsd_files.pictures(root / nsd_tree.BRICK, rows), strict=True):
        coco_id = int(coco_ids[row])
        category_labels = labels[coco_id] if labels else {}
        yield Stimulus(nsd_tables.picture_name(row), pixels, {"coco_id": str(coco_id), **category_labels})


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """No BOLD is fetched, but the betas made from it.

    Raises
    ------
    ValueError
        Always.
    """
    _check_subject(subject)
    raise ValueError(f"recording {recording!r} of nsd holds betas")


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the single-trial betas of each chosen session, which stay on disk until they are asked for.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry
    recording : str

    Yields
    ------
    BetaRun
        Percent signal change. In volumes the voxels of ``mask``; on fsaverage both hemispheres, left then right. With
        the sets of ``regions`` that there are, and noise ceilings for single trials and means of three.

    Raises
    ------
    ValueError
        If a file is not whole, betas and regions lie on different grids, or a session has another number of betas
        than of trials; names the file and both sides.

    Notes
    -----
    NSD Data Manual, functional data: betas in volumes are int16, 300 times percent signal change, those on fsaverage
    float32 in percent. Noise ceiling: Allen et al. 2022, Methods.
    """
    _check_subject(subject)
    root = Path(root)
    trial_table = trials(root, subject, settings)
    image_ids = {
        session: session_trials["image_id"].to_numpy(dtype=object)
        for session, session_trials in trial_table.groupby("session")
    }
    if recording == "betas-fsaverage":
        return reading.surface_records(root, subject, image_ids, _surface_sets(settings))
    region_sets, mask = _volume_sets(settings), settings["mask"]
    return reading.volume_records(root, subject, image_ids, region_sets, mask, _ending(recording))


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """Regions come with each record of betas."""
    _check_subject(subject)
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What a recording costs before anything is downloaded: computed from grids and numbers of trials.

    Compressed NIfTI is counted as if it were not compressed.
    """
    session_trials = nsd_tables.SESSION_TRIALS
    subjects, n_images = {}, 0
    for subject in FACTS["subjects"]:
        n_trials = session_trials * len(_sessions(subject, settings, any_=True))
        trial_bytes = 2 * nsd_files.VERTICES * 4 if recording == "betas-fsaverage" else int(np.prod(GRID[subject])) * 2
        n_runs = N_RUNS * n_trials // session_trials
        subjects[subject] = SubjectSizes(trial_bytes * n_trials, n_trials, n_runs, 1, N_VOXELS)
        if subject in _subjects(settings):
            n_images += min(N_IMAGES[subject], n_trials)
    n_images = min(n_images, N_BRICK)
    return Sizes(CLONE_BYTES, N_BRICK * SIDE * SIDE * 3, n_images, SIDE * SIDE * 3, subjects, True)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"nsd has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _subjects(settings: Entry) -> list[str]:
    return list(settings.get("subjects") or FACTS["subjects"])


def _sessions(subject: str, settings: Entry, any_: bool = False) -> list[int]:
    there = range(1, nsd_tree.N_SESSIONS[subject] + 1)
    chosen = settings.get("sessions") or there
    sessions = sorted(set(chosen) & set(there))
    if not sessions and not any_:
        raise ValueError(f"{subject} has sessions 1 to {len(there)}, none of {sorted(chosen)}")
    return sessions


def _volume_sets(settings: Entry) -> list[str]:
    return [name for name in nsd_tree.SETS if name in {*settings["mask"], *settings["regions"]}]


def _surface_sets(settings: Entry) -> list[str]:
    return [name for name in nsd_tree.FSAVERAGE_SETS if name in settings["regions"]]


def _ending(recording: str) -> str:
    endings = {"betas-hdf5": "hdf5", "betas-nifti": "nii.gz"}
    if recording not in endings:
        raise ValueError(f"nsd has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    return endings[recording]
