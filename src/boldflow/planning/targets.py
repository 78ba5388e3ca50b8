"""Targets of the command line that no rule makes: which name or part of a path is wrong, and the nearest ones."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from boldflow.registry import nearest

PLACEHOLDER = re.compile(r"\{(\w+)(?:,([^{}]*))?\}")  # of an output, with the constraint that Snakemake writes into it


def target_problems(
    targets: Iterable[str], whole: Collection[str], rules: Collection[str], outputs: Sequence[str]
) -> list[str]:
    """List the targets that are no name of a rule and no output of any.

    Parameters
    ----------
    targets : as the user wrote them
    whole : names of rules without wildcards, which are targets by name
    rules : names of all rules
    outputs : patterns of all outputs, with constraints: ``results/{dataset,sim|nsd}/trials.parquet``
    """
    problems = []
    for target in targets:
        if target in whole:
            continue
        path = os.path.relpath(target) if os.path.isabs(target) else os.path.normpath(target)
        if target in rules:
            problems.append(f"{target}: the rule makes one file of many; ask for a path, or a stage: {_list(whole)}")
        elif not any(_pattern(output).fullmatch(path) for output in outputs):
            problems.append(f"{target}: {_sentence(path, whole, outputs)}")
        elif path != target and os.path.isabs(target):
            problems.append(f"{target}: rules make files of the project's folder; write {path}")
    return problems


def _sentence(path: str, whole: Collection[str], outputs: Sequence[str]) -> str:
    """Say which part of a path no rule knows."""
    parts = path.split("/")
    if len(parts) == 1:
        return f"no stage and no file is called so; {nearest(path, whole)}"
    output_parts = [output.split("/") for output in outputs]
    n_known = max(_n_matching(parts, pattern_parts) for pattern_parts in output_parts)
    nexts = {
        candidate
        for pattern_parts in output_parts
        if _n_matching(parts, pattern_parts) == n_known and len(pattern_parts) > n_known
        for candidate in _fillings(pattern_parts[n_known])
    }
    known_text = "/".join(parts[:n_known])
    if n_known == len(parts):
        return f"no rule makes this; {known_text}/ goes on: {nearest('', nexts)}"
    if not nexts:
        return f"no rule makes this; a path that is made ends with {known_text}"
    place_text = f" below {known_text}/" if known_text else ""
    return f"no rule makes this: {parts[n_known]!r} is not known{place_text}; {nearest(parts[n_known], nexts)}"


def _n_matching(parts: Sequence[str], pattern_parts: Sequence[str]) -> int:
    """Count the leading parts of a path that fit a pattern; the last part is a file's, and no folder's."""
    n = 0
    for part, pattern_part in zip(parts, pattern_parts, strict=False):
        is_last, is_last_of_pattern = n == len(parts) - 1, n == len(pattern_parts) - 1
        if is_last != is_last_of_pattern and is_last_of_pattern:
            break
        if not _pattern(pattern_part).fullmatch(part):
            break
        n += 1
    return n


def _pattern(output: str) -> re.Pattern[str]:
    pieces = PLACEHOLDER.split(output)  # text, name, constraint, text, ...
    texts = [re.escape(piece) for piece in pieces[0::3]]
    constraints = [f"(?:{constraint or '[^/]+'})" for constraint in pieces[2::3]]
    return re.compile("".join(text + constraint for text, constraint in zip(texts, [*constraints, ""], strict=True)))


def _fillings(part: str) -> list[str]:
    """Write a part of an output with each value that its wildcard may have."""
    match = PLACEHOLDER.search(part)
    if match is None:
        return [part]
    values = [re.sub(r"\\(.)", r"\1", value) for value in (match[2] or f"<{match[1]}>").split("|")]
    return [filled for value in values for filled in _fillings(part[: match.start()] + value + part[match.end() :])]


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def nearest_file(path: str) -> str:
    """Say which file or folder resembles most the first part of a path that is not there."""
    parts = Path(path).parts
    for n in range(1, len(parts) + 1):
        if not Path(*parts[:n]).exists():
            folder = Path(*parts[: n - 1])
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
            return f"{folder}{os.sep if n > 1 else ''} has no {parts[n - 1]!r}; {nearest(parts[n - 1], names)}"
    return ""
