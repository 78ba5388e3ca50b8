"""``python -m boldflow estimate``: what a study would fetch, keep and need in memory, before anything is downloaded.

Jobs are those that Snakemake would run now; sizes are what the plug-ins of the data sets say of themselves, without a
network. What is kept is bounded from above: voxels of whole volumes, weights of a dense model, pictures of one size.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from boldflow import registry
from boldflow.commands import plan
from boldflow.commands.plan import Job
from boldflow.vocabulary.results import NONE

GB = 1e9
RED, PLAIN = "\033[31m", "\033[0m"
COLUMNS = {"fsaverage5": 20_484, "fsaverage6": 81_924, "fsaverage7": 327_684}  # vertices
BYTES = 4  # of a number in float32
ROW_BYTES = 100  # of a trial in a table
PLACES = {"fetch": "resources"}  # where a stage writes; the others below results
CLONES = Path("resources") / "clones"
CHECKPOINTS = Path("resources") / "checkpoints"
SHARED = "shared"  # in place of a subject
STAGES = {
    "fetch_dataset": "fetch",
    "fetch_stimuli": "fetch",
    "fetch_subject": "fetch",
    "fetch_checkpoint": "fetch",
    "list_trials": "trials",
    "pack_stimuli": "stimuli",
    "make_split": "splits",
    "project_responses": "responses",
    "extract_shard": "features",
    "cache_features": "features",
    "train_model": "models",
    "score_model": "scores",
}
REST = "figures, report"
ORDER = [*dict.fromkeys(STAGES.values()), REST]
# Memory that any job takes: Python, its packages, and Snakemake around it, bytes.
BASE = 1_000_000_000


@dataclass(frozen=True)
class Cost:
    """What some jobs fetch and keep (bytes), the memory of the largest (bytes), and how many they are."""

    fetch: int = 0
    keep: int = 0
    memory: int = 0
    jobs: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Join the costs of two sets of jobs."""
        largest = max(self.memory, other.memory)
        return Cost(self.fetch + other.fetch, self.keep + other.keep, largest, self.jobs + other.jobs)


@dataclass(frozen=True)
class Need:
    """What is written to one file system, and what is free there (bytes)."""

    places: tuple[str, ...]
    wanted: int
    free: int


@dataclass
class Estimate:
    """Costs by (data set, subject, stage), and what to tell beside them.

    ``unverified`` data sets are not counted in their trees; ``to_bring`` says where pictures come from that are not at
    hand; ``unread`` (data set, recording) cannot be made into responses yet; of ``unknown`` checkpoints the bytes are
    not known.
    """

    rows: dict[tuple[str, str, str], Cost] = field(default_factory=lambda: defaultdict(Cost))
    unverified: set[str] = field(default_factory=set)
    to_bring: dict[str, str] = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @property
    def total(self) -> Cost:
        """All costs together."""
        return sum(self.rows.values(), Cost())


def estimate(config: Sequence[str], colour: bool = False) -> tuple[str, int]:
    """Tell what a study would cost on this machine.

    Parameters
    ----------
    config : sequence of ``key=value``, as after ``snakemake --config``
    colour : bool
        Write what does not fit in red.

    Returns
    -------
    (text, code)
        0: it fits on the disks; 1: it does not; 2: the workflow does not parse, and why.

    Raises
    ------
    FileNotFoundError
        If the working folder is not the project's, or a folder of the user's own data is not there.
    """
    try:
        jobs = plan.ask([], config)
    except plan.Broken as error:
        return f"the study cannot be planned:\n{error}", 2
    found = cost_of(jobs)
    needs = compare(found)
    study = next((job.wildcards["study"] for job in jobs if "study" in job.wildcards), "")
    text = _write(found, needs, study, memory_here(), colour)
    return text, int(any(need.wanted > need.free for need in needs))


def cost_of(jobs: Iterable[Job]) -> Estimate:
    """Add up what the jobs that would run cost.

    Parameters
    ----------
    jobs : iterable of Job
        From ``plan.ask``; those that would not run cost nothing.

    Returns
    -------
    Estimate
    """
    jobs = list(jobs)
    found = Estimate()
    known = _Known(jobs)
    for job in jobs:
        if not job.runs or job.rule == "all":
            continue
        dataset = job.wildcards.get("dataset", "")
        place = (dataset, job.wildcards.get("subject", SHARED if dataset else ""), STAGES.get(job.rule, REST))
        found.rows[place] += replace(_cost(job, known, found), jobs=1)
    return found


