"""A simulated study whose truth is known: three brains look at pictures, and everything is written on this machine.

``source`` writes a BIDS data set as a DataLad data set (BOLD and pictures annexed), from which the workflow clones
and gets as from anywhere else. The truth lies apart from it; ``oracle`` reads it. What is simulated is told in
``boldflow.core.simulation``: Gabor-energy receptive fields in V1 to V3 of fsaverage5, category-selective patches,
SPM's haemodynamic response, autocorrelated noise, drift.
"""

import json
import logging
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from boldflow.artifacts.arrival.annex_create import create_dataset
from boldflow.artifacts.formats import bids_create, events
from boldflow.artifacts.store import sidecars
from boldflow.artifacts.store.atomic import write_text
from boldflow.core.compute import fixed_threads
from boldflow.core.records.runs import BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.core.simulation import bold, brain, images
from boldflow.provenance import canonical, code_digest, digest

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

SESSION = "01"
TASK = "images"
SPACE = "MNI152NLin2009cAsym"
LEAD_IN_S, TAIL_S = 6.0, 12.0
DATE = "2024-01-01T00:00:00+00:00"
LARGE = "(include=*.nii.gz)or(include=*.png)"
PREPROC, ROIS = "derivatives/preproc", "derivatives/rois"
SILENT = "silent"
IN_MASK = 0.25  # share of the volume, at most
FINE = 4  # stored units per s.d. of the noise; rounding adds 0.5 % to its variance, which the oracle counts
# photographs of each category and part, with the sides of patches as shares of the shorter side
PHOTOGRAPHS: dict[str, dict[str, tuple[tuple[str, ...], tuple[float, float]]]] = {
    "object": {
        "train": (("astronaut.png", "coffee.png", "flower.jpg"), (0.20, 0.40)),
        "test": (("coins.png", "chelsea.png"), (0.25, 0.40)),
    },
    "scene": {
        "train": (("china.jpg", "motorcycle_left.png"), (0.20, 0.40)),
        "test": (("camera.png", "rocket.jpg"), (0.20, 0.40)),
    },
    "texture": {
        "train": (("grass.png", "brick.png"), (0.12, 0.30)),
        "test": (("gravel.png", "ihc.png"), (0.12, 0.30)),
    },
}
FACES: dict[str, range] = {
    "train": range(70),
    "test": range(70, 100),
}  # rows of lfw_subset.npy, each another person's photograph
MADE = {"pink-noise": images.pink_noise, "dead-leaves": images.dead_leaves}
CATEGORIES = ("face", *PHOTOGRAPHS, *MADE)
# first number of every seed: what is drawn
_PICTURES, _STRENGTH, _BRAIN, _ORDER, _NOISE = range(5)


@dataclass(frozen=True)
class Oracle:
    """The truth about one subject.

    ``vertices`` is a table with a row per vertex of fsaverage5 (left, then right): hemisphere, vertex, area (empty
    where nothing responds), responsive, silent, x_deg, y_deg, size_deg, orientation (radians), frequency (cycles
    per picture), normalised, gain, selectivity_CATEGORY. ``image_ids`` (n_images,) and ``amplitudes`` (n_images,
    n_responsive): response of each responsive vertex to each picture; ``channel_weights`` (n_early, n_channels):
    tuning of the vertices of V1 to V3. ``noise_variance`` (x, y, z), in squared units of the BOLD, rounding
    included; ``mask`` and ``affine`` as of the BOLD. ``runs`` are the paths of the noise-free BOLD, in the order of
    acquisition.
    """

    vertices: pd.DataFrame
    image_ids: np.ndarray
    amplitudes: np.ndarray
    channel_weights: np.ndarray
    noise_variance: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    runs: list[Path]

    def noise_free(self) -> Iterator[BoldRun]:
        """Yield each run without noise and drift, as ``runs`` yields the data."""
        for path in self.runs:
            image = nib.Nifti1Image.from_filename(path)
            found = np.asarray(image.dataobj, dtype=np.float32)
            tr_s = {"header": float(image.header.get_zooms()[3])}
            yield BoldRun(SESSION, _entity(path, "run"), found, self.affine, self.mask, tr_s, "MNI")


