"""Ask Snakemake which jobs a target has and what they would be made from now; no job is started.

The package never imports Snakemake: a program of the workflow does, in a process of its own.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path("workflow") / "tools" / "plan.py"
# lines of Snakemake's errors that say where in its own or our code they arose, which is no help to a reader
NOISE = re.compile(r'^\s+File "|^Traceback|^None$|^\s*$')


class Broken(Exception):
    """The workflow does not parse, or has no such target; the text is Snakemake's."""


@dataclass(frozen=True)
class Job:
    """One job as the workflow stands now, and what Snakemake recorded when each of its outputs was made."""

    rule: str
    wildcards: dict[str, str]
    output: list[str]
    input: list[str]
    params: dict[str, Any]
    runs: bool
    reason: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)


def ask(targets: Sequence[str], config: Sequence[str]) -> list[Job]:
    """List the jobs of targets (paths of results or names of stages) and all that they need.

    Parameters
    ----------
    targets : sequence of str
        Empty for the chosen study's report.
    config : sequence of ``key=value``, as after ``snakemake --config``

    Raises
    ------
    Broken
        If the workflow does not parse or has no such target.
    FileNotFoundError
        If the working folder is not the project's.
    """
    if not PROGRAM.is_file():
        raise FileNotFoundError(
            f"{PROGRAM} does not exist here ({Path.cwd()}); start the command in the project's folder"
        )
    request = json.dumps({"targets": list(targets), "config": list(config)})
    process = subprocess.run([sys.executable, str(PROGRAM), request], capture_output=True, text=True, check=False)
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if not NOISE.match(line)]
        raise Broken("\n".join(lines) or f"{PROGRAM} ended with {process.returncode} and said nothing")
    return [Job(**row) for row in json.loads(process.stdout)["jobs"]]
