"""A data set plug-in for tests, copied into a project: two subjects and a broken one, fetched from 127.0.0.1."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image

from boldflow.core.records.runs import BoldRun
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus

FACTS: dict[str, Any] = {
    "subjects": ["sub-01", "sub-02", "sub-03"],
    "tr_s": 2.5,
    "spaces": ["native"],
    "images": False,
    "split_unit": "run",
    "simulated": False,
    "version": "1",
    "source": {"accession": "ds000001", "commit": "COMMIT"},
    "licence": "CC BY-SA 3.0",
    "citation": "Haxby et al. 2001",
    "agreement": None,
    "recordings": {"bold": "BOLD of each run"},
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
}
SETTINGS: dict[str, dict[str, Any]] = {}


def source(settings: dict[str, Any], workspace: str | Path) -> Source:
    """Name an address that is never asked: the entry gives the origin."""
    return Source("datalad", "http://127.0.0.1:9/nowhere", FACTS["source"]["commit"], "loopback")


def files_needed(root: str | Path, what: str, settings: dict[str, Any], recording: str | None = None) -> list[str]:
    """Paths of the data set, of a subject, or of the pictures."""
    root = Path(root)
    pictures = [path.relative_to(root).as_posix() for path in sorted(root.glob("**/*.png"))]
    if what == "stimuli" and pictures:
        return pictures
    if what in ("dataset", "stimuli"):
        return ["mask.nii.gz", *_names(root, "sub-*", "events.tsv")]
    return _names(root, what, "bold.nii.gz")


def trials(root: str | Path, subject: str, settings: dict[str, Any]) -> pd.DataFrame:
    """One row per block."""
    tables = []
    for path in _names(Path(root), subject, "events.tsv"):
        table = pd.read_csv(Path(root) / path, sep="\t").sort_values("onset", ignore_index=True)
        run = path.split("_")[2]
        ids = [f"{subject}_{run}_{place}" for place in range(1, len(table) + 1)]
        tables.append(table.assign(session="01", run=run, trial=range(1, len(table) + 1), image_id=ids, usable=True))
    return pd.concat(tables).rename(columns={"onset": "onset_s", "duration": "duration_s"})


def stimuli(root: str | Path, settings: dict[str, Any]) -> Iterator[Stimulus]:
    """Yield pictures where there are some, else a label per block."""
    for path in sorted(Path(root).glob("**/*.png")):
        with Image.open(path) as image:
            yield Stimulus(path.name, np.array(image.convert("RGB")), {"category": "picture"})
    for subject in FACTS["subjects"] if (Path(root) / "mask.nii.gz").exists() else []:
        for row in trials(root, subject, settings).itertuples():
            yield Stimulus(str(row.image_id), None, {"category": str(row.trial_type)})


def runs(root: str | Path, subject: str, settings: dict[str, Any], recording: str) -> Iterator[BoldRun]:
    """Yield the BOLD of each run."""
    mask = np.asarray(nib.Nifti1Image.from_filename(Path(root) / "mask.nii.gz").dataobj) > 0
    for path in _names(Path(root), subject, "bold.nii.gz"):
        image = nib.Nifti1Image.from_filename(Path(root) / path)
        bold = np.asarray(image.dataobj, dtype=np.float32)
        yield BoldRun("01", path.split("_")[2], bold, np.asarray(image.affine), mask, {"facts": 2.5}, "native")


def rois(root: str | Path, subject: str, space: str, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """None."""
    return {}


def sizes(settings: dict[str, Any], recording: str) -> Sizes:
    """About what is published."""
    one = SubjectSizes(214_000, 16, 2, 121, 530)
    return Sizes(100_000, 0, 48, 0, dict.fromkeys(FACTS["subjects"], one), False)


def _names(root: Path, subject: str, suffix: str) -> list[str]:
    return [os.path.relpath(path, root) for path in sorted(root.glob(f"{subject}/func/*_{suffix}"))]
