"""What the rules ask for: paths, inputs, parameters and resources of a study. Standard library only.

Methods are handed to Snakemake as its functions of wildcards; nothing here imports it.
"""

import re
from collections.abc import Iterable

from boldflow import catalogue
from boldflow.planning.inputs import RESULT, Inputs, Targets
from boldflow.planning.machine import name_problems, place_problems
from boldflow.planning.parameters import Parameters, wildcard_names
from boldflow.planning.resources import Resources, growing, more_memory
from boldflow.planning.studies import Studies, study_files
from boldflow.planning.tables import StudyTables
from boldflow.planning.targets import target_problems
from boldflow.planning.versions import version_problems
from boldflow.registry import Config
from boldflow.vocabulary.results import NONE, POOLED

__all__ = [
    "RESULT",
    "Inputs",
    "Parameters",
    "Resources",
    "Studies",
    "StudyTables",
    "Targets",
    "growing",
    "more_memory",
    "name_problems",
    "one_of",
    "place_problems",
    "study_files",
    "target_problems",
    "version_problems",
    "wildcard_constraints",
    "wildcard_names",
]


def one_of(names: Iterable[str]) -> str:
    """Give the wildcard constraint that allows exactly these names."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


def wildcard_constraints(config: Config, studies: Studies) -> dict[str, str]:
    """Give the constraint of each wildcard, and of the subjects of a result, which may be none or pooled."""
    subjects = {name for dataset in config["datasets"] for name in catalogue.subjects(config, dataset)}
    values_of_wildcard: dict[str, Iterable[str]] = {
        "dataset": config["datasets"],
        "subject": subjects,
        "subject_of_result": {*subjects, POOLED, NONE},
        "recording": catalogue.recordings(config),
        "response": [*config["responses"], NONE],
        "feature": [*config["features"], NONE],
        "model": config["models"],
        "split": config["splits"],
        "figure": config["figures"],
        "study": studies.files,
    }
    return {wildcard: one_of(values) for wildcard, values in values_of_wildcard.items()} | {"shard": r"\d+-of-\d+"}