def compare(found: Estimate) -> list[Need]:
    """Set what would be written against what is free, by file system.

    Returns
    -------
    list of Need
    """
    wanted: dict[str, int] = {"resources": 0, "results": 0}
    for (_, _, stage), cost in found.rows.items():
        wanted[PLACES.get(stage, "results")] += cost.fetch + cost.keep
    by_device: dict[int, list[str]] = defaultdict(list)
    for place in wanted:
        by_device[_existing(place).stat().st_dev].append(place)
    return [Need(tuple(p), sum(wanted[one] for one in p), free_at(p[0])) for p in by_device.values()]


def free_at(place: str) -> int:
    """Bytes that an ordinary user may still write where ``place`` is or would be."""
    said = os.statvfs(_existing(place))
    return said.f_bavail * said.f_frsize


def memory_here() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class _Known:
    """What the jobs' parameters tell: entries of data sets, their sizes, columns of responses and of features."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.datasets: dict[str, dict[str, Any]] = {}
        self.responses: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self.features: dict[tuple[str, str], dict[str, Any]] = {}
        self.splits: dict[tuple[str, str], dict[str, Any]] = {}
        for job in jobs:
            if job.rule == "fetch_dataset":
                self.datasets[job.wildcards["dataset"]] = json.loads(job.params["settings"])
            if job.rule == "project_responses":
                key = (job.wildcards["dataset"], job.wildcards["response"])
                self.responses[key] = (json.loads(job.params["settings"]), job.params["recording"])
            if job.rule == "make_split":
                self.splits[job.wildcards["dataset"], job.wildcards["split"]] = json.loads(job.params["settings"])
            if job.rule == "cache_features":
                key = (job.wildcards["dataset"], job.wildcards["feature"])
                self.features[key] = json.loads(job.params["settings"])
        self.sizes = cache(self._sizes)
        self.n_features = cache(self._n_features)

    def _sizes(self, dataset: str, recording: str | None = None) -> Any:
        entry = self.datasets[dataset]
        plugin = registry.load("datasets", entry["plugin"])
        return plugin.sizes(entry, recording or next(iter(plugin.FACTS["recordings"])))

    def _n_features(self, dataset: str, feature: str) -> int:
        """Columns of a feature: as it says, or what it makes of one grey picture; else at most one a picture."""
        import numpy as np

        from boldflow.core.pictures.vision import describe

        if feature == NONE:
            return 0
        entry = self.features[dataset, feature]
        facts = registry.literal("features", entry["plugin"], "FACTS")
        if facts["reads"] == "features":
            return sum(self.n_features(dataset, name) for name in entry["of"])
        plugin = registry.load("features", entry["plugin"])
        told = plugin.n_features(entry) if hasattr(plugin, "n_features") else None
        if told is not None:
            return int(told)
        if facts["reads"] == "labels" or facts["checkpoint"]:
            return int(self.sizes(dataset).n_images)
        grey = np.full((64, 64, 3), 128, dtype=np.uint8)
        return int(describe(plugin.extractor(entry, None, "cpu"), [grey]).shape[1])

    def response(self, dataset: str, subject: str, response: str) -> tuple[int, int, int]:
        """Numbers of one subject's responses as kept and as made, and voxels times volumes of a run."""
        entry, recording = self.responses[dataset, response]
        one = self.sizes(dataset, recording).subjects[subject]
        columns = COLUMNS.get(entry["space"], one.n_voxels)
        tr_s = registry.literal("datasets", self.datasets[dataset]["plugin"], "FACTS")["tr_s"]
        n_volumes = max(1, round(entry["duration_s"] / (tr_s or self.datasets[dataset]["tr_s"])))
        n_volumes = n_volumes if entry.get("kind", "bold") == "bold" else 1  # betas are one number per trial
        made = one.n_trials * columns * n_volumes
        return (made if not entry["average"] else one.n_trials * columns), made, one.n_voxels * one.n_volumes


