"""What is wrong with the catalogue: entries by themselves and beside each other."""

import datetime
from typing import (
    Any,
)

from boldflow.catalogue import (
    feature_facts,
    members_of_feature,
    opens_checkpoint,
    settings,
)
from boldflow.registry import (
    Config,
    entry_schema,
    facts,
    literal,
    nearest,
    plugin_name,
    plugins,
)
from boldflow.validation.plugins import (
    plugin_problems,
)
from boldflow.validation.responses import (
    glm_problems,
    region_problems,
)
from boldflow.validation.sentences import (
    not_finite,
    schema_problems,
)
from boldflow.vocabulary.facts import DatasetFacts
from boldflow.vocabulary.sections import (
    PLUGIN_SECTIONS,
    SECTIONS,
)


def config_problems(config: Config, schemas: Config, validator: Any) -> list[str]:
    """List what is wrong with the catalogue, one sentence each; empty when all is well.

    Parameters
    ----------
    config : dict
    schemas : dict
        From ``read_schemas``.
    validator : class
        A jsonschema validator class (handed in, since this module imports the standard library only).
    """
    problems = [*schema_problems("", config, schemas["config"], validator), *not_finite("", config)]
    for section in SECTIONS:
        entries = config.get(section)
        if not isinstance(entries, dict):
            continue
        for name, entry in entries.items():
            entry_path = f"{section}.{name}"
            if entry is not None and not isinstance(entry, dict):
                continue  # its type is a schema problem already
            plugin = plugin_name(name, entry) if section in PLUGIN_SECTIONS else None
            if plugin is not None and plugin not in plugins(section):
                problems.append(f"{entry_path}: no plug-in {plugin!r}; {nearest(plugin, plugins(section))}")
                continue
            plugin_sentences = plugin_problems(section, plugin) if plugin else []
            if plugin_sentences:
                problems += [f"{entry_path}: {sentence}" for sentence in plugin_sentences]
                continue
            schema = entry_schema(schemas, section, plugin)
            schema_sentences = schema_problems(entry_path, entry or {}, schema, validator)
            problems += schema_sentences
            if section == "responses" and not schema_sentences:
                problems += region_problems(entry_path, entry or {}) + glm_problems(entry_path, entry or {})
            if section == "features" and not schema_sentences:
                problems += _network_problems(config, schemas, name) + _member_problems(config, name)
            if section == "models" and not schema_sentences:
                problems += _control_problems(entry_path, name, entry or {})
            if section == "datasets" and not schema_sentences and entry:
                problems += _subject_problems(entry_path, str(plugin), entry)
                if "agreement" in entry:
                    problems += _agreement_problems(entry_path, entry["agreement"]["date"])
    return problems


def _control_problems(where: str, name: str, entry: Config) -> list[str]:
    """Say where a model's name and its being an untrained control do not agree."""
    if bool(entry.get("untrained")) == ("untrained-control" in name):
        return []
    does = "is untrained, and the name does not say so; put" if entry.get("untrained") else "is trained; take"
    return [f"{where}: the model {does} untrained-control {'into' if entry.get('untrained') else 'off'} the name"]


def _network_problems(config: Config, schemas: Config, name: str) -> list[str]:
    """List what a feature's entry lacks to find its network, and a control that does not say that it is one."""
    entry, entry_path = settings(config, schemas, "features", name), f"features.{name}"
    if entry.get("weights") == "untrained" and "untrained-control" not in name:
        return [f"{entry_path}: weights are untrained, and the name does not say so; put untrained-control into it"]
    if not opens_checkpoint(config, name):
        return []
    if "untrained-control" in name:
        return [
            f"{entry_path}: its weights are trained, and the name says that it is an untrained control; choose another"
        ]
    checkpoints = literal("features", entry["plugin"], "CHECKPOINTS")
    if "checkpoint" not in entry:
        return [
            f"{entry_path}: key 'checkpoint' is missing (or weights: untrained); known are: "
            f"{', '.join(sorted(checkpoints))}"
        ]
    if "revision" in entry or "checkpoint_root" in entry or entry["checkpoint"] in checkpoints:
        return []
    return [
        f"{entry_path}: checkpoint {entry['checkpoint']!r} needs key revision, its commit on the hub (or "
        f"checkpoint_root, a folder of yours); those known without: {', '.join(sorted(checkpoints)) or 'none'}"
    ]


def _agreement_problems(entry_path: str, date: Any) -> list[str]:
    expected_text = f"{entry_path}.agreement.date: found {str(date)!r}, expected the day on which it was signed"
    try:
        signing_date = datetime.date.fromisoformat(str(date))
    except ValueError:
        return [f"{expected_text}, such as 2026-01-31"]
    today = datetime.date.today()
    # where the day has begun already depends on the place
    return [f"{expected_text}; today is {today}"] if signing_date > today + datetime.timedelta(days=1) else []


def _subject_problems(where: str, plugin: str, entry: Config) -> list[str]:
    """Name subjects of an entry that its plug-in does not know; a folder of the user's own has any."""
    subjects = facts(DatasetFacts, "datasets", plugin).subjects
    return [
        f"{where}.subjects[{index}]: no subject {name!r}; {nearest(name, subjects)}"
        for index, name in enumerate(entry.get("subjects", []))
        if subjects and name not in subjects
    ]


def _member_problems(config: Config, name: str) -> list[str]:
    """List what cannot be of the features that an entry joins; whoever joins a control says so too."""
    key_path, problems = f"features.{name}.of", []
    for member in members_of_feature(config, name):
        entry = config["features"].get(member) or {}
        if member not in config["features"] or plugin_name(member, entry) not in plugins("features"):
            problems.append(f"{key_path}: no feature {member!r}; {nearest(member, set(config['features']) - {name})}")
        elif plugin_problems("features", plugin_name(member, entry)):
            continue  # told of the member itself
        elif feature_facts(config, member).reads == "features":
            problems.append(f"{key_path}: {member!r} joins features itself; name those that it joins instead")
        elif entry.get("weights") == "untrained" and "untrained-control" not in name:
            problems.append(
                f"{key_path}: {member!r} has untrained weights; put untrained-control into the name {name!r}"
            )
    return problems
