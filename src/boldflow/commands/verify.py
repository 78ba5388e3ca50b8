"""``python -m boldflow verify FILE``: which data, code and settings made a file; would it be the same now?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from boldflow import provenance, symbols
from boldflow.artifacts.store import drawings, receipts, sidecars, tables
from boldflow.commands import changes, plan
from boldflow.commands.changes import Cause
from boldflow.commands.plan import Job
from boldflow.planning.targets import nearest_file
from boldflow.runs import checksums

SAME, DIFFERS, UNKNOWN = 0, 1, 2
# what a note calls a parameter, where the names differ
PARAMETERS = {"figure": "settings"}
MADE_BY = "code"  # whatever says how it was made says so; a table of keys says which array it belongs to
COMPARED = (MADE_BY, "settings", "figure", "study", "dataset")
# a result that is gone would be made again as it was; without a record nobody can tell
NO_DIFFERENCE, NOT_KNOWN = ("output",), ("record", "file")


def verify(file: str, config: Sequence[str]) -> tuple[str, int]:
    """Say what made a file and whether it would be the same now.

    Parameters
    ----------
    file : path of a figure (PDF, SVG, PNG or its CSV), table, report or any other result
    config : sequence of ``key=value``, as after ``snakemake --config``

    Returns
    -------
    text, exit code
        0: it would be the same; 1: it would differ; 2: it cannot be said, and the text says why.
    """
    path = Path(file)
    if not path.is_file():
        return f"{file}: cannot be said: there is no such file; {nearest_file(file)}", UNKNOWN
    relative_path = str(path.resolve().relative_to(Path.cwd())) if path.resolve().is_relative_to(Path.cwd()) else file
    try:
        note = note_of(path)
    except ValueError as error:
        return f"{file}: cannot be said: {error}", UNKNOWN
    try:
        jobs = plan.ask([relative_path], config)
    except plan.Broken as error:
        return _without_plan(file, path, note, str(error))
    makers = {output: job for job in jobs for output in job.output}
    if relative_path not in makers:
        return _without_plan(file, path, note, f"no rule makes {relative_path}")
    checksum = cache(changes.sha256)
    maker = makers[relative_path]
    own_causes = [
        *changes.of_job(maker, checksum, makers),
        *of_note(note, maker.params),
        *_of_tables(note, maker.input),
    ]
    own_causes += _rewritten(relative_path, maker, config)
    upstream_jobs: dict[Cause, list[Job]] = {}
    fetched_anew: Counter[str] = Counter()
    for job in jobs:
        if job is not maker:
            causes = [*changes.of_job(job, checksum, makers), *_of_sidecar(job), *_of_arrival(job)]
            lasting_causes = [cause for cause in causes if not _of_fetch_code(job, cause)]
            fetched_anew[job.rule] += len(lasting_causes) < len(causes)
            for cause in lasting_causes:
                upstream_jobs.setdefault(cause, []).append(job)
    lines = [f"{file}", *_made_from(note, maker, relative_path, jobs)]
    if fetched_anew.total():
        rules = ", ".join(f"{rule} {count}" for rule, count in fetched_anew.items() if count)
        lines.append(f"code of fetching changed, which counts only where something else arrives: {rules}")
    causes = sorted(set(_one_per_table(own_causes))) + sorted(set(upstream_jobs) - set(own_causes))
    counted_causes = [cause for cause in causes if cause.kind not in NO_DIFFERENCE]
    if counted_causes:
        lines.append("not as it was")
        for cause in counted_causes:
            n_by_rule = Counter(job.rule for job in upstream_jobs.get(cause, []))
            upstream_text = ", ".join(f"{rule} {count}" for rule, count in n_by_rule.items())
            lines.append(
                f"  {cause.text}"
                + (f"  (upstream: {upstream_text})" if upstream_text and cause not in own_causes else "")
            )
    if len(causes) > len(counted_causes):
        lines.append(f"gone on the way, would be made again from the same: {len(causes) - len(counted_causes)}")
    verdict, exit_code = _verdict(counted_causes)
    return "\n".join([*lines, verdict]), exit_code


def note_of(path: Path) -> dict[str, Any]:
    """Read what a file, or its sidecar beside it, says of its making; empty where nothing does.

    Raises
    ------
    ValueError
        If the file should hold a note and is not whole.
    """
    if path.suffix in drawings.SUFFIXES:
        return drawings.note(path)
    if path.suffix == ".parquet":
        return tables.sidecar(path)
    if path.suffix == ".json":
        return sidecars.read(path)
    sidecar_paths = [path.with_suffix(suffix) for suffix in (".png", ".svg", ".pdf", ".parquet", ".json")]
    notes = (
        note_of(sidecar_path)
        for sidecar_path in [*sidecar_paths, path.parent / "config.json"]
        if sidecar_path.is_file()
    )
    return next((note for note in notes if MADE_BY in note), {})


def of_note(note: Mapping[str, Any], params: Mapping[str, Any]) -> list[Cause]:
    """Compare what a file says of its making with the parameters of now; what it does not say is left out."""
    causes = []
    for key in COMPARED:
        name = PARAMETERS.get(key, key)
        if key in note and name in params:
            causes += changes.of_value(name, note[key], params[name])
    return causes


def _of_sidecar(job: Job) -> list[Cause]:
    """Compare the sidecar of a job's outputs, where Snakemake has no record of its own."""
    if job.records:
        return []
    for output in job.output:
        path = Path(output)
        if path.is_file() and path.suffix in (*drawings.SUFFIXES, ".parquet", ".json"):
            try:
                note = note_of(path)
            except ValueError as error:
                return [Cause("record", str(error))]
            if MADE_BY in note:
                return of_note(note, job.params)
    return []


