"""What jobs fetch, keep and need in memory, rule by rule.

What is kept is bounded from above: voxels of whole volumes, weights of a dense model, pictures of one size.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from boldflow import registry
from boldflow.commands.estimate.sizes import Sizes, entry_of
from boldflow.commands.plan import Job
from boldflow.vocabulary.facts import DatasetFacts, FeatureFacts, ModelFacts
from boldflow.vocabulary.results import NONE

BYTES = 4  # of a number in float32
ROW_BYTES = 100  # of a trial in a table
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
    estimate, sizes = Estimate(), Sizes(jobs)
    for job in jobs:
        if not job.runs or job.rule == "all":
            continue
        dataset = job.wildcards.get("dataset", "")
        row_key = (dataset, job.wildcards.get("subject", SHARED if dataset else ""), STAGES.get(job.rule, REST))
        estimate.rows[row_key] += replace(_cost(job, sizes, estimate), jobs=1)
    return estimate


def _cost(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    if job.rule not in COSTS and "dataset" not in job.wildcards:
        return Cost(memory=BASE)
    if job.rule not in ("fetch_checkpoint", "fetch_subject"):
        _note_uncounted(job.wildcards["dataset"], sizes, estimate)
    return COSTS.get(job.rule, _of_model)(job, sizes, estimate)


def _note_uncounted(dataset: str, sizes: Sizes, estimate: Estimate, recording: str | None = None) -> None:
    if not sizes.of_dataset(dataset, recording).verified:
        estimate.unverified.add(dataset)


def _of_dataset(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    dataset = job.wildcards["dataset"]
    n_bytes = sizes.of_dataset(dataset).clone
    return Cost(fetch=0 if (CLONES / dataset).is_dir() else n_bytes, memory=BASE)


def _of_stimuli(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    """What pictures are to be fetched; those that are the user's to bring are noted where the entry names no place."""
    dataset = job.wildcards["dataset"]
    facts = json.loads(job.params["facts"])
    if not facts["stimuli_inside"] and "stimuli_root" not in json.loads(job.params["pictures"]):
        estimate.to_bring[dataset] = facts["stimuli_from"]
    return Cost(fetch=sizes.of_dataset(dataset).stimuli, memory=BASE)


