"""Which files rules read, by the wildcards of their outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boldflow import catalogue
from boldflow.planning.parameters import Wildcards
from boldflow.planning.studies import Studies, each_once, filled
from boldflow.registry import Config
from boldflow.vocabulary.results import NONE

RESULT = "results/{dataset}/{subject}/{response}/{feature}/{model}/{split}"
LATENTS = "results/studies/{study}/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}"
SUBJECT_RECEIPT = "resources/receipts/{dataset}/{subject}/{recording}.json"
Files = Callable[[Wildcards], list[str]]


@dataclass(frozen=True)
class Inputs:
    """Inputs of the rules.

    Attributes
    ----------
    config, schemas : the catalogue and the JSON schemas
    studies : the studies
    """

    config: Config
    schemas: Config
    studies: Studies

    def checkpoint_of_feature(self, wildcards: Wildcards) -> list[str]:
        """Receipt of the network that a feature opens; none where it opens none, or one of random weights."""
        opens = catalogue.opens_checkpoint(self.config, wildcards.feature)
        return [f"resources/receipts/checkpoints/{wildcards.feature}.json"] if opens else []

    def shards_of_feature(self, wildcards: Wildcards) -> list[str]:
        """Shards of a feature in their order; none where one job describes all pictures."""
        stem = f"results/{wildcards.dataset}/features/{wildcards.feature}"
        shards = catalogue.shards_of_feature(self.config, wildcards.feature)
        return [f"{stem}.shard-{shard}.safetensors" for shard in shards]

    def members_of_feature(self, suffix: str) -> Files:
        """Files of the features that a feature joins, in its order; none for one that describes stimuli itself."""

        def members(wildcards: Wildcards) -> list[str]:
            names = catalogue.members_of_feature(self.config, wildcards.feature)
            return [f"results/{wildcards.dataset}/features/{name}.{suffix}" for name in names]

        return members

    def file_of_feature(self, suffix: str) -> Files:
        """File of a result's feature; none where the model sees only responses."""

        def file(wildcards: Wildcards) -> list[str]:
            path = f"results/{wildcards.dataset}/features/{wildcards.feature}.{suffix}"
            return [] if wildcards.feature == NONE else [path]

        return file

    def trials_of_dataset(self, wildcards: Wildcards) -> list[str]:
        """Trial tables of all subjects of a data set: a split is written once for all."""
        names = catalogue.subjects(self.config, wildcards.dataset)
        return [f"results/{wildcards.dataset}/{subject}/trials.parquet" for subject in names]

    def for_each_subject(self, pattern: str) -> Files:
        """Fill a pattern for each subject that a result reads: one, unless they are pooled; no responses of none."""

        def paths_of_subjects(wildcards: Wildcards) -> list[str]:
            if "{response}" in pattern and wildcards.response == NONE:
                return []
            subjects = catalogue.subjects_of(self.config, wildcards.dataset, wildcards.subject)
            return [pattern.format(**dict(wildcards.items()) | {"subject": subject}) for subject in subjects]

        return paths_of_subjects

    def receipt_of_response(self, wildcards: Wildcards) -> str:
        """Receipt of the recording that a response reads."""
        name = catalogue.recording(self.config, wildcards.dataset, wildcards.response)
        return SUBJECT_RECEIPT.format(recording=name, **dict(wildcards.items()))

    def split_of_response(self, wildcards: Wildcards) -> list[str]:
        """The split from whose training trials a response takes its statistics; none where from all volumes."""
        name = catalogue.split_of_response(self.config, wildcards.response)
        return [f"results/{wildcards.dataset}/splits/{name}.parquet"] if name else []

    def hrf_table_of_response(self, wildcards: Wildcards) -> list[str]:
        """The user's table of haemodynamic responses that a response reads; none for most."""
        path = catalogue.hrf_table_of_response(self.config, wildcards.response)
        return [str(Path(path).expanduser())] if path else []

    def packs_of_split(self, suffix: str) -> Files:
        """Stimulus packs (or their tables) of a split's data sets, its own first.

        None where a data set of the split has no pictures at hand: the split then groups them by their names only.
        """

        def packs(wildcards: Wildcards) -> list[str]:
            split_entry = catalogue.settings(self.config, self.schemas, "splits", wildcards.split)
            datasets = each_once([wildcards.dataset, *split_entry["against"]])
            is_at_hand = all(catalogue.stimuli_at_hand(self.config, dataset) for dataset in datasets)
            return [f"results/{dataset}/stimuli.{suffix}" for dataset in datasets] if is_at_hand else []

        return packs

    def of_study(self, pattern: str) -> Files:
        """Fill a pattern for each result of a study."""

        def paths(wildcards: Wildcards) -> list[str]:
            return self.studies.paths(pattern, wildcards.study)

        return paths

    def of_run(self, pattern: str, study: str) -> Files:
        """Fill a pattern for this run's study when a target asks: the Snakefile is parsed again in each job."""

        def paths(wildcards: Wildcards) -> list[str]:
            return self.studies.paths(pattern, study)

        return paths

    def for_each_rival(self, pattern: str) -> Files:
        """Fill a pattern for each encoder that is compared, in one order, as often as it comes."""

        def paths_of_rivals(wildcards: Wildcards) -> list[str]:
            return [filled(pattern, result) for result in self.studies.rivals(wildcards.study)]

        return paths_of_rivals

    def latents_of_study(self, name: str) -> Files:
        """Tables of a study's codes, one of each result."""

        def tables(wildcards: Wildcards) -> list[str]:
            results = self.studies.coded(wildcards.study)
            return [filled(f"{LATENTS}/{name}.parquet", result, study=wildcards.study) for result in results]

        return tables

    def codes_of_matched(self, wildcards: Wildcards) -> list[str]:
        """Codes whose units are matched, in order."""
        results = self.studies.matched(wildcards.study)
        return [filled(f"{LATENTS}/codes.parquet", result, study=wildcards.study) for result in results]

    def tables_of_figure(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Files of each table that a figure draws, by the table's name."""
        return self.studies.tables(wildcards.study).of_figure(wildcards.figure)

    def tables_of_report(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Files of each table that the report shows, by the table's name."""
        return self.studies.tables(wildcards.study).of_report()

    def receipts_of_run(self, study: str) -> Files:
        """Receipts of all that this run's study needs from a network."""

        def receipts(wildcards: Wildcards) -> list[str]:
            paths = self.studies.paths("resources/receipts/{dataset}/dataset.json", study)
            paths += self.studies.paths("resources/receipts/{dataset}/stimuli.json", study)
            for result in self.studies.by_subject(study):
                if result.response != NONE:
                    recording = catalogue.recording(self.config, result.dataset, result.response)
                    paths.append(filled(SUBJECT_RECEIPT, result, recording=recording))
                if catalogue.opens_checkpoint(self.config, result.feature):
                    paths.append(f"resources/receipts/checkpoints/{result.feature}.json")
            return each_once(paths)

        return receipts


@dataclass(frozen=True)
class Targets:
    """What a study makes of all its results together, if it makes it.

    Attributes
    ----------
    studies : the studies
    """

    studies: Studies

    def wins(self, study: str) -> list[str]:
        """Win shares; none where no two encoders can be compared."""
        return self._both(study, "win_shares") if self.studies.rivals(study) else []

    def separations(self, study: str) -> list[str]:
        """What codes say of a class; none where the study asks nothing."""
        return self._both(study, "separations") if self.studies.coded(study) else []

    def matches(self, study: str) -> list[str]:
        """What units of codes are found again in others; none where the study asks for none."""
        return self._both(study, "matches") if self.studies.matched(study) else []

    def figures(self, study: str) -> list[str]:
        """Figures, as pictures."""
        names = self.studies.of_name(study)["figures"]
        return [f"results/studies/{study}/figures/{name}.png" for name in names]

    def _both(self, study: str, name: str) -> list[str]:
        return [f"results/studies/{study}/{name}.{ending}" for ending in ("parquet", "csv")]
