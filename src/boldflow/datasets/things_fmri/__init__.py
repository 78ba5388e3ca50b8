"""THINGS-fMRI: three people look at 8,740 pictures of 720 objects, one in 4.5 s (OpenNeuro ds004192).

8,640 pictures are shown once and 100 test pictures twelve times, once a session. Catch trials (artificial pictures
to be reported) are listed and not usable. 97 of the 100 test objects also occur in training, under other pictures: the
published split leaves them there, the zero-shot split drops them.

The published betas are no part of the tree: they are read from a folder of the user's own (``betas_root``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.arrival import origins
from boldflow.artifacts.formats import bids
from boldflow.core.records.runs import BetaRun, BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.datasets.things_fmri import tables
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["sub-01", "sub-02", "sub-03"],
    "tr_s": 1.5,
    "spaces": ["native"],
    "images": True,
    "split_unit": "image",
    "simulated": False,
    "version": "1.0.5",
    "source": {"accession": "ds004192", "commit": "e9199159d004a5967d767350ec00a7ff2741b85e"},
    "licence": "CC0 (data); the pictures are for research only",
    "citation": "Hebart et al. 2023, eLife 12:e82580",
    "agreement": None,
    "recordings": {
        "bold-raw": "BOLD volumes as acquired; the data set holds no derivatives",
        "betas": (
            "single-trial betas with regions and noise ceilings (figshare+ 20492835, betas_csv: ResponseData.h5, "
            "StimulusMetadata.csv and VoxelMetadata.csv of each subject)"
        ),
    },
    "recording_spaces": {"bold-raw": ["native"], "betas": ["native"]},
    "recordings_outside": ["betas"],
    "beta_recordings": ["betas"],
    "unread": ["bold-raw"],
    "stimuli_inside": False,
    "stimuli_from": (
        "The archive of the THINGS pictures at https://osf.io/jum2f; its password is given there to those who accept "
        "the terms."
    ),
    "stimuli_password": "BOLDFLOW_THINGS_PASSWORD",
    "rois": ["V1", "V2", "V3", "hV4", "lFFA", "rFFA", "lPPA", "rPPA", "lLOC", "rLOC", "lEBA", "rEBA"],
    "ceilings": "nc_singletrial and nc_testset of each voxel, in VoxelMetadata.csv beside the published betas",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "stimuli_root": {
        "type": "string", "minLength": 1,
        "description": "Your copy of the pictures: the archive, or a folder with one per object (dog/dog_12s.jpg).",
    },
    "betas_root": {
        "type": "string", "minLength": 1,
        "description": "Your folder of the betas in table format (figshare+ 20492835, betas_csv).",
    },
}  # fmt: skip
# The pictures of all events with trial_type test.
TEST_SETS: dict[str, str] = {
    "test-100": """
        alligator/alligator_14n.jpg altar/altar_13s.jpg ashtray/ashtray_14n.jpg axe/axe_14n.jpg
        bamboo/bamboo_13s.jpg banana/banana_13s.jpg beachball/beachball_16s.jpg bean/bean_13s.jpg
        beaver/beaver_13n.jpg bed/bed_20n.jpg beer/beer_14s.jpg bench/bench_16n.jpg bike/bike_14s.jpg
        blind/blind_19s.jpg boa/boa_13s.jpg boat/boat_14n.jpg bobsled/bobsled_14s.jpg brace/brace_14s.jpg
        brownie/brownie_14s.jpg bulldozer/bulldozer_22n.jpg butterfly/butterfly_16n.jpg
        candelabra/candelabra_14s.jpg cheese/cheese_14n.jpg chest1/chest1_14s.jpg chipmunk/chipmunk_16n.jpg
        clipboard/clipboard_14s.jpg coat/coat_rack_13s.jpg cookie/cookie_15s.jpg cow/cow_16n.jpg
        crank/crank_16s.jpg crayon/crayon_15s.jpg cufflink/cufflink_16s.jpg donut/donut_15s.jpg
        dough/dough_19s.jpg dragonfly/dragonfly_13s.jpg drain/drain_16s.jpg drawer/drawer_13s.jpg
        dress/dress_13s.jpg earring/earring_16n.jpg easel/easel_15s.jpg ferris/ferris_wheel_20s.jpg
        footprint/footprint_15s.jpg fudge/fudge_14s.jpg graffiti/graffiti_17s.jpg grape/grape_20s.jpg
        grate/grate_13s.jpg guacamole/guacamole_18s.jpg headlamp/headlamp_14s.jpg helicopter/helicopter_25s.jpg
        hippopotamus/hippopotamus_16s.jpg horse/horse_17s.jpg horseshoe/horseshoe_13n.jpg
        hovercraft/hovercraft_13n.jpg hula/hula_hoop_16s.jpg iguana/iguana_20s.jpg jam/jam_15s.jpg
        jar/jar_14s.jpg joystick/joystick_14s.jpg kazoo/kazoo_14s.jpg key/key_17s.jpg kimono/kimono_14s.jpg
        lasagna/lasagna_13s.jpg lemonade/lemonade_14s.jpg mango/mango_13s.jpg marshmallow/marshmallow_13s.jpg
        microscope/microscope_14n.jpg monkey/monkey_18n.jpg mosquito/mosquito_net_13s.jpg
        mousetrap/mousetrap_14s.jpg nest/nest_13s.jpg pacifier/pacifier_14s.jpg pan/pan_14s.jpg
        peach/peach_14n.jpg pear/pear_13s.jpg piano/piano_13n.jpg pumpkin/pumpkin_21n.jpg quill/quill_15s.jpg
        rabbit/rabbit_13n.jpg ribbon/ribbon_13s.jpg seesaw/seesaw_13s.jpg shredder/shredder_13s.jpg
        sim/sim_card_13s.jpg speaker/speaker_16s.jpg spoon/spoon_13n.jpg stalagmite/stalagmite_14s.jpg
        starfish/starfish_15n.jpg streetlight/streetlight_13s.jpg t-shirt/t-shirt_13s.jpg tamale/tamale_16s.jpg
        television/television_14n.jpg tent/tent_14n.jpg typewriter/typewriter_13s.jpg umbrella/umbrella_13s.jpg
        uniform/uniform_14s.jpg urinal/urinal_13s.jpg wallpaper/wallpaper_13s.jpg wasp/wasp_15n.jpg
        watch/watch_13s.jpg whip/whip_14s.jpg wig/wig_13s.jpg
    """,
}
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": [],
    "fetch_subject": [],
    "fetch_stimuli": ["subjects"],
    "list_trials": [],
    "pack_stimuli": [],
    "project_responses": [],
}

RAW = "{subject}/ses-things*/func/{subject}_ses-*_task-things_run-*_{suffix}"
KINDS = {"exp": True, "test": True, "catch": False}  # trial_type -> usable
# What the tree at the pinned commit holds (sums of the sizes in annex keys, bytes; counts over the event tables).
CLONE_BYTES = 15_000_000
BYTES: dict[str, dict[str, int]] = {
    "bold-raw": {
        "sub-01": 30_103_946_713,
        "sub-02": 30_143_013_507,
        "sub-03": 28_691_760_668,
    },
}
N_TRIALS, N_RUNS = 11040, 120  # of each subject; 1,200 of them are catch trials
N_VOLUMES = 284
N_IMAGES = 8740
IMAGE_BYTES = 800 * 800 * 3  # of one picture, decoded
N_VOXELS = 211_339  # of sub-01 in the published betas


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the clone of OpenNeuro ds004192 at the pinned commit.

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
        return bids.found(root, *(RAW.format(subject=name, suffix="events.tsv") for name in FACTS["subjects"]))
    if what == "stimuli":
        return bids.pictures(root)
    _check_subject(what)
    recording = recording or next(iter(FACTS["recordings"]))
    if recording == "betas":
        return tables.paths_of(root, what)
    if recording != "bold-raw":
        raise _unread(recording)
    return bids.found(root, *(RAW.format(subject=what, suffix=f"bold.{kind}") for kind in ("nii.gz", "json")))


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
        session, run (str), trial (int, from 1 within the run), onset_s, duration_s (s), image_id (file_path), usable
        (False for catch trials).

    Raises
    ------
    ValueError
        If the subject is unknown, a table is not as it should be, or a trial_type is unknown; names file and line.
    FileNotFoundError
        If there are no events.
    """
    _check_subject(subject)
    paths = bids.found(root, RAW.format(subject=subject, suffix="events.tsv"))
    events = bids.read_runs(root, paths, [], ["trial_type", "file_path"])
    unknown_rows = events[~events["trial_type"].isin(KINDS.keys())]
    if len(unknown_rows):
        row = unknown_rows.iloc[0]
        raise ValueError(
            f"{row['in_file']}, line {row['in_line']}: trial_type is {row['trial_type']!r}, expected {list(KINDS)}"
        )
    return bids.as_trials(events.assign(image_id=events["file_path"], usable=events["trial_type"].map(KINDS)))


