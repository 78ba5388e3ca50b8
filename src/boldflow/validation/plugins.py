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
    path = plugin_file(section, plugin)
    try:
        present_functions = functions(section, plugin)
        stated_facts = literal(section, plugin, "FACTS")
        literal(section, plugin, "SETTINGS")
    except (SyntaxError, ValueError) as error:
        return [f"{path} of {section}: {error}"]
    missing_functions = [name for name in CONTRACT[section] if name not in present_functions]
    problems = [f"{path} of {section}: {sentence}" for sentence in fact_problems(section, stated_facts)]
    return problems + ([f"{path} of {section}: functions {missing_functions} are missing"] if missing_functions else [])


def fact_problems(section: str, stated: Mapping[str, Any]) -> list[str]:
    """List the facts that a plug-in of a section lacks, and those that no plug-in of it has."""
    names = names_of(section)
    lacking = [name for name in needed_of(section) if name not in stated]
    problems = [f"FACTS lack {lacking}; found {sorted(stated)}"] if lacking else []
    unknown = [name for name in stated if name not in names]
    return problems + [f"FACTS: there is no fact {name!r} of {section}; {nearest(name, names)}" for name in unknown]
