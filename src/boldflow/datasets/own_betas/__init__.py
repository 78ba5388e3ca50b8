"""Single-trial betas of your own, such as GLMsingle's, in a folder: described by the catalogue entry alone.

    mine: {plugin: own_betas, folder: /data/mine, subjects: [sub-01, sub-02], trials: "{subject}/trials.tsv",
           betas: "{subject}/TYPED_FITHRF_GLMDENOISE_RR.hdf5", image_column: picture, stimuli_root: /data/pictures}

``trials`` names a table per subject with a row per beta, ``betas`` the files: one for all of a subject, or one per
session or run. The module ``rows`` reads the tables, ``stored`` the files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import own_folder
from boldflow.artifacts.formats import bids, volumes
from boldflow.core.records.runs import BetaRun, BoldRun, Grid
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.own_betas import rows, stored
from boldflow.provenance import is_reached
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": [],
    "tr_s": None,
    "spaces": ["native"],
    "images": True,
    "split_unit": "image",
    "simulated": None,  # the entry's: made files are no data
    "version": "your own",
    "source": {"accession": "own_betas", "commit": None},
    "licence": "your own",
    "citation": "your own data",
    "agreement": None,
    "recordings": {"betas": "single-trial betas of your own, in voxels"},
    "recording_spaces": {"betas": ["native"]},
    "beta_recordings": ["betas"],
    "stimuli_inside": False,
    "stimuli_from": "Your own folder or archive of pictures.",
    "stimuli_password": None,
    "rois": [],
    "ceilings": None,
}
REQUIRED = ["folder", "subjects", "trials", "betas", "image_column"]
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {
        "type": "string", "minLength": 1,
        "description": "The folder in which betas and tables of trials lie. It is read in place.",
    },
    "trials": {
        "type": "string", "pattern": "^(?![/~])(?!.*\\.\\.)[^*?\\[\\]]+$",
        "description": "Path below the folder of a subject's table of trials (tab-separated, a row per beta in their "
        "order), with {subject}. Columns: the picture (image_column) and, where there are several, session and run; "
        "onset and duration (seconds), if you have them; beta (from 0), where rows are not in the order of betas.",
    },
    "betas": {
        "type": "string", "pattern": "^(?![/~])(?!.*\\.\\.)[^*?\\[\\]]+$",
        "description": "Path below the folder of a subject's betas, with {subject}, and {session} and {run} where each "
        "has a file of its own: .hdf5 or .h5, .npy, .nii or .nii.gz.",
    },
    "dataset": {
        "type": "string", "minLength": 1, "default": "betasmd",
        "description": "Name of the array in HDF5 files; GLMsingle's is betasmd.",
    },
    "trial_axis": {
        "enum": ["last", "first", "reversed"], "default": "last",
        "description": "Where trials are in HDF5 and .npy. last: (x, y, z, trials) or (units, trials); first: (trials, "
        "x, y, z) or (trials, units); reversed: (trials, z, y, x), as MATLAB's HDF5 files are.",
    },
    "mask": {
        "type": "string", "pattern": "^(?![/~])(?!.*\\.\\.)[^*?\\[\\]]+$",
        "description": "Path below the folder of a NIfTI, with {subject} where each has one: voxels above 0 are read. "
        "Of arrays (units, trials) it says which voxel each unit is. If left out, all are read.",
    },
    "mask_order": {
        "enum": ["C", "F"], "default": "C",
        "description": "In which order units are voxels of the mask: as NumPy counts (C, z fastest), or MATLAB (F).",
    },
    "unit": {
        "enum": ["percent", "z", "arbitrary"], "default": "percent",
        "description": "Unit of the betas: percent signal change (GLMsingle's), z-scores, or neither.",
    },
    "tr_s": {
        "type": "number", "exclusiveMinimum": 0, "default": 1.0,
        "description": "Repetition time, seconds, for the record: nothing is computed from it.",
    },
    "image_column": {
        "type": "string", "minLength": 1,
        "description": "The column of the tables that names the picture; rows without one are no trials.",
    },
    "image_name": {
        "enum": ["path", "name", "stem"], "default": "path",
        "description": "How that column names a file below stimuli_root: by path, by name, or by name without suffix.",
    },
    "simulated": {
        "type": "boolean", "default": False,
        "description": "true: the files are made, not measured; every table says so.",
    },
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder or archive of the pictures.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": ["folder", "subjects", "trials", "betas"],
    "fetch_subject": ["trials", "betas", "image_column", "mask"],
    "fetch_stimuli": ["subjects", "trials", "betas", "image_column", "image_name"],
    "list_trials": ["trials", "betas", "image_column"],
    "pack_stimuli": ["image_name"],
    "project_responses": [
        "trials", "betas", "image_column", "dataset", "trial_axis", "mask", "mask_order", "unit",
    ],
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
    """Paths below ``root``: tables of all subjects, a subject's betas and mask, or pictures.

    Raises
    ------
    FileNotFoundError
        If a file is not there; names it and the key.
    ValueError
        If several subjects would have one file, or there is no such recording.
    """
    if what == "stimuli":
        return bids.pictures(root)
    if what == "dataset":
        subjects = settings["subjects"]
        _of_subjects(settings["betas"], subjects, "betas")
        return [_there(root, settings, "trials", path) for path in _of_subjects(settings["trials"], subjects, "trials")]
    if recording not in (None, *FACTS["recordings"]):
        raise ValueError(f"own_betas has no recording {recording!r}; there is: {', '.join(FACTS['recordings'])}")
    paths = list(dict.fromkeys(rows.read(root, what, settings)["file"]))
    needed = [_there(root, settings, "betas", path) for path in paths]
    if settings.get("mask"):
        needed.append(_there(root, settings, "mask", rows.filled(settings["mask"], {"subject": what})))
    return needed


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per beta whose row names a picture, in the order of the table.

    Returns
    -------
    DataFrame
        session, run (str; "01" where the table has none), trial (int, from 1 within the run), onset_s, duration_s (s;
        slots of 1 s where the table has no onsets), image_id (what the image column says), usable (all).

    Raises
    ------
    ValueError
        If the table is not as it should be (``rows.read``), or no row names a picture.
    """
    shown = _shown(rows.read(root, subject, settings))
    if shown.empty:
        raise ValueError(f"{subject}: no row of its table of trials names a picture in {settings['image_column']!r}")
    return bids.as_trials(shown.rename(columns={"onset_s": "onset", "duration_s": "duration"}).assign(usable=True))


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each picture, by ``image_name``."""
    return bids.named_pictures(root, settings["image_name"])


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture below ``root`` under the name that tables use, labelled with the name of its ``folder``.

    Raises
    ------
    ValueError
        If two files have one name, or one is no whole picture.
    """
    yield from (Stimulus(*picture) for picture in bids.read_pictures(root, named_pictures(root, settings)))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """There is no BOLD, but the betas made from it.

    Raises
    ------
    ValueError
        Always.
    """
    raise ValueError(f"recording {recording!r} of own_betas holds betas")


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the betas of each file, which stay on disk until they are asked for.

    Yields
    ------
    BetaRun
        ``places`` are i, j, k of voxels, with their grid where a NIfTI tells it, or the unit's number.

    Raises
    ------
    ValueError
        If a file has another number of betas than the table has rows of it, lies on another grid than the mask or the
        first file, or holds no real numbers; names both sides.
    """
    if recording not in FACTS["beta_recordings"]:
        raise ValueError(f"recording {recording!r} of own_betas holds no betas")
    root, table = Path(root), rows.read(root, subject, settings)
    mask_path = root / rows.filled(settings["mask"], {"subject": subject}) if settings.get("mask") else None
    first: stored.Stored | None = None
    for file, of_file in table.groupby("file", sort=False):
        held = stored.look(root / str(file), settings["dataset"], settings["trial_axis"])
        first = first or held
        if held.n_trials != len(of_file):
            raise ValueError(
                f"{held.path} has {held.n_trials} betas (key trial_axis: {held.axis}), and the table of {subject} "
                f"{len(of_file)} rows of them; expected as many"
            )
        if held.grid != first.grid:
            raise ValueError(f"{held.path} lies on a grid of {held.grid}, {first.path} on {first.grid}")
        places, columns, grid = _places(held, mask_path, settings["mask_order"])
        shown = _shown(of_file)
        record = stored.Betas(held, shown["beta"].to_numpy(), places)
        image_ids = shown["image_id"].to_numpy(dtype=object)
        yield BetaRun(*_whose(settings["betas"], of_file), image_ids, record, settings["unit"], columns, grid=grid)


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No named regions are read: name files of yours with the response's key ``region_files``."""
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What there is: nothing is fetched, since the folder is read in place."""
    root = Path(settings["folder"]).expanduser()
    subjects, image_ids = {}, set()
    for subject in settings["subjects"]:
        table = rows.read(root, subject, settings)
        image_ids |= set(table["image_id"])
        held = stored.look(root / table["file"].iloc[0], settings["dataset"], settings["trial_axis"])
        subjects[subject] = SubjectSizes(0, len(table), table["file"].nunique(), 1, int(np.prod(held.grid)))
    return Sizes(0, 0, len(image_ids), IMAGE_BYTES, subjects, True)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["image_id"] != ""]


def _of_subjects(pattern: str, subjects: list[str], key: str) -> list[str]:
    """Path of each subject's file."""
    if "{subject}" not in pattern and len(subjects) > 1:
        raise ValueError(f"{key}: {pattern!r} is one file for {len(subjects)} subjects; put {{subject}} into it")
    return [rows.filled(pattern, {"subject": subject}) for subject in subjects]


