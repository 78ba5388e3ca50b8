"""Which files of a BIDS folder and its derivatives an entry means: tables of events by run, BOLD, masks, companions.

A run is known by all entities that tell scans apart, runs as numbers. A table of events belongs to the scans whose
names say all that its own says (BIDS inheritance), so that one in the root is of all runs of its task. Paths are
relative to the BIDS folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from boldflow.artifacts.formats import bids_names
from boldflow.provenance import reached
from boldflow.settings import Entry

IMAGES = (".nii.gz", ".nii")
# A file without one of these is what the others, such as single echoes, were combined to.
COMBINED_WITHOUT = ("echo", "res", "den", "part")
# What fMRIPrep has called its files: the last word of the name and what it states beside space and run. Before 1.2 it
# wrote bold_space-T1w_preproc.nii.gz, bold_space-T1w_brainmask.nii.gz and bold_confounds.tsv.
FORMS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "preproc_bold": (("bold", {"desc": "preproc"}), ("preproc", {})),
    "brain_mask": (("mask", {"desc": "brain"}), ("brainmask", {})),
}
CONFOUNDS = ("confounds", "regressors", "timeseries")  # before 1.2, before 20.2, and since
PREP = ("{subject}/func/{subject}_*task-{task}_*", "{subject}/ses-*/func/{subject}_*task-{task}_*")
EVENTS = tuple(f"{pattern}events.tsv" for pattern in PREP)


@dataclass(frozen=True)
class EventRun:
    """A run with events: labels as the trial table has them, path of its table, and the entities of its scan."""

    session: str
    run: str
    table: str
    scan: Mapping[str, str]


@dataclass(frozen=True)
class RunFiles:
    """The files of a run; ``confounds`` is empty where there is none, ``sidecars`` begin with the most general one."""

    events: EventRun
    bold: str
    confounds: str
    sidecars: Sequence[str]


def event_runs(root: str | Path, subject: str, settings: Entry) -> list[EventRun]:
    """List the runs of a subject that have events, by session and run.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or no table, or if no name of BOLD says which runs an inherited table is of.
    ValueError
        If two files are of one session and run.
    """
    own_tables, shared_tables = tables_of(root, subject, settings)
    run_of_path = {path: _run(path, path, settings) for path in own_tables}
    if shared_tables:
        image_runs = _runs_of_images(root, subject, settings, [*shared_tables, *own_tables])
        used_tables = {run.table for run in image_runs.values()}
        run_of_path = image_runs | {path: run for path, run in run_of_path.items() if path not in used_tables}
    if not run_of_path:
        raise FileNotFoundError(
            f"{root}: the table of events {shared_tables[0]} is of several runs of {subject}, and "
            f"{settings['derivatives']} has no BOLD whose names say which; there must be such, or a table of each run"
        )
    _check_one_each(root, [(run, path) for path, run in run_of_path.items()])
    return [run_of_path[path] for path in sorted(run_of_path, key=bids_names.in_order)]


def tables_of(root: str | Path, subject: str, settings: Entry) -> tuple[list[str], list[str]]:
    """List the tables of events of a subject: those of one run each, and those that may be of several.

    Tables of folders above are of several runs, and such as do not name an entity of which the entry chooses several
    values. Which runs there are is then told by the names of BOLD.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or no table; names folder and patterns.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not there: set folder of the data set in config/config.yaml to yours")
    if not (root / subject).is_dir():
        there = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
        raise FileNotFoundError(f"{root} has no folder {subject!r}: subjects are named as their folders, {there[:5]}")
    tables, inherited_tables = (
        [
            path
            for path in _files(root, folders, "events", (".tsv",))
            if bids_names.entities(path).get("sub", label) == label and _is_meant(path, settings, optional=True)
        ]
        for label in [subject.removeprefix("sub-")]
        for folders in ([f"{subject}/func/", f"{subject}/ses-*/func/"], ["", f"{subject}/", f"{subject}/ses-*/"])
    )
    if _choice(settings):  # of the tables of a run that one counts which names what is chosen
        entities_of = {path: bids_names.entities(path) for path in tables}
        tables = [path for path, stated in entities_of.items() if not _says_less(stated, entities_of.values())]
    if not tables and not inherited_tables:
        raise _missing(root, [pattern.format(subject=subject, task=settings["task"]) for pattern in EVENTS])
    shared = [
        path for path in tables if not set(_several(settings)) <= set(bids_names.entities(path)) | {"echo", "part"}
    ]
    return [path for path in tables if path not in shared], [*inherited_tables, *shared]


