"""A simulated study whose truth is known: three brains look at pictures, and everything is written on this machine.

``source`` writes a BIDS data set as a DataLad data set (BOLD and pictures annexed), from which the workflow clones
and gets as from anywhere else. The truth lies apart from it; ``oracle`` reads it. What is simulated is told in
``boldflow.core.simulation``: Gabor-energy receptive fields in V1 to V3 of fsaverage5, category-selective patches,
SPM's haemodynamic response, autocorrelated noise, drift.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.core.records.runs import BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.core.simulation import bold
from boldflow.datasets.sim import building, reading, truth
from boldflow.datasets.sim.layout import Plan
from boldflow.settings import Entry
from boldflow.symbols import code_digest

FACTS: dict[str, Any] = {
    "subjects": ["sub-01", "sub-02", "sub-03"],
    "tr_s": 2.0,
    "spaces": ["MNI"],
    "images": True,
    "split_unit": "image",
    "simulated": True,
    "version": "1",
    "source": {"accession": "sim", "commit": None},
    "licence": "BSD-3-Clause; photographs: scikit-image's and scikit-learn's sample images",
    "citation": "boldflow, simulated data",
    "agreement": None,
    "recordings": {"bold": "BOLD of each run in MNI space, as simulated"},
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "seed": {
        "type": "integer", "minimum": 0, "default": 0,
        "description": "Seed of everything random: pictures, brains, order of trials, noise.",
    },
    "n_runs": {
        "type": "integer", "minimum": 1, "default": 8,
        "description": "Runs per subject; all trials are dealt to them evenly.",
    },
    "n_train_images": {
        "type": "integer", "minimum": 12, "default": 144,
        "description": "Pictures shown once to each subject, spread over the categories.",
    },
    "n_test_images": {
        "type": "integer", "minimum": 6, "default": 24,
        "description": "Pictures shown repeatedly, spread over the categories, of other photographs.",
    },
    "n_test_repeats": {
        "type": "integer", "minimum": 1, "default": 4,
        "description": "How often each of them is shown.",
    },
    "slot_s": {
        "type": "number", "minimum": 4, "default": 10.0,
        "description": "Seconds from one picture to the next, an even number.",
    },
    "duration_s": {
        "type": "number", "exclusiveMinimum": 0, "default": 2.5,
        "description": "Seconds for which a picture is shown.",
    },
    "voxel_mm": {
        "type": "number", "minimum": 2, "maximum": 8, "default": 4.0,
        "description": "Side of a voxel, mm.",
    },
    "image_size": {
        "type": "integer", "minimum": 32, "maximum": 256, "default": 96,
        "description": "Side of a picture, pixels.",
    },
    "noise_sd": {
        "type": "number", "minimum": 0, "default": 1.5,
        "description": "S.d. of a voxel's noise, in units of how much a picture of one s.d. raises a vertex.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads: whoever fetches may have to make the data set.
READS: dict[str, list[str]] = {
    "fetch_dataset": [
        "seed",
        "n_runs",
        "n_train_images",
        "n_test_images",
        "n_test_repeats",
        "slot_s",
        "duration_s",
        "voxel_mm",
        "image_size",
        "noise_sd",
    ],
    "fetch_subject": [
        "seed",
        "n_runs",
        "n_train_images",
        "n_test_images",
        "n_test_repeats",
        "slot_s",
        "duration_s",
        "voxel_mm",
        "image_size",
        "noise_sd",
    ],
    "fetch_stimuli": [
        "seed",
        "n_runs",
        "n_train_images",
        "n_test_images",
        "n_test_repeats",
        "slot_s",
        "duration_s",
        "voxel_mm",
        "image_size",
        "noise_sd",
    ],
    "list_trials": [],
    "pack_stimuli": [],
    "project_responses": [],
}

IN_MASK = 0.25  # share of the volume, at most


def source(settings: Entry, workspace: str | Path) -> Source:
    """Write the data set and its oracle, unless they are there for these settings and this code.

    Parameters
    ----------
    settings : Entry
        With the keys of ``SETTINGS``; what is missing takes its default.
    workspace : str or Path
        The data set goes to ``origins/NAME``, the truth to ``oracle/NAME``.

    Returns
    -------
    Source
        Of kind ``datalad``, at the commit that was made: equal settings and code give an equal commit.

    Raises
    ------
    ValueError
        If settings contradict each other, or the photographs cannot give the pictures.
    """
    origin, commit = building.at_hand(_plan(settings), workspace, code_digest("boldflow.datasets.sim:*"))
    return Source("datalad", str(origin), commit, "simulated on this machine (sim)")


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need.

    Raises
    ------
    ValueError
        If ``what`` is none of these.
    FileNotFoundError
        If there are none; names the folder.
    """
    if what not in ("dataset", "stimuli"):
        _check_subject(what)
    return reading.paths_needed(root, what)


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per trial, in the order of acquisition.

    Pictures that no event shows are allowed; the log counts them.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s, duration_s (s), image_id, usable.

    Raises
    ------
    ValueError
        If the subject is unknown; if a table is not as it should be, with its line; if events show pictures that
        there are not, or that are of another category than the event says, with counts and the first five.
    FileNotFoundError
        If there are no events.
    """
    _check_subject(subject)
    return reading.trial_table(root, subject)


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture, labelled with its ``category``.

    Raises
    ------
    FileNotFoundError
        If pictures of the table are not there; gives the counts on both sides and the first five.
    ValueError
        If a file is no whole picture; names it and its bytes.
    """
    return reading.pictures_of(root)


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """Yield the BOLD of each run, in the order of acquisition.

    Yields
    ------
    BoldRun
        ``bold`` is float32 (x, y, z, n_volumes), 0 outside the mask, about 1000 inside.

    Raises
    ------
    ValueError
        If the subject is unknown; if BOLD and mask lie on different grids, showing both; if a file is no whole NIfTI
        (its bytes are told) or its sidecar states no repetition time.
    """
    _check_subject(subject)
    return reading.bold_runs(root, subject)


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """Regions of fsaverage5: V1, V2, V3, ``early`` (all three), a patch per category, and ``silent``.

    Returns
    -------
    dict of bool array of shape (20484,)
        Left hemisphere first. ``silent`` are vertices that certainly do not respond.

    Raises
    ------
    ValueError
        If the subject or the space is another.
    """
    _check_subject(subject)
    if space != "fsaverage5":
        raise ValueError(f"sim has regions in space fsaverage5, not {space!r}")
    return reading.regions_of(root, subject)


