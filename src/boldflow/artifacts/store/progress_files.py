"""Progress of an iterative fit: safetensors that appear whole, a bounded number, for one piece of work only.

A file is named by its step, ``step-00001200.safetensors``, and lies in a folder of its fit. Its header holds the
step, the history and the ``ticket``: a digest of everything that the result depends on.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.store import weights

LOG = logging.getLogger(__name__)


def write(
    folder: str | Path, ticket: str, step: int, state: dict[str, np.ndarray], rows: list[dict[str, Any]], keep: int = 2
) -> Path:
    """Write the progress of a fit, and remove all but the newest ``keep`` files.

    Parameters
    ----------
    folder : path of the fit's folder; made where missing
    ticket : digest of what the result depends on
    step : steps done
    state : arrays that the next step needs
    rows : history so far
    keep : files to keep, from 1

    Raises
    ------
    ValueError
        If ``keep`` is below 1.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    path = Path(folder) / f"step-{step:08d}.safetensors"
    weights.write(path, state, {"ticket": ticket, "step": str(step), "rows": json.dumps(rows)})
    for old_path in _files(folder)[:-keep]:
        old_path.unlink()
    return path


def newest(folder: str | Path, ticket: str) -> tuple[int, dict[str, np.ndarray], list[dict[str, Any]]] | None:
    """Read the newest whole progress of a ticket: step, state and history; None where there is none.

    Damaged files and those of another ticket are removed, since nothing can go on from them; the log tells.
    """
    for path in reversed(_files(folder)):
        try:
            note = weights.note(path)
            if note.get("ticket") == ticket:
                state = weights.read(path)
                LOG.info("going on from %s", path)
                return int(note["step"]), state, json.loads(note["rows"])
            LOG.info("removing %s: inputs, settings or code have changed since", path)
        except ValueError as error:
            LOG.warning("kept progress left out: %s", error)
        path.unlink()
    return None


def _files(folder: str | Path) -> list[Path]:
    return sorted(Path(folder).glob("step-*.safetensors"))
