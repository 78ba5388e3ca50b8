"""Generic Object Decoding: five people look at 1,250 ImageNet pictures in blocks of 9 s (OpenNeuro ds001246).

Only the perception task is read; the imagery task shows no pictures. Pictures are known by stimulus_name: the float
stimulus_id is the name's number, in which zeros are lost as soon as a table is read as numbers. In each run five
blocks repeat the picture before them (the one-back task): they are no usable trials, as in the authors' own data,
which leaves 1,200 training trials and 50 test pictures 35 times each. Test pictures are of 50 categories that
training does not show.

The authors' prepared data, a sample per block, are no part of the tree: they are read from a folder of the user's own
(``betas_root``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import origins
from boldflow.artifacts.formats import bids, bids_times
from boldflow.core.records.runs import BetaRun, BoldRun, SliceTiming
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.god import prepared
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["sub-01", "sub-02", "sub-03", "sub-04", "sub-05"],
    "tr_s": 3.0,
    "spaces": ["native"],
    "images": True,
    "split_unit": "image",
    "simulated": False,
    "version": "1.2.1",
    "source": {"accession": "ds001246", "commit": "261343c5e738466b7b2e2d7ef9b07785845a7463"},
    "licence": "CC0 (data); the pictures keep ImageNet's terms",
    "citation": "Horikawa & Kamitani 2017, Nature Communications 8:15037",
    "agreement": None,
    "recordings": {
        "bold-preproc-spm": "BOLD volumes, motion-corrected and aligned to the T1w image by the authors; ROI masks",
        "bold-raw": "BOLD volumes as acquired",
        "prepared": (
            "the authors' prepared samples, one per block, in visual cortex (figshare 7387130: Subject1.h5 to "
            "Subject5.h5)"
        ),
    },
    "recording_spaces": {"bold-preproc-spm": ["native"], "bold-raw": ["native"], "prepared": ["native"]},
    "recordings_outside": ["prepared"],
    "beta_recordings": ["prepared"],
    "unread": ["bold-raw"],
    "stimuli_inside": False,
    "stimuli_from": (
        "On request from the authors (brainliner-admin@atr.jp), or from ImageNet (Fall 2011) by their names."
    ),
    "stimuli_password": None,
    "rois": ["V1", "V2", "V3", "V4", "LOC", "FFA", "PPA", "HVC"],
    "ceilings": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your copy of the pictures: a folder or archive of files such as n01443537_22563.JPEG.",
    },
    "betas_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder of the prepared data (figshare 7387130): Subject1.h5 to Subject5.h5 are in it.",
    },
    "slice_time_ref": {
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "To which time within the TR slice timing has moved the slices, as a share of it, where no "
        "sidecar states StartTime: 0.5 is the middle. By default 0.",
    },
}  # fmt: skip
# The pictures of the sessions perceptionTest*.
TEST_SETS: dict[str, str] = {
    "test-50": """
        n01443537_22563 n01621127_19020 n01677366_18182 n01846331_17038 n01858441_11077 n01943899_24131
        n01976957_13223 n02071294_46212 n02128385_20264 n02139199_10398 n02190790_15121 n02274259_24319
        n02416519_12793 n02437136_12836 n02437971_5013 n02690373_7713 n02797295_15411 n02824058_18729
        n02882301_14188 n02916179_24850 n02950256_22949 n02951358_23759 n03064758_38750 n03122295_31279
        n03124170_13920 n03237416_58334 n03272010_11001 n03345837_12501 n03379051_8496 n03452741_24622
        n03455488_28622 n03482252_22530 n03495258_9895 n03584254_5040 n03626115_19498 n03710193_22225
        n03716966_28524 n03761084_43533 n03767745_109 n03941684_21672 n03954393_10038 n04210120_9062
        n04252077_10859 n04254777_16338 n04297750_25624 n04387400_16693 n04507155_21299 n04533802_19479
        n04554684_53399 n04572121_3262
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

