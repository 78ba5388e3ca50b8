"""What a plug-in lacks of its contract, as far as its text tells."""

from collections.abc import Mapping
from typing import Any

from boldflow.registry import (
    CONTRACT,
    functions,
    literal,
    nearest,
    plugin_file,
)
from boldflow.vocabulary.facts import names_of, needed_of


def plugin_problems(section: str, plugin: str) -> list[str]:
    """List what a plug-in lacks of its contract, as far as its text tells."""
    file = plugin_file(section, plugin)
    try:
        there = functions(section, plugin)
        stated = literal(section, plugin, "FACTS")
        literal(section, plugin, "SETTINGS")
    except (SyntaxError, ValueError) as error:
        return [f"{file} of {section}: {error}"]
    missing = [name for name in CONTRACT[section] if name not in there]
    problems = [f"{file} of {section}: {sentence}" for sentence in fact_problems(section, stated)]
    return problems + ([f"{file} of {section}: functions {missing} are missing"] if missing else [])


def fact_problems(section: str, stated: Mapping[str, Any]) -> list[str]:
    """List the facts that a plug-in of a section lacks, and those that no plug-in of it has."""
    names = names_of(section)
    lacking = [name for name in needed_of(section) if name not in stated]
    problems = [f"FACTS lack {lacking}; found {sorted(stated)}"] if lacking else []
    unknown = [name for name in stated if name not in names]
    return problems + [f"FACTS: there is no fact {name!r} of {section}; {nearest(name, names)}" for name in unknown]
