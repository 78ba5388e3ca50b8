"""Jobs that failed: each leaves a word of why, so that the end of a run names all of them together."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boldflow.runs.checksums import read_json, write_json
from boldflow.runs.kept import claim_name

FOLDER = Path(".snakemake/boldflow-failures")
MANY = 20  # failures that are told
LONGEST = 300  # characters of one


def note(outputs: Sequence[str], rule: str, wildcards: dict[str, str], error: str, log: str) -> None:
    """Leave word of a job that fails; it does no harm where that is impossible, as on a full disk."""
    with contextlib.suppress(OSError):
        write_json(_file(outputs), {"rule": rule, "wildcards": wildcards, "error": error, "log": log})


def forget(outputs: Sequence[str]) -> None:
    """Forget what was said of a job: it is about to be done again."""
    with contextlib.suppress(OSError):
        _file(outputs).unlink(missing_ok=True)


def summary(failed: Sequence[tuple[str, Sequence[str]]], n_done: int, n_left: int) -> list[str]:
    """Say which jobs failed and why, and what was done beside them.

    Parameters
    ----------
    failed : rule and outputs of each job that failed
    n_done, n_left : jobs that were done, and that were not since they need one that failed, or since the run ended
    """
    if not failed:
        return []
    counts_text = f"{n_done} others were done" + (f", {n_left} were not, since they need these" if n_left else "")
    lines = [f"{len(failed)} job(s) failed; {counts_text}"]
    for rule, outputs in failed[:MANY]:
        lines.append(f"  {_sentence(rule, outputs, read_json(_file(outputs)))}")
    return [*lines, *([f"  and {len(failed) - MANY} more"] if len(failed) > MANY else [])]


def _sentence(rule: str, outputs: Sequence[str], content: dict[str, Any] | None) -> str:
    if content is None:
        return f"{rule} ({outputs[0] if outputs else 'no output'}): it ended without a word; see its log"
    names = " ".join(map(str, content["wildcards"].values()))
    first_line = " ".join(str(content["error"]).split())
    error_text = first_line if len(first_line) <= LONGEST else f"{first_line[: LONGEST - 3]}..."
    return f"{rule} of {names}: {error_text} ({content['log']})"


def _file(outputs: Sequence[str]) -> Path:
    return FOLDER / f"{claim_name(outputs)}.json"
