"""What a plug-in lacks of its contract, as far as its text tells."""

from boldflow.registry import (
    CONTRACT,
    functions,
    literal,
    plugin_file,
)


def plugin_problems(section: str, plugin: str) -> list[str]:
    """List what a plug-in lacks of its contract, as far as its text tells."""
    file = plugin_file(section, plugin)
    try:
        there = functions(section, plugin)
        facts_ = literal(section, plugin, "FACTS")
        literal(section, plugin, "SETTINGS")
    except (SyntaxError, ValueError) as error:
        return [f"{file} of {section}: {error}"]
    lacking = [key for key in CONTRACT[section]["facts"] if key not in facts_]
    missing = [name for name in CONTRACT[section]["functions"] if name not in there]
    problems = [f"{file} of {section}: FACTS lack {lacking}; found {sorted(facts_)}"] if lacking else []
    return problems + ([f"{file} of {section}: functions {missing} are missing"] if missing else [])
