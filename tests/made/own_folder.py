"""A folder of one's own, as small as can be: events, pictures, and BOLD of a few voxels as fMRIPrep names it."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from boldflow import catalogue
from boldflow.provenance import canonical
from boldflow.stages.fetch import fetch_dataset, fetch_stimuli, fetch_subject
from boldflow.stages.trials import list_trials, pack_stimuli
from tests.made.features import SCHEMAS

HEAD = "onset\tduration\tstim_file\n"
RECEIPTS = Path("resources/receipts/mine")
FACTS = {
    "images": True, "stimuli_inside": False, "stimuli_from": "Yours.", "stimuli_password": None, "subjects": [],
}  # fmt: skip


def picture(number, side=16):
    """Give pixels that resemble no other number's."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def make(folder, names=("a.png", "b.png", "c.png"), subjects=("sub-01",), derivatives="derivatives/fmriprep"):
    """Write the folder: each picture shown twice, in two runs."""
    (folder / "stimuli").mkdir(parents=True)
    for number, name in enumerate(names):
        path = folder / "stimuli" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(number)).save(path)
    for subject in subjects:
        prep = folder / derivatives / subject / "func"
        (folder / subject / "func").mkdir(parents=True)
        prep.mkdir(parents=True)
        for run in ("1", "2"):
            rows = "".join(f"{4 * n}\t1\t{name}\n" for n, name in enumerate(names))
            (folder / subject / "func" / f"{subject}_task-look_run-{run}_events.tsv").write_text(HEAD + rows)
            stem = prep / f"{subject}_task-look_run-{run}_space-MNI152NLin2009cAsym_desc-"
            bold = np.random.default_rng(int(run)).normal(100, 1, (2, 2, 2, 12)).astype(np.float32)
            image = nib.Nifti1Image(bold, np.eye(4))
            image.header.set_zooms((1, 1, 1, 2))
            nib.save(image, f"{stem}preproc_bold.nii.gz")
            nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), f"{stem}brain_mask.nii.gz")
    return folder


def entry(folder, **more):
    """Give a catalogue's entry of the folder."""
    keys = {
        "plugin": "bids", "folder": str(folder), "subjects": ["sub-01"], "tr_s": 2.0, "image_column": "stim_file",
        "stimuli_root": str(folder / "stimuli"),
    }  # fmt: skip
    return {"datasets": {"mine": keys | more}}


def _settings(config, rule, subject=""):
    return canonical(catalogue.handed(config, SCHEMAS, "datasets", "mine", rule, subject))


def fetch(config):
    """Fetch the data set."""
    places = canonical(catalogue.places(config, "datasets", "mine"))
    fetch_dataset.run(str(RECEIPTS / "dataset.json"), _settings(config, "fetch_dataset"), places)


def fetch_bold(config, subject="sub-01"):
    """Fetch a subject's BOLD."""
    places = canonical(catalogue.places(config, "datasets", "mine"))
    receipt = str(RECEIPTS / subject / "bold.json")
    settings = _settings(config, "fetch_subject", subject)
    fetch_subject.run(str(RECEIPTS / "dataset.json"), receipt, subject, "bold", settings, places)
    return json.loads(Path(receipt).read_text())


def fetch_pictures(config):
    """Fetch the pictures; give the receipt."""
    places = canonical(catalogue.places(config, "datasets", "mine"))
    facts = canonical(FACTS | {"subjects": config["datasets"]["mine"]["subjects"]})
    receipt = str(RECEIPTS / "stimuli.json")
    settings = _settings(config, "fetch_stimuli")
    fetch_stimuli.run(str(RECEIPTS / "dataset.json"), receipt, settings, places, facts)
    return json.loads(Path(receipt).read_text())


def trials(config, subject="sub-01"):
    """List a subject's trials."""
    path = f"results/mine/{subject}/trials.parquet"
    list_trials.run(str(RECEIPTS / "dataset.json"), path, subject, _settings(config, "list_trials", subject), "{}")
    return path


def pack(config):
    """Pack the pictures."""
    paths = ("results/mine/stimuli.h5", "results/mine/stimuli.parquet")
    receipts = (str(RECEIPTS / "dataset.json"), str(RECEIPTS / "stimuli.json"))
    pack_stimuli.run(*receipts, *paths, _settings(config, "pack_stimuli"), "{}")
    return paths