def _there(root: str | Path, settings: Entry, key: str, path: str) -> str:
    if not is_reached(root, path):
        raise FileNotFoundError(f"{root} has no {path}; expected it there by {key}: {settings[key]!r}")
    return path


def _whose(pattern: str, of_file: pd.DataFrame) -> tuple[str | None, str | None]:
    """Session and run of a file, None where it holds all."""
    first = of_file.iloc[0]
    session, run = (first[name] if f"{{{name}}}" in pattern else None for name in rows.KEYS)
    return session, run


def _places(
    held: stored.Stored, mask_path: Path | None, order: str
) -> tuple[np.ndarray, dict[str, np.ndarray], Grid | None]:
    """Places on the file's grid that are read, (n_columns,), their coordinates, and where the grid lies."""
    is_volume, n_places = len(held.grid) == 3, int(np.prod(held.grid))
    if mask_path is None:
        if not is_volume:
            return np.arange(n_places), {"unit": np.arange(n_places)}, None
        n_i, n_j, n_k = held.grid
        grid = Grid((n_i, n_j, n_k), volumes.affine(held.path)) if held.path.name.endswith(stored.NIFTI) else None
        return np.arange(n_places), dict(zip("ijk", np.indices(held.grid).reshape(3, -1), strict=True)), grid
    image, inside = bids.mask(mask_path)
    grid = Grid(inside.shape, np.asarray(image.affine, dtype=np.float64))
    if is_volume:
        if inside.shape != held.grid:
            raise ValueError(f"{held.path} lies on a grid of {held.grid}, the mask {mask_path} on {inside.shape}")
        return np.flatnonzero(inside), dict(zip("ijk", np.argwhere(inside).T, strict=True)), grid
    voxels = np.argwhere(inside) if order == "C" else np.argwhere(inside.T)[:, ::-1]  # (n_units, 3)
    if len(voxels) != n_places:
        raise ValueError(
            f"{held.path} has {n_places} units, the mask {mask_path} {len(voxels)} voxels; expected as many"
        )
    return np.arange(n_places), dict(zip("ijk", voxels.T, strict=True)), grid
