"""A draft of a profile: settings, the reason for each that was decided on, and their text."""

import copy
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 118


@dataclass
class Draft:
    """Settings of a profile, with the reasons for those that were decided on."""

    settings: dict[str, Any]
    reasons: dict[str, str]

    @classmethod
    def of(cls, base: Mapping[str, Any]) -> "Draft":
        """Start from a profile of the project, which stays as it is."""
        settings = copy.deepcopy(dict(base))
        for key in ("default-resources", "set-resources", "resources"):
            settings[key] = settings.get(key) or {}
        return cls(settings, {})

    def put(self, key: str, value: Any, reason: str) -> None:
        """Decide on a key, or on ``key.key``."""
        outer, _, inner = key.partition(".")
        if inner:
            self.settings[outer][inner] = value
        else:
            self.settings[outer] = value
        self.reasons[key] = reason

    def set_resources(self, without: str) -> dict[str, dict[str, Any]]:
        """List what the profile sets for single rules, but for one resource."""
        rules = self.settings["set-resources"].items()
        kept = {rule: {key: value for key, value in asked.items() if key != without} for rule, asked in rules}
        return {rule: asked for rule, asked in kept.items() if asked}

    def text(self, head: Sequence[str], base: str) -> str:
        """Write YAML with a comment above each key: its reason, or where it is from."""
        lines = [line for words in head for line in commented(words)]
        for key, value in self.settings.items():
            if value == {}:
                continue
            has_reason = any(f"{key}.{name}" in self.reasons for name in value) if isinstance(value, dict) else False
            lines += commented(
                self.reasons.get(key) or f"as in {base}" + (" but where a reason stands" if has_reason else "")
            )
            if not isinstance(value, dict):
                lines.append(f"{scalar(key)}: {scalar(value)}")
                continue
            lines.append(f"{scalar(key)}:")
            for name, inner_value in value.items():
                lines += commented(self.reasons.get(f"{key}.{name}", ""), 2)
                lines.append(f"  {scalar(name)}: {scalar(inner_value)}")
        return "\n".join(lines) + "\n"


def commented(words: str, indent: int = 0) -> list[str]:
    """Write words as lines of comment."""
    start = " " * indent + "# "
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def scalar(value: Any) -> str:
    """Write a value in one line of YAML."""
    if isinstance(value, str) and "'" in value:
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()