def source(settings: dict[str, Any], workspace: str | Path) -> Source:
    """Write the data set and its oracle, unless they are there for these settings and this code.

    Parameters
    ----------
    settings : dict
        As ``SETTINGS``; what is missing takes its default.
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
    wanted = _filled(settings)
    name = _name(wanted)
    origin, truth = (Path(workspace).resolve() / kind / name for kind in ("origins", "oracle"))
    stamp = origin.with_name(f"{name}.json")
    made_from = digest(canonical({"settings": wanted, "code": code_digest("boldflow.datasets.sim")}))
    origin.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(origin.with_name(f"{name}.lock")):
        there = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else {}
        if there.get("made_from") != made_from or not origin.is_dir() or not truth.is_dir():
            stamp.unlink(missing_ok=True)
            new_origin, new_truth = (path.with_name(f".{path.name}.part") for path in (origin, truth))
            for path in (new_origin, new_truth):  # left by a build that was interrupted: the lock is ours
                _remove(path)
                path.mkdir(parents=True)
            with fixed_threads(1):
                _build(new_origin, new_truth, wanted)
            commit = create_dataset(new_origin, name, LARGE, DATE)
            for new, path in ((new_truth, truth), (new_origin, origin)):
                _remove(path)
                new.rename(path)
            there = {"made_from": made_from, "commit": commit, "settings": wanted}
            write_text(stamp, json.dumps(there, indent=2, sort_keys=True) + "\n")
    return Source("datalad", str(origin), there["commit"], "simulated on this machine (sim)")


def files_needed(root: str | Path, what: str, settings: dict[str, Any], recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need.

    Raises
    ------
    ValueError
        If ``what`` is none of these.
    FileNotFoundError
        If there are none; names the folder.
    """
    root = Path(root)
    if what == "dataset":
        events_ = "sub-*/ses-*/func/*_events.tsv"
        patterns = ["participants.tsv", "stimuli/stimuli.tsv", events_, f"{ROIS}/sub-*/*.label.gii"]
    elif what == "stimuli":
        patterns = ["stimuli/stimuli.tsv", "stimuli/*.png"]
    else:
        _check_subject(what)
        patterns = [
            f"{PREPROC}/{what}/ses-*/func/*_bold.nii.gz",
            f"{PREPROC}/{what}/ses-*/func/*_bold.json",
            f"{PREPROC}/{what}/ses-*/func/*_mask.nii.gz",
        ]
    return [path.relative_to(root).as_posix() for pattern in patterns for path in _found(root, pattern)]