def named_pictures(root: str | Path, settings: Entry) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id and labels of each picture."""
    path_ends = ((path, Path(path).parts[-2:]) for path in bids.pictures(root))
    yield from ((path, "/".join(end), {"concept": end[0]}) for path, end in path_ends)


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield each picture, labelled with its ``concept``, the object's folder.

    Raises
    ------
    ValueError
        If two files have one name, or one is no whole picture.
    """
    yield from (Stimulus(*picture) for picture in bids.read_pictures(root, named_pictures(root, settings)))


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """No BOLD of this data set is read yet.

    Raises
    ------
    NotImplementedError
        For raw BOLD; says what can be done instead.
    ValueError
        For another recording.
    """
    _check_subject(subject)
    raise _unread(recording)


def betas(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BetaRun]:
    """Yield the published single-trial betas of each session (recording ``betas``), one session in memory at a time.

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
        One per session, by run and trial_id, with the regions and noise ceilings of the table of voxels; a region that
        a subject lacks is left out. The unit is arbitrary: BOLD and regressors were standardised within runs before
        betas were estimated, the betas themselves were not.

    Raises
    ------
    ValueError
        If the recording holds BOLD; if a file is not whole, the three files differ in trials or voxels, or a picture
        is not what its trial_type says; names the file and shows both sides.
    FileNotFoundError
        If a file is missing; names the folder.

    Notes
    -----
    Layout: usage notes of THINGS-fMRI (figshare+ 20492835, betas_csv). Unit: Hebart et al. 2023, eLife 12:e82580,
    single-trial responses, and the authors' script betas.py. The events name the folder of five test pictures by half
    of the object's name (``coat/coat_rack_13s.jpg``): pictures are matched by file name.
    """
    _check_subject(subject)
    if recording not in FACTS["beta_recordings"]:
        raise ValueError(f"recording {recording!r} of things-fmri holds no betas; betas does")
    return tables.session_betas(Path(root), subject, TEST_SETS["test-100"].split(), FACTS["rois"])


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No regions come with the raw data; those of the published betas come with each of their records."""
    _check_subject(subject)
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What a recording costs before anything is downloaded, from the tree at the pinned commit."""
    fetched = BYTES.get(recording, {})
    subjects = {
        name: SubjectSizes(fetched.get(name, 0), N_TRIALS, N_RUNS, N_VOLUMES, N_VOXELS) for name in FACTS["subjects"]
    }
    return Sizes(CLONE_BYTES, 0, N_IMAGES, IMAGE_BYTES, subjects, True)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"things-fmri has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _unread(recording: str) -> Exception:
    if recording not in FACTS["recordings"]:
        return ValueError(f"things-fmri has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    if recording in FACTS["beta_recordings"]:
        return ValueError(f"recording {recording!r} of things-fmri holds betas")
    return NotImplementedError(
        f"recording {recording!r} of things-fmri is not read in this version; preprocess the raw BOLD (fMRIPrep) and "
        "read that with the plug-in bids"
    )
