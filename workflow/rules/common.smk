# What all rules share. Needs: config/config.yaml. Makes: config, checked at parse, the chosen study, wildcard constraints, and
# functions that turn wildcards into inputs, params and resources: methods of boldflow.planning.
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from boldflow import planning, registry, validation


def stop(where, problems):
    """End parsing with one clear message."""
    sys.exit(
        "\n".join(
            [f"{where}: {len(problems)} problem(s), no job was started", *problems]
        )
    )


def stop_if(where, problems):
    """End parsing where there are problems."""
    if problems:
        stop(where, problems)


stop_if("Snakemake", planning.version_problems())
USES_CONDA = bool(workflow.deployment_settings.deployment_method)
stop_if("path", planning.place_problems(uses_conda=USES_CONDA))


def read_yaml(path):
    """Read a YAML file by the fast reader, where it is there."""
    try:
        return yaml.load(
            Path(path).read_bytes(),
            Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
        )
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


try:
    # Snakemake says of a broken file that it is broken, not where
    read_yaml("config/config.yaml")
except ValueError as error:
    sys.exit(f"config/config.yaml is not YAML, no job was started: {error}")


configfile: "config/config.yaml"


stop_if("config key study", planning.name_problems(config.get("study", "")))


SCHEMAS = registry.read_schemas(Path(workflow.basedir) / "workflow" / "schemas")


def problems_of_catalogue():
    """List what is wrong with the catalogue."""
    # slow to import; most runs know it all to be in order
    from jsonschema import Draft202012Validator

    return validation.config_problems(config, SCHEMAS, Draft202012Validator)


def problems_of_study(study):
    """List what is wrong with a study."""

    def problems_in_it():
        from jsonschema import Draft202012Validator

        return validation.study_problems(config, study, SCHEMAS, Draft202012Validator)

    return validation.problems_unless_in_order([config, SCHEMAS, study], problems_in_it)


stop_if(
    "configuration (config/config.yaml and --config)",
    validation.problems_unless_in_order([config, SCHEMAS], problems_of_catalogue),
)


studies = planning.Studies(
    config,
    SCHEMAS,
    planning.study_files(Path(workflow.basedir, "config", "studies"), stop),
    read_yaml,
    problems_of_study,
    stop,
    Path(".snakemake", "boldflow-studies.json"),
)
STUDY = studies.choose(str(config["study"]))
CONSTRAINTS = planning.wildcard_constraints(config, studies)
SUBJECTS_OR_POOLED = CONSTRAINTS["subject_of_result"]
RESULT = planning.RESULT


wildcard_constraints:
    dataset=CONSTRAINTS["dataset"],
    subject=CONSTRAINTS["subject"],
    recording=CONSTRAINTS["recording"],
    response=CONSTRAINTS["response"],
    feature=CONSTRAINTS["feature"],
    shard=CONSTRAINTS["shard"],
    model=CONSTRAINTS["model"],
    split=CONSTRAINTS["split"],
    figure=CONSTRAINTS["figure"],
    study=CONSTRAINTS["study"],


hand = planning.Parameters(config, SCHEMAS, studies)
inputs = planning.Inputs(config, SCHEMAS, studies)
needs = planning.Resources(config, studies)
targets = planning.Targets(studies)