PARTS = ("perceptionTraining", "perceptionTest")  # no file says which was scanned first
RAW = "{subject}/ses-{part}*/func/{subject}_ses-*_task-perception_run-*_{suffix}"
PREP = "derivatives/preproc-spm/output/" + RAW
SIDECAR = "task-perception_bold.json"
MASKS = "sourcedata/{subject}/anat/{subject}_mask_[LR]H_*.nii.gz"
REGIONS = {"V1d": "V1", "V1v": "V1", "V2d": "V2", "V2v": "V2", "V3d": "V3", "V3v": "V3", "hV4": "V4"}
STIMULUS, REST = "stimulus", "rest"
# What the tree at the pinned commit holds (sums of the sizes in annex keys, bytes; counts over the event tables).
CLONE_BYTES = 11_000_000
BYTES: dict[str, dict[str, int]] = {
    "bold-preproc-spm": {
        "sub-01": 2_943_024_050,
        "sub-02": 2_962_270_947,
        "sub-03": 3_000_108_227,
        "sub-04": 2_937_863_498,
        "sub-05": 2_886_936_502,
    },
    "bold-raw": {
        "sub-01": 2_782_626_180,
        "sub-02": 2_778_057_809,
        "sub-03": 2_768_732_530,
        "sub-04": 2_742_595_011,
        "sub-05": 2_722_996_258,
    },
}
N_TRIALS, N_RUNS = 3245, 59  # of each subject; 295 of them are one-back repeats
N_VOLUMES = 178
N_IMAGES = 1250
IMAGE_BYTES = 500 * 500 * 3  # of one picture, decoded
N_VOXELS = 5000  # visual cortex has 4,133 to 4,643 voxels in the authors' prepared data


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the clone of OpenNeuro ds001246 at the pinned commit.

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

    For the prepared data ``root`` is the user's own folder of them.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or two files of prepared data have one name.
    FileNotFoundError
        If there are no such files; names the folder.
    """
    if what == "dataset":
        return bids.found(
            root, SIDECAR, *(pattern for name in FACTS["subjects"] for pattern in _patterns(RAW, name, "events.tsv"))
        )
    if what == "stimuli":
        return bids.pictures(root)
    _check_subject(what)
    recording = recording or next(iter(FACTS["recordings"]))
    if recording == "bold-preproc-spm":
        return bids.found(root, *_patterns(PREP, what, "bold_preproc.nii.gz"), MASKS.format(subject=what))
    if recording == "bold-raw":
        return bids.found(root, *_patterns(RAW, what, "bold.nii.gz"), MASKS.format(subject=what))
    if recording == "prepared":
        return [prepared.path_of(root, what)]
    raise ValueError(f"god has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per block with a picture: training sessions, then test sessions.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : Entry

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s, duration_s (s), image_id (stimulus_name),
        usable (False where the block repeats the one before it).

    Raises
    ------
    ValueError
        If the subject is unknown, a table is not as it should be, or a block of an unknown type or without picture
        is in it; names file and line.
    FileNotFoundError
        If there are no events.
    """
    _check_subject(subject)
    paths = bids.found(root, *_patterns(RAW, subject, "events.tsv"))
    events = bids.read_runs(root, paths, [], [], ["event_type", "stimulus_name"], _is_no_rest)
    wrong_rows = events[
        ~events["event_type"].isin((STIMULUS, REST))
        | (events["event_type"].eq(STIMULUS) != events["stimulus_name"].ne(""))
    ]
    if len(wrong_rows):
        row = wrong_rows.iloc[0]
        raise ValueError(
            f"{row['in_file']}, line {row['in_line']}: event_type is {row['event_type']!r} with stimulus_name "
            f"{row['stimulus_name']!r}; expected {STIMULUS!r} with a name, or {REST!r} without"
        )
    shown_events = events[events["event_type"] == STIMULUS].reset_index(drop=True)
    previous_name = shown_events.groupby(["session", "run"], sort=False)["stimulus_name"].shift()
    return bids.as_trials(
        shown_events.assign(
            image_id=shown_events["stimulus_name"], usable=shown_events["stimulus_name"] != previous_name
        )
    )


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each picture."""
    path_stems = ((path, Path(path).stem) for path in bids.pictures(root))
    yield from ((path, stem, {"category": stem.split("_")[0]}) for path, stem in path_stems)


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture, labelled with its WordNet ``category`` such as n01443537.

    Raises
    ------
    ValueError
        If two files have one name, or one is no whole picture.
    """
    yield from (Stimulus(*picture) for picture in bids.read_pictures(root, named_pictures(root, settings)))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """Yield the BOLD volumes of each run (recording ``bold-preproc-spm``), training before test.

    Yields
    ------
    BoldRun
        ``bold`` is float32 (x, y, z, n_volumes) in space "native"; ``mask`` is visual cortex: all ROI masks together.

    Raises
    ------
    NotImplementedError
        For raw BOLD, whose runs are not aligned with each other.
    ValueError
        If the recording is the prepared data; if BOLD and masks lie on different grids, or a file is no whole NIfTI.
    """
    _check_subject(subject)
    if recording in FACTS["beta_recordings"]:
        raise ValueError(f"recording {recording!r} of god holds betas")
    if recording != "bold-preproc-spm":
        raise NotImplementedError(
            f"recording {recording!r} of god is not read: its runs are not aligned; choose bold-preproc-spm, or "
            "preprocess it (fMRIPrep) and read that with the plug-in bids"
        )
    root = Path(root)
    regions, mask_path, mask_image = _regions(root, subject)
    mask = np.any(list(regions.values()), axis=0)
    sidecar = bids_times.sidecar([root / SIDECAR])
    sidecar_tr_s = bids_times.sidecar_tr(sidecar, root / SIDECAR)
    slice_timing = SliceTiming(*bids_times.slice_timing(sidecar, root / SIDECAR), settings.get("slice_time_ref"))
    for path in bids.found(root, *_patterns(PREP, subject, "bold_preproc.nii.gz")):
        image, bold = bids.bold(root / path)
        bids.check_grid(root / path, image, mask_path, mask_image)
        tr_s = bids_times.header_tr(image) | sidecar_tr_s
        labels = (bids.entity(path, "ses"), bids.entity(path, "run"))
        yield BoldRun(*labels, bold, np.asarray(image.affine), mask, tr_s, "native", None, slice_timing)


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the authors' prepared samples, one per block with a picture (recording ``prepared``).

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
        One record: training samples, then test samples, each by run in the order of the file; that is the order of the
        trial table, whose sessions the file does not tell. Imagery is left out. The unit is arbitrary: amplitudes of
        preprocessed BOLD averaged over the block; places are the coordinates of voxels as published.

    Raises
    ------
    ValueError
        If the recording holds BOLD; if the file is not whole or lacks a column, a run or a type of sample is unknown,
        or an id is that of no picture; shows value and sample.
    FileNotFoundError
        If the file is missing; names the folder.

    Notes
    -----
    Layout: BData of bdpy, figshare 7387130; ids of pictures as in the authors' script convertdata_BrainData.m.
    """
    _check_subject(subject)
    if recording not in FACTS["beta_recordings"]:
        raise ValueError(f"recording {recording!r} of god holds no betas; {', '.join(FACTS['beta_recordings'])} does")
    return prepared.samples(Path(root), subject, TEST_SETS["test-50"].split())


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """Regions of visual cortex: V1, V2, V3 (dorsal and ventral together), V4, LOC, FFA, PPA, HVC; empty elsewhere.

    Returns
    -------
    dict of bool arrays of shape (n_voxels,)
        ``V1`` is both hemispheres, ``LH-V1`` and ``RH-V1`` one each.
    """
    _check_subject(subject)
    if space != "native":
        return {}
    regions, _, _ = _regions(Path(root), subject)
    mask = np.any(list(regions.values()), axis=0)
    masks: dict[str, np.ndarray] = {}
    for (side, part), region in regions.items():
        name = REGIONS.get(part, part)
        for key in (name, f"{side}-{name}"):
            masks[key] = masks.get(key, False) | region[mask]
    return masks


def sizes(settings: Entry, recording: str) -> Sizes:
    """What a recording costs before anything is downloaded, from the tree at the pinned commit."""
    fetched = BYTES.get(recording, {})
    subjects = {
        name: SubjectSizes(fetched.get(name, 0), N_TRIALS, N_RUNS, N_VOLUMES, N_VOXELS) for name in FACTS["subjects"]
    }
    return Sizes(CLONE_BYTES, 0, N_IMAGES, IMAGE_BYTES, subjects, True)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"god has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _is_no_rest(texts: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which rows may show a picture: of others nothing is asked."""
    return (texts["event_type"] != REST) | (texts["stimulus_name"] != "")


def _patterns(pattern: str, subject: str, suffix: str) -> list[str]:
    return [pattern.format(subject=subject, part=part, suffix=suffix) for part in PARTS]


def _regions(root: Path, subject: str) -> tuple[dict[tuple[str, str], np.ndarray], Path, Any]:
    """Masks (x, y, z) by side and name, the path of the first and its image."""
    paths = [root / path for path in bids.found(root, MASKS.format(subject=subject))]
    first_image, _ = bids.mask(paths[0])
    regions = {}
    for path in paths:
        image, region = bids.mask(path)
        bids.check_grid(path, image, paths[0], first_image)
        side, name = path.name.removesuffix(".nii.gz").split("_mask_")[1].split("_")
        regions[side, name] = region
    return regions, paths[0], first_image
