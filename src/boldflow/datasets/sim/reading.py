"""Reading of the simulated study as it arrived: the same files that any BIDS data set has."""

import logging
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids, events
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.sim.layout import BOLD_FOLDER, EVENTS, LISTED, PREPROC, ROIS, SESSION

NEEDED = {
    "dataset": ("participants.tsv", LISTED, "sub-*/ses-*/func/*_events.tsv", f"{ROIS}/sub-*/*.label.gii"),
    "stimuli": (LISTED, "stimuli/*.png"),
}
OF_SUBJECT = ("_bold.nii.gz", "_bold.json", "_mask.nii.gz")


def paths_needed(root: str | Path, what: str) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need."""
    of_subject = [f"{PREPROC}/{what}/ses-*/func/*{ending}" for ending in OF_SUBJECT]
    return bids.found(root, *NEEDED.get(what, of_subject))


def trial_table(root: str | Path, subject: str) -> pd.DataFrame:
    """One row per trial; see ``trials`` of the plug-in."""
    paths = bids.found(root, EVENTS.format(subject=subject))
    shown = bids.read_runs(root, paths, [], ["trial_type", "stim_file"])
    listed = Path(root) / LISTED
    pictures = events.read(listed, [], ["file", "category"])
    never = events.check_pictures(shown, dict(zip(pictures["file"], pictures["category"], strict=True)), listed)
    if never:
        message = f"{len(never)} of {len(pictures)} pictures are shown in no event of {subject}"
        logging.getLogger(__name__).warning("%s, the first are %s", message, never[:5])
    return bids.as_trials(shown.assign(image_id=shown["stim_file"], usable=True))


def pictures_of(root: str | Path) -> Iterator[Stimulus]:
    """Yield each picture; see ``stimuli`` of the plug-in."""
    folder = Path(root) / "stimuli"
    table = events.read(Path(root) / LISTED, [], ["file", "category"])
    missing = [name for name in table["file"] if not (folder / name).is_file()]
    if missing:
        n_there = len(list(folder.glob("*.png")))
        raise FileNotFoundError(
            f"{len(missing)} of the {len(table)} pictures of {Path(root) / LISTED} are not among the {n_there} files "
            f"there, the first are {missing[:5]}"
        )
    named = [(name, name, {"category": label}) for name, label in zip(table["file"], table["category"], strict=True)]
    return (Stimulus(*picture) for picture in bids.read_pictures(folder, named))


def bold_runs(root: str | Path, subject: str) -> Iterator[BoldRun]:
    """Yield the BOLD of each run; see ``runs`` of the plug-in."""
    folder = BOLD_FOLDER.format(subject=subject)
    mask_path = Path(root) / bids.found(root, f"{folder}/*_mask.nii.gz")[0]
    mask_image, mask_values = bids.volume(mask_path)
    mask = mask_values > 0  # (x, y, z)
    for name in bids.found(root, f"{folder}/*_bold.nii.gz"):
        path = Path(root) / name
        image, bold = bids.volume(path)  # (x, y, z, n_volumes)
        bids.check_grid(path, image, mask_path, mask_image)
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        tr_s = {"header": bids.header_tr(image), "sidecar": bids.sidecar_tr(sidecar)}
        yield BoldRun(SESSION, bids.entity(path, "run"), bold, np.asarray(image.affine), mask, tr_s, "MNI")


def regions_of(root: str | Path, subject: str) -> dict[str, np.ndarray]:
    """Regions of fsaverage5; see ``rois`` of the plug-in."""
    halves: list[dict[str, np.ndarray]] = []
    for side in ("L", "R"):
        path = Path(root) / bids.found(root, f"{ROIS}/{subject}/*_hemi-{side}_*.label.gii")[0]
        image = nib.gifti.GiftiImage.from_filename(path)
        keys = image.darrays[0].data  # (n_vertices of a hemisphere,)
        halves.append({label.label: keys == label.key for label in image.labeltable.labels if label.key})
    regions = {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}
    return regions | {"early": regions["V1"] | regions["V2"] | regions["V3"]}
