"""The Natural Scenes Dataset: eight people look at up to 10,000 pictures of COCO, three times each, in 7 T.

Its DataLad data set is written on the user's machine from the bucket's known keys; nothing is fetched before the
data access agreement was signed. Single-trial betas come in volumes of 1.8 mm (whole numbers, 300 a percent) and on
fsaverage (percent). A picture is called by its row in the picture brick, from 0: ``nsd-00013``.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.releases import beta_files, nsd_files, nsd_tables, nsd_tree
from boldflow.core.records.runs import BetaRun, BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus

FACTS: dict[str, Any] = {
    "subjects": ["subj01", "subj02", "subj03", "subj04", "subj05", "subj06", "subj07", "subj08"],
    "tr_s": 1.6,
    "spaces": ["native", "fsaverage"],
    "images": True,
    "split_unit": "image",
    "simulated": None,  # the entry's: made files in these layouts are no data
    "version": "betas_fithrf_GLMdenoise_RR",
    "source": {"accession": "s3://natural-scenes-dataset", "commit": None},
    "licence": "NSD Terms and Conditions: research and education, no redistribution of the data or parts of them",
    "citation": "Allen et al. 2022, Nat. Neurosci. 25, 116-126",
    "agreement": "https://forms.gle/eT4jHxaWwYUDEf2i9",
    "recordings": {
        "betas-hdf5": "single-trial betas of the voxels of a mask (1.8 mm), from HDF5",
        "betas-nifti": "the same from compressed NIfTI: smaller to fetch, slower to read",
        "betas-fsaverage": "single-trial betas on fsaverage",
    },
    "recording_spaces": {"betas-hdf5": ["native"], "betas-nifti": ["native"], "betas-fsaverage": ["fsaverage"]},
    "beta_recordings": ["betas-hdf5", "betas-nifti", "betas-fsaverage"],
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
    "rois": ["nsdgeneral", "prf-visualrois-V1", "prf-visualrois-hV4", "floc-faces-FFA-1", "streams-ventral"],
    "ceilings": "from ncsnr of each voxel, for single trials (nc_1) and means of three (nc_3)",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sessions": {
        "type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 40}, "minItems": 1, "uniqueItems": True,
        "description": "Only these sessions of those that a subject has, and their files alone; all if left out.",
    },
    "mask": {
        "type": "array", "items": {"enum": [
            "nsdgeneral", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
            "Kastner2015", "HCP_MMP1",
        ]},
        "minItems": 1, "uniqueItems": True, "default": ["nsdgeneral"],
        "description": "Sets of regions whose voxels are read from betas in volumes; the others never are.",
    },
    "regions": {
        "type": "array", "items": {"enum": [
            "nsdgeneral", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
            "Kastner2015", "HCP_MMP1",
        ]},
        "uniqueItems": True, "default": ["nsdgeneral", "prf-visualrois", "streams"],
        "description": (
            "Sets of regions to fetch and to name, such as streams-ventral. On fsaverage there are nsdgeneral, "
            "streams, Kastner2015 and HCP_MMP1."
        ),
    },
    "coco_instances": {
        "type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
        "description": (
            "Your copies of COCO's instances_train2017.json and instances_val2017.json: pictures are then labelled "
            "with category (the one that covers most of the photograph), categories and person."
        ),
    },
    "simulated": {
        "type": "boolean", "default": False,
        "description": "true: the files are made, not measured; every table says so.",
    },
}  # fmt: skip
# Shared pictures, by the design: no picture's number is in this repository.
TEST_SETS: dict[str, str] = {"shared-1000": "", "shared-982": "", "shared-515": ""}

SCALE = 300.0  # of betas in volumes: whole numbers, so many a percent of signal change
DURATION_S = 3.0  # of a picture
# Voxels of a volume of 1.8 mm.
GRID = {
    "subj01": (81, 104, 83), "subj02": (82, 106, 84), "subj03": (81, 106, 82), "subj04": (85, 99, 80),
    "subj05": (79, 97, 78), "subj06": (85, 113, 83), "subj07": (78, 95, 81), "subj08": (80, 103, 78),
}  # fmt: skip
N_IMAGES = {
    "subj01": 10000, "subj02": 10000, "subj03": 9411, "subj04": 9209, "subj05": 10000, "subj06": 9411,
    "subj07": 10000, "subj08": 9209,
}  # fmt: skip
N_RUNS = 12  # of a session
N_BRICK, SIDE = 73000, 425  # pictures and px of the brick
CLONE_BYTES = 30_000_000
N_VOXELS = 20_000  # of nsdgeneral, at most


def source(settings: dict[str, Any], workspace: str | Path) -> Source:
    """Write the DataLad data set of the bucket's keys on this machine; nobody is asked."""
    folder, commit = nsd_tree.create(workspace, "nsd")
    return Source("datalad", folder, commit, f"s3://{nsd_tree.BUCKET}", nsd_tree.PUBLIC_URL)


