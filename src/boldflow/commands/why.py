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
    target_text = target or "the report of the chosen study"
    try:
        jobs = plan.ask([target] if target else [], config)
    except plan.Broken as error:
        return (
            f"{target_text}: what would rerun cannot be said, since Snakemake stops at this:\n{_indented(str(error))}",
            2,
        )
    makers = {path: job for job in jobs for path in job.output}
    checksum = cache(changes.sha256)
    causes_of = {index: changes.of_job(job, checksum, makers) for index, job in enumerate(jobs)}
    rerun_indices = [index for index, job in enumerate(jobs) if job.runs and job.output]
    silent_causes = {index: causes for index, causes in causes_of.items() if causes and index not in rerun_indices}
    parts = []
    if rerun_indices:
        was_made = any(jobs[index].records for index in rerun_indices)
        since_text = "what changed since it was made" if was_made else "it was never made"
        changed_causes = {index: causes_of[index] for index in rerun_indices if causes_of[index]}
        parts += [
            f"{target_text}: {since_text}",
            *_by_cause(changed_causes, jobs),
            *_reruns(rerun_indices, list(changed_causes), jobs),
        ]
    else:
        parts.append(f"{target_text}: nothing would rerun")
        if not silent_causes:
            parts.append("no setting, module, input file or output changed since it was made")
    if silent_causes:
        parts += ["not as it was, but nothing would rerun for it, since what was made from it is there:"]
        parts += _by_cause(silent_causes, jobs)
    return "\n".join(parts), 0


def _by_cause(causes_of: dict[int, list[Cause]], jobs: Sequence[Job]) -> list[str]:
    """Write each cause once, with the jobs that it concerns."""
    indices_of: dict[Cause, list[int]] = defaultdict(list)
    for index, causes in causes_of.items():
        for cause in causes:
            indices_of[cause].append(index)
    lines = []
    for cause in sorted(indices_of):
        lines.append(f"  {cause.text}")
        for rule, count in Counter(jobs[index].rule for index in indices_of[cause]).items():
            output_paths = [Path(jobs[index].output[0]) for index in indices_of[cause] if jobs[index].rule == rule]
            paths_text = ", ".join(str(path) for path in output_paths[:NAMED])
            more_text = f" and {count - NAMED} more" if count > NAMED else ""
            lines.append(f"      {rule} ({count}): {paths_text}{more_text}")
    return lines


def _reruns(rerun_indices: Sequence[int], changed_indices: Sequence[int], jobs: Sequence[Job]) -> list[str]:
    """Count by rule what would rerun: changed itself, or following from others."""
    n_changed = Counter(jobs[index].rule for index in changed_indices)
    n_following = Counter(jobs[index].rule for index in rerun_indices if index not in changed_indices)
    lines = [f"would rerun: {len(rerun_indices)} job{'s' if len(rerun_indices) > 1 else ''}"]
    width = max(len(jobs[index].rule) for index in rerun_indices)
    lines += [f"  {rule:<{width}} {count:>4}" for rule, count in n_changed.items()]
    lines += [f"  {rule:<{width}} {count:>4}  follows from the above" for rule, count in n_following.items()]
    return [*lines, PUTS_BACK] if n_following else lines


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
