"""What a job was made from against what it would be made from now: the causes of a rerun, in words."""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow import symbols
from boldflow.commands.plan import Job

# in the order in which they are told
KINDS = ("data", "table", "setting", "module", "adapter", "rule", "input", "software", "output", "file", "record")
TABLES = (".parquet", ".csv")
NOTHING = "(not there)"
SHORT = 12  # hexadecimal digits of a checksum that are shown
LONGEST = 160  # characters of a value that are shown
ADAPTER = "boldflow.(adapter)."
# rows of a map of code that are no modules
OF_RULE = {
    symbols.ROOTS: "what runs is another: {} -> {}",
    "boldflow.(libraries)": "the libraries that its modules import are others: digest {} -> {}",
}
ONCE = "digests of code go by definitions now, where they went by whole modules: all is made again, once"
CLOCK_S = 0.01  # a file's time is kept by Snakemake as a float
MANY = 3  # files that are named before they are counted


@dataclass(frozen=True)
class Cause:
    """One thing that is not as it was; ``kind`` is one of ``KINDS``."""

    kind: str
    text: str

    def __lt__(self, other: "Cause") -> bool:
        """Sort as they are told."""
        return (KINDS.index(self.kind), self.text) < (KINDS.index(other.kind), other.text)


def decoded(value: Any) -> Any:
    """Read canonical JSON text; any other value is returned as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _set_keys(json.loads(value))
        except json.JSONDecodeError:
            return value
    return value


def _set_keys(value: Any) -> Any:
    """Leave out of an entry, as rules hand it, who reads it and the keys that are not set."""
    if not (isinstance(value, dict) and value.keys() >= {"section", "rule"}):
        return value
    return {key: setting for key, setting in value.items() if key not in ("section", "rule") and setting is not None}


def recorded(reprs: Sequence[str]) -> list[Any]:
    """Read parameters as Snakemake records them: without names, as Python writes them."""
    parameters = []
    for text in reprs:
        try:
            parameters.append(decoded(ast.literal_eval(text)))
        except (ValueError, SyntaxError):
            parameters.append(text)
    return parameters


def is_code(value: Any) -> bool:
    """Tell whether a value is a map of modules to digests."""
    return isinstance(value, dict) and bool(value) and all(str(key).split(".")[0] == "boldflow" for key in value)


def of_params(old: Sequence[Any], new: Mapping[str, Any]) -> list[Cause]:
    """Compare parameters without names (as recorded) with those of now.

    Parameters
    ----------
    old : values, JSON already read
    new : values by name

    Returns
    -------
    list of Cause
        Sorted, each once. A value that differs is compared with the recorded one that resembles it most.
    """
    new_values = {name: decoded(value) for name, value in new.items()}
    old_values = list(old)
    for name in list(new_values):
        same_index = next(
            (index for index, old_value in enumerate(old_values) if _text(old_value) == _text(new_values[name])), None
        )
        if same_index is not None:
            del old_values[same_index], new_values[name]
    pairs = sorted(
        (
            (_likeness(old_value, new_values[name]), index, name)
            for name in new_values
            for index, old_value in enumerate(old_values)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    causes: list[Cause] = []
    taken_indices: set[int] = set()
    for likeness, index, name in pairs:
        if likeness > 0 and index not in taken_indices and name in new_values:
            taken_indices.add(index)
            causes += of_value(name, old_values[index], new_values.pop(name))
    causes += [
        Cause("rule", f"the rule has a new parameter, {name}: {shown(value)}") for name, value in new_values.items()
    ]
    removed_values = [value for index, value in enumerate(old_values) if index not in taken_indices]
    causes += [Cause("rule", f"the rule no longer has a parameter that was {shown(value)}") for value in removed_values]
    return sorted(set(causes))


def of_value(name: str, old: Any, new: Any) -> list[Cause]:
    """Compare two values of one parameter: modules by name, settings by key path."""
    old, new = decoded(old), decoded(new)
    if is_code(old) or is_code(new):
        return of_code(old if is_code(old) else {}, new if is_code(new) else {})
    entry_name = new.get("name") if isinstance(new, dict) else None
    causes = []
    for path, old_value, new_value in differences(old, new):
        setting_path = (
            f"{path} of {entry_name}" if entry_name and path else ".".join(part for part in (name, path) if part)
        )
        causes.append(Cause("setting", f"setting {setting_path}: {shown(old_value)} -> {shown(new_value)}"))
    return causes


def of_code(old: Mapping[str, str], new: Mapping[str, str]) -> list[Cause]:
    """Name what changed, came or went between two maps of modules to digests: definitions, or modules.

    Definitions are named where the side files of both maps are there (``symbols.recorded``).
    """
    if old and symbols.ROOTS in new and symbols.ROOTS not in old:
        return [Cause("module", ONCE)]
    old_definitions, new_definitions = symbols.recorded(old), symbols.recorded(new)
    causes = []
    for module, change in _compared(old, new):
        definition_changes = (
            []
            if old_definitions is None or new_definitions is None
            else _compared(_of_module(module, old_definitions), _of_module(module, new_definitions))
        )
        if module.startswith(ADAPTER):
            causes.append(Cause("adapter", f"adapter {module.removeprefix(ADAPTER)} {change}"))
        elif module in OF_RULE:
            causes.append(Cause("module", OF_RULE[module].format(old.get(module, NOTHING), new.get(module, NOTHING))))
        elif definition_changes:
            causes += [Cause("module", f"{_place(key)} {difference}") for key, difference in definition_changes]
        else:
            causes.append(Cause("module", f"module {module} {change}"))
    return sorted(causes)


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str]]:
    """Say of each key of two maps that differs what became of it."""
    words = {key: "changed" for key in old.keys() & new.keys() if old[key] != new[key]}
    words |= dict.fromkeys(new.keys() - old.keys(), "is used now and was not")
    words |= dict.fromkeys(old.keys() - new.keys(), "was used and is not now")
    return sorted(words.items())


def _of_module(module: str, definitions: Mapping[str, str]) -> dict[str, str]:
    return {key: code for key, code in definitions.items() if key.startswith(f"{module}:")}


def _place(key: str) -> str:
    """Name a definition, a text beside its module, or what importing the module does."""
    module, _, name = key.partition(":")
    if name == "(import)":
        return f"what {module} does when it is imported"
    return f"{name.strip('()')} beside {module}" if name.startswith("(") else key


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield key path, value before and value now of all that differs in nested settings."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            key_path = f"{path}.{key}" if path else str(key)
            yield from differences(old.get(key, NOTHING), new.get(key, NOTHING), key_path)
    elif _rows(old) and _rows(new) and len(old) == len(new):
        for index, (old_item, new_item) in enumerate(zip(old, new, strict=True)):
            yield from differences(old_item, new_item, f"{path}[{index}]")
    elif _text(old) != _text(new):
        yield path, old, new


def shown(value: Any) -> str:
    """Write a value for people: JSON, cut where it is long."""
    text = NOTHING if value == NOTHING else _text(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def of_job(job: Job, checksum: Callable[[str], str], makers: Mapping[str, Job]) -> list[Cause]:
    """List what is not as it was when a job's outputs were made.

    Parameters
    ----------
    job : Job
    checksum : SHA-256 of a file that exists, by path
    makers : the job that makes each path, where one does

    Returns
    -------
    list of Cause
        Sorted, each once; empty when nothing changed. What follows from another job's rerun is not listed.
    """
    missing_outputs = [path for path in job.output if not Path(path).exists()]
    if job.output and len(missing_outputs) == len(job.output) and not job.records:
        return [Cause("output", "never made")]
    causes = [Cause("output", f"{path} is missing") for path in missing_outputs]
    causes += [Cause("output", f"{path} was cut off") for path in job.reason.get("incomplete_output", [])]
    if not job.output:
        return causes
    if not job.records:
        return [*causes, Cause("record", "Snakemake has no record of how it was made")]
    for record in job.records.values():
        causes += of_params(recorded(record["params"] or []), job.params)
        causes += _of_inputs(job, record, checksum, makers)
        if record["rule"] != job.rule:
            causes.append(Cause("rule", f"it was made by rule {record['rule']}, now by {job.rule}"))
    if job.reason.get("software"):
        causes.append(Cause("software", f"the software environment of rule {job.rule} changed"))
    causes_text = " ".join(cause.text for cause in causes)
    newer_inputs = [path for path in job.reason.get("updated_input", []) if path not in causes_text]
    causes += [file_cause(path, "is newer than what was made from it") for path in newer_inputs]
    return sorted(set(causes))


def kinds_in_words(causes: Sequence[Cause]) -> str:
    """Name the kinds of causes, in order."""
    words = {"file": "changed file", "output": "missing output", "record": "missing record", "input": "other inputs"}
    kinds = sorted({cause.kind for cause in causes}, key=KINDS.index)
    return ", ".join(words.get(kind, f"changed {kind}") for kind in kinds)


def sha256(path: str) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_inputs(
    job: Job, record: Mapping[str, Any], checksum: Callable[[str], str], makers: Mapping[str, Job]
) -> list[Cause]:
    causes = []
    old_inputs, new_inputs = set(record["input"] or []), set(job.input)
    for paths, verb in ((new_inputs - old_inputs, "reads now"), (old_inputs - new_inputs, "no longer reads")):
        if paths:
            first_paths = ", ".join(sorted(paths)[:MANY])
            more_text = f" and {len(paths) - MANY} more" if len(paths) > MANY else ""
            causes.append(Cause("input", f"{job.rule} {verb}: {first_paths}{more_text}"))
    recorded_checksums = record["input_checksums"] or {}
    for path in sorted(old_inputs & new_inputs):
        if not Path(path).exists():
            if path not in makers:
                causes.append(file_cause(path, "is missing"))
        elif path in recorded_checksums:
            old_checksum, new_checksum = str(recorded_checksums[path]).removeprefix("sha256:"), checksum(path)
            if old_checksum != new_checksum:
                causes.append(
                    file_cause(path, f"changed: SHA-256 {old_checksum[:SHORT]} -> {new_checksum[:SHORT]}{_now(path)}")
                )
        elif record["endtime"] is not None and Path(path).stat().st_mtime > record["endtime"] + CLOCK_S:
            causes.append(file_cause(path, "is newer than what was made from it (too large for a checksum)"))
    return causes


def file_cause(path: str, words: str) -> Cause:
    """Say something of a file: a table, or other data."""
    table = path.endswith(TABLES)
    return Cause("table" if table else "data", f"{'table' if table else 'file'} {path} {words}")


def _now(path: str) -> str:
    """Say what a receipt holds now."""
    if not path.startswith("resources/receipts/"):
        return ""
    try:
        note = json.loads(Path(path).read_text(encoding="utf-8"))
        n_files = note.get("n_files", len(note["files"]))  # a long list lies beside it
        return f"; the receipt now says commit {str(note['commit'])[:SHORT]}, {n_files} files"
    except (ValueError, KeyError, TypeError):
        return "; it is no whole receipt"


def _text(value: Any) -> str:
    """Write a value so that 5, 5.0 and True differ, as they do for Snakemake."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value)


def _likeness(old: Any, new: Any) -> float:
    """Tell how probably two values are one parameter before and now: 0 for never."""
    if is_code(old) != is_code(new):
        return 0.0
    if isinstance(old, dict) and isinstance(new, dict):
        overlap = len(old.keys() & new.keys()) / (len(old.keys() | new.keys()) or 1)
        return 0.1 + overlap + (old.get("name", 0) == new.get("name", 1))
    same_type = type(old) is type(new) or {type(old), type(new)} <= {int, float}
    return 0.5 if same_type and not isinstance(old, dict) else 0.0
