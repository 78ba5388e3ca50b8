"""What Snakemake has recorded of outputs, read without Snakemake: a job has no workflow to ask."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

METADATA = Path(".snakemake/metadata")  # a record of each output
INCOMPLETE = Path(".snakemake/incomplete")  # a mark of each output that is being made
NAME_MAX = 255  # bytes of a file's name, as Snakemake counts them


def read(path: str) -> dict[str, Any]:
    """Read the record of an output; empty where there is none.

    ``starttime`` and ``endtime`` are those of the job, the latter as the time of change that the output got then.
    """
    try:
        content = json.loads(_file(METADATA, path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_marked(path: str) -> bool:
    """Tell whether an output is marked as being made."""
    return _file(INCOMPLETE, path).exists()


def _file(folder: Path, path: str) -> Path:
    words = urlsafe_b64encode(path.encode()).decode()
    parts = [words[start : start + NAME_MAX - 1] for start in range(0, len(words), NAME_MAX - 1)]
    return Path(folder, *(f"@{part}" for part in parts[:-1]), parts[-1])