def _of_fetch_code(job: Job, cause: Cause) -> bool:
    """Tell whether a cause is the code of a fetch: its receipt says what arrived, and that alone is read."""
    return job.rule.startswith("fetch_") and cause.kind in ("module", "adapter")


def _of_tables(note: Mapping[str, Any], inputs: Sequence[str]) -> list[Cause]:
    """Compare the tables that a figure was drawn from, by the SHA-256 inside the figure."""
    causes = []
    for name, recorded_sha256 in note.get("tables", {}).items() if isinstance(note.get("tables"), dict) else ():
        paths = [path for path in inputs if name in (path, Path(path).name)]
        checksums = {path: changes.sha256(path) for path in paths if Path(path).is_file()}
        if not checksums:
            causes.append(Cause("table", f"table {name} is missing"))
        elif recorded_sha256 not in checksums.values():
            # a bare name may stand for several tables: one of them must be it
            table_text, current_sha256 = (
                next(iter(checksums.items())) if len(checksums) == 1 else (f"{name} ({len(checksums)} files)", "")
            )
            change_text = f" -> {current_sha256[: changes.SHORT]}" if current_sha256 else ""
            causes.append(
                Cause("table", f"table {table_text} changed: SHA-256 {recorded_sha256[: changes.SHORT]}{change_text}")
            )
    return causes


def _one_per_table(causes: Sequence[Cause]) -> list[Cause]:
    """Leave out what another cause says of the same file with checksums."""
    full = {cause.text.split()[1] for cause in causes if "SHA-256" in cause.text}
    return [
        cause
        for cause in causes
        if cause.kind not in ("table", "data", "file") or "SHA-256" in cause.text or cause.text.split()[1] not in full
    ]


def _rewritten(path: str, job: Job, config: Sequence[str]) -> list[Cause]:
    """Tell whether a file was written by something else after its job ended; what was made from it is the witness."""
    end_time = job.records.get(path, {}).get("endtime")
    if end_time is None or abs(Path(path).stat().st_mtime - end_time) <= changes.CLOCK_S:
        return []
    current_sha256 = changes.sha256(path)
    recorded_sha256s = {str(checksum).removeprefix("sha256:") for checksum in _seen_by_later(path, config)}
    if current_sha256 in recorded_sha256s:
        return []
    if recorded_sha256s:
        message = (
            f"changed since others were made from it: SHA-256 {min(recorded_sha256s)[: changes.SHORT]} -> "
            f"{current_sha256[: changes.SHORT]}"
        )
        return [changes.file_cause(path, message)]
    return [Cause("file", f"file {path} was written again, or replaced, after its job ended")]


def _seen_by_later(path: str, config: Sequence[str]) -> list[str]:
    """Checksums that jobs of the study recorded of a file when they read it."""
    parts = Path(path).parts
    study_config = [f"study={parts[2]}"] if parts[:2] == ("results", "studies") and not config else []
    try:
        later_jobs = plan.ask([], [*config, *study_config])
    except plan.Broken:
        return []
    records = [record for job in later_jobs if path in job.input for record in job.records.values()]
    return [record["input_checksums"][path] for record in records if path in (record["input_checksums"] or {})]


