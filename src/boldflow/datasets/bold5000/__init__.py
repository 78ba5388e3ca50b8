"""BOLD5000: four people look at 4,916 pictures of scenes and objects, one in 10 s (OpenNeuro ds001499).

Quirks of the tree that are handled here: event tables end their lines with CRLF; sessions have 9 or 10 runs; the last
session of a subject is anatomical; CSI4 came for nine sessions and saw 106 of the 113 repeated pictures. The column
ImgType says ``rep_`` from the SECOND showing on only: a split by rows would train on first showings of test pictures,
so the test set is a set of names (``TEST_SETS``), all their showings included.

The betas of release 2.0 are no part of the tree: they are read from a folder of the user's own (``betas_root``). Names
and layout of its files, and that betas are percent signal change, are from the release's README.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import origins
from boldflow.artifacts.formats import bids
from boldflow.core.records.runs import BetaRun, BoldRun, SurfaceRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.bold5000 import bold, release2
from boldflow.datasets.bold5000.layout import KINDS, MASKS, PREP, RAW, SIDECAR, SPHERES, presented
from boldflow.provenance import reached
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["sub-CSI1", "sub-CSI2", "sub-CSI3", "sub-CSI4"],
    "tr_s": 2.0,
    "spaces": ["fsnative", "native"],
    "images": True,
    "split_unit": "image",
    "simulated": False,
    "version": "1.3.1",
    "source": {"accession": "ds001499", "commit": "5be66b27ab5e033e9163caa94cec882bd4cee1d0"},
    "licence": "CC0 (data); the pictures keep the licences of COCO, ImageNet and SUN",
    "citation": "Chang et al. 2019, Scientific Data 6:49",
    "agreement": None,
    "recordings": {
        "bold-fsnative": "fMRIPrep's BOLD on each subject's own surface, with the registered spheres and confounds",
        "bold-T1w": "fMRIPrep's BOLD volumes aligned to the T1w image, with brain masks, confounds and ROI masks",
        "betas": (
            "single-trial betas of release 2.0 in the brain mask, percent signal change (figshare 14456124: brain "
            "mask, imgnames and TYPED-FITHRF-GLMDENOISE-RR of all sessions)"
        ),
        "betas-rois": (
            "single-trial betas of release 2.0 in regions, percent signal change (figshare 14456124: imgnames and the "
            "npy arrays TYPED-FITHRF-GLMDENOISE-RR_allses)"
        ),
    },
    "recording_spaces": {
        "bold-fsnative": ["fsnative"],
        "bold-T1w": ["native"],
        "betas": ["native"],
        "betas-rois": ["native"],
    },
    "recordings_outside": ["betas", "betas-rois"],
    "beta_recordings": ["betas", "betas-rois"],
    "stimuli_inside": False,
    "stimuli_from": (
        "The authors' archive BOLD5000_Stimuli.zip, linked at https://bold5000.org; no checksum is published, so the "
        "first one seen is kept."
    ),
    "stimuli_password": None,
    "rois": ["EarlyVis", "LOC", "OPA", "PPA", "RSC"],
    "ceilings": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your copy of the pictures: the archive BOLD5000_Stimuli.zip, or the folder unpacked from it.",
    },
    "betas_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder of the betas of release 2.0 (figshare 14456124); files may lie anywhere below it.",
    },
    "slice_time_ref": {
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "To which time within the TR slice timing has moved the slices, as a share of it, where no "
        "sidecar states StartTime: 0.5 is the middle. By default 0.",
    },
}  # fmt: skip
# The pictures shown more than once: names in ImgName of all event tables with an ImgType that begins with rep_.
TEST_SETS: dict[str, str] = {
    "repeated-113": """
        COCO_train2014_000000027710.jpg COCO_train2014_000000028868.jpg COCO_train2014_000000037823.jpg
        COCO_train2014_000000061215.jpg COCO_train2014_000000088449.jpg COCO_train2014_000000090569.jpg
        COCO_train2014_000000112805.jpg COCO_train2014_000000113449.jpg COCO_train2014_000000114846.jpg
        COCO_train2014_000000116603.jpg COCO_train2014_000000134111.jpg COCO_train2014_000000147659.jpg
        COCO_train2014_000000182642.jpg COCO_train2014_000000190964.jpg COCO_train2014_000000191686.jpg
        COCO_train2014_000000191734.jpg COCO_train2014_000000199743.jpg COCO_train2014_000000221685.jpg
        COCO_train2014_000000225383.jpg COCO_train2014_000000242631.jpg COCO_train2014_000000268008.jpg
        COCO_train2014_000000300072.jpg COCO_train2014_000000312003.jpg COCO_train2014_000000341033.jpg
        COCO_train2014_000000363605.jpg COCO_train2014_000000372775.jpg COCO_train2014_000000376643.jpg
        COCO_train2014_000000382890.jpg COCO_train2014_000000399337.jpg COCO_train2014_000000405401.jpg
        COCO_train2014_000000407676.jpg COCO_train2014_000000428691.jpg COCO_train2014_000000450864.jpg
        COCO_train2014_000000455657.jpg COCO_train2014_000000470907.jpg COCO_train2014_000000470999.jpg
        COCO_train2014_000000479035.jpg COCO_train2014_000000488558.jpg COCO_train2014_000000507789.jpg
        COCO_train2014_000000508861.jpg COCO_train2014_000000523236.jpg COCO_train2014_000000523272.jpg
        COCO_train2014_000000535994.jpg COCO_train2014_000000541164.jpg COCO_train2014_000000570785.jpg
        bakery5.jpg banquetHall2.jpg beach3.jpg boardwalk4.jpg cabana2.jpg campsite3.jpg circus1.jpg
        desertvegetation3.jpg dining_car.jpg driveway6.jpg driveway8.jpg elevatorOutside4.jpg hardwarestore1.jpg
        homeoffice9.jpg library_aisle10.jpg n01641577_1229.JPEG n01796340_19749.JPEG n01798484_1157.JPEG
        n01843065_640.JPEG n02101006_8380.JPEG n02113978_9805.JPEG n02120079_6668.JPEG n02206856_1366.JPEG
        n02229544_6831.JPEG n02277742_15647.JPEG n02356798_2870.JPEG n02442845_19700.JPEG n02447366_24047.JPEG
        n02640242_821.JPEG n02704792_9673.JPEG n02797295_13746.JPEG n02808304_3656.JPEG n02835271_12743.JPEG
        n03032252_36446.JPEG n03065424_30673.JPEG n03201208_7071.JPEG n03345487_28487.JPEG n03445924_19842.JPEG
        n03461385_91813.JPEG n03602883_18507.JPEG n03617480_5796.JPEG n03623198_3026.JPEG n04019541_4621.JPEG
        n04026417_26908.JPEG n04040759_5145.JPEG n04044716_4079.JPEG n04136333_2487.JPEG n04277352_10350.JPEG
        n04335435_10063.JPEG n04367480_1601.JPEG n04465501_9230.JPEG n04517823_11001.JPEG n04522168_29661.JPEG
        n04557648_12671.JPEG n04591157_1442.JPEG n04596742_10368.JPEG n07717410_9329.JPEG n11879895_2208.JPEG
        n12985857_4114.JPEG n13040303_4195.JPEG parkinggarage3.jpg playground10.jpg recordingstudio1.jpg
        shoestore5.jpg shootingrange5.jpg sidewalk1.jpg squashcourt.jpg tailor6.jpg
    """,
}
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": [],
    "fetch_subject": [],
    "fetch_stimuli": ["subjects"],
    "list_trials": [],
    "pack_stimuli": [],
    "project_responses": ["slice_time_ref"],
}

# What the tree at the pinned commit holds (sums of the sizes in annex keys, bytes; counts over the event tables).
CLONE_BYTES = 160_000_000
BYTES: dict[str, dict[str, int]] = {
    "bold-fsnative": {
        "sub-CSI1": 32_774_212_544,
        "sub-CSI2": 35_479_831_600,
        "sub-CSI3": 33_350_020_736,
        "sub-CSI4": 20_582_259_854,
    },
    "bold-T1w": {
        "sub-CSI1": 20_911_186_753,
        "sub-CSI2": 22_772_630_669,
        "sub-CSI3": 20_939_026_312,
        "sub-CSI4": 12_582_457_677,
    },
}
TRIALS = {"sub-CSI1": 5254, "sub-CSI2": 5254, "sub-CSI3": 5254, "sub-CSI4": 3108}
PER_RUN = 37
N_VOLUMES = 194
N_IMAGES = 4916
IMAGE_BYTES = 375 * 375 * 3  # of one picture, decoded
# voxels of the box that release 2.0 gives for each subject: more than any brain mask in it
VOXELS = {"sub-CSI1": 71 * 89 * 72, "sub-CSI2": 72 * 92 * 70, "sub-CSI3": 72 * 88 * 67, "sub-CSI4": 70 * 89 * 70}


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the clone of OpenNeuro ds001499 at the pinned commit.

    Raises
    ------
    FileNotFoundError
        If ``BOLDFLOW_ORIGINS`` is set and its folder does not hold the data set.
    """
    url, public_url = origins.openneuro(FACTS["source"]["accession"])
    origin = f"OpenNeuro {FACTS['source']['accession']} {FACTS['version']}"
    return Source("datalad", url, FACTS["source"]["commit"], origin, public_url)


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject's recording need.

    For the betas ``root`` is the user's own folder of them.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or two files of betas have one name.
    FileNotFoundError
        If there are no such files; names the folder.
    """
    if what == "dataset":
        events_patterns = [RAW.format(subject=subject, suffix="events.tsv") for subject in FACTS["subjects"]]
        return bids.found(root, SIDECAR, *events_patterns)
    if what == "stimuli":
        return presented(root)
    _check_subject(what)
    recording = recording or next(iter(FACTS["recordings"]))
    confounds_pattern = PREP.format(subject=what, suffix="confounds.tsv")
    if recording == "bold-fsnative":
        surface_pattern = PREP.format(subject=what, suffix="space-fsnative.[LR].func.gii")
        paths = bids.found(root, surface_pattern, confounds_pattern, SPHERES.format(subject=what, side="[lr]"))
        return paths + reached(root, PREP.format(subject=what, suffix="space-fsnative.json"))
    if recording == "bold-T1w":
        volume_patterns = [
            PREP.format(subject=what, suffix=f"space-T1w_{kind}.nii.gz") for kind in ("preproc", "brainmask")
        ]
        paths = bids.found(root, *volume_patterns, confounds_pattern, MASKS.format(subject=what))
        return paths + reached(root, PREP.format(subject=what, suffix="space-T1w_preproc.json"))
    if recording == "betas":
        return release2.paths_in_mask(root, what)
    if recording == "betas-rois":
        return release2.paths_in_regions(root, what)
    raise _other(recording)


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per picture shown, in the order of acquisition.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s, duration_s (s), image_id (ImgName), usable.

    Raises
    ------
    ValueError
        If the subject is unknown; if a table is not as it should be, or its columns Sess, Run, Trial or stim_file
        contradict its name, its order or ImgName; names file and line.
    FileNotFoundError
        If there are no events.
    """
    _check_subject(subject)
    paths = bids.found(root, RAW.format(subject=subject, suffix="events.tsv"))
    events = bids.read_runs(root, paths, ["Sess", "Run", "Trial"], ["ImgName", "stim_file"])
    _check_events(events, subject)
    return bids.as_trials(events.assign(image_id=events["ImgName"], usable=True))


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each presented picture."""
    for path in presented(root):
        kind = Path(path).parent.name
        yield path, Path(path).name, {"source": KINDS.get(kind, kind)}


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each presented picture, labelled with its ``source`` (coco, imagenet, scenes).

    Raises
    ------
    FileNotFoundError
        If ``root`` has no folder ``Presented_Stimuli``.
    ValueError
        If two files have one name, or one is no whole picture.
    """
    yield from (Stimulus(*picture) for picture in bids.read_pictures(root, named_pictures(root, settings)))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun] | Iterator[SurfaceRun]:
    """Yield the BOLD of each run (recordings ``bold-fsnative`` and ``bold-T1w``), in the order of acquisition.

    Yields
    ------
    SurfaceRun or BoldRun
        Of ``bold-fsnative``: both hemispheres on the subject's own surface, float32 (n_volumes, n_vertices), with the
        registered spheres. Of ``bold-T1w``: float32 (x, y, z, n_volumes) in space "native"; ``mask`` are the voxels
        that lie in the brain mask of every run.

    Raises
    ------
    ValueError
        If the recording holds betas; if a file is not whole, BOLD and masks lie on different grids, hemispheres differ
        in volumes, or a surface and its sphere in vertices.
    """
    _check_subject(subject)
    if recording == "bold-fsnative":
        return bold.surface_runs(Path(root), subject, settings.get("slice_time_ref"))
    if recording == "bold-T1w":
        return bold.volume_runs(Path(root), subject, settings.get("slice_time_ref"))
    raise _other(recording)


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the single-trial betas of release 2.0 (recordings ``betas`` and ``betas-rois``).

    Parameters
    ----------
    root : str or Path
        The user's own folder of them.
    subject : str
    settings : Entry
    recording : str

    Yields
    ------
    BetaRun
        Of ``betas``: one per session, the voxels of the brain mask. Of ``betas-rois``: one of all sessions, the voxels
        of all regions side by side. Percent signal change, as published.

    Raises
    ------
    ValueError
        If the recording holds BOLD; if a file is not whole, the betas are not as many as the names of pictures,
        sessions are missing, or files lie on different grids; shows both sides.
    FileNotFoundError
        If a file is missing; names the folder.

    Notes
    -----
    Layout and unit: README of BOLD5000 release 2.0 (figshare 14456124). The order of rows is that of imgnames.txt.
    """
    _check_subject(subject)
    if recording == "betas":
        return release2.in_mask(Path(root), subject)
    if recording == "betas-rois":
        return release2.in_regions(Path(root), subject)
    raise _other(recording)


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """Regions within the mask of ``space`` native: both hemispheres of EarlyVis, LOC, OPA, PPA and RSC.

    Returns
    -------
    dict of bool arrays of shape (n_voxels,)
        ``PPA`` is both hemispheres, ``LH-PPA`` and ``RH-PPA`` one each. Empty for another space.

    Raises
    ------
    ValueError
        If the masks lie on another grid than the BOLD.
    """
    _check_subject(subject)
    if space != "native":
        return {}
    return bold.regions_of(Path(root), subject)


def sizes(settings: Entry, recording: str) -> Sizes:
    """What a recording costs before anything is downloaded, from the tree at the pinned commit."""
    fetched = BYTES.get(recording, {})
    n_runs = {subject: count // PER_RUN for subject, count in TRIALS.items()}
    subjects = {
        name: SubjectSizes(fetched.get(name, 0), TRIALS[name], n_runs[name], N_VOLUMES, VOXELS[name]) for name in TRIALS
    }
    return Sizes(CLONE_BYTES, 0, N_IMAGES, IMAGE_BYTES, subjects, True)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"bold5000 has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _check_events(events: pd.DataFrame, subject: str) -> None:
    """Refuse events whose columns contradict the name of their file, their order or ImgName."""
    expected_columns = {
        "Sess": events["session"].astype(int),
        "Run": events["run"].astype(int),
        "Trial": events.groupby(["session", "run"], sort=False).cumcount() + 1,
        "stim_file": events["ImgName"],
    }
    for column, expected_values in expected_columns.items():
        wrong_rows = events[events[column] != expected_values]
        if len(wrong_rows):
            row = wrong_rows.iloc[0]
            raise ValueError(
                f"{row['in_file']}, line {row['in_line']}: {column} is {_written(row[column])}, expected "
                f"{_written(expected_values[row.name])}; {len(wrong_rows)} of {len(events)} events of {subject} "
                "contradict themselves"
            )


def _written(value: str | float) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"


def _other(recording: str) -> ValueError:
    if recording not in FACTS["recordings"]:
        return ValueError(f"bold5000 has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    holds = "betas" if recording in FACTS["beta_recordings"] else "BOLD"
    return ValueError(f"recording {recording!r} of bold5000 holds {holds}")
