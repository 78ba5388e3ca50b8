"""Settings as the workflow hands them to a job. Standard library only."""

import json
from typing import Any


def read_settings(text: str) -> dict[str, Any]:
    """Read settings as the workflow hands them: one line of JSON."""
    found: dict[str, Any] = json.loads(text)
    return found