def _made_from(note: Mapping[str, Any], job: Job, path: str, jobs: Sequence[Job]) -> list[str]:
    """Write what made the file, as was recorded then."""
    record = job.records.get(path, {})
    recorded_params = changes.recorded(record.get("params") or [])
    note_code = changes.decoded(note.get("code"))
    code: dict[str, str] = note_code or next((value for value in recorded_params if changes.is_code(value)), {})
    settings = [note[key] for key in COMPARED[1:] if key in note] or [
        v for v in recorded_params if not changes.is_code(v)
    ]
    simulated_text = ["SIMULATED data"] if note.get("simulated") else []
    n_by_rule = Counter(other_job.rule for other_job in jobs if other_job.output and other_job is not job)
    return [
        "made from",
        *[f"  {word}" for word in simulated_text],
        *[f"  data: {text}" for text in _arrivals(jobs)],
        *[f"  settings: {changes.shown(value)}" for value in settings],
        f"  code: {_n_modules(code)} modules of rule {job.rule}, digest {_digest(code)}",
        *[
            f"  table: {name} SHA-256 {checksum[: changes.SHORT]}"
            for name, checksum in (note.get("tables") or {}).items()
        ],
        "  steps before: " + (", ".join(f"{rule} {count}" for rule, count in n_by_rule.items()) or "none"),
    ]


def _of_arrival(job: Job) -> list[Cause]:
    """Compare what lies in a folder, the user's own or that of a network, with its receipt, if a job has made one."""
    causes = []
    for path in job.output if job.rule.startswith("fetch_") else ():
        try:
            note = receipts.read(path)
        except (FileNotFoundError, ValueError):
            continue  # of_job has said so
        for file_row in note["files"] if note["kind"] == "folder" else ():
            file_path = str(Path(note["root"]) / file_row["path"])
            if not Path(file_path).is_file():
                causes.append(changes.file_cause(file_path, "has gone since it arrived"))
            elif f"sha256:{checksums.sha256(file_path)}" != file_row["checksum"]:
                causes.append(changes.file_cause(file_path, "has changed since it arrived"))
    return causes


def _arrivals(jobs: Sequence[Job]) -> list[str]:
    """Name the data sets on which jobs rest, with their commits."""
    sentences = []
    for path in sorted({path for job in jobs for path in job.output if path.endswith("/dataset.json")}):
        if path.startswith("resources/receipts/") and Path(path).is_file():
            try:
                receipt = sidecars.read(path)
            except ValueError as error:
                sentences.append(str(error))
                continue
            sentences.append(f"{receipt.get('name')} at commit {receipt.get('commit')} of {receipt.get('origin')}")
    return sentences


def _verdict(causes: Sequence[Cause]) -> tuple[str, int]:
    differing = [cause for cause in causes if cause.kind not in NOT_KNOWN]
    if differing:
        return f"would differ: {changes.kinds_in_words(differing)}", DIFFERS
    if causes:
        return f"cannot be said: {changes.kinds_in_words(causes)}", UNKNOWN
    return "would be the same", SAME


def _without_plan(file: str, path: Path, note: Mapping[str, Any], error: str) -> tuple[str, int]:
    """Say what the file alone can tell, where Snakemake cannot."""
    code: dict[str, str] = changes.decoded(note.get("code")) or {}
    lines = [file]
    if note:
        settings = [note[key] for key in COMPARED[1:] if key in note]
        lines += ["made from", *[f"  settings: {changes.shown(value)}" for value in settings]]
        lines += [f"  code: {_n_modules(code)} modules, digest {_digest(code)}"]
        lines += [
            f"  table: {name} SHA-256 {checksum[: changes.SHORT]}"
            for name, checksum in (note.get("tables") or {}).items()
        ]
    causes = sorted(set(_of_sources(code)))
    inputs = [str(table) for table in path.resolve().parent.parent.glob("*.parquet")]
    causes += [cause for cause in _of_tables(note, inputs) if "missing" not in cause.text]
    lines += ["not as it was", *[f"  {cause.text}" for cause in causes]] if causes else []
    reason = "\n".join(f"  {line}" for line in error.splitlines())
    if causes:
        verdict, exit_code = _verdict(causes)
        return "\n".join(
            [*lines, f"{verdict}; more cannot be said, since Snakemake stops at this:\n{reason}"]
        ), exit_code
    return "\n".join([*lines, f"cannot be said, since Snakemake stops at this:\n{reason}"]), UNKNOWN


def _of_sources(code: Mapping[str, str]) -> list[Cause]:
    """Compare recorded code with the sources of now, without the workflow."""
    roots = code.get(symbols.ROOTS, "").split()
    if not roots:
        return [Cause("module", changes.ONCE)] if code else []
    try:
        return changes.of_code(code, changes.decoded(symbols.code_text(*roots)))
    except ModuleNotFoundError as error:
        return [Cause("module", f"it cannot be made again: {error}")]
    except SyntaxError as error:
        message = f"{Path(str(error.filename)).name}, line {error.lineno}: {error.msg}"
        return [Cause("module", f"a module does not parse: {message}")]


def _n_modules(code: Mapping[str, str]) -> int:
    """Count the modules of a map of code; its other rows stand in parentheses."""
    return sum("(" not in name for name in code)


def _digest(code: Mapping[str, str]) -> str:
    return provenance.digest(provenance.canonical(dict(code)))
