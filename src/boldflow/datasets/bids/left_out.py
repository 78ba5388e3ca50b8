"""Trials that an entry leaves out by what there is of the BOLD (``leave_out``), and the sidecars of a run."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids_times
from boldflow.datasets.bids.files import RunFiles, files_of_runs
from boldflow.settings import Entry


def without_left_out(root: str | Path, subject: str, settings: Entry, trial_rows: pd.DataFrame) -> pd.DataFrame:
    """Mark the trials that the entry leaves out as not usable, and say why.

    Raises
    ------
    ValueError
        If the length of a scan is needed and neither header nor sidecar states a repetition time.
    """
    root = Path(root)
    files_of_run = {(files.events.session, files.events.run): files for files in files_of_runs(root, subject, settings)}
    keys = list(zip(trial_rows["session"], trial_rows["run"], strict=True))
    onsets_s = trial_rows["onset_s"].to_numpy()
    reasons = np.full(len(trial_rows), "", dtype=object)
    if "trials_beyond_end" in settings["leave_out"]:
        length_of_run = {key: _length(root, files) for key, files in files_of_run.items()}
        lengths_s = np.array([length_of_run.get(key, np.inf) for key in keys])
        reasons[onsets_s + settings["scanned_after_onset_s"] > lengths_s] = "trials_beyond_end"
    if "trials_before_start" in settings["leave_out"]:
        reasons[onsets_s < 0] = "trials_before_start"
    if "runs_without_bold" in settings["leave_out"]:
        reasons[[key not in files_of_run for key in keys]] = "runs_without_bold"
    return trial_rows.assign(usable=reasons == "", left_out=reasons)


def _length(root: Path, files: RunFiles) -> float:
    """Duration of a scan, seconds, from header and sidecar."""
    path = root / files.bold
    image = nib.Nifti1Image.from_filename(path)
    sidecar, sidecar_path = sidecar_of(root, files)
    tr_s = bids_times.header_tr(image) | bids_times.sidecar_tr(sidecar, sidecar_path)
    if not tr_s:
        raise ValueError(
            f"{path}: neither header nor sidecar states a repetition time, and leave_out: [trials_beyond_end] needs "
            "the duration of the scan: write RepetitionTime into its sidecar"
        )
    return next(reversed(tr_s.values())) * (*image.shape, 1)[3]


def sidecar_of(root: Path, files: RunFiles) -> tuple[dict[str, Any], str]:
    """What the sidecars of a run's BOLD state together, and the file that messages name."""
    paths = [root / path for path in files.sidecars if (root / path).is_file()]
    return bids_times.sidecar(paths), str(paths[-1]) if paths else files.bold
