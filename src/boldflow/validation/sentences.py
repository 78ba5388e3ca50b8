"""What a schema says of a value, in sentences that name key, value found and what would be right."""

import math
import re
from collections.abc import (
    Iterator,
)
from typing import (
    Any,
)

from boldflow.registry import (
    Config,
    nearest,
)

TYPES = {"array": "a list", "object": "a mapping"}  # as YAML's writers call what JSON's schemas name


def schema_problems(where: str, value: Any, schema: Config, validator: Any) -> list[str]:
    """Turn schema errors into sentences that name key, value found and what would be right."""
    errors = sorted(validator(schema).iter_errors(value), key=lambda error: [str(p) for p in error.absolute_path])
    # one error per missing key comes, and each names all of them
    return list(dict.fromkeys(sentence for error in errors for sentence in _sentences(where, error)))


def not_finite(where: str, value: Any) -> Iterator[str]:
    """Say where a number is infinite or none, which YAML can write and no setting takes."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from not_finite(f"{where}[{key}]" if isinstance(value, list) else f"{where}.{key}".strip("."), item)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: found {value}, expected a finite number"


def _sentences(section_path: str, error: Any) -> list[str]:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    key_path = f"{section_path}{steps}".strip(".") or "top level"
    if error.validator == "additionalProperties":
        properties = error.schema.get("properties", {})
        extra_keys = [key for key in error.instance if key not in properties]
        value = error.instance
        return [
            f"{key_path}: unknown key {key!r} (value {value[key]!r}); {nearest(key, properties)}" for key in extra_keys
        ]
    if error.validator == "required":
        missing_keys = [key for key in error.validator_value if key not in error.instance]
        return [f"{key_path}: key {key!r} is missing; found {sorted(error.instance)}" for key in missing_keys]
    if error.validator == "enum":
        return [
            f"{key_path}: {error.instance!r} is not known; {nearest(error.instance, map(str, error.validator_value))}"
        ]
    if error.validator == "type":
        types = error.validator_value
        types = " or ".join(TYPES.get(kind, kind) for kind in ([types] if isinstance(types, str) else types))
        type_sentence = f"{key_path}: found {error.instance!r} ({type(error.instance).__name__}), expected {types}"
        return [type_sentence + _meant_number(error.instance)]
    description = error.schema.get("description", "")
    return [f"{key_path}: found {error.instance!r}: {error.message}" + (f" ({description})" if description else "")]


def _meant_number(value: Any) -> str:
    """Explain numbers that YAML reads as text."""
    parts = re.fullmatch(r"([+-]?\d+)(\.\d+)?\.?[eE]([+-]?)(\d+)", value) if isinstance(value, str) else None
    if not parts:
        return ""
    return f" (YAML reads this as text; write {parts[1]}{parts[2] or '.0'}e{parts[3] or '+'}{parts[4]})"
