"""Algonauts 2023: the Natural Scenes Dataset as the challenge gave it out, read from a folder of the user's.

    algonauts2023: {folder: /data/algonauts, agreement: {name: Ada Lovelace, date: 2026-01-31}}

Below the folder lie ``subj01/training_split/training_fmri/{lh,rh}_training_fmri.npy`` with a row per picture (betas
that were z-scored per session and averaged over showings, used as they are) and
``subj01/training_split/training_images/train-0001_nsd-00013.png``, whose sorted names are those rows; and
``subj01/roi_masks/{lh,rh}.floc-bodies_challenge_space.npy`` with ``mapping_floc-bodies.npy``, which is a pickle and is
read without unpickling it. A picture is called by its row in NSD's picture brick, from 0: ``nsd-00013``, as in ``nsd``.

The files tell neither sessions nor times: all rows are of session 01, a run is a block of rows, an onset counts rows.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.formats import pictures
from boldflow.artifacts.releases import nsd_tables
from boldflow.core.records.runs import BetaRun, BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.algonauts2023 import layout, reading
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["subj01", "subj02", "subj03", "subj04", "subj05", "subj06", "subj07", "subj08"],
    "tr_s": 1.6,
    "spaces": ["native"],
    "images": True,
    "split_unit": "image",
    "simulated": None,  # the entry's: made files in this layout are no data
    "version": "challenge of 2023, training split",
    "source": {"accession": "algonauts2023", "commit": None},
    "licence": "NSD Terms and Conditions: research and education, no redistribution of the data or parts of them",
    "citation": "Gifford et al. 2023, arXiv:2301.03198; Allen et al. 2022, Nat. Neurosci. 25, 116-126",
    "agreement": "https://forms.gle/eT4jHxaWwYUDEf2i9",
    "recordings": {
        "betas-challenge": "betas of the challenge's vertices, z-scored per session and averaged over showings",
    },
    "recording_spaces": {"betas-challenge": ["native"]},
    "beta_recordings": ["betas-challenge"],
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
    "rois": ["floc-bodies", "lh.floc-bodies", "lh.floc-bodies-EBA", "rh.prf-visualrois-V1", "streams-ventral"],
    "ceilings": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {
        "type": "string", "minLength": 1,
        "description": "Your folder of the challenge's data, read in place: subj01, subj02 and so on lie in it.",
    },
    "regions": {
        "type": "array", "items": {"enum": [
            "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
        ]},
        "uniqueItems": True,
        "default": ["prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams"],
        "description": (
            "Sets of regions to name: lh.floc-bodies is all of a set in the left hemisphere, floc-bodies both, "
            "lh.floc-bodies-EBA one region."
        ),
    },
    "stim_info": {
        "type": "string", "minLength": 1,
        "description": (
            "Your copy of NSD's nsd_stim_info_merged.csv (a path, or one below folder): it says which pictures are "
            "shared, and their COCO numbers. Without it, shared pictures are those in the folders of two subjects or "
            "more, and it is an error if they are not as many as published."
        ),
    },
    "coco_categories": {
        "type": "string", "minLength": 1,
        "description": (
            "Your table (CSV; a path, or one below folder) with nsdId and categories, names of COCO's joined by +, "
            "such as person+dog: pictures are then labelled with categories and person."
        ),
    },
    "block": {
        "type": "integer", "minimum": 1, "default": 100,
        "description": "Rows of a run, which the files do not tell: splits take runs for validation.",
    },
    "simulated": {
        "type": "boolean", "default": False,
        "description": (
            "true: the files are made, not measured; every table says so, and the published numbers of vertices and of "
            "shared pictures are not asked for."
        ),
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["folder", "subjects", "stim_info", "regions"],
    "fetch_subject": ["regions"],
    "fetch_stimuli": ["subjects", "stim_info", "coco_categories"],
    "list_trials": ["stim_info", "block", "simulated"],
    "pack_stimuli": ["subjects", "stim_info", "coco_categories"],
    "project_responses": ["regions", "simulated"],
}
# Which files below the folder each fetch looks at when the workflow is parsed.
LOOKS: dict[str, list[str]] = {
    "fetch_dataset": ["{subject}/training_split/training_images/*", "{subject}/roi_masks/*", "{stim_info}"],
    "fetch_subject": ["{subject}/training_split/training_fmri/*", "{subject}/roi_masks/*"],
    "fetch_stimuli": ["{subject}/training_split/training_images/*", "{stim_info}", "{coco_categories}"],
    "list_trials": ["*/training_split/training_images/*"],  # it goes by names, those of other subjects too
}
# Shared pictures of NSD, by stim_info or by the folders: no picture's number is in this repository.
TEST_SETS: dict[str, str] = {"shared-1000": ""}

SESSION = "01"
DURATION_S = 3.0  # of a picture
# Pictures of the training split, and those of them that are shared.
N_IMAGES = {
    "subj01": (9841, 982), "subj02": (9841, 982), "subj03": (9082, 894), "subj04": (8779, 872), "subj05": (9841, 982),
    "subj06": (9082, 894), "subj07": (9841, 982), "subj08": (8779, 872),
}  # fmt: skip
SIDE = 425  # px of a picture


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the user's folder.

    Raises
    ------
    FileNotFoundError
        If the entry names none, or there is no such folder.
    """
    if "folder" not in settings:
        raise FileNotFoundError(
            f"datasets.{settings['name']}.folder is not set: it names your folder of the challenge's data, which its "
            "organisers give to those who asked for it (https://algonautsproject.com/2023)"
        )
    return Source("folder", own_folder.folder_of(settings), None, f"a folder of the user's ({settings['name']})")


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need; the user's tables as the entry has them.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or names of pictures are not those of the layout.
    FileNotFoundError
        If a subject has no pictures; names the folder.
    """
    if what == "stimuli":
        tables = [settings[key] for key in ("stim_info", "coco_categories") if key in settings]
        return [*map(_expanded, tables), *_pictures(Path(root), settings).values()]
    if what == "dataset":
        for subject in _subjects(settings):
            _shown(Path(root), subject)
        tables = [settings["stim_info"]] if "stim_info" in settings else []
        masks = [path for name in _subjects(settings) for path in layout.masks_of(name, settings["regions"])]
        return [*map(_expanded, tables), *masks]
    _check_subject(what)
    recording = recording or next(iter(FACTS["recordings"]))
    if recording not in FACTS["recordings"]:
        raise ValueError(f"algonauts2023 has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    return [*layout.betas_of(what), *layout.masks_of(what, settings["regions"])]


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per picture, in the order of the names of their files, which is that of the rows of betas.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session (01), run (str, blocks of rows), trial (int, from 1 within the run), onset_s (rows since the run's
        first: no time is told), duration_s (s), image_id, usable, test_sets (shared-1000 where all subjects were to see
        the picture).

    Raises
    ------
    ValueError
        If names of pictures are not those of the layout, or shared pictures cannot be told: names the key to set.
    FileNotFoundError
        If there are no pictures.
    """
    image_ids = _shown(Path(root), subject)
    is_shared = _shared(Path(root), subject, image_ids, settings)
    row = np.arange(len(image_ids))
    run, place_in_run = row // settings["block"], row % settings["block"]
    return pd.DataFrame(
        {
            "session": SESSION, "run": [f"{run_number + 1:03d}" for run_number in run], "trial": place_in_run + 1,
            "onset_s": place_in_run.astype(float), "duration_s": DURATION_S, "image_id": image_ids, "usable": True,
            "test_sets": np.where(is_shared, "shared-1000", ""),
        }
    )  # fmt: skip


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture that the subjects saw, once.

    Yields
    ------
    Stimulus
        With ``stim_info`` labelled with its ``coco_id``; with ``coco_categories`` with ``categories`` (names joined by
        +) and ``person`` (person, or none).

    Raises
    ------
    ValueError
        If a table of the user's lacks a picture, or a file is no whole picture.
    """
    root = Path(root)
    paths = _pictures(root, settings)
    labels: dict[str, dict[str, str]] = {image_id: {} for image_id in paths}
    if "stim_info" in settings:
        path = root / _expanded(settings["stim_info"])
        for image_id, coco_id in _looked_up(path, nsd_tables.coco_ids(path), labels).items():
            labels[image_id]["coco_id"] = str(coco_id)
    if "coco_categories" in settings:
        path = root / _expanded(settings["coco_categories"])
        for image_id, categories in _looked_up(path, nsd_tables.categories(path), labels).items():
            person = "person" if "person" in categories else nsd_tables.NONE
            labels[image_id] |= {"categories": "+".join(categories) or nsd_tables.NONE, "person": person}
    for image_id in sorted(paths):
        yield Stimulus(image_id, pictures.read(root / paths[image_id]), labels[image_id])


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """No BOLD was given out, but the betas made from it.

    Raises
    ------
    ValueError
        Always.
    """
    _check_subject(subject)
    raise ValueError(f"recording {recording!r} of algonauts2023 holds betas")


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the betas of all pictures as one record, which stay on disk until they are asked for.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry
    recording : str

    Yields
    ------
    BetaRun
        As published, unit "z"; left hemisphere, then right. Places are ``hemisphere``, ``vertex`` (of the
        challenge's, from 0) and ``fsaverage_vertex`` (of fsaverage's 163,842).

    Raises
    ------
    ValueError
        If a file is not whole, hemispheres, masks and pictures differ in rows or vertices, these are not as many as
        published (unless the entry is ``simulated``), or a table of names holds anything but names.
    FileNotFoundError
        If a file is missing.
    """
    root = Path(root)
    yield reading.betas_of(root, subject, _shown(root, subject), settings["regions"], settings["simulated"])


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """Regions come with the betas."""
    _check_subject(subject)
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What there is, from the published counts: nothing is fetched, since the folder is read in place."""
    subjects = {
        name: SubjectSizes(0, n_images, -(-n_images // settings.get("block", 100)), 1, sum(reading.N_VERTICES[name]))
        for name, (n_images, _) in N_IMAGES.items()
    }
    image_counts = [N_IMAGES[name] for name in _subjects(settings)]
    n_images = sum(n - n_shared for n, n_shared in image_counts) + max(n_shared for _, n_shared in image_counts)
    return Sizes(0, 0, n_images, SIDE * SIDE * 3, subjects, False)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"algonauts2023 has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _subjects(settings: Entry) -> list[str]:
    return list(settings.get("subjects") or FACTS["subjects"])


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _shown(root: Path, subject: str) -> list[str]:
    """Name the pictures of a subject in the order of the rows of betas."""
    _check_subject(subject)
    return list(layout.pictures_of(root, subject))


def _pictures(root: Path, settings: Entry) -> dict[str, str]:
    """Map the pictures of all subjects to their paths, each to that of the first subject who saw it."""
    paths: dict[str, str] = {}
    for subject in _subjects(settings):
        _check_subject(subject)
        paths = layout.pictures_of(root, subject) | paths
    return paths


def _shared(root: Path, subject: str, image_ids: list[str], settings: Entry) -> list[bool]:
    """Tell which pictures all subjects were to see: by the user's table, or by the folders of the others.

    In NSD a picture is either shared or shown to one subject alone, so what two subjects saw is shared.
    """
    if "stim_info" in settings:
        path = root / _expanded(settings["stim_info"])
        shared_in_table = _looked_up(path, nsd_tables.shared_pictures(path), image_ids)
        return [bool(shared_in_table[name]) for name in image_ids]
    subjects = [name for name in FACTS["subjects"] if (root / layout.SPLIT.format(subject=name)).is_dir()]
    n_subjects_of = Counter(picture for name in subjects for picture in _shown(root, name))
    is_shared = [n_subjects_of[name] > 1 for name in image_ids]
    n_published = N_IMAGES[subject][1]
    if sum(is_shared) != n_published and not settings["simulated"]:
        raise ValueError(
            f"{subject} shares {sum(is_shared)} of {len(image_ids)} pictures with other subjects in {root} "
            f"({', '.join(subjects)}), published are {n_published}: set datasets.{settings['name']}.stim_info to your "
            "copy of nsd_stim_info_merged.csv, or bring another subject's folder beside it"
        )
    return is_shared


def _looked_up(path: Path, table: pd.Series, names: Collection[str]) -> dict[str, Any]:
    """Take the rows of pictures from a table by row of the brick."""
    numbers = {name: int(name.removeprefix("nsd-")) for name in names}
    rows = table.to_dict()
    lost = [name for name, number in numbers.items() if number not in rows]
    if lost:
        raise ValueError(f"{path} lacks {len(lost)} of {len(numbers)} pictures, the first is {lost[0]}")
    return {name: rows[number] for name, number in numbers.items()}
