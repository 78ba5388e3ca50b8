"""What a folder shows of itself: derivatives, task, the column that names pictures, space, repetition time.

Each guess gives the value and the reason; nothing is guessed that was said.
"""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from boldflow.artifacts.arrival import annex
from boldflow.artifacts.formats import bids, bids_names, bids_times
from boldflow.core.records.stimuli import composed
from boldflow.datasets.bids import files
from boldflow.datasets.bids.left_out import sidecar_of
from boldflow.provenance import reached
from boldflow.settings import Entry
from boldflow.vocabulary.spaces import kind_of

EVENTS = ("*_events.tsv", *(f"sub-*/{below}*_events.tsv" for below in ("", "func/", "ses-*/", "ses-*/func/")))
BOLD = ("sub-*/func/*", "sub-*/ses-*/func/*")
PREP = ("derivatives/fmriprep", "derivatives/*", "derivatives", ".", "derivatives/*/*")
DEFAULT_PREP, DEFAULT_SPACE, DEFAULT_COLUMN = "derivatives/fmriprep", "MNI152NLin2009cAsym", "stim_file"
WAYS = ("path", "name", "stem")  # values of the key image_name
N_TABLES = 40  # of events that are looked into for a guess
RANK_OF_KIND = {"MNI": 0, "native": 1}
SHOWN = 5


@dataclass(frozen=True)
class Guess:
    """The value of a key of the entry, and why; a value of None could not be guessed."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Column:
    """What the events of a task say in one column: its values, without n/a."""

    task: str
    name: str
    values: frozenset[str]


def subjects(root: Path) -> Guess:
    """Take all folders sub-*."""
    names = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    if not names:
        return Guess("subjects", None, f"{root} has no folders sub-*: is it the BIDS folder?")
    return Guess("subjects", names, "all folders sub-* of the BIDS folder")


def derivatives(root: Path) -> Guess:
    """Take the folder that holds preprocessed BOLD: fMRIPrep's usual place first."""
    for pattern in PREP:
        paths = sorted(root.glob(pattern)) if "*" in pattern else [root / pattern]
        folders = [path.relative_to(root).as_posix() for path in paths]
        holding = [folder for folder in folders if _preprocessed(root, folder)]
        if holding:
            more_text = f", the first of {holding}" if len(holding) > 1 else ""
            return Guess("derivatives", holding[0], f"preprocessed BOLD lies there{more_text}")
    return Guess("derivatives", DEFAULT_PREP, "no folder with preprocessed BOLD was seen; this is fMRIPrep's usual one")


def stimuli_root(root: Path) -> Guess:
    """Take the folder ``stimuli`` of BIDS."""
    folder = root / "stimuli"
    if folder.is_dir():
        return Guess("stimuli_root", str(folder), "the folder for pictures that BIDS names")
    return Guess("stimuli_root", None, f"there is no {folder}")


