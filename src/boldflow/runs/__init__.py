"""Snakemake runs of a working folder: what happens when one is parsed, starts and ends. Standard library only.

``workflow/rules/lifecycle.smk`` calls these functions and nothing else. They alone touch private parts of the workflow
that Snakemake hands them: Snakemake has no public way to the records of its jobs.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from boldflow.runs import checksums, costs, failures, kept, notes, signals, slurm, survival

Problems = Callable[[Iterable[str], Collection[str], Collection[str], Sequence[str]], list[str]]

_STOOD: list[survival.Stood] = []  # what stood before this run
_PLANNED: list[list[str]] = []  # outputs of the jobs that this run is to do


def parsed(workflow: Any) -> None:
    """Say who is at work in this folder, once the Snakefile has been read, and put back what killed runs left undone.

    The Snakemake inside a job is shielded. A dry run puts back too, so that its plan is right.

    Raises
    ------
    SystemExit
        If ``--unlock`` is asked for while a run is at work.
    """
    if not workflow.is_main_process:
        signals.shield()
        return
    is_unlock = any(_is_unlock(word) for word in sys.argv)
    if is_unlock and notes.holders():
        lines = [
            f"a run is at work in this folder: {holder}; wait for it, or end it first" for holder in notes.holders()
        ]
        sys.exit("\n".join([f"--unlock refused: {len(lines)} problem(s), no job was started", *lines]))
    if not (workflow.dryrun or is_unlock):
        _say(notes.others())
    _say_put_back(survival.put_back_of_killed_runs())


def begin(workflow: Any) -> None:
    """Leave a note that this run is at work, and of what stands before it; see to what a run that is gone has left."""
    signals.end_from_a_thread()
    signals.end_jobs_at_interruption()
    notes.enter()
    outputs = [_outputs(job) for job in workflow.dag.jobs]
    slurm.count_as_failed(Path(workflow.basedir, "workflow", "tools", "slurm"))
    _say(slurm.cancel_waiting(_abandoned_jobs(workflow)))
    _say(kept.at_work(outputs))
    for job in workflow.dag.needrun_jobs():
        failures.forget(_outputs(job))
        _PLANNED.extend([_outputs(job)] if _outputs(job) else [])
        if _is_asked_for(workflow, job):
            kept.ask_again(_outputs(job))
        stood_outputs = survival.stood(_outputs(job), lambda path: _paths_of_records(workflow, path))
        if stood_outputs is not None:
            _STOOD.append(stood_outputs)
    survival.write_plan(_STOOD)


def succeed(workflow: Any) -> None:
    """End a run all of whose jobs are done."""
    _end([])


def fail(workflow: Any) -> None:
    """End a run of which jobs failed or were stopped: what they made last is put back."""
    put_back, left = survival.put_back(_STOOD)
    _say_put_back(put_back)
    _say(_failed(workflow))
    _end(left)


def check_targets(workflow: Any, problems_of: Problems) -> None:
    """Stop where a target is misspelt, before jobs are planned: Snakemake knows its targets after parsing alone.

    Parameters
    ----------
    workflow : Snakemake's
    problems_of : lists what is wrong with targets, by rules and outputs (``planning.target_problems``)
    """
    if not workflow.is_main_process:
        return
    prepare = workflow._prepare_dag

    def prepare_checked(*arguments: Any, **settings: Any) -> Any:
        dag = workflow.dag_settings
        whole = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
        names = [rule.name for rule in workflow.rules]
        outputs = [str(output) for rule in workflow.rules for output in rule.output]
        problems = problems_of(sorted(map(str, dag.targets)), whole, names, outputs)
        words = [str(word) for word in (*dag.forcerun, *dag.until, *dag.omit_from)]
        problems += problems_of(sorted(words), names, names, outputs)
        if problems:
            sys.exit("\n".join([f"targets: {len(problems)} problem(s), no job was started", *problems]))
        return prepare(*arguments, **settings)

    workflow._prepare_dag = prepare_checked


def _failed(workflow: Any) -> list[str]:
    """Say which jobs of this run failed and why."""
    dag, scheduler = workflow.dag, workflow.scheduler
    failed_jobs = [] if scheduler is None else [job for member in scheduler.failed for job in _members(member)]
    rows = sorted((job.rule.name, _outputs(job)) for job in failed_jobs if not dag.finished(job))
    unfinished_jobs = [_outputs(job) for job in dag.needrun_jobs() if _outputs(job)]
    n_done = sum(outputs not in unfinished_jobs for outputs in _PLANNED)
    return failures.summary(rows, n_done, len(unfinished_jobs) - len(rows))


def _members(job: Any) -> list[Any]:
    """List the jobs of a group, or a job itself."""
    return list(job.jobs) if hasattr(job, "jobs") else [job]


def _end(left: list[survival.Stood]) -> None:
    survival.end_plan(left)
    costs.put_back()
    notes.leave()
    kept.forget_unused(survival.planned())
    checksums.forget_missing()


def _abandoned_jobs(workflow: Any) -> list[str]:
    """Name the Slurm jobs that a run that is gone has left for what this run makes: no other run may hold it."""
    persistence = workflow.persistence
    return sorted({number for job in workflow.dag.jobs for number in persistence.external_jobids(job)})


def _outputs(job: Any) -> list[str]:
    return [str(path) for path in job.output]


def _is_asked_for(workflow: Any, job: Any) -> bool:
    """Tell whether the user asks for a job (-f, -F, -R); for what was cut off Snakemake alone asks."""
    dag, settings = workflow.dag, workflow.dag_settings
    if settings.forceall or job.rule in dag.forcerules:
        return True
    paths = {os.path.relpath(word) for word in settings.forcerun}
    paths |= {os.path.relpath(path) for path in dag.targetfiles} if settings.forcetargets else set()
    return not paths.isdisjoint(_outputs(job))


def _paths_of_records(workflow: Any, path: str) -> tuple[str, str]:
    """Name the files in which Snakemake records an output, and marks it while it is made."""
    memory = workflow.persistence
    return memory._record_path(memory._metadata_path, path), memory._record_path(memory._incomplete_path, path)


def _say_put_back(paths: list[str]) -> None:
    if paths:
        first = ", ".join(paths[:3])
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        _say([f"put back the last good outputs of {len(paths)} job(s) that did not end well: {first}{more}"])


def _say(lines: list[str]) -> None:
    """Write lines to the terminal."""
    for line in lines:
        sys.stderr.write(f"boldflow: {line}\n")


def _is_unlock(word: str) -> bool:
    """Tell whether a word of the command line is --unlock, which may be shortened."""
    return len(word) > len("--un") and "--unlock".startswith(word)