def sizes(settings: Entry, recording: str) -> Sizes:
    """What the simulated study costs: nothing comes over a network, but it is written here and cloned.

    Raises
    ------
    ValueError
        If settings contradict each other.
    """
    plan = _plan(settings)
    n_trials = plan.n_train_images + plan.n_test_images * plan.n_test_repeats
    n_volumes = plan.n_volumes(-(-n_trials // plan.n_runs))  # of the longest run
    _, shape = bold.grid(plan.voxel_mm)
    n_voxels = int(np.prod(shape))
    bold_bytes = round(2 * IN_MASK * n_voxels * n_volumes * plan.n_runs)  # int16
    subject_sizes = SubjectSizes(bold_bytes, n_trials, plan.n_runs, n_volumes, n_voxels)
    n_images = plan.n_train_images + plan.n_test_images
    image_bytes = 3 * plan.image_size**2
    subjects = dict.fromkeys(plan.subjects, subject_sizes)
    # the data set itself lies beside its clone
    return Sizes(bold_bytes * len(subjects), n_images * image_bytes, n_images, image_bytes, subjects, False)


def oracle(workspace: str | Path, settings: Entry, subject: str) -> truth.Oracle:
    """Read the truth about a subject.

    Parameters
    ----------
    workspace : str or Path
        As given to ``source``.
    settings : Entry
    subject : str

    Raises
    ------
    ValueError
        If the subject is unknown.
    FileNotFoundError
        If ``source`` has not written it; names the folder.
    """
    _check_subject(subject)
    return truth.read(Path(workspace) / "oracle" / _plan(settings).name / subject)


def _plan(settings: Entry) -> Plan:
    """Fill in the defaults of what an entry does not set."""
    chosen = {key: settings.get(key, schema["default"]) for key, schema in SETTINGS.items()}
    return Plan(tuple(FACTS["subjects"]), FACTS["tr_s"], FACTS["licence"], **chosen)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"sim has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")