def _of_trials(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    n_trials = sizes.of_dataset(job.wildcards["dataset"]).subjects[job.wildcards["subject"]].n_trials
    return Cost(keep=ROW_BYTES * n_trials, memory=BASE)


def _of_pack(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    shared = sizes.of_dataset(job.wildcards["dataset"])
    return Cost(keep=shared.n_images * shared.image_bytes, memory=BASE)


def _of_split(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    n_rows = sum(size.n_trials for size in sizes.of_dataset(job.wildcards["dataset"]).subjects.values())
    return Cost(keep=ROW_BYTES * n_rows, memory=BASE + 20 * ROW_BYTES * n_rows)


def _of_features(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    """What a feature keeps, or one of its shards: those stay until all are joined, so features are there twice."""
    dataset, feature = job.wildcards["dataset"], job.wildcards["feature"]
    n_bytes = BYTES * sizes.of_dataset(dataset).n_images * sizes.n_features(dataset, feature)
    n_shards = int(job.wildcards["shard"].partition("-of-")[2]) if job.rule == "extract_shard" else 1
    network = _network_bytes(sizes.features[dataset, feature])
    return Cost(keep=n_bytes // n_shards, memory=BASE + 2 * n_bytes // n_shards + 2 * network)


def _of_responses(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    names = job.wildcards
    size = sizes.response(names["dataset"], names["subject"], names["response"])
    plugin = sizes.datasets[names["dataset"]]["plugin"]
    if job.params["recording"] in registry.facts(DatasetFacts, "datasets", plugin).unread:
        estimate.unread.add((names["dataset"], job.params["recording"]))
    return Cost(keep=BYTES * size.n_kept, memory=BASE + 2 * BYTES * size.n_made + 4 * BYTES * size.n_run)


def _network_bytes(entry: dict[str, Any]) -> int:
    """Bytes of the network that a feature opens, as far as its plug-in knows them."""
    if not registry.facts(FeatureFacts, "features", entry["plugin"]).checkpoint:
        return 0
    checkpoint = registry.load("features", entry["plugin"]).files_needed(entry)
    return checkpoint.n_bytes if checkpoint else 0


def _of_checkpoint(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    """What is still to be fetched of a network: its size as the plug-in knows it, less what has arrived."""
    entry = entry_of(job)
    checkpoint = registry.load("features", entry["plugin"]).files_needed(entry)
    folder = CHECKPOINTS / checkpoint.folder
    present_bytes = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
    if not checkpoint.n_bytes:
        estimate.unknown.add(checkpoint.name)
    return Cost(fetch=max(0, checkpoint.n_bytes - present_bytes), memory=BASE)


def _of_subject(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    """What is still to be fetched of a recording: its size less the content that is in the clone already."""
    dataset, subject, recording = (job.wildcards[name] for name in ("dataset", "subject", "recording"))
    _note_uncounted(dataset, sizes, estimate, recording)
    entry = sizes.datasets[dataset]
    plugin = registry.load("datasets", entry["plugin"])
    root = CLONES / dataset
    present_bytes = 0
    if root.is_dir():
        try:
            paths = [root / path for path in plugin.files_needed(root, subject, entry, recording)]
        except (NotImplementedError, FileNotFoundError):
            paths = []  # then the whole recording counts as still to be fetched: the estimate errs upwards
        # only annexed files are links, and only those with content lead somewhere
        present_bytes = sum(path.stat().st_size for path in paths if path.is_symlink() and path.exists())
    return Cost(fetch=max(0, sizes.of_dataset(dataset, recording).subjects[subject].fetch - present_bytes), memory=BASE)


def _of_model(job: Job, sizes: Sizes, estimate: Estimate) -> Cost:
    """What a model keeps by its facts (else the most of it), for each seed and fold, and predictions of all trials."""
    wildcards = job.wildcards
    subjects = json.loads(job.params["subjects"])
    n_features = sizes.n_features(wildcards["dataset"], wildcards["feature"])
    if wildcards["response"] == NONE:  # a picture a trial
        n_bytes = BYTES * sizes.of_dataset(wildcards["dataset"]).n_images * n_features
        return Cost(keep=2 * n_bytes, memory=BASE + 6 * n_bytes)
    n_kept = sum(sizes.response(wildcards["dataset"], subject, wildcards["response"]).n_kept for subject in subjects)
    _, recording = sizes.responses[wildcards["dataset"], wildcards["response"]]
    subject_sizes = sizes.of_dataset(wildcards["dataset"], recording).subjects
    n_trials = sum(subject_sizes[subject].n_trials for subject in subjects)
    n_columns = n_kept // n_trials
    data_bytes = BYTES * n_trials * (n_columns + n_features)
    memory = BASE + 6 * data_bytes  # as the rule asks for
    if job.rule in ("score_model", "analyse_latents"):
        return Cost(keep=ROW_BYTES * n_columns, memory=memory)
    n_folds = (
        subject_sizes[subjects[0]].n_runs
        if sizes.splits[wildcards["dataset"], wildcards["split"]]["test"] == "run"
        else 1
    )
    return Cost(keep=_kept_of_fits(job, n_trials, n_columns, n_features, n_folds), memory=memory)


def _kept_of_fits(job: Job, n_trials: int, n_columns: int, n_features: int, n_folds: int) -> int:
    """Bytes of weights and predictions of a trained model, over its seeds."""
    settings = entry_of(job)
    n_targets = n_features if settings["direction"] == "decode" else n_columns
    n_weight_columns = n_features or settings.get("n_latents", 0)
    data_bytes = BYTES * n_trials * (n_columns + n_features)
    bytes_of_kind = {"weights": BYTES * n_columns * n_weight_columns, "data": data_bytes, "means": BYTES * n_targets}
    keeps = registry.facts(ModelFacts, "models", settings["plugin"]).keeps
    seed_bytes = bytes_of_kind.get(keeps or "", max(bytes_of_kind.values())) * n_folds + BYTES * n_trials * n_targets
    return len(settings["seeds"]) * seed_bytes


# by rule; every other job of a data set is one of a model
COSTS: dict[str, Callable[[Job, Sizes, Estimate], Cost]] = {
    "fetch_checkpoint": _of_checkpoint,
    "fetch_subject": _of_subject,
    "fetch_dataset": _of_dataset,
    "fetch_stimuli": _of_stimuli,
    "list_trials": _of_trials,
    "pack_stimuli": _of_pack,
    "make_split": _of_split,
    "cache_features": _of_features,
    "extract_shard": _of_features,
    "project_responses": _of_responses,
}
