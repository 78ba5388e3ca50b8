"""Reading of the simulated study as it arrived: the same files that any BIDS data set has."""

import logging
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids, bids_times, events
from boldflow.core.records.runs import BoldRun, SliceTiming
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
    event_table = bids.read_runs(root, paths, [], ["trial_type", "stim_file"])
    pictures_path = Path(root) / LISTED
    pictures = events.read(pictures_path, [], ["file", "category"])
    unshown_ids = events.check_pictures(
        event_table, dict(zip(pictures["file"], pictures["category"], strict=True)), pictures_path
    )
    if unshown_ids:
        message = f"{len(unshown_ids)} of {len(pictures)} pictures are shown in no event of {subject}"
        logging.getLogger(__name__).warning("%s, the first are %s", message, unshown_ids[:5])
    return bids.as_trials(event_table.assign(image_id=event_table["stim_file"], usable=True))


def pictures_of(root: str | Path) -> Iterator[Stimulus]:
    """Yield each picture; see ``stimuli`` of the plug-in."""
    folder = Path(root) / "stimuli"
    table = events.read(Path(root) / LISTED, [], ["file", "category"])
    missing_names = [name for name in table["file"] if not (folder / name).is_file()]
    if missing_names:
        n_files = len(list(folder.glob("*.png")))
        raise FileNotFoundError(
            f"{len(missing_names)} of the {len(table)} pictures of {Path(root) / LISTED} are not among the {n_files} "
            f"files there, the first are {missing_names[:5]}"
        )
    labelled_paths = [
        (name, name, {"category": label}) for name, label in zip(table["file"], table["category"], strict=True)
    ]
    return (Stimulus(*picture) for picture in bids.read_pictures(folder, labelled_paths))


def bold_runs(root: str | Path, subject: str) -> Iterator[BoldRun]:
    """Yield the BOLD of each run; see ``runs`` of the plug-in."""
    folder = BOLD_FOLDER.format(subject=subject)
    mask_path = Path(root) / bids.found(root, f"{folder}/*_mask.nii.gz")[0]
    mask_image, mask = bids.mask(mask_path)
    for name in bids.found(root, f"{folder}/*_bold.nii.gz"):
        path = Path(root) / name
        image, bold = bids.bold(path)  # (x, y, z, n_volumes)
        bids.check_grid(path, image, mask_path, mask_image)
        sidecar_path = path.with_name(path.name.replace(".nii.gz", ".json"))
        sidecar = bids_times.sidecar([sidecar_path])
        tr_s = bids_times.header_tr(image) | bids_times.sidecar_tr(sidecar, sidecar_path)
        slice_timing = SliceTiming(*bids_times.slice_timing(sidecar, sidecar_path))
        labels, affine = (SESSION, bids.entity(path, "run")), np.asarray(image.affine)
        yield BoldRun(*labels, bold, affine, mask, tr_s, "MNI", None, slice_timing, bids.unplaced(path, image))


def regions_of(root: str | Path, subject: str) -> dict[str, np.ndarray]:
    """Regions of fsaverage5; see ``rois`` of the plug-in."""
    side_masks: list[dict[str, np.ndarray]] = []
    for side in ("L", "R"):
        path = Path(root) / bids.found(root, f"{ROIS}/{subject}/*_hemi-{side}_*.label.gii")[0]
        image = nib.gifti.GiftiImage.from_filename(path)
        vertex_keys = image.darrays[0].data  # (n_vertices of a hemisphere,)
        side_masks.append({label.label: vertex_keys == label.key for label in image.labeltable.labels if label.key})
    regions = {name: np.concatenate([masks[name] for masks in side_masks]) for name in side_masks[0]}
    return regions | {"early": regions["V1"] | regions["V2"] | regions["V3"]}