def trials(root: str | Path, subject: str, settings: dict[str, Any]) -> pd.DataFrame:
    """One row per trial, in the order of acquisition.

    Pictures that no event shows are allowed; the log counts them.

    Parameters
    ----------
    root : str or Path
    subject : str
    settings : dict

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
    tables = []
    for path in _found(Path(root), f"{subject}/ses-{SESSION}/func/*_events.tsv"):
        found = events.in_order(events.read(path, ["onset", "duration"], ["trial_type", "stim_file"]), path)
        tables.append(found.assign(run=_entity(path, "run"), trial=np.arange(1, len(found) + 1)))
    shown = pd.concat(tables, ignore_index=True)
    listed = Path(root) / "stimuli" / "stimuli.tsv"
    pictures = events.read(listed, [], ["file", "category"])
    never = events.check_pictures(shown, dict(zip(pictures["file"], pictures["category"], strict=True)), listed)
    if never:
        told = f"{len(never)} of {len(pictures)} pictures are shown in no event of {subject}, the first are {never[:5]}"
        logging.getLogger(__name__).warning(told)
    named = shown.rename(columns={"onset": "onset_s", "duration": "duration_s", "stim_file": "image_id"})
    columns = ["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]
    return named.assign(session=SESSION, usable=True)[columns]


def stimuli(root: str | Path, settings: dict[str, Any]) -> Iterator[Stimulus]:
    """Yield each picture, labelled with its ``category``.

    Raises
    ------
    FileNotFoundError
        If pictures of the table are not there; gives the counts on both sides and the first five.
    ValueError
        If a file is no whole picture; names it and its bytes.
    """
    folder = Path(root) / "stimuli"
    table = events.read(folder / "stimuli.tsv", [], ["file", "category"])
    missing = [name for name in table["file"] if not (folder / name).is_file()]
    if missing:
        there = len(list(folder.glob("*.png")))
        raise FileNotFoundError(
            f"{len(missing)} of the {len(table)} pictures of {folder / 'stimuli.tsv'} are not among the {there} files "
            f"there, the first are {missing[:5]}"
        )
    for file, category in zip(table["file"], table["category"], strict=True):
        try:
            with Image.open(folder / file) as picture:
                pixels = np.array(picture.convert("RGB"))
        except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a syntax error
            size = (folder / file).stat().st_size
            raise ValueError(f"{folder / file} ({size} bytes) is no whole picture: {error}") from None
        yield Stimulus(file, pixels, {"category": category})


def runs(root: str | Path, subject: str, settings: dict[str, Any], recording: str) -> Iterator[BoldRun]:
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
    folder = f"{PREPROC}/{subject}/ses-{SESSION}/func"
    mask_path = _found(Path(root), f"{folder}/*_mask.nii.gz")[0]
    mask = _voxels(mask_path)[1] > 0
    for path in _found(Path(root), f"{folder}/*_bold.nii.gz"):
        image, found = _voxels(path)
        if image.shape[:3] != mask.shape:
            raise ValueError(f"{path} is {image.shape[:3]} voxels, {mask_path} {mask.shape}")
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        stated = sidecars.read(sidecar).get("RepetitionTime")
        if not isinstance(stated, int | float):
            raise ValueError(f"{sidecar} states RepetitionTime {stated!r}, expected seconds")
        tr_s = {"header": float(image.header.get_zooms()[3]), "sidecar": float(stated)}
        yield BoldRun(SESSION, _entity(path, "run"), found, np.asarray(image.affine), mask, tr_s, "MNI")


def rois(root: str | Path, subject: str, space: str, settings: dict[str, Any]) -> dict[str, np.ndarray]:
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
    halves: list[dict[str, np.ndarray]] = []
    for side in ("L", "R"):
        path = _found(Path(root), f"{ROIS}/{subject}/*_hemi-{side}_*.label.gii")[0]
        image = nib.gifti.GiftiImage.from_filename(path)
        keys = image.darrays[0].data
        halves.append({label.label: keys == label.key for label in image.labeltable.labels if label.key})
    found = {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}
    return found | {"early": found["V1"] | found["V2"] | found["V3"]}


def sizes(settings: dict[str, Any], recording: str) -> Sizes:
    """What the simulated study costs: nothing comes over a network, but it is written here and cloned.

    Raises
    ------
    ValueError
        If settings contradict each other.
    """
    wanted = _filled(settings)
    n_trials = wanted["n_train_images"] + wanted["n_test_images"] * wanted["n_test_repeats"]
    longest = -(-n_trials // wanted["n_runs"])
    n_volumes = round((LEAD_IN_S + wanted["slot_s"] * longest + TAIL_S) / FACTS["tr_s"])
    _, shape = bold.grid(wanted["voxel_mm"])
    n_voxels = int(np.prod(shape))
    written = round(2 * IN_MASK * n_voxels * n_volumes * wanted["n_runs"])  # int16
    one = SubjectSizes(written, n_trials, wanted["n_runs"], n_volumes, n_voxels)
    n_images = wanted["n_train_images"] + wanted["n_test_images"]
    image_bytes = 3 * wanted["image_size"] ** 2
    subjects = dict.fromkeys(FACTS["subjects"], one)
    # the data set itself lies beside its clone
    return Sizes(written * len(subjects), n_images * image_bytes, n_images, image_bytes, subjects, False)


def oracle(workspace: str | Path, settings: dict[str, Any], subject: str) -> Oracle:
    """Read the truth about a subject.

    Parameters
    ----------
    workspace : str or Path
        As given to ``source``.
    settings : dict
    subject : str

    Raises
    ------
    ValueError
        If the subject is unknown.
    FileNotFoundError
        If ``source`` has not written it; names the folder.
    """
    _check_subject(subject)
    folder = Path(workspace) / "oracle" / _name(_filled(settings)) / subject
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no such folder: {folder}; it is written together with the data set (rule fetch_dataset)"
        )
    variance = nib.Nifti1Image.from_filename(folder / "noise_variance.nii.gz")
    values = np.asarray(variance.dataobj, dtype=np.float32)
    with np.load(folder / "brain.npz", allow_pickle=False) as tuning:
        return Oracle(
            vertices=pd.read_parquet(folder / "vertices.parquet"),
            image_ids=tuning["image_ids"],
            amplitudes=tuning["amplitudes"],
            channel_weights=tuning["channel_weights"],
            noise_variance=values,
            mask=tuning["mask"],
            affine=np.asarray(variance.affine),
            runs=_found(folder, "*_desc-noisefree_bold.nii.gz"),
        )


def _filled(settings: dict[str, Any]) -> dict[str, Any]:
    wanted = {key: settings.get(key, known["default"]) for key, known in SETTINGS.items()}
    if wanted["slot_s"] % FACTS["tr_s"]:
        raise ValueError(f"slot_s must be a multiple of the TR ({FACTS['tr_s']:g} s), not {wanted['slot_s']:g}")
    if wanted["duration_s"] > wanted["slot_s"]:
        raise ValueError(f"duration_s must fit into slot_s ({wanted['slot_s']:g} s), not {wanted['duration_s']:g}")
    return wanted


def _name(wanted: dict[str, Any]) -> str:
    return f"sim-{digest(canonical(wanted))[:8]}"


def _remove(folder: Path) -> None:
    """Remove a data set, whose annexed objects lie in folders without write permission."""
    if folder.exists():
        for place in [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]:
            place.chmod(0o700)
        shutil.rmtree(folder)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"sim has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _found(root: Path, pattern: str) -> list[Path]:
    """Files of a pattern, sorted; names count, whether or not their content is there."""
    paths = sorted(root.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"{root} has no {pattern}")
    return paths


def _entity(path: Path, name: str) -> str:
    """Value of a BIDS entity of a file's name."""
    return next(part.removeprefix(f"{name}-") for part in path.name.split("_") if part.startswith(f"{name}-"))