def files_needed(root: str | Path, what: str, settings: dict[str, Any], recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject's recording need.

    Raises
    ------
    ValueError
        If there is no such subject or recording, or the subject has none of the sessions.
    """
    if what == "dataset":
        return [nsd_tree.DESIGN, nsd_tree.PICTURES, *map(nsd_tree.responses, _subjects(settings))]
    if what == "stimuli":
        return [nsd_tree.BRICK]
    _check_subject(what)
    sessions = _sessions(what, settings)
    recording = recording or next(iter(FACTS["recordings"]))
    if recording == "betas-fsaverage":
        sets, owner = _surface_sets(settings), "fsaverage"
        found = [path for session in sessions for path in nsd_tree.surface_betas(what, session)]
        found += [*nsd_tree.surface_ncsnr(what), *(path for name in sets for path in nsd_tree.surface_regions(name))]
    else:
        sets, owner = _volume_sets(settings), what
        found = [nsd_tree.volume_betas(what, session, _ending(recording)) for session in sessions]
        found += [nsd_tree.volume_ncsnr(what), *(nsd_tree.volume_regions(what, name) for name in sets)]
    return found + [nsd_tree.region_names(owner, name) for name in sets if name not in nsd_tree.UNNAMED]


def trials(root: str | Path, subject: str, settings: dict[str, Any]) -> pd.DataFrame:
    """One row per picture shown in the chosen sessions, in the order of acquisition.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : dict

    Returns
    -------
    DataFrame
        session, run (str), trial (int, from 1 within the run), onset_s (s after the run's first picture), duration_s
        (s), image_id (``nsd-`` and the row of the brick), usable, test_sets (names of the published test sets that the
        picture is in), behaviour_* (NaN where there is none).

    Raises
    ------
    ValueError
        If the subject is unknown or has none of the sessions; if its table contradicts the design.
    """
    _check_subject(subject)
    root = Path(root)
    plan = nsd_tables.design(root / nsd_tree.DESIGN)
    shown = nsd_tables.responses(root / nsd_tree.responses(subject), subject, plan, _sessions(subject, settings))
    if shown.empty:
        raise ValueError(f"{subject} has no trials in sessions {_sessions(subject, settings)}")
    tested: dict[int, list[str]] = defaultdict(list)
    for name, pictures in nsd_tables.test_sets(plan).items():
        for picture in pictures.tolist():
            tested[picture].append(name)
    return shown.drop(columns=["picture", "place"]).assign(
        session=shown["session"].map("{:02d}".format),
        run=shown["run"].map("{:02d}".format),
        duration_s=DURATION_S,
        image_id=shown["picture"].map(nsd_tables.picture_name),
        usable=True,
        test_sets=[" ".join(tested[picture]) for picture in shown["picture"]],
    )


def stimuli(root: str | Path, settings: dict[str, Any]) -> Iterator[Stimulus]:
    """Yield each picture that the subjects see in the chosen sessions, read from the brick one at a time.

    Yields
    ------
    Stimulus
        Labelled with its ``coco_id``; with ``coco_instances`` also with ``category``, ``categories`` (names joined by
        +) and ``person`` (person, or none).

    Raises
    ------
    ValueError
        If a picture has no COCO id, or the files of instances do not know it; if the brick is not whole.
    """
    root = Path(root)
    plan = nsd_tables.design(root / nsd_tree.DESIGN)
    shown: set[int] = set()
    for subject in _subjects(settings):
        path = root / nsd_tree.responses(subject)
        shown |= set(nsd_tables.responses(path, subject, plan, _sessions(subject, settings))["picture"].tolist())
    rows = sorted(shown)
    ids = nsd_tables.coco_ids(root / nsd_tree.PICTURES)
    lost = [nsd_tables.picture_name(row) for row in rows if row not in ids.index]
    if lost:
        raise ValueError(
            f"{root / nsd_tree.PICTURES} lacks {len(lost)} of {len(rows)} pictures, the first is {lost[0]}"
        )
    told = _categories(settings, {int(ids[row]) for row in rows})
    for row, pixels in zip(rows, nsd_files.pictures(root / nsd_tree.BRICK, rows), strict=True):
        number = int(ids[row])
        yield Stimulus(nsd_tables.picture_name(row), pixels, {"coco_id": str(number), **(told[number] if told else {})})


def runs(root: str | Path, subject: str, settings: dict[str, Any], recording: str) -> Iterator[BoldRun]:
    """No BOLD is fetched, but the betas made from it.

    Raises
    ------
    ValueError
        Always.
    """
    _check_subject(subject)
    raise ValueError(f"recording {recording!r} of nsd holds betas")


def betas(root: str | Path, subject: str, settings: dict[str, Any], recording: str) -> Iterator[BetaRun]:
    """Yield the single-trial betas of each chosen session, which stay on disk until they are asked for.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : dict
    recording : str

    Yields
    ------
    BetaRun
        Percent signal change. In volumes the voxels of ``mask``; on fsaverage both hemispheres, left then right. With
        the sets of ``regions`` that there are, and noise ceilings for single trials and means of three.

    Raises
    ------
    ValueError
        If a file is not whole, betas and regions lie on different grids, or a session has another number of betas
        than of trials; names the file and both sides.

    Notes
    -----
    NSD Data Manual, functional data: betas in volumes are int16, 300 times percent signal change, those on fsaverage
    float32 in percent. Noise ceiling: Allen et al. 2022, Methods.
    """
    _check_subject(subject)
    root = Path(root)
    shown = trials(root, subject, settings)
    names = {session: rows["image_id"].to_numpy(dtype=object) for session, rows in shown.groupby("session")}
    if recording == "betas-fsaverage":
        return _surface(root, subject, settings, names)
    return _volumes(root, subject, settings, names, _ending(recording))


def rois(root: str | Path, subject: str, space: str, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Regions come with each record of betas."""
    _check_subject(subject)
    return {}


def sizes(settings: dict[str, Any], recording: str) -> Sizes:
    """What a recording costs before anything is downloaded: computed from grids and numbers of trials.

    Compressed NIfTI is counted as if it were not compressed.
    """
    per_trial = nsd_tables.SESSION_TRIALS
    subjects, n_images = {}, 0
    for subject in FACTS["subjects"]:
        n_trials = per_trial * len(_sessions(subject, settings, any_=True))
        values = 2 * nsd_files.VERTICES * 4 if recording == "betas-fsaverage" else int(np.prod(GRID[subject])) * 2
        n_runs = N_RUNS * n_trials // per_trial
        subjects[subject] = SubjectSizes(values * n_trials, n_trials, n_runs, 1, N_VOXELS)
        if subject in _subjects(settings):
            n_images += min(N_IMAGES[subject], n_trials)
    n_images = min(n_images, N_BRICK)
    return Sizes(CLONE_BYTES, N_BRICK * SIDE * SIDE * 3, n_images, SIDE * SIDE * 3, subjects, True)


def _volumes(
    root: Path, subject: str, settings: dict[str, Any], names: dict[str, np.ndarray], ending: str
) -> Iterator[BetaRun]:
    sets = {name: nsd_files.volume(root / nsd_tree.volume_regions(subject, name)) for name in _volume_sets(settings)}
    shapes = {name: values.shape for name, values in sets.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"regions of {subject} lie on different grids: {shapes}; get those of func1pt8mm again")
    inside = np.any([sets[name] > 0 for name in settings["mask"]], axis=0)
    if not inside.any():
        raise ValueError(f"the mask of {subject} ({', '.join(settings['mask'])}) has no voxel above 0")
    found = {}
    for name, shown in names.items():  # all headers before the first voxel
        path = root / nsd_tree.volume_betas(subject, int(name), ending)
        _check_file(path, inside.shape, len(shown))
        found[name] = beta_files.masked([path], [inside], SCALE, len(shown))
    ncsnr_path = root / nsd_tree.volume_ncsnr(subject)
    ncsnr = nsd_files.volume(ncsnr_path)
    if ncsnr.shape != inside.shape:
        raise ValueError(f"{ncsnr_path} is on a grid of {ncsnr.shape}, the regions of {subject} on {inside.shape}")
    about: dict[str, Any] = {
        "places": dict(zip("ijk", np.argwhere(inside).T, strict=True)),
        "rois": _regions(root, subject, {name: values[inside] for name, values in sets.items()}),
        "ceilings": _ceilings(ncsnr_path, ncsnr[inside]),
    }
    for name, values in found.items():
        yield BetaRun(name, None, names[name], values, "percent", **about)


def _surface(root: Path, subject: str, settings: dict[str, Any], names: dict[str, np.ndarray]) -> Iterator[BetaRun]:
    def both(paths: list[str]) -> np.ndarray:
        return np.concatenate([nsd_files.surface_values(root / path) for path in paths], axis=-1)

    ncsnr_paths = nsd_tree.surface_ncsnr(subject)
    ncsnr = both(ncsnr_paths)
    half = len(ncsnr) // 2
    sets = {name: both(nsd_tree.surface_regions(name)) for name in _surface_sets(settings)}
    for name, values in sets.items():
        if len(values) != len(ncsnr):
            raise ValueError(f"regions {name} have {len(values)} vertices, ncsnr of {subject} {len(ncsnr)}")
    about: dict[str, Any] = {
        "places": {"hemisphere": np.repeat(nsd_tree.SIDES, half), "vertex": np.tile(np.arange(half), 2)},
        "rois": _regions(root, "fsaverage", sets),
        "ceilings": _ceilings(root / ncsnr_paths[0], ncsnr),
    }
    insides = [np.ones(half, dtype=bool)] * 2
    for name, shown in names.items():
        paths = [root / path for path in nsd_tree.surface_betas(subject, int(name))]
        yield BetaRun(name, None, shown, beta_files.masked(paths, insides, 1.0, len(shown)), "percent", **about)


def _regions(root: Path, owner: str, sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name the regions of sets of numbered places, each (n_columns,); those that are empty are left out."""
    found: dict[str, np.ndarray] = {}
    for name, values in sets.items():
        unnamed = name in nsd_tree.UNNAMED
        numbers = {} if unnamed else nsd_tables.region_names(root / nsd_tree.region_names(owner, name))
        found |= nsd_tables.named_regions(name, values, numbers)
    return {name: inside for name, inside in found.items() if inside.any()}


def _ceilings(path: Path, ncsnr: np.ndarray) -> dict[str, np.ndarray]:
    """Ratio of signal and noise, and noise ceilings, shares of variance, of single trials and of means of three."""
    if (ncsnr < 0).any():
        raise ValueError(f"{path} holds values below 0, down to {ncsnr.min():g}; expected ratios of two spreads")
    known = np.nan_to_num(ncsnr, nan=0.0).astype(np.float32)
    signal = np.square(known, dtype=np.float64)
    shares = {f"nc_{n}": (signal / (signal + 1 / n)).astype(np.float32) for n in (1, nsd_tables.REPEATS)}
    return {"ncsnr": known, **shares}


def _categories(settings: dict[str, Any], wanted: set[int]) -> dict[int, dict[str, str]]:
    """Label photographs of COCO by the user's copies of its instances; nothing without them."""
    areas: dict[int, dict[str, float]] = {}
    for file in settings.get("coco_instances", ()):
        path = Path(file).expanduser()
        try:
            content = json.loads(path.read_bytes())
            names = {one["id"]: one["name"] for one in content["categories"]}
            areas |= {one["id"]: {} for one in content["images"] if one["id"] in wanted}
            for one in content["annotations"]:
                if one["image_id"] in areas:
                    held, name = areas[one["image_id"]], names[one["category_id"]]
                    held[name] = held.get(name, 0.0) + one["area"]
        except FileNotFoundError:
            raise FileNotFoundError(f"coco_instances names {file}, and there is no such file") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no instances of COCO: {type(error).__name__} {error}") from None
    lost = sorted(wanted - set(areas)) if areas else []
    if lost:
        raise ValueError(
            f"coco_instances do not know {len(lost)} of {len(wanted)} photographs, the first is {lost[0]}; name both "
            "instances_train2017.json and instances_val2017.json"
        )
    return {number: nsd_tables.coco_labels(held) for number, held in areas.items()}


def _check_file(path: Path, grid: tuple[int, ...], n_trials: int) -> None:
    file = beta_files.open_betas(path)
    if file.grid != grid:
        raise ValueError(
            f"{path} is on a grid of {file.grid} voxels, the regions on one of {grid}: are they of another subject, or "
            "of another preparation (func1mm)?"
        )
    if file.n_trials != n_trials:
        raise ValueError(f"{path} holds {file.n_trials} betas, and the session has {n_trials} trials: get it again")
    if file.dtype.kind != "i":
        raise ValueError(f"{path} holds {file.dtype}, expected whole numbers, {SCALE:g} a percent")


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"nsd has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _subjects(settings: dict[str, Any]) -> list[str]:
    return list(settings.get("subjects") or FACTS["subjects"])


def _sessions(subject: str, settings: dict[str, Any], any_: bool = False) -> list[int]:
    there = range(1, nsd_tree.N_SESSIONS[subject] + 1)
    chosen = settings.get("sessions") or there
    found = sorted(set(chosen) & set(there))
    if not found and not any_:
        raise ValueError(f"{subject} has sessions 1 to {len(there)}, none of {sorted(chosen)}")
    return found


def _volume_sets(settings: dict[str, Any]) -> list[str]:
    return [name for name in nsd_tree.SETS if name in {*settings["mask"], *settings["regions"]}]


def _surface_sets(settings: dict[str, Any]) -> list[str]:
    return [name for name in nsd_tree.FSAVERAGE_SETS if name in settings["regions"]]


def _ending(recording: str) -> str:
    endings = {"betas-hdf5": "hdf5", "betas-nifti": "nii.gz"}
    if recording not in endings:
        raise ValueError(f"nsd has no recording {recording!r}; there are: {', '.join(FACTS['recordings'])}")
    return endings[recording]
