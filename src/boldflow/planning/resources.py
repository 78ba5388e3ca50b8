"""What jobs ask of the machine, and where they write what they cost: matters that change no result."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow import catalogue
from boldflow.planning.parameters import Wildcards
from boldflow.planning.studies import Studies, each_once, filled
from boldflow.registry import Config
from boldflow.vocabulary.results import NONE


@dataclass(frozen=True)
class Resources:
    """Threads, GPUs and memory of the rules, and the records of their costs.

    Attributes
    ----------
    config : the catalogue
    studies : the studies
    """

    config: Config
    studies: Studies

    def threads_of_model(self, wildcards: Wildcards) -> int:
        """Give as many threads as the model's facts say it computes with."""
        return catalogue.model_facts(self.config, wildcards.model).threads

    def gpus_of_model(self, wildcards: Wildcards) -> int:
        """Ask for one GPU where the model's facts say so."""
        return int(catalogue.model_facts(self.config, wildcards.model).device == "cuda")

    def gpus_of_feature(self, wildcards: Wildcards) -> int:
        """Ask for one GPU where the feature's entry or facts say so."""
        return int(catalogue.device_of_feature(self.config, wildcards.feature) == "cuda")

    def gpus_of_gathering(self, wildcards: Wildcards) -> int:
        """Ask for one GPU where the feature does and no shards have described the pictures already."""
        gathers = catalogue.shards_of_feature(self.config, wildcards.feature)
        return 0 if gathers else self.gpus_of_feature(wildcards)

    def memory_of_feature(self, wildcards: Wildcards, attempt: int) -> int:
        """Ask for 4 GB, or 12 where a network is opened, doubled at each new attempt."""
        opens = catalogue.opens_checkpoint(self.config, wildcards.feature)
        return growing(12000 if opens else 4000)(wildcards, attempt)

    def benchmarks_of_study(self, wildcards: Wildcards) -> list[str]:
        """Name the cost records of a study; they are read where they are, and never make a result differ."""
        study = wildcards.study
        pattern = "{dataset}_{subject}_{response}_{feature}_{model}_{split}"
        paths = self.studies.paths(f"benchmarks/train_model/{pattern}.tsv", study)
        paths += self.studies.paths(f"benchmarks/score_model/{pattern}.tsv", study)
        coded_results = self.studies.coded(study)
        paths += [filled(f"benchmarks/analyse_latents/{study}_{pattern}.tsv", result) for result in coded_results]
        paths += self.studies.paths("benchmarks/project_responses/{dataset}_{subject}_{response}.tsv", study)
        paths += self.studies.paths("benchmarks/cache_features/{dataset}_{feature}.tsv", study)
        paths += self._of_networks(study)
        paths += self.studies.paths("benchmarks/make_split/{dataset}_{split}.tsv", study)
        for rule in ("fetch_dataset", "fetch_stimuli", "pack_stimuli"):
            paths += self.studies.paths(f"benchmarks/{rule}/{{dataset}}.tsv", study)
        for result in self.studies.by_subject(study):
            if result.response != NONE:
                recording = catalogue.recording(self.config, result.dataset, result.response)
                paths.append(f"benchmarks/fetch_subject/{result.dataset}_{result.subject}_{recording}.tsv")
        return each_once(paths + self.studies.paths("benchmarks/list_trials/{dataset}_{subject}.tsv", study))

    def _of_networks(self, study: str) -> list[str]:
        """Name the cost records of a study's shards and checkpoints."""
        paths = []
        for result in self.studies.results(study):
            stem = f"benchmarks/extract_shard/{result.dataset}_{result.feature}"
            shards = catalogue.shards_of_feature(self.config, result.feature)
            paths += [f"{stem}_{shard}.tsv" for shard in shards]
            if catalogue.opens_checkpoint(self.config, result.feature):
                paths.append(f"benchmarks/fetch_checkpoint/{result.feature}.tsv")
        return paths


def size_mb(files: Iterable[str]) -> float:
    """Add up files in MiB. Snakemake's own `input.size_mb` starts an event loop for each job."""
    return sum(Path(file).stat().st_size for file in files) / 2**20


def more_memory(wildcards: Wildcards, attempt: int, input: Any) -> int:
    """Ask for memory by the size of the inputs, doubled at each new attempt."""
    return int(max(2000, 1000 + 6 * size_mb(input)) * 2 ** (attempt - 1))


def growing(amount: int) -> Callable[[Wildcards, int], int]:
    """Ask for an amount (MB or minutes) that is doubled at each new attempt."""

    def amount_of(wildcards: Wildcards, attempt: int) -> int:
        return int(amount * 2 ** (attempt - 1))

    return amount_of
