"""``python -m boldflow why [TARGET]``: what changed since a target was made, and what would rerun."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from boldflow.commands import changes, plan
from boldflow.commands.changes import Cause
from boldflow.commands.plan import Job

PUTS_BACK = "what follows puts its outputs back where all that it reads comes out as it was"
NAMED = 3  # jobs of a cause that are named before they are counted


def why(target: str | None, config: Sequence[str]) -> tuple[str, int]:
    """Say what changed since a target was made, and what would rerun.

    Parameters
    ----------
    target : str or None
        Path of a result, or name of a stage; None for the chosen study's report.
    config : sequence of ``key=value``, as after ``snakemake --config``

    Returns
    -------
    text, exit code
        0, or 2 where the workflow does not parse: then its error is the text.
    """
    name = target or "the report of the chosen study"
    try:
        jobs = plan.ask([target] if target else [], config)
    except plan.Broken as error:
        return f"{name}: what would rerun cannot be said, since Snakemake stops at this:\n{_indented(str(error))}", 2
    makers = {path: job for job in jobs for path in job.output}
    checksum = cache(changes.sha256)
    causes_of = {index: changes.of_job(job, checksum, makers) for index, job in enumerate(jobs)}
    running = [index for index, job in enumerate(jobs) if job.runs and job.output]
    silent = {index: causes for index, causes in causes_of.items() if causes and index not in running}
    parts = []
    if running:
        made = any(jobs[index].records for index in running)
        since = "what changed since it was made" if made else "it was never made"
        changed = {index: causes_of[index] for index in running if causes_of[index]}
        parts += [f"{name}: {since}", *_by_cause(changed, jobs), *_reruns(running, list(changed), jobs)]
    else:
        parts.append(f"{name}: nothing would rerun")
        if not silent:
            parts.append("no setting, module, input file or output changed since it was made")
    if silent:
        parts += ["not as it was, but nothing would rerun for it, since what was made from it is there:"]
        parts += _by_cause(silent, jobs)
    return "\n".join(parts), 0


def _by_cause(causes_of: dict[int, list[Cause]], jobs: Sequence[Job]) -> list[str]:
    """Write each cause once, with the jobs that it concerns."""
    concerned: dict[Cause, list[int]] = defaultdict(list)
    for index, causes in causes_of.items():
        for cause in causes:
            concerned[cause].append(index)
    lines = []
    for cause in sorted(concerned):
        lines.append(f"  {cause.text}")
        for rule, count in Counter(jobs[index].rule for index in concerned[cause]).items():
            named = [Path(jobs[index].output[0]) for index in concerned[cause] if jobs[index].rule == rule]
            places = ", ".join(str(path) for path in named[:NAMED])
            more = f" and {count - NAMED} more" if count > NAMED else ""
            lines.append(f"      {rule} ({count}): {places}{more}")
    return lines


def _reruns(running: Sequence[int], changed: Sequence[int], jobs: Sequence[Job]) -> list[str]:
    """Count by rule what would rerun: changed itself, or following from others."""
    of_themselves = Counter(jobs[index].rule for index in changed)
    follow = Counter(jobs[index].rule for index in running if index not in changed)
    lines = [f"would rerun: {len(running)} job{'s' if len(running) > 1 else ''}"]
    width = max(len(jobs[index].rule) for index in running)
    lines += [f"  {rule:<{width}} {count:>4}" for rule, count in of_themselves.items()]
    lines += [f"  {rule:<{width}} {count:>4}  follows from the above" for rule, count in follow.items()]
    return [*lines, PUTS_BACK] if follow else lines


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
