"""The last good outputs of a job survive when it fails or is killed, and so does what Snakemake has recorded of them.

Snakemake deletes the outputs of a job before it starts it, and records a job that failed with the parameters it failed
with: without its old record, a wrong setting would pass as done. A run therefore notes what stood before it started,
and puts back what its jobs did not make; of a run that was killed the next command in the folder does so.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boldflow.runs import kept, notes, slurm
from boldflow.runs.checksums import read_json, write_json

PLANS = "plan"  # ending of the name of a run's plan, beside its note


@dataclass(frozen=True)
class Booked:
    """What Snakemake had recorded of an output when a run started.

    Parameters
    ----------
    record : path of Snakemake's record
    content : its text; None where there was none
    incomplete : path of Snakemake's mark that the output is being made
    mark : the text of such a mark of a run before, which was killed; None where there was none
    """

    record: str
    content: str | None
    incomplete: str
    mark: str | None


@dataclass(frozen=True)
class Stood:
    """A job that a run is about to do, and what stood before.

    Parameters
    ----------
    outputs : paths of its outputs
    series : name of the links to them (``kept.Record``)
    booked : what Snakemake had recorded of them
    """

    outputs: list[str]
    series: str
    booked: list[Booked]


def stood(outputs: Sequence[str], paths: Callable[[str], tuple[str, str]]) -> Stood | None:
    """Keep what stands of a job's outputs now; None where nothing stands, or hard links are impossible.

    Parameters
    ----------
    outputs : paths of its outputs
    paths : gives the paths of Snakemake's record and of its mark of an output
    """
    if not any(os.path.lexists(path) for path in outputs):
        return None
    record = kept.read(outputs)
    if all(os.path.lexists(path) for path in outputs) and (record is None or not kept.stands(record)):
        if kept.is_claimed(kept.claim_name(outputs)):
            return None
        try:
            record = kept.keep(outputs, record.ticket if record is not None and kept.is_same(record) else None)
        except OSError:
            return None
    if record is None:
        return None
    booked_outputs = []
    for path in outputs:
        note, mark = paths(path)
        booked_outputs.append(Booked(note, _text(note), mark, _text(mark)))
    return Stood(list(outputs), record.series, booked_outputs)


def write_plan(rows: Sequence[Stood]) -> None:
    """Note what stood before this run, for the case that it is killed."""
    write_json(_plan(notes.note_of_this_run()), {**notes.identity(), "jobs": [asdict(row) for row in rows]})


def put_back(rows: Sequence[Stood]) -> tuple[list[str], list[Stood]]:
    """Put back the outputs of jobs that did not come to their end, and what Snakemake had recorded of them.

    Returns
    -------
    list of str
        The first output of each job of which outputs were put back.
    list of Stood
        Jobs that somebody is still at, and jobs of which it could not be done now, as on a full disk.
    """
    restored_paths, unrestored_rows = [], []
    for row in rows:
        with kept.held(kept.claim_name(row.outputs)) as is_free:
            try:
                if not is_free:
                    unrestored_rows.append(row)
                elif _put_back(row):
                    restored_paths.append(sorted(row.outputs)[0])
            except FileNotFoundError:  # a link is gone: then the job is done again
                pass
            except OSError:
                unrestored_rows.append(row)
    return restored_paths, unrestored_rows


def end_plan(left: Sequence[Stood]) -> None:
    """Drop the plan of this run, but for what the next command puts back."""
    if left:
        write_plan(left)
    else:
        _plan(notes.note_of_this_run()).unlink(missing_ok=True)


def planned() -> set[str]:
    """Name the claims on the outputs that a run of this folder may put back yet, one at work or one that was killed."""
    plans = [read_json(path) for path in notes.RUNS.glob(f"*.{PLANS}")]
    return {kept.claim_name(row["outputs"]) for content in plans if content for row in content["jobs"]}


def put_back_of_killed_runs() -> list[str]:
    """Put back what runs have left undone that are gone, as ``put_back`` does; nothing while a run is at work here.

    Jobs that Slurm still knows of are left alone.
    """
    plans = sorted(notes.RUNS.glob(f"*.{PLANS}"))
    if not plans or notes.holders():
        return []
    try:
        with (notes.RUNS / "put-back.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # another command in this folder may be doing the same
            return [path for plan in plans for path in _put_back_of(plan)]
    except OSError:  # a folder that this user may only read, or a full disk: a later command does it
        return []


def _put_back_of(plan: Path) -> list[str]:
    content = read_json(plan)
    if content is None or notes.is_alive(content) is not False:
        return []
    stood_jobs = [_stood_of(row) for row in content["jobs"]]
    external_jobs = {
        job_number for row in stood_jobs for mark in row.booked if (job_number := _external_job(mark.incomplete))
    }
    if external_jobs and slurm.may_live(sorted(external_jobs)):
        return []
    restored_paths, unrestored_rows = put_back(stood_jobs)
    if unrestored_rows:
        write_json(plan, {**content, "jobs": [asdict(row) for row in unrestored_rows]})
    else:
        plan.unlink(missing_ok=True)
    return restored_paths


def _put_back(row: Stood) -> bool:
    """Put one job's outputs back unless they stand, or the job has come to its end and made others.

    Snakemake's records come first: whatever ends this halfway leaves no output beside the record of another.

    Raises
    ------
    OSError
        If a link is gone, or nothing can be written; it may be tried again.
    """
    record = kept.read(row.outputs)
    if record is None or record.series != row.series or kept.stands(record):
        return False
    for booking in row.booked:
        _write_text(booking.record, booking.content)
    kept.put_back(record)
    for booking in row.booked:
        _write_text(booking.incomplete, booking.mark)
    return True


def _write_text(path: str, text: str | None) -> None:
    """Write a text whole or not at all; None removes the file."""
    if text is None:
        Path(path).unlink(missing_ok=True)
    elif _text(path) != text:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(f"{path}.{os.getpid()}.part")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _external_job(mark: str) -> str | None:
    content = read_json(Path(mark))
    return str(content["external_jobid"]) if content and content.get("external_jobid") else None


def _stood_of(row: dict[str, Any]) -> Stood:
    return Stood(row["outputs"], row["series"], [Booked(**booked) for booked in row["booked"]])


def _plan(note: Path) -> Path:
    return note.with_suffix(f".{PLANS}")


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return None