def _cost(job: Job, known: _Known, found: Estimate) -> Cost:
    names = job.wildcards
    if job.rule == "fetch_checkpoint":
        return _of_checkpoint(job, found)
    if "dataset" not in names:
        return Cost(memory=BASE)
    dataset = names["dataset"]
    if job.rule == "fetch_subject":
        return _of_subject(names, known, found)
    shared = known.sizes(dataset)
    if not shared.verified:
        found.unverified.add(dataset)
    if job.rule == "fetch_dataset":
        there = shared.clone if (CLONES / dataset).is_dir() else 0
        return Cost(fetch=shared.clone - there, memory=BASE)
    if job.rule == "fetch_stimuli":
        _note_pictures(job, found)
        return Cost(fetch=shared.stimuli, memory=BASE)
    if job.rule == "list_trials":
        return Cost(keep=ROW_BYTES * shared.subjects[names["subject"]].n_trials, memory=BASE)
    if job.rule == "pack_stimuli":
        return Cost(keep=shared.n_images * shared.image_bytes, memory=BASE)
    if job.rule == "make_split":
        rows = sum(one.n_trials for one in shared.subjects.values())
        return Cost(keep=ROW_BYTES * rows, memory=BASE + 20 * ROW_BYTES * rows)
    if job.rule == "cache_features":
        values = BYTES * shared.n_images * known.n_features(dataset, names["feature"])
        opened = _network_bytes(known.features[dataset, names["feature"]])
        return Cost(keep=values, memory=BASE + 2 * values + 2 * opened)
    if job.rule == "extract_shard":
        values = BYTES * shared.n_images * known.n_features(dataset, names["feature"])
        n_shards = int(names["shard"].partition("-of-")[2])
        opened = _network_bytes(known.features[dataset, names["feature"]])
        # a shard is kept until all are joined, so for a time the features are there twice
        return Cost(keep=values // n_shards, memory=BASE + 2 * values // n_shards + 2 * opened)
    if job.rule == "project_responses":
        kept, made, run = known.response(dataset, names["subject"], names["response"])
        if job.params["recording"] in json.loads(job.params["facts"]).get("unread", []):
            found.unread.add((dataset, job.params["recording"]))
        return Cost(keep=BYTES * kept, memory=BASE + 2 * BYTES * made + 4 * BYTES * run)
    return _of_model(job, known)


def _network_bytes(entry: dict[str, Any]) -> int:
    """Bytes of the network that a feature opens, as far as its plug-in knows them."""
    if not registry.literal("features", entry["plugin"], "FACTS")["checkpoint"]:
        return 0
    wanted = registry.load("features", entry["plugin"]).files_needed(entry)
    return wanted.n_bytes if wanted else 0


def _of_checkpoint(job: Job, found: Estimate) -> Cost:
    """What is still to be fetched of a network: its size as the plug-in knows it, less what has arrived."""
    entry = json.loads(job.params["settings"])
    wanted = registry.load("features", entry["plugin"]).files_needed(entry)
    folder = CHECKPOINTS / wanted.folder
    there = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
    if not wanted.n_bytes:
        found.unknown.add(wanted.name)
    return Cost(fetch=max(0, wanted.n_bytes - there), memory=BASE)


def _of_subject(names: dict[str, str], known: _Known, found: Estimate) -> Cost:
    """What is still to be fetched of a recording: its size less the content that is in the clone already."""
    dataset, subject, recording = names["dataset"], names["subject"], names["recording"]
    whole = known.sizes(dataset, recording)
    if not whole.verified:
        found.unverified.add(dataset)
    entry = known.datasets[dataset]
    plugin = registry.load("datasets", entry["plugin"])
    root = CLONES / dataset
    there = 0
    if root.is_dir():
        try:
            paths = [root / path for path in plugin.files_needed(root, subject, entry, recording)]
        except (NotImplementedError, FileNotFoundError):
            paths = []  # then the whole recording counts as still to be fetched: the estimate errs upwards
        # only annexed files are links, and only those with content lead somewhere
        there = sum(path.stat().st_size for path in paths if path.is_symlink() and path.exists())
    return Cost(fetch=max(0, whole.subjects[subject].fetch - there), memory=BASE)


def _of_model(job: Job, known: _Known) -> Cost:
    """What a model keeps by its facts (else the most of it), for each seed and fold, and predictions of all trials."""
    names = job.wildcards
    subjects = json.loads(job.params["subjects"])
    n_features = known.n_features(names["dataset"], names["feature"])
    if names["response"] == NONE:  # a picture a trial
        values = BYTES * known.sizes(names["dataset"]).n_images * n_features
        return Cost(keep=2 * values, memory=BASE + 6 * values)
    kept = sum(known.response(names["dataset"], subject, names["response"])[0] for subject in subjects)
    _, recording = known.responses[names["dataset"], names["response"]]
    sizes = known.sizes(names["dataset"], recording).subjects
    one = sizes[subjects[0]]
    n_trials = sum(sizes[subject].n_trials for subject in subjects)
    n_columns = kept // n_trials
    data = BYTES * n_trials * (n_columns + n_features)
    memory = BASE + 6 * data  # as the rule asks for
    if job.rule in ("score_model", "analyse_latents"):
        return Cost(keep=ROW_BYTES * n_columns, memory=memory)
    settings = json.loads(job.params["settings"])
    targets = n_features if settings["direction"] == "decode" else n_columns
    across = n_features or settings.get("n_latents", 0)
    weights = {"weights": BYTES * n_columns * across, "data": data, "means": BYTES * targets}
    keeps = registry.literal("models", settings["plugin"], "FACTS").get("keeps")
    folds = one.n_runs if known.splits[names["dataset"], names["split"]]["test"] == "run" else 1
    kept_once = weights.get(keeps, max(weights.values())) * folds + BYTES * n_trials * targets
    return Cost(keep=len(settings["seeds"]) * kept_once, memory=memory)


def _note_pictures(job: Job, found: Estimate) -> None:
    """Remember that the pictures of a data set are the user's to bring, where the entry does not say where they are."""
    facts = json.loads(job.params["facts"])
    if not facts["stimuli_inside"] and "stimuli_root" not in json.loads(job.params["pictures"]):
        found.to_bring[job.wildcards["dataset"]] = facts["stimuli_from"]


def _existing(place: str) -> Path:
    """The folder itself, or the nearest above it that exists."""
    path = Path(place).absolute()
    return next(one for one in (path, *path.parents) if one.exists())


def _write(found: Estimate, needs: Sequence[Need], study: str, memory: int, colour: bool) -> str:
    if not found.rows:
        return f"study {study}: nothing is to be done, all results are there"

    def red(text: str) -> str:
        return f"{RED}{text}{PLAIN}" if colour else text

    head = ("data set", "subject", "stage", "jobs", "fetch GB", "keep GB", "memory GB")
    lines = []
    for dataset, subjects, stage, cost, many in _alike(found):
        sizes = tuple(_gb(one, dataset in found.unverified) for one in (cost.fetch, cost.keep))
        lines.append(
            ((dataset, subjects + many, stage, str(cost.jobs), *sizes, _gb(cost.memory)), cost.memory > memory)
        )
    total = found.total
    sure = bool(found.unverified)
    lines.append((("total", "", "", str(total.jobs), _gb(total.fetch, sure), _gb(total.keep, sure), ""), False))
    width = [max(len(row[k]) for row in [head, *(row for row, _ in lines)]) for k in range(len(head))]
    out = [f"study {study}: what is still to be done (GB are 10^9 bytes; kept is at most)", "", _line(head, width)]
    out += [
        red(_line(row, width) + "  more than this machine has") if high else _line(row, width) for row, high in lines
    ]
    out.append("")
    for need in needs:
        told = f"{' and '.join(f'{place}/' for place in need.places)}: {_gb(need.wanted)} GB needed"
        short = need.wanted > need.free
        verdict = "WILL NOT FIT" if short else "fits"
        text = f"{told}, {_gb(need.free)} GB free: {verdict}"
        out.append(red(f"{text}, {_gb(need.wanted - need.free)} GB short") if short else text)
    out.append(f"memory of this machine: {_gb(memory)} GB")
    if found.unverified:
        out.append(f"~ not counted in the data's own tree: {', '.join(sorted(found.unverified))}")
    if found.unknown:
        out.append(f"size not known, not counted: checkpoint {', '.join(sorted(found.unknown))}")
    for dataset, recording in sorted(found.unread):
        out.append(f"responses cannot be made yet: recording {recording} of {dataset} is not read in this version")
    for dataset, told in sorted(found.to_bring.items()):
        out.append(f"the pictures of {dataset} are yours to bring (key stimuli_root of its entry): {told}")
    return "\n".join(out)


def _alike(found: Estimate) -> list[tuple[str, str, str, Cost, str]]:
    """Rows in the order of stages, subjects that cost the same in one row, whose numbers are of each."""
    by_subject: dict[tuple[str, str], dict[str, Cost]] = defaultdict(dict)
    for (dataset, subject, stage), cost in found.rows.items():
        by_subject[dataset, subject][stage] = cost
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (dataset, subject), stages in sorted(by_subject.items(), key=_order):
        groups[dataset, repr([(name, stages.get(name)) for name in ORDER])].append(subject)
    rows = []
    for (dataset, _), subjects in groups.items():
        stages = by_subject[dataset, subjects[0]]
        name = subjects[0] if len(subjects) == 1 else f"{subjects[0]} .. {subjects[-1]}"
        many = f" ({len(subjects)}, each)" if len(subjects) > 1 else ""
        rows += [(dataset, name, stage, stages[stage], many) for stage in ORDER if stage in stages]
    return rows


def _order(item: tuple[tuple[str, str], dict[str, Cost]]) -> tuple[bool, str, bool, str]:
    dataset, subject = item[0]
    return (not dataset, dataset, subject != SHARED, subject)


def _gb(size: int, about: bool = False) -> str:
    return f"{'~' if about and size else ''}{size / GB:.2f}"


def _line(cells: Sequence[str], width: Sequence[int]) -> str:
    words = [
        cell.ljust(size) if k < 3 else cell.rjust(size) for k, (cell, size) in enumerate(zip(cells, width, strict=True))
    ]
    return "  ".join(words).rstrip()
