"""Snakemake runs of a working folder: what happens when one is parsed, starts and ends. Standard library only.

``workflow/rules/lifecycle.smk`` calls these functions and nothing else. They alone touch private parts of the workflow
that Snakemake hands them: Snakemake has no public way to the records of its jobs.
"""

import sys
from pathlib import Path
from typing import Any

from boldflow.runs import kept, notes, signals, slurm

_RECORDS: dict[tuple[Any, Path], bytes] = {}


def parsed(workflow: Any) -> None:
    """Say who is at work in this folder, once the Snakefile has been read; the Snakemake inside a job is shielded.

    Raises
    ------
    SystemExit
        If ``--unlock`` is asked for while a run is at work.
    """
    unlocks = any(_is_unlock(word) for word in sys.argv)
    if workflow.is_main_process and unlocks and notes.holders():
        lines = [f"a run is at work in this folder: {who}; wait for it, or end it first" for who in notes.holders()]
        sys.exit("\n".join([f"--unlock refused: {len(lines)} problem(s), no job was started", *lines]))
    if not workflow.is_main_process:
        signals.shield()
    elif not (workflow.dryrun or unlocks):
        _say(notes.others())


def begin(workflow: Any) -> None:
    """Leave a note that this run is at work, and see to what a run that is gone has left."""
    signals.end_from_a_thread()
    notes.enter()
    _keep_records(workflow)
    slurm.count_as_failed(Path(workflow.basedir, "workflow", "tools", "slurm"))
    _say(slurm.cancel_waiting(_abandoned_jobs(workflow)))
    _say(kept.at_work(_outputs_of_jobs(workflow)))


def succeed(workflow: Any) -> None:
    """End a run all of whose jobs are done."""
    _end(workflow)


def fail(workflow: Any) -> None:
    """End a run of which jobs failed."""
    _put_records_back(workflow)
    _end(workflow)


def _end(workflow: Any) -> None:
    notes.leave()
    kept.forget(_outputs_of_jobs(workflow))


def _abandoned_jobs(workflow: Any) -> list[str]:
    """Name the Slurm jobs that a run that is gone has left for what this run makes: no other run may hold it."""
    persistence = workflow.persistence
    return sorted({number for job in workflow.dag.jobs for number in persistence.external_jobids(job)})


def _outputs_of_jobs(workflow: Any) -> list[list[str]]:
    """List the outputs of each job of this run, finished before or not."""
    return [[str(path) for path in job.output] for job in workflow.dag.jobs]


def _keep_records(workflow: Any) -> None:
    """Keep what Snakemake has recorded of receipts: it records a failed update as if it had been made."""
    memory = workflow.persistence
    for job in workflow.dag.jobs:
        for path in job.output:
            record = Path(memory._record_path(memory._metadata_path, str(path)))
            if str(path).startswith("resources/receipts/") and record.is_file():
                _RECORDS[job, record] = record.read_bytes()


def _put_records_back(workflow: Any) -> None:
    """Put the records of receipts back whose update failed: the next run sees what has changed, and tries again."""
    for (job, record), content in _RECORDS.items():
        if not workflow.dag.finished(job):
            record.write_bytes(content)


def _say(lines: list[str]) -> None:
    """Write lines to the terminal."""
    for line in lines:
        sys.stderr.write(f"boldflow: {line}\n")


def _is_unlock(word: str) -> bool:
    """Tell whether a word of the command line is --unlock, which may be shortened."""
    return len(word) > len("--un") and "--unlock".startswith(word)
