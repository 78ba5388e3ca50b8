"""Haxby et al. 2001: BOLD of one person looking at blocks of pictures of eight categories.

Two layouts are read: the tree of twelve runs that PyMVPA ships as its example (half a slice), and the one
that nilearn's ``fetch_haxby`` downloads (whole volumes of all runs in one file, with a label and a run per
volume). A trial is a block; there are no pictures, so an image id is the block's own, such as
``sub001_run001_block01``.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids, bids_times
from boldflow.core.records.runs import BoldRun, SliceTiming
from boldflow.core.records.sources import Sizes, Source, SubjectSizes
from boldflow.core.records.stimuli import Stimulus
from boldflow.settings import Entry

FACTS: dict[str, Any] = {
    "subjects": ["sub001"],
    "tr_s": 2.5,
    "spaces": ["native"],
    "images": False,
    "split_unit": "run",
    "simulated": False,
    "version": "PyMVPA example data",
    "source": {"accession": "haxby2001", "commit": None},
    "licence": "CC BY-SA 3.0",
    "citation": "Haxby et al. 2001, Science 293:2425-2430",
    "agreement": None,
    "recordings": {"bold": "BOLD of each run, as acquired"},
    "stimuli_inside": True,
    "stimuli_from": None,
    "stimuli_password": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "slice_time_ref": {
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "To which time within the TR slice timing has moved the slices, as a share of it, where no "
        "sidecar states StartTime: 0.5 is the middle. By default 0.",
    },
}  # fmt: skip
# Which keys of an entry each rule reads.
READS: dict[str, list[str]] = {
    "fetch_dataset": [],
    "fetch_subject": [],
    "fetch_stimuli": [],
    "list_trials": [],
    "pack_stimuli": [],
    "project_responses": ["slice_time_ref"],
}

SESSION = "01"
N_RUNS = 12
RUNS = [f"run{number:03d}" for number in range(1, N_RUNS + 1)]
CATEGORIES = frozenset({"bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"})
REST = "rest"
VARIABLE = "BOLDFLOW_REAL_DATA"
SHARED = Path("../shared/data")  # beside the project's folder, in which Snakemake runs
NILEARN_SUBJECTS = {"sub001": 1}
NILEARN_BYTES = 330_000_000  # about what nilearn downloads for one subject
N_VOXELS = 577  # of nilearn's mask of subject 1; PyMVPA's has 530
# Which files each fetch looks at when the workflow is parsed, where they are the user's.
LOOKS: dict[str, list[str]] = {
    "fetch_dataset": ["$BOLDFLOW_REAL_DATA/haxby2001/**/*", "../shared/data/haxby2001/**/*"],
    "fetch_subject": ["$BOLDFLOW_REAL_DATA/haxby2001/**/*", "../shared/data/haxby2001/**/*"],
    "fetch_stimuli": ["$BOLDFLOW_REAL_DATA/haxby2001/**/*", "../shared/data/haxby2001/**/*"],
}

# of the tree of runs
TREE = "haxby2001"
MASK = "mask.nii.gz"
SCAN_KEY = f"{TREE}/scan_key.txt"


def source(settings: Entry, workspace: str | Path) -> Source:
    """Name the folder of the data: ``$BOLDFLOW_REAL_DATA``, else ``../shared/data``, else nilearn's download.

    Parameters
    ----------
    settings : Entry
    workspace : str or Path
        Folder into which nilearn downloads where neither of the other places is there.

    Returns
    -------
    Source
        Of kind ``folder``.

    Raises
    ------
    FileNotFoundError
        If the variable is set, or the shared folder is there, and a file is missing in it; names the file.
    """
    stated_folder = os.environ.get(VARIABLE)
    if stated_folder or (SHARED / "haxby2001").is_dir():
        root = (Path(stated_folder or SHARED) / "haxby2001").resolve()
        folder_text = f"${VARIABLE}" if stated_folder else str(SHARED)
        for path in _files_of_tree():
            if not (root / path).is_file():
                raise FileNotFoundError(f"{root / path} is missing: {folder_text} must hold the whole folder haxby2001")
        return Source("folder", str(root), None, "PyMVPA example data, haxby2001")
    from nilearn import datasets  # takes seconds, and only a download needs it

    try:
        downloaded_files = datasets.fetch_haxby(
            data_dir=str(workspace), subjects=list(NILEARN_SUBJECTS.values()), verbose=0
        )
    except OSError as error:
        error.add_note(f"without a network, set {VARIABLE} to a folder that holds haxby2001")
        raise
    return Source("folder", str(Path(downloaded_files.func[0]).resolve().parents[1]), None, "nilearn fetch_haxby")


def files_needed(root: str | Path, what: str, settings: Entry, recording: str | None = None) -> list[str]:
    """Paths below ``root`` that the data set, its stimuli, or a subject need.

    Raises
    ------
    ValueError
        If ``what`` is none of these.
    """
    is_tree = _is_tree(Path(root))
    if what == "dataset":
        label_paths = [path for subject in FACTS["subjects"] for path in _label_files(subject, is_tree)]
        return label_paths + ([MASK, SCAN_KEY] if is_tree else [_nilearn(FACTS["subjects"][0], "mask4_vt.nii.gz")])
    if what == "stimuli":
        return [path for subject in FACTS["subjects"] for path in _label_files(subject, is_tree)]
    _check_subject(what)
    bold_paths = (
        [_run_file(what, run, "bold_1slice.nii.gz") for run in RUNS] if is_tree else [_nilearn(what, "bold.nii.gz")]
    )
    mask_path = MASK if is_tree else _nilearn(what, "mask4_vt.nii.gz")
    return [*bold_paths, *_label_files(what, is_tree), mask_path, *([SCAN_KEY] if is_tree else [])]


def trials(root: str | Path, subject: str, settings: Entry) -> pd.DataFrame:
    """One row per block, in the order of acquisition.

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
        If a table of events or labels is not as it should be; names the file and what was found.
    """
    return _blocks(Path(root), subject).drop(columns="category")


def stimuli(root: str | Path, settings: Entry) -> Iterator[Stimulus]:
    """Yield a record without picture for each block, labelled with its ``category``."""
    for subject in FACTS["subjects"]:
        for row in _blocks(Path(root), subject).itertuples():
            yield Stimulus(str(row.image_id), None, {"category": str(row.category)})


def runs(root: str | Path, subject: str, settings: Entry, recording: str) -> Iterator[BoldRun]:
    """Yield the BOLD of each run, in the order of acquisition.

    Yields
    ------
    BoldRun
        ``bold`` is float32 (x, y, z, n_volumes) in the scanner's units; ``mask`` are the voxels given with
        the data: the brain in half a slice (PyMVPA), or ventral temporal cortex (nilearn).

    Raises
    ------
    ValueError
        If BOLD and mask lie on different grids, or volumes and labels differ in number; shows both.
    """
    root = Path(root)
    _check_subject(subject)
    slice_timing = SliceTiming(ref=settings.get("slice_time_ref"))
    if _is_tree(root):
        yield from _runs_of_tree(root, subject, slice_timing)
    else:
        yield from _runs_of_nilearn(root, subject, slice_timing)


def rois(root: str | Path, subject: str, space: str, settings: Entry) -> dict[str, np.ndarray]:
    """No named regions come with the data."""
    return {}


def sizes(settings: Entry, recording: str) -> Sizes:
    """What the data cost: nothing is fetched where the folder is at hand, else what nilearn downloads."""
    at_hand = bool(os.environ.get(VARIABLE)) or (SHARED / TREE).is_dir()
    volumes = 121 if at_hand else 1452  # a file a run, or one for all
    of_subject = SubjectSizes(0 if at_hand else NILEARN_BYTES, N_RUNS * 8, N_RUNS, volumes, N_VOXELS)
    return Sizes(0, 0, N_RUNS * 8, 0, dict.fromkeys(FACTS["subjects"], of_subject), at_hand)


def _check_subject(subject: str) -> None:
    if subject not in FACTS["subjects"]:
        raise ValueError(f"haxby has no subject {subject!r}; there are: {', '.join(FACTS['subjects'])}")


def _is_tree(root: Path) -> bool:
    return (root / TREE).is_dir()


def _run_file(subject: str, run: str, name: str) -> str:
    return f"{TREE}/{subject}/BOLD/task001_{run}/{name}"


def _nilearn(subject: str, name: str) -> str:
    return f"subj{NILEARN_SUBJECTS[subject]}/{name}"


def _label_files(subject: str, tree: bool) -> list[str]:
    return [_run_file(subject, run, "bold_events.tsv") for run in RUNS] if tree else [_nilearn(subject, "labels.txt")]


def _files_of_tree() -> list[str]:
    names = ("bold_1slice.nii.gz", "bold_events.tsv")
    return [MASK, SCAN_KEY] + [
        _run_file(subject, run, name) for subject in FACTS["subjects"] for run in RUNS for name in names
    ]


def _blocks(root: Path, subject: str) -> pd.DataFrame:
    _check_subject(subject)
    table = _events_of_tree(root, subject) if _is_tree(root) else _events_of_labels(root, subject)
    table["session"] = SESSION
    table["trial"] = table.groupby("run", sort=False).cumcount() + 1
    table["image_id"] = [
        f"{subject}_{run}_block{trial:02d}" for run, trial in zip(table["run"], table["trial"], strict=True)
    ]
    table["usable"] = True
    return table[["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable", "category"]]


def _events_of_tree(root: Path, subject: str) -> pd.DataFrame:
    tables = []
    for run in RUNS:
        path = root / _run_file(subject, run, "bold_events.tsv")
        events = _read(path, "\t", {"onset": float, "duration": float, "trial_type": str})
        events = events.rename(columns={"onset": "onset_s", "duration": "duration_s", "trial_type": "category"})
        events = events.sort_values("onset_s", kind="stable", ignore_index=True)
        _check_categories(path, events["category"])
        tables.append(events.assign(run=run))
    return pd.concat(tables, ignore_index=True)


def _events_of_labels(root: Path, subject: str) -> pd.DataFrame:
    """Blocks are consecutive volumes with one label; those of rest are left out."""
    path = root / _nilearn(subject, "labels.txt")
    rows = []
    for run, labels in _labels_by_run(path):
        new_block = labels.ne(labels.shift())
        for _, block in labels.groupby(new_block.cumsum()):
            category = block.iloc[0]
            if category != REST:
                onset_s = float(block.index[0]) * FACTS["tr_s"]
                rows.append((run, onset_s, len(block) * FACTS["tr_s"], category))
    table = pd.DataFrame(rows, columns=["run", "onset_s", "duration_s", "category"])
    _check_categories(path, table["category"])
    return table


def _labels_by_run(path: Path) -> Iterator[tuple[str, "pd.Series[str]"]]:
    """Yield the label of each volume of a run, counted from 0 within the run."""
    table = _read(path, " ", {"labels": str, "chunks": int})
    chunks = table["chunks"].to_numpy()
    chunk_order = chunks[np.flatnonzero(np.diff(chunks, prepend=-1))].tolist()
    if chunk_order != list(range(N_RUNS)):
        raise ValueError(
            f"{path}: column chunks must count the runs from 0 to {N_RUNS - 1} in order, not {chunk_order}"
        )
    for chunk, run_table in table.groupby("chunks"):
        yield RUNS[int(str(chunk))], run_table["labels"].reset_index(drop=True)


def _read(path: Path, separator: str, columns: dict[str, type]) -> pd.DataFrame:
    # utf-8-sig: a byte order mark is no part of the first column's name
    table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing_columns = [name for name in columns if name not in table.columns]
    if missing_columns:
        raise ValueError(f"{path} lacks columns {missing_columns}; there are: {list(table.columns)}")
    if table.empty:
        raise ValueError(f"{path} has a header and no rows")
    table = table[list(columns)].apply(lambda column: column.str.strip())
    for name, dtype in columns.items():
        if dtype is not str:
            column_values = pd.to_numeric(table[name], errors="coerce")
            if column_values.isna().any():
                row = int(column_values.isna().to_numpy().argmax())
                raise ValueError(f"{path}, line {row + 2}: {name} must be a number, not {table[name].iloc[row]!r}")
            table[name] = column_values.astype(dtype)
    return table


def _check_categories(path: Path, categories: "pd.Series[str]") -> None:
    unknown = sorted(set(categories) - CATEGORIES)
    if unknown:
        raise ValueError(f"{path}: unknown categories {unknown}; there are: {sorted(CATEGORIES)}")


def _runs_of_tree(root: Path, subject: str, slice_timing: SliceTiming) -> Iterator[BoldRun]:
    mask_image, mask = bids.mask(root / MASK)
    scan_key_tr_s = _stated_tr(root / SCAN_KEY)
    for run in RUNS:
        path = root / _run_file(subject, run, "bold_1slice.nii.gz")
        image, bold = bids.bold(path)
        bids.check_grid(path, image, root / MASK, mask_image)
        tr_s = bids_times.header_tr(image) | {"scan_key": scan_key_tr_s}
        yield BoldRun(SESSION, run, bold, np.asarray(image.affine), mask, tr_s, "native", None, slice_timing)


def _runs_of_nilearn(root: Path, subject: str, slice_timing: SliceTiming) -> Iterator[BoldRun]:
    path = root / _nilearn(subject, "bold.nii.gz")
    labels_path = root / _nilearn(subject, "labels.txt")
    mask_path = root / _nilearn(subject, "mask4_vt.nii.gz")
    image, (mask_image, mask) = nib.Nifti1Image.from_filename(path), bids.mask(mask_path)
    _check_grid(path, image, mask_path, mask_image)
    run_lengths = [(run, len(run_labels)) for run, run_labels in _labels_by_run(labels_path)]
    n_labels = sum(n_volumes for _, n_volumes in run_lengths)
    if image.shape[3] != n_labels:
        raise ValueError(f"{path} has {image.shape[3]} volumes, {labels_path} labels {n_labels}")
    start = 0
    for run, n_volumes in run_lengths:
        bold = np.asarray(image.dataobj[..., start : start + n_volumes], dtype=np.float32)
        tr_s = bids_times.header_tr(image)
        yield BoldRun(SESSION, run, bold, np.asarray(image.affine), mask, tr_s, "native", None, slice_timing)
        start += n_volumes


def _check_grid(path: Path, image: nib.Nifti1Image, mask_path: Path, mask: nib.Nifti1Image) -> None:
    if len(image.shape) != 4:
        raise ValueError(f"{path} must be (x, y, z, n_volumes), not {image.shape}")
    bids.check_grid(path, image, mask_path, mask)


def _stated_tr(path: Path) -> float:
    words = path.read_text(encoding="utf-8-sig").split()
    try:
        return float(words[words.index("TR") + 1])
    except (ValueError, IndexError):
        raise ValueError(f"{path} must hold a line such as 'TR 2.5', not {' '.join(words)!r}") from None
