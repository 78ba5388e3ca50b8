"""What the parameters of jobs tell of sizes: entries of data sets, columns of responses and of features."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from boldflow import registry
from boldflow.commands.plan import Job
from boldflow.settings import read_entry
from boldflow.vocabulary.facts import FeatureFacts
from boldflow.vocabulary.results import NONE

COLUMNS = {"fsaverage5": 20_484, "fsaverage6": 81_924, "fsaverage7": 327_684}  # vertices
# Rules that read a data set's entry, and the parameter that holds it.
OF_DATASETS = {
    **dict.fromkeys(("fetch_dataset", "fetch_subject", "fetch_stimuli", "list_trials", "pack_stimuli"), "settings"),
    **dict.fromkeys(("make_split", "project_responses"), "dataset"),
}


def entry_of(job: Job, parameter: str = "settings") -> dict[str, Any]:
    """Give the keys that are set of the entry that a job reads."""
    return dict(read_entry(job.params.get(parameter, "{}")))


@dataclass(frozen=True)
class ResponseSize:
    """Numbers of a subject's responses as kept and as made, and voxels times volumes of a run."""

    n_kept: int
    n_made: int
    n_run: int


class Sizes:
    """What the parameters of jobs tell."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        """Read the parameters."""
        self.datasets: dict[str, dict[str, Any]] = {}
        self.responses: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self.features: dict[tuple[str, str], dict[str, Any]] = {}
        self.splits: dict[tuple[str, str], dict[str, Any]] = {}
        self.tr_s: dict[str, float] = {}
        for job in jobs:
            if job.rule in OF_DATASETS:
                self._add_keys(job)
            if job.rule == "project_responses":
                key = (job.wildcards["dataset"], job.wildcards["response"])
                self.responses[key] = (entry_of(job), job.params["recording"])
                self.tr_s[job.wildcards["dataset"]] = json.loads(job.params["facts"])["tr_s"]
            if job.rule == "make_split":
                self.splits[job.wildcards["dataset"], job.wildcards["split"]] = entry_of(job)
            if job.rule == "cache_features":
                key = (job.wildcards["dataset"], job.wildcards["feature"])
                self.features[key] = entry_of(job)
        self.of_dataset = cache(self._of_dataset)
        self.n_features = cache(self._n_features)

    def _add_keys(self, job: Job) -> None:
        """Add what a job reads of its data set's entry; its subjects and sessions are the data set's or nobody's."""
        keys = self.datasets.setdefault(job.wildcards["dataset"], {})
        for key, value in entry_of(job, OF_DATASETS[job.rule]).items():
            if "subject" not in job.wildcards or key not in ("subjects", "sessions"):
                keys[key] = value

    def _of_dataset(self, dataset: str, recording: str | None = None) -> Any:
        """Ask the plug-in of a data set for its sizes, of its first recording where none is named."""
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
        facts = registry.facts(FeatureFacts, "features", entry["plugin"])
        if facts.reads == "features":
            return sum(self.n_features(dataset, name) for name in entry["of"])
        plugin = registry.load("features", entry["plugin"])
        n_stated = plugin.n_features(entry) if hasattr(plugin, "n_features") else None
        if n_stated is not None:
            return int(n_stated)
        if facts.reads == "labels" or facts.checkpoint:
            return int(self.of_dataset(dataset).n_images)
        grey_picture = np.full((64, 64, 3), 128, dtype=np.uint8)
        return int(describe(plugin.extractor(entry, None, "cpu"), [grey_picture]).shape[1])

    def response(self, dataset: str, subject: str, response: str) -> "ResponseSize":
        """Count the numbers of one subject's responses."""
        entry, recording = self.responses[dataset, response]
        subject_size = self.of_dataset(dataset, recording).subjects[subject]
        n_columns = COLUMNS.get(entry["space"], subject_size.n_voxels)
        n_volumes = max(1, round(entry["duration_s"] / self.tr_s[dataset]))
        n_volumes = n_volumes if entry.get("kind", "bold") == "bold" else 1  # betas are one number per trial
        n_made = subject_size.n_trials * n_columns * n_volumes
        n_kept = subject_size.n_trials * n_columns if entry["average"] else n_made
        return ResponseSize(n_kept, n_made, subject_size.n_voxels * subject_size.n_volumes)
