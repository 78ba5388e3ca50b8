"""``python -m boldflow new NAME --bids FOLDER``, and ``--from STUDY``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from boldflow import validation
from boldflow.artifacts.store import atomic
from boldflow.commands.check import check, draft, text
from boldflow.commands.check.draft import CONFIG, WrongUseError
from boldflow.commands.new import entry, study
from boldflow.registry import nearest

STUDIES = Path("config/studies")
N_SHOWN = 5  # problems of a folder that are named


def new(name: str, folder: str, keys_said: Mapping[str, Any], response: str | None = None) -> tuple[str, int]:
    """Write the entry and a first study of a BIDS folder in which no check fails.

    Parameters
    ----------
    name : str
        Of both.
    folder : str
    keys_said : mapping
        Keys of the entry that the user says.
    response : str, optional
        Name of the study's response.

    Returns
    -------
    (text, code)
        0: written; 1: problems in the folder, nothing was written; 2: wrong use, and why.
    """
    try:
        _refuse_names(name)
        checked = check.look(name, folder, keys_said, response)
        problems = checked.findings.problems
        if problems:
            shown_text = text.first_lines(problems, N_SHOWN)
            return f"nothing was written: check finds {len(problems)} problems in {folder}\n{shown_text}", 1
        if study.best_split(checked.splits) is None:
            refusals = "; ".join(f"{split.name}: {split.refusal}" for split in checked.splits)
            return f"nothing was written: no split of the catalogue suits the trials of {folder} ({refusals})", 1
        lines = entry.lines_of(name, checked.draft.keys, checked.draft.guesses)
        config_text = entry.inserted(CONFIG.read_text(encoding="utf-8"), lines)
        study_text = study.text_of(name, checked)
        _refuse_contents(config_text, study_text, checked.draft)
    except WrongUseError as error:
        return f"new: {error}", 2
    atomic.write_text(STUDIES / f"{name}.yaml", study_text)
    atomic.write_text(CONFIG, config_text)
    warnings = checked.findings.warnings
    warning_text = f"\n{len(warnings)} warnings:\n{text.first_lines(warnings, N_SHOWN)}" if warnings else ""
    return f"{CONFIG} has the entry datasets.{name}; {_next_steps(name)}{warning_text}", 0


def copy_study(name: str, origin: str) -> tuple[str, int]:
    """Copy the file of a study under a new name.

    Returns
    -------
    (text, code)
        0: written; 2: wrong use, and why.
    """
    path = STUDIES / f"{origin}.yaml"
    try:
        draft.read_config()
        if not path.is_file():
            studies = [each.stem for each in STUDIES.glob("*.yaml")]
            raise WrongUseError(f"{path} does not exist; {nearest(origin, studies)}")
        _refuse_study(name)
    except WrongUseError as error:
        return f"new: {error}", 2
    atomic.write_text(STUDIES / f"{name}.yaml", f"# A copy of {path}.\n{path.read_text(encoding='utf-8')}")
    return _next_steps(name), 0


def _refuse_names(name: str) -> None:
    """Refuse a name that the catalogue has, or that cannot be one."""
    config, schemas = draft.read_config()
    if name in config["datasets"]:
        raise WrongUseError(f"{CONFIG} has a data set {name!r} already: choose another name, or take it out first")
    _refuse_study(name)
    tried = {**config, "datasets": {name: {"plugin": "haxby"}}}
    problems = validation.config_problems(tried, schemas, Draft202012Validator)
    of_name = [sentence for sentence in problems if sentence.startswith("datasets:")]
    if of_name:
        raise WrongUseError("; ".join(of_name))


def _refuse_study(name: str) -> None:
    path = STUDIES / f"{name}.yaml"
    if path.exists():
        raise WrongUseError(f"{path} is there already: choose another name")
    if Path(name).name != name or name != name.strip(". "):
        raise WrongUseError(f"{name!r} cannot be the name of a study: it becomes part of a path")


def _refuse_contents(config_text: str, study_text: str, made: draft.Draft) -> None:
    """Read what would be written, and refuse where it is not what was meant, or the workflow would stop at it."""
    config = yaml.safe_load(config_text)
    if config["datasets"].get(made.name) != dict(made.keys):
        raise WrongUseError(f"the entry cannot be written below {entry.SECTION!r} of {CONFIG}: write it by hand")
    problems = validation.study_problems(config, yaml.safe_load(study_text), made.schemas, Draft202012Validator)
    if problems:
        raise WrongUseError(f"the study would stop: {'; '.join(problems)}")


def _next_steps(name: str) -> str:
    path = STUDIES / f"{name}.yaml"
    return f"{path} is a study; look at it, then: snakemake --profile cpu --config study={name}"
