"""An entry of the catalogue as lines of YAML with reasons, put below ``datasets:`` of a file that stays as it is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from boldflow.commands.check.draft import WrongUseError
from boldflow.commands.check.guesses import Guess

SECTION = "datasets:"
TOP_LEVEL = re.compile(r"[^\s#]")  # how a line begins that opens the next section


def lines_of(name: str, keys: Mapping[str, Any], guesses: Sequence[Guess]) -> list[str]:
    """Write an entry, a key a line, with the reason beside each value that was guessed."""
    reason_of_key = {guess.key: guess.reason for guess in guesses if guess.value is not None}
    lines = [
        f"  # Written by `python -m boldflow new {name}`; reasons are what the folder showed on that day.",
        f"  {name}:",
    ]
    for key, value in keys.items():
        reason = reason_of_key.get(key, "")
        lines.append(f"    {key}: {in_yaml(value)}" + (f"  # {reason}" if reason else ""))
    return lines


def in_yaml(value: Any) -> str:
    """Write a value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def inserted(config_text: str, entry_lines: Sequence[str]) -> str:
    """Put an entry at the end of the section of data sets; all other lines stay.

    Raises
    ------
    WrongUseError
        If the file has no line ``datasets:`` of its own.
    """
    lines = config_text.splitlines()
    starts = [index for index, line in enumerate(lines) if line.split("#")[0].rstrip() == SECTION]
    if not starts:
        raise WrongUseError(f"config/config.yaml has no line {SECTION!r} alone, below which the entry could be written")
    after = range(starts[0] + 1, len(lines))
    end = next((index for index in after if TOP_LEVEL.match(lines[index])), len(lines))
    while not lines[end - 1].strip() or lines[end - 1].startswith("#"):  # what leads to the next section is its own
        end -= 1
    return "\n".join([*lines[:end], *entry_lines, *lines[end:]]) + "\n"