def columns(root: Path) -> list[Column]:
    """Read the columns of some tables of events, by task; what cannot be read is left to the checks."""
    values: dict[tuple[str, str], set[str]] = {}
    paths = [path for pattern in EVENTS for path in reached(root, pattern)]
    for path in paths[:: max(1, len(paths) // N_TABLES)]:
        rows = _rows(root / path)
        for index, name in enumerate(rows[0] if rows and "onset" in rows[0] else []):
            texts = {row[index] for row in rows[1:] if index < len(row)}
            values.setdefault((bids_names.label(path, "task"), name), set()).update(texts - {"", "n/a"})
    return [Column(task, name, frozenset(texts)) for (task, name), texts in values.items()]


def image_column(tables: Sequence[Column], pictures: Iterable[str], name: str | None, way: str | None) -> list[Guess]:
    """Choose the column, and the way in which it names files, by which most pictures are named.

    Parameters
    ----------
    tables : sequence of Column
    pictures : iterable of str
        Files below the folder of pictures.
    name, way : str or None
        Column and way, where they were said.
    """
    names_of_way = {
        each: {composed(bids.picture_name(path, each)) for path in pictures} for each in ([way] if way else WAYS)
    }
    candidates = [column for column in tables if column.name not in ("onset", "duration")]
    ranked = [
        (len({composed(value) for value in column.values} & names), column.name, each)
        for (each, names), column in itertools.product(names_of_way.items(), candidates)
        if name in (None, column.name)
    ]
    n_named, best_name, best_way = max(ranked, key=lambda row: row[0], default=(0, "", ""))
    if n_named:
        reason = f"{n_named} of its values name pictures by {best_way}"
        return [Guess("image_column", best_name, reason), Guess("image_name", best_way, reason)]
    if not candidates:
        return [Guess("image_column", DEFAULT_COLUMN, "no table of events could be read; BIDS calls it so")]
    all_names = sorted({column.name for column in candidates})
    likely = [column.name for column in candidates if any(_is_picture(value) for value in column.values)]
    likely = [DEFAULT_COLUMN] if DEFAULT_COLUMN in all_names else likely
    reason = "BIDS calls it so" if likely == [DEFAULT_COLUMN] else "its values end as names of pictures do"
    if not likely:
        return [Guess("image_column", None, f"no column of the events names pictures; there are {all_names}")]
    return [Guess("image_column", likely[0], f"{reason}; no picture was seen that it names")]


def task(tables: Sequence[Column], column: str) -> Guess:
    """Choose the task whose events name pictures; all where several do."""
    showing = sorted({table.task for table in tables if table.name == column and table.values} - {""})
    if len(showing) == 1:
        return Guess("task", showing[0], f"the only task whose events name something in {column}")
    return Guess("task", "*", f"tasks whose events name something in {column}: {showing or 'none'}")


def space(root: Path, folder: str) -> Guess:
    """Choose a space of the preprocessed BOLD: the usual template, another of adults, the subject's own, any."""
    labels = {_space_of(path) for path in _preprocessed(root, folder)} - {""}
    if not labels:
        return Guess("space", DEFAULT_SPACE, "no preprocessed BOLD was seen; this is fMRIPrep's usual space")
    ordered = sorted(
        labels,
        key=lambda label: (
            label.split("_")[0] != DEFAULT_SPACE,
            RANK_OF_KIND.get(kind_of(label), 2),
            label.count("_"),
            label,
        ),
    )
    return Guess("space", ordered[0], f"BOLD is there in {', '.join(ordered)}")


def tr_s(root: Path, entry: Entry) -> Guess | None:
    """Take the repetition time that most sidecars state, or most headers; none where it is not clear which files count.

    Sidecars come first: programs that write headers anew have left other values there.
    """
    statements: dict[str, Counter[float]] = {}
    n_runs = 0
    for subject in entry["subjects"]:
        try:
            run_files = files.files_of_runs(root, subject, entry)
        except (ValueError, OSError):
            continue
        for each in run_files:
            n_runs += 1
            for origin, value in _stated(root, each).items():
                statements.setdefault(origin, Counter())[round(value, 4)] += 1
    if not n_runs:
        return None
    if not statements:
        return Guess("tr_s", None, "neither headers nor sidecars of BOLD state a repetition time")
    origin = next(name for name in ("sidecar", *statements) if name in statements)
    value, n_statements = statements[origin].most_common(1)[0]
    return Guess("tr_s", value, f"{origin} of {n_statements} of {n_runs} runs")


def _rows(path: Path) -> list[list[str]]:
    """Split the lines of a table into fields; none of a file whose content is absent."""
    try:
        annex.require_all(path.parent, [path.name])
    except FileNotFoundError:
        return []
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    return [[field.strip() for field in line.split("\t")] for line in lines if line.strip()]


def _stated(root: Path, run_files: files.RunFiles) -> Mapping[str, float]:
    """Repetition times of a run; nothing of files that the checks will name."""
    statements: dict[str, float] = {}
    with contextlib.suppress(ValueError, OSError):
        statements |= bids_times.header_tr(bids.header_of(root / run_files.bold)[0])
    with contextlib.suppress(ValueError, OSError):
        statements |= bids_times.sidecar_tr(*sidecar_of(root, run_files))
    return statements


def _preprocessed(root: Path, folder: str) -> list[str]:
    """Names of preprocessed BOLD of any version of fMRIPrep below a folder of derivatives."""
    prefix = "" if folder in ("", ".") else f"{folder.rstrip('/')}/"
    return [
        path
        for last_word, stated in files.FORMS["preproc_bold"]
        for pattern in BOLD
        for path in reached(root, f"{prefix}{pattern}{last_word}.*")
        if bids_names.extension(path) in files.IMAGES
        and bids_names.suffix(path) == last_word
        and bids_names.applies(stated, bids_names.entities(path))
    ]


def _space_of(path: str) -> str:
    """Write the space of a file as an entry does, with its resolution."""
    resolution = bids_names.label(path, "res")
    return bids_names.label(path, "space") + (f"_res-{resolution}" if resolution else "")


def _is_picture(value: str) -> bool:
    return PurePosixPath(value).suffix.lower() in bids.PICTURES