def _voxels(path: Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Open an image and read all of it as float32."""
    try:
        image = nib.Nifti1Image.from_filename(path)
        return image, np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole NIfTI: {error}; remove it and get it again") from None


def _rng(wanted: dict[str, Any], *purpose: int) -> np.random.Generator:
    return np.random.default_rng([wanted["seed"], *purpose])


def _build(folder: Path, truth: Path, wanted: dict[str, Any]) -> None:
    """Write the data set's files and the oracle's."""
    table, pictures = _pictures(wanted)
    _write_study(folder, table, pictures)
    seen = brain.see(pictures)
    category = table["category"].map(CATEGORIES.index).to_numpy()
    strength = np.exp(_rng(wanted, _STRENGTH).normal(0, 0.25, len(table)))
    train = (table["part"] == "train").to_numpy()
    mesh = _mesh()
    with tqdm(total=len(FACTS["subjects"]) * wanted["n_runs"], desc="simulate BOLD", unit="run") as bar:
        for number, subject in enumerate(FACTS["subjects"]):
            drawn = brain.draw_brain(
                mesh["sphere"], mesh["middle"], mesh["left"], CATEGORIES, _rng(wanted, _BRAIN, number)
            )
            amplitudes = brain.amplitudes(drawn, seen, category, strength, train)
            _write_subject(folder, truth, subject, number, wanted, table, mesh, drawn, amplitudes, bar)


def _mesh() -> dict[str, np.ndarray]:
    """Coordinates of fsaverage5, left hemisphere first, mm."""
    from nilearn import datasets, surface  # takes seconds, and only a build needs it

    paths = datasets.fetch_surf_fsaverage("fsaverage5")
    mesh = {
        kind: np.concatenate(
            [surface.load_surf_mesh(paths[f"{kind}_{side}"]).coordinates.astype(float) for side in ("left", "right")]
        )
        for kind in ("white", "pial", "sphere")
    }
    n = len(mesh["white"])
    return mesh | {"middle": (mesh["white"] + mesh["pial"]) / 2, "left": np.arange(n) < n // 2}


def _pictures(wanted: dict[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    """Table (file, category, source, part), training pictures first, and the pictures uint8 (n, size, size, 3)."""
    rows, pictures = [], []
    for part, key in (("train", "n_train_images"), ("test", "n_test_images")):
        available: dict[str, list[tuple[str, np.ndarray]]] = {
            name: _photographed(name, part, wanted) for name in ("face", *PHOTOGRAPHS)
        }
        counts = _shares(wanted[key], [len(found) for found in available.values()], len(MADE))
        for place, (name, count) in enumerate(zip(CATEGORIES, counts, strict=True)):
            if name in MADE:
                family = ("train", "test").index(part)
                rng = [_rng(wanted, _PICTURES, place, family, k) for k in range(count)]
                chosen = [(f"{name}, seed family {part}", MADE[name](wanted["image_size"], one)) for one in rng]
            else:
                chosen = available[name][:count]
            for k, (origin, picture) in enumerate(chosen):
                rows.append((f"{name}_{part}-{k + 1:03d}.png", name, origin, part))
                pictures.append(picture)
    return pd.DataFrame(rows, columns=["file", "category", "source", "part"]), np.stack(pictures)


def _shares(total: int, available: list[int], n_more: int) -> list[int]:
    """Spread pictures evenly over categories; what photographs cannot give, the made ones (``n_more``) do."""
    limits = [*available, *[total] * n_more]
    counts = [0] * len(limits)
    while sum(counts) < total:
        open_places = [k for k, limit in enumerate(limits) if counts[k] < limit]
        least = min(open_places, key=lambda k: counts[k])
        counts[least] += 1
    return counts


def _photographed(category: str, part: str, wanted: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Pictures with the name of their photograph, in random order, as many as might be needed or as there are."""
    rng = _rng(wanted, _PICTURES, CATEGORIES.index(category), ("train", "test").index(part))
    need = wanted["n_train_images" if part == "train" else "n_test_images"]
    if category == "face":
        faces = np.load(str(_shipped("lfw_subset.npy")), allow_pickle=False)
        chosen = rng.permutation(list(FACES[part]))
        found = [
            (f"lfw_subset.npy, {k}", np.repeat(np.rint(255 * faces[k])[..., None], 3, 2).astype(np.uint8))
            for k in chosen
        ]
    else:
        names, sides = PHOTOGRAPHS[category][part]
        found = []
        for name in names:
            with Image.open(str(_shipped(name))) as opened:
                photograph = np.array(opened.convert("RGB"))
            found += [(name, patch) for patch in images.cut_patches(photograph, -(-need // 2), sides, rng)]
        found = [found[k] for k in rng.permutation(len(found))]
    size = (wanted["image_size"],) * 2
    return [(name, np.array(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC))) for name, p in found]


def _shipped(name: str) -> Path:
    """Path of a sample image inside scikit-image or scikit-learn."""
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        path = Path(str(files(package))) / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"neither scikit-image nor scikit-learn ships {name} any more: pin the versions of the lock file"
    )


def _write_study(folder: Path, table: pd.DataFrame, pictures: np.ndarray) -> None:
    """What all subjects share."""
    described = {"BIDSVersion": "1.9.0", "License": FACTS["licence"], "GeneratedBy": [{"Name": "boldflow sim"}]}
    for place, kind in (("", "raw"), (PREPROC, "derivative"), (ROIS, "derivative")):
        name = f"Simulated study: people look at pictures {place}".strip()
        bids_create.write_json(
            folder / place / "dataset_description.json", {**described, "Name": name, "DatasetType": kind}
        )
    text = "SIMULATED: no person was scanned. There is no raw BOLD; derivatives/preproc holds what is analysed.\n"
    write_text(folder / "README", text)
    bids_create.write_tsv(folder / "participants.tsv", pd.DataFrame({"participant_id": FACTS["subjects"]}))
    (folder / "stimuli").mkdir()
    for name, picture in zip(table["file"], pictures, strict=True):
        Image.fromarray(picture).save(folder / "stimuli" / name)
    bids_create.write_tsv(folder / "stimuli" / "stimuli.tsv", table)


def _write_subject(
    folder: Path,
    truth: Path,
    subject: str,
    number: int,
    wanted: dict[str, Any],
    table: pd.DataFrame,
    mesh: dict[str, np.ndarray],
    drawn: brain.Brain,
    amplitudes: np.ndarray,
    bar: "tqdm[Any]",
) -> None:
    """Write one subject's regions, events, BOLD and truth."""
    rng = _rng(wanted, _NOISE, number)
    affine, shape = bold.grid(wanted["voxel_mm"])
    forward = bold.forward_map(mesh["white"], mesh["pial"], affine, shape)
    mask = bold.mask_of(forward, shape)
    silent = bold.silent_vertices(drawn.responsive, mesh["white"], mesh["pial"], wanted["voxel_mm"])
    to_voxels = forward[mask.ravel()][:, drawn.responsive]
    smooth = bold.smooth_map(mask, affine)
    noise_sd = wanted["noise_sd"] * bold.SIGNAL * rng.uniform(0.85, 1.15)
    scale = noise_sd * np.exp(rng.normal(0, 0.1, int(mask.sum())))
    step = max(noise_sd, 1.0) / FINE
    _write_rois(folder / ROIS / subject, subject, drawn, silent)
    counts = (wanted["n_train_images"], wanted["n_test_images"], wanted["n_test_repeats"], wanted["n_runs"])
    here = f"{subject}_ses-{SESSION}_task-{TASK}"
    preproc = folder / PREPROC / subject / f"ses-{SESSION}" / "func"
    bids_create.write_nifti(preproc / f"{here}_space-{SPACE}_desc-brain_mask.nii.gz", mask.astype(np.uint8), affine)
    for run, order in enumerate(bold.schedule(*counts, _rng(wanted, _ORDER, number)), start=1):
        onsets = LEAD_IN_S + wanted["slot_s"] * np.arange(len(order))
        shown = pd.DataFrame(
            {
                "onset": onsets,
                "duration": float(wanted["duration_s"]),
                "trial_type": table["category"].to_numpy()[order],
                "stim_file": table["file"].to_numpy()[order],
            }
        )
        bids_create.write_tsv(folder / subject / f"ses-{SESSION}" / "func" / f"{here}_run-{run:02d}_events.tsv", shown)
        n_volumes = round((LEAD_IN_S + wanted["slot_s"] * len(order) + TAIL_S) / FACTS["tr_s"])
        response = bold.design(onsets, n_volumes, FACTS["tr_s"], wanted["duration_s"])
        clean = bold.BASELINE + bold.SIGNAL * (to_voxels @ (response @ amplitudes[order]).T).T
        noisy = clean + bold.noise(n_volumes, scale, smooth, rng) + bold.drift(n_volumes, scale, rng)
        named = f"{here}_run-{run:02d}_space-{SPACE}"
        _write_bold(preproc / f"{named}_desc-preproc_bold.nii.gz", noisy, mask, affine, step)
        _write_bold(truth / subject / f"{named}_desc-noisefree_bold.nii.gz", clean, mask, affine, None)
        note = {"RepetitionTime": FACTS["tr_s"], "TaskName": TASK, "StartTime": 0.0, "SkullStripped": True}
        bids_create.write_json(preproc / f"{named}_desc-preproc_bold.json", note)
        bar.update()
    variance = np.zeros(shape, dtype=np.float32)
    variance[mask] = scale**2 + step**2 / 12
    _write_truth(truth / subject, table, drawn, silent, amplitudes, variance, mask, affine)


def _write_bold(path: Path, series: np.ndarray, mask: np.ndarray, affine: np.ndarray, step: float | None) -> None:
    """Write masked time series (n_volumes, n_masked) as float32, or as int16 in units of ``step``."""
    stored = series.astype(np.float32) if step is None else np.rint(series / step).astype(np.int16)
    volumes = np.zeros((*mask.shape, len(series)), dtype=stored.dtype, order="F")
    for k, row in enumerate(stored):
        volumes[..., k][mask] = row
    bids_create.write_nifti(path, volumes, affine, FACTS["tr_s"], step or 1.0)


def _write_rois(folder: Path, subject: str, drawn: brain.Brain, silent: np.ndarray) -> None:
    names = dict(enumerate([*drawn.areas, SILENT], start=1))
    labels = np.where(silent, len(names), drawn.area + 1)
    half = len(labels) // 2
    for side, part in (("L", labels[:half]), ("R", labels[half:])):
        path = folder / f"{subject}_hemi-{side}_space-fsaverage5_dseg.label.gii"
        bids_create.write_labels(path, part, names, {"L": "CortexLeft", "R": "CortexRight"}[side])


def _write_truth(
    folder: Path,
    table: pd.DataFrame,
    drawn: brain.Brain,
    silent: np.ndarray,
    amplitudes: np.ndarray,
    variance: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
) -> None:
    n = len(drawn.area)
    vertices = pd.DataFrame(
        {
            "hemisphere": np.repeat(["left", "right"], n // 2),
            "vertex": np.tile(np.arange(n // 2), 2),
            "area": np.array([*drawn.areas, ""])[drawn.area],
            "responsive": drawn.responsive,
            "silent": silent,
            "x_deg": drawn.x_deg,
            "y_deg": drawn.y_deg,
            "size_deg": drawn.size_deg,
            "orientation": drawn.orientation,
            "frequency": drawn.frequency,
            "normalised": drawn.normalised,
            "gain": drawn.gain,
            **{f"selectivity_{name}": drawn.selectivity[:, k] for k, name in enumerate(CATEGORIES)},
        }
    )
    vertices.to_parquet(folder / "vertices.parquet", index=False)
    bids_create.write_nifti(folder / "noise_variance.nii.gz", variance, affine)
    np.savez(
        folder / "brain.npz",
        image_ids=table["file"].to_numpy(dtype=str),
        amplitudes=amplitudes,
        channel_weights=brain.channel_weights(drawn),
        mask=mask,
    )
