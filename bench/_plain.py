"""Write a plain Snakefile with the jobs and files of a study: the least that Snakemake needs to plan them.

Run in the project's folder: ``python bench/_plain.py STUDY SNAKEFILE``. A rule whose inputs are patterns stays one
rule; where a function names the inputs, each job becomes a rule with its files written out. Functions, params, messages
and environments are left out, memory and minutes are numbers. No job is started and nothing is locked.
"""

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.io import strip_wildcard_constraints
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

RESOURCES = "    resources:\n        mem_mb=2000,\n        runtime=60,"


def jobs_of(api: SnakemakeApi, study: str) -> tuple[list[Any], dict[str, str]]:
    """Build the graph of a study's jobs.

    Returns
    -------
    jobs, constraint of each wildcard
    """
    parsed = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(config={"study": study}),
        snakefile=Path("Snakefile"),
    )
    workflow = parsed.dag(DAGSettings()).workflow_api._workflow
    # what Snakemake's own --summary does
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    workflow._build_dag()
    return list(workflow.dag.jobs), dict(workflow.modifier.wildcard_constraints)


def snakefile(jobs: Iterable[Any], constraints: dict[str, str]) -> str:
    """Write the plain Snakefile. Its first rule is the target, the only one that makes nothing."""
    lines = [f"    {name}={json.dumps(pattern)}," for name, pattern in sorted(constraints.items())]
    parts: dict[str, str] = {}
    for job in jobs:
        patterns = not any(callable(value) for _, value in job.rule.input._allitems())
        made = job.rule if patterns else job
        name = job.rule.name if patterns else f"{job.rule.name}_{len(parts)}"
        if name not in parts:
            parts[name] = _rule(name, made, job.threads)
    target = next(job.rule.name for job in jobs if not job.output)
    ordered = [parts.pop(target), *parts.values()]
    return "\n\n\n".join(["\n".join(["wildcard_constraints:", *lines]), *ordered]) + "\n"


def _rule(name: str, made: Any, threads: int) -> str:
    """Write one rule from the patterns of a rule, or from the files of a job."""
    lines = [f"rule {name}:"]
    for directive in ("input", "output"):
        files = [f"        {key}={_text(value)}," for key, value in getattr(made, directive)._allitems() if key]
        unnamed = [f"        {_text(value)}," for key, value in getattr(made, directive)._allitems() if not key]
        lines += [f"    {directive}:", *unnamed, *files] if unnamed or files else []
    if made.output:
        lines += [f"    log:\n        {_text(made.log[0])},", f"    benchmark:\n        {_text(made.benchmark)}"]
        lines += [f"    threads: {threads}", RESOURCES, '    shell:\n        "true"']
    return "\n".join(lines)


def _text(value: Any) -> str:
    """Write a file or a list of files, without the constraints that stand once at the top."""
    bare = strip_wildcard_constraints(str(value)) if isinstance(value, str) else [str(one) for one in value]
    return json.dumps(bare)


if __name__ == "__main__":
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, nocolor=True, enable_file_logging=False)) as own:
        Path(sys.argv[2]).write_text(snakefile(*jobs_of(own, sys.argv[1])), encoding="utf-8")
