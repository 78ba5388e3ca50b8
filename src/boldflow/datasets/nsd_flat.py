"""NSD-Flat: single-trial responses of the Natural Scenes Dataset as flat maps of visual cortex, in Parquet files.

A map is a picture of 215 x 200 px of 1 mm: betas on fsaverage, z-scored per vertex within each session, laid out flat,
cut at +-2.5 and stored in 255 steps. Pictures come with them, 256 px wide. The files are read in place, from a folder
of the user's own. Pictures have the names that they have in ``nsd``: ``nsd-00013``.

The files do not tell where the cortex lies in the map: a subject's mask is rebuilt from the maps of the first session
there is (outside, all are 0), or read from ``nsd_flat_mask.npy`` beside them (``mask: file``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.releases import flat_maps, nsd_tables, nsd_tree
from boldflow.core.records.runs import BetaRun, BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["subj01", "subj02", "subj03", "subj04", "subj05", "subj06", "subj07", "subj08"],
    "tr_s": 1.6,
    "spaces": ["native"],
    "images": True,
    "split_unit": "image",
    "simulated": None,  # the entry's: made files in this layout are no data
    "version": "NSD-Flat (betas_fithrf_GLMdenoise_RR)",
    "source": {"accession": "huggingface.co/datasets/clane9/NSD-Flat", "commit": None},
    "licence": "NSD Terms and Conditions: research and education, no redistribution of the data or parts of them",
    "citation": "Allen et al. 2022, Nat. Neurosci. 25, 116-126; Lane 2023, NSD-Flat",
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
    "recordings": {"flat-maps": "single-trial z-scores of visual cortex on the flat fsaverage, pixels of 1 mm"},
    "recording_spaces": {"flat-maps": ["native"]},
    "beta_recordings": ["flat-maps"],
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
    "rois": [],
    "ceilings": None,
}
REQUIRED = ["folder"]
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {
        "type": "string", "minLength": 1,
        "description": "Your download of NSD-Flat: its *.parquet files lie in or below it. It is read in place.",
    },
    "sessions": {
        "type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 40}, "minItems": 1, "uniqueItems": True,
        "description": "Only these sessions (from 1) of those in the files; all if left out.",
    },
    "mask": {
        "enum": ["data", "file"], "default": "data",
        "description": (
            "Which pixels are cortex. data: those that are not 0 in all maps of the subject's first session; "
            "file: those of nsd_flat_mask.npy in the folder (bool, height x width, row 0 on top), the same for "
            "all subjects."
        ),
    },
    "map_size": {
        "type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2,
        "default": [215, 200],
        "description": "Height and width of the maps, px.",
    },
    "simulated": {
        "type": "boolean", "default": False,
        "description": "true: the files are made, not measured; every table says so.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["folder"],
    "fetch_subject": ["mask"],
    "fetch_stimuli": [],
    "list_trials": ["sessions"],
    "pack_stimuli": ["subjects", "sessions"],
    "project_responses": ["map_size", "mask", "sessions"],
}
# Which files below the folder each fetch looks at when the workflow is parsed.
LOOKS: dict[str, list[str]] = {
    "fetch_dataset": ["**/*.parquet"],
    "fetch_subject": ["**/*.parquet", "**/nsd_flat_mask.npy"],
    "fetch_stimuli": ["**/*.parquet"],
}
# Shared pictures, as the files mark them: no picture's number is in this repository.
TEST_SETS: dict[str, str] = {"shared-1000": ""}

FILES, MASK = "*.parquet", "nsd_flat_mask.npy"
RUN = "01"  # runs are not told: a session is one
SLOT_S, DURATION_S = 4.0, 3.0  # of a trial, and of its picture
LEAST = 4  # maps from which a mask is rebuilt: that a pixel of cortex is 0 in all is less likely than 1e-8
N_HELD_BACK = 3  # sessions of each subject that are not in the files for training
IMAGE_BYTES = 256 * 256 * 3  # of one picture, decoded
N_BRICK = 73000


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the user's folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    accession = FACTS["source"]["accession"]
    folder = own_folder.folder_of(settings, f"download https://{accession} there")
    return Source("folder", folder, None, accession)


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root``: all Parquet files, since each may hold any subject; a subject's mask where it is a file.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or two files have one name.
    FileNotFoundError
        If there are no such files; names the folder.
    """
    paths = own_folder.every(root, FILES, "folder")
    if what in ("dataset", "stimuli"):
        return paths
    _check_subject(what)
    if recording not in (None, *FACTS["recordings"]):
        raise ValueError(f"nsd_flat has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    return [*paths, own_folder.every(root, MASK, "folder")[0]] if settings["mask"] == "file" else paths


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per map of a subject, in the order of acquisition.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session (from 01), run (always 01: the files do not tell runs), trial (int, from 1 within the session), onset_s
        (s; 4 s a trial, since breaks and blank trials are not told either), duration_s (s), image_id (``nsd-`` and
        nsd_id), usable (all), test_sets (shared-1000 or nothing).

    Raises
    ------
    ValueError
        If the subject is unknown or not in the files, the files lack columns, or their numbers cannot be; says which.
    """
    _, rows = _rows(root, subject, settings)
    place_in_session = rows["trial_id"] % nsd_tables.SESSION_TRIALS
    return pd.DataFrame(
        {
            "session": rows["session_id"].map(_session),
            "run": RUN,
            "trial": place_in_session + 1,
            "onset_s": place_in_session * SLOT_S,
            "duration_s": DURATION_S,
            "image_id": rows["nsd_id"].map(nsd_tables.picture_name),
            "usable": True,
            "test_sets": np.where(rows[flat_maps.SHARED], "shared-1000", ""),
        }
    )


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture that the subjects see in the chosen sessions, from its first row in the files.

    Yields
    ------
    Stimulus
        Labelled with its ``coco_id``; with ``category`` (which covers most of what was shown), ``categories`` and
        ``person`` where the files hold COCO's objects.

    Raises
    ------
    ValueError
        If a picture is not inside or not whole; names file and row.
    """
    paths, rows = _index(root)
    subjects = settings.get("subjects") or FACTS["subjects"]
    shown_rows = pd.concat([_of_subject(rows, subject, settings) for subject in subjects])
    first_rows = shown_rows.drop_duplicates("nsd_id").sort_values(["file", "group", "row"])
    for row_index, pixels, category_areas in flat_maps.pictures(paths, first_rows):
        row = first_rows.iloc[row_index]
        labels = {} if category_areas is None else nsd_tables.coco_labels(category_areas)
        image_id = nsd_tables.picture_name(int(row["nsd_id"]))
        yield Stimulus(image_id, pixels, {"coco_id": str(row["coco_id"]), **labels})


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """There is no BOLD, but the betas made from it.

    Raises
    ------
    ValueError
        Always.
    """
    _check_subject(subject)
    raise ValueError(f"recording {recording!r} of nsd_flat holds betas")


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the flat maps of each session, which stay on disk until they are asked for.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry
    recording : str

    Yields
    ------
    BetaRun
        z-scores, -2.5 to 2.5, of the pixels of the mask; ``places`` are their row (from the top) and column.

    Raises
    ------
    ValueError
        If a map has another size, there are too few maps to rebuild the mask from, or the mask fits no map.

    Notes
    -----
    Layout: generate_dataset.py of NSD-Flat (Lane 2023); values as its users read them (``flat_maps.z_scores``).
    """
    _check_subject(subject)
    if recording not in FACTS["beta_recordings"]:
        raise ValueError(f"recording {recording!r} of nsd_flat holds no betas")
    paths, rows = _rows(root, subject, settings)
    mask = _mask(Path(root), subject, settings, paths, rows)
    row, column = np.nonzero(mask)
    for session, session_rows in rows.groupby("session_id"):
        image_ids = session_rows["nsd_id"].map(nsd_tables.picture_name).to_numpy(dtype=object)
        flat_betas = flat_maps.FlatBetas(paths, session_rows.reset_index(drop=True), mask, settings["mask"] == "data")
        yield BetaRun(_session(int(str(session))), None, image_ids, flat_betas, "z", {"row": row, "column": column})


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No named regions come with the data."""
    _check_subject(subject)
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What the data cost: nothing is fetched; counted as if all files for training were there."""
    subjects, n_images = {}, 0
    height, width = settings.get("map_size", SETTINGS["map_size"]["default"])
    for subject in FACTS["subjects"]:
        n_released = nsd_tree.N_SESSIONS[subject] - N_HELD_BACK
        n_sessions = len(settings.get("sessions", range(n_released)))
        n_trials = n_sessions * nsd_tables.SESSION_TRIALS
        subjects[subject] = SubjectSizes(0, n_trials, n_sessions, 1, height * width)
        if subject in (settings.get("subjects") or FACTS["subjects"]):
            n_images += min(n_trials, nsd_tables.ALL_TRIALS // nsd_tables.REPEATS)
    return Sizes(0, 0, min(n_images, N_BRICK), IMAGE_BYTES, subjects, False)


def _index(root: str | Path) -> tuple[list[Path], pd.DataFrame]:
    paths = [Path(root) / path for path in own_folder.every(root, FILES, "folder")]
    return paths, flat_maps.index(paths)


def _rows(root: str | Path, subject: str, settings: Entry) -> tuple[list[Path], pd.DataFrame]:
    _check_subject(subject)
    paths, rows = _index(root)
    return paths, _of_subject(rows, subject, settings).reset_index(drop=True)


def _of_subject(rows: pd.DataFrame, subject: str, settings: Entry) -> pd.DataFrame:
    subjects = rows["subject_id"].map(flat_maps.subject_name)
    subject_rows = rows[subjects == subject]
    if subject_rows.empty:
        raise ValueError(f"{subject} has no rows in the files; there are: {', '.join(sorted(set(subjects))) or 'none'}")
    chosen_rows = subject_rows[(subject_rows["session_id"] + 1).isin(settings.get("sessions") or range(1, 41))]
    if chosen_rows.empty:
        sessions_text = ", ".join(str(session + 1) for session in sorted(set(subject_rows["session_id"])))
        raise ValueError(f"{subject} has sessions {sessions_text} in the files, none of {sorted(settings['sessions'])}")
    return chosen_rows


def _mask(root: Path, subject: str, settings: Entry, paths: list[Path], rows: pd.DataFrame) -> np.ndarray:
    shape = (int(settings["map_size"][0]), int(settings["map_size"][1]))
    if settings["mask"] == "data":
        session_rows = rows[rows["session_id"] == rows["session_id"].iloc[0]]
        if len(session_rows) < LEAST:
            raise ValueError(
                f"the first session of {subject} has {len(session_rows)} maps in the files, and a mask is rebuilt from "
                f"{LEAST} at least; get more of them, or set mask: file and put {MASK} into the folder"
            )
        mask = flat_maps.inside(paths, session_rows, shape)
        mask_text = f"maps of the first session of {subject} are"
    else:
        path = root / own_folder.every(root, MASK, "folder")[0]
        try:
            mask = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} ({path.stat().st_size} bytes) is no whole .npy: {error}") from None
        if mask.dtype != bool or mask.shape != shape:
            raise ValueError(f"{path} holds {mask.dtype} {mask.shape}, expected bool {shape}, as the maps")
        mask_text = f"{path} is"
    if not mask.any():
        raise ValueError(f"{mask_text} 0 everywhere, and no pixel is left")
    return mask


def _session(number: int) -> str:
    """Name a session by its number in the files, from 0, as ``nsd`` does."""
    return f"{number + 1:02d}"


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"nsd_flat has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")