def _says_less(stated: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> bool:
    """Tell whether one of the others says all that is stated, and more."""
    return any(stated != other and bids_names.applies(stated, other) for other in others)


def bold_of_runs(root: str | Path, subject: str, settings: Entry) -> list[tuple[EventRun, str]]:
    """List runs with events beside their preprocessed BOLD; BOLD without events, such as of rest, has no part.

    Raises
    ------
    FileNotFoundError
        If there is no BOLD in the space, or none of a run with events.
    ValueError
        If two files are of one run.
    """
    runs = event_runs(root, subject, settings)
    paths = _derived(root, subject, settings, "preproc_bold")
    if not paths:
        raise _nothing_derived(root, subject, settings, "preproc_bold")
    paths_of_run: dict[int, list[str]] = {}
    for path in paths:
        entities = bids_names.entities(path)
        fitting = [number for number, run in enumerate(runs) if bids_names.applies(run.scan, entities)]
        if fitting:
            paths_of_run.setdefault(max(fitting, key=lambda number: len(runs[number].scan)), []).append(path)
    if not paths_of_run:
        raise FileNotFoundError(
            f"{root}: none of {len(paths)} files such as {paths[0]} belongs to a run with events, such as that of "
            f"{runs[0].table}"
        )
    pairs = [(runs[number], path) for number in sorted(paths_of_run) for path in _combined(paths_of_run[number])]
    _check_one_each(root, pairs)
    return pairs


def files_of_runs(root: str | Path, subject: str, settings: Entry) -> list[RunFiles]:
    """List the files of each run that has events and BOLD; raises as ``bold_of_runs``."""
    prefix, run_files = _prefix(settings), []
    for run, path in bold_of_runs(root, subject, settings):
        below = path.removeprefix(prefix)
        confounds = [
            name
            for kind in CONFOUNDS
            for name in bids_names.inherited(root, prefix, below, kind, ".tsv", beside=("desc",))
            if bids_names.label(name, "desc") == ("" if kind == "confounds" else "confounds")
        ]
        words = dict.fromkeys(("bold", bids_names.suffix(path)))
        sidecars = [name for word in words for name in bids_names.inherited(root, prefix, below, word, ".json")]
        run_files.append(RunFiles(run, path, confounds[-1] if confounds else "", sidecars))
    return run_files


def masks_of(root: str | Path, subject: str, settings: Entry) -> list[str]:
    """List the brain masks of the runs with events and BOLD: one of each run, or of a session.

    Raises
    ------
    FileNotFoundError
        If there is no such mask.
    """
    paths = _derived(root, subject, settings, "brain_mask", optional=True)
    if not paths:
        raise _nothing_derived(root, subject, settings, "brain_mask")
    entities_of_bold = [bids_names.entities(path) for _, path in bold_of_runs(root, subject, settings)]
    mask_paths = [
        path
        for path in paths
        if any(bids_names.applies(bids_names.entities(path), of_bold, ("desc",)) for of_bold in entities_of_bold)
    ]
    if not mask_paths:
        raise FileNotFoundError(f"{root}: none of {len(paths)} masks such as {paths[0]} is of a run with events")
    return mask_paths


def _runs_of_images(root: str | Path, subject: str, settings: Entry, tables: Sequence[str]) -> dict[str, EventRun]:
    """Give each scan of the derivatives the table that says most of it."""
    images = _derived(root, subject, settings, "preproc_bold")
    image_of_scan = {frozenset(bids_names.scan(bids_names.entities(path)).items()): path for path in reversed(images)}
    runs = {}
    for path in image_of_scan.values():
        entities = bids_names.entities(path)
        applying = [table for table in tables if bids_names.applies(bids_names.entities(table), entities)]
        if applying:  # the last ones lie nearest to the run
            runs[path] = _run(max(applying, key=lambda table: (table.count("/"), len(table))), path, settings)
    return runs


def _run(table: str, image: str, settings: Entry) -> EventRun:
    """Name a run by the labels of its table, where it is of this run alone, or of its BOLD.

    Where the entry chooses several values of an entity, runs are told apart by these too.
    """
    session, run = (bids_names.label(table, name) or bids_names.label(image, name) or "01" for name in ("ses", "run"))
    of_image = bids_names.entities(image)
    apart = [of_image[name] for name in _several(settings) if name in of_image and name not in ("ses", "run")]
    return EventRun(session, "-".join([*apart, run]), table, bids_names.scan(of_image))


def _several(settings: Entry) -> list[str]:
    """Entities of which the entry chooses several values."""
    return [name for name, values in _choice(settings).items() if len(values) > 1]


def _choice(settings: Entry) -> dict[str, list[str]]:
    """Values of entities that the entry chooses."""
    stated: Mapping[str, str | list[str]] = settings["entities"]
    return {name: [values] if isinstance(values, str) else list(values) for name, values in stated.items()}


def _is_meant(path: str, settings: Entry, optional: bool = False) -> bool:
    """Tell whether a file is of the entry's task and entities; a phase is no BOLD by itself."""
    entities, choice = bids_names.entities(path), _choice(settings)
    is_of_task = fnmatchcase(entities.get("task", ""), settings["task"])
    is_magnitude = entities.get("part", "mag") == "mag" or "part" in choice
    return is_of_task and is_magnitude and bids_names.is_chosen(entities, choice, optional)


def _derived(root: str | Path, subject: str, settings: Entry, kind: str, optional: bool = False) -> list[str]:
    """Volumes in the entry's space that fMRIPrep made of a subject, under the names of any version."""
    template, _, resolution = settings["space"].partition("_")
    of_space = bids_names.entities(f"space-{template}_{resolution}_x") | {"sub": subject.removeprefix("sub-")}
    return [
        path
        for last_word, stated in FORMS[kind]
        for path in _files(root, _folders(subject, settings), last_word, IMAGES)
        if bids_names.applies(of_space | stated, bids_names.entities(path)) and _is_meant(path, settings, optional)
    ]


def _folders(subject: str, settings: Entry) -> list[str]:
    """Name the folders of a subject's derivatives."""
    return [f"{_prefix(settings)}{subject}/{below}func/" for below in ("", "ses-*/")]


def _prefix(settings: Entry) -> str:
    """Give what leads from the BIDS folder to the derivatives: nothing, or a path that ends with ``/``."""
    stated = Path(settings["derivatives"]).expanduser()
    return "" if stated == Path() else f"{stated.as_posix().rstrip('/')}/"


def _files(root: str | Path, folders: Iterable[str], last_word: str, endings: Sequence[str]) -> list[str]:
    """Files of one suffix in folders (each nothing, or ending with ``/``), sorted; annexed ones without content too."""
    return sorted(
        path
        for folder in folders
        for path in reached(root, f"{folder}*{last_word}.*")
        if bids_names.suffix(path) == last_word and bids_names.extension(path) in endings
    )


def _combined(paths: Sequence[str]) -> Sequence[str]:
    """Leave out single echoes, and resolutions that nobody asked for, where there is a file without."""
    for name in COMBINED_WITHOUT:
        paths = [path for path in paths if name not in bids_names.entities(path)] or paths
    return paths


def _check_one_each(root: str | Path, run_paths: Iterable[tuple[EventRun, str]]) -> None:
    """Refuse two files of one run: those of two tasks, acquisitions or echoes would be mixed up."""
    path_by_run: dict[tuple[str, str], str] = {}
    for run, path in run_paths:
        *apart, number = run.run.split("-")
        key = (run.session, "-".join([*apart, bids_names.normal("run", number)]))
        namesake = path_by_run.setdefault(key, path)
        if namesake != path:
            both = [bids_names.entities(namesake), bids_names.entities(path)]
            names = [name for name in {**both[0], **both[1]} if both[0].get(name) != both[1].get(name)]
            values_text = ", ".join(
                f"{{{name}: {' or '.join(repr(entities.get(name, '')) for entities in both)}}}" for name in names
            )
            advice = f"choose one (keys task and space, or entities: {values_text})" if names else "keep one"
            raise ValueError(f"{root} has two files of one session and run, {namesake} and {path}: {advice}")


def _nothing_derived(root: str | Path, subject: str, settings: Entry, kind: str) -> FileNotFoundError:
    names = f"space-{settings['space']}_desc-{kind}.nii.gz"
    folders, prefix = _folders(subject, settings), _prefix(settings)
    there = [path for last_word, _ in FORMS[kind] for path in _files(root, folders, last_word, IMAGES)]
    spaces = sorted({bids_names.label(path, "space") or "(none)" for path in there})
    of_choice = f" and the entities {_choice(settings)}" if _choice(settings) else ""
    error = _missing(root, [prefix + p.format(subject=subject, task=settings["task"]) + names for p in PREP])
    return FileNotFoundError(f"{error}{of_choice}; {len(there)} files of that kind are in spaces {spaces}")


def _missing(root: str | Path, patterns: Sequence[str]) -> FileNotFoundError:
    return FileNotFoundError(f"{root} has neither {' nor '.join(patterns)}")
