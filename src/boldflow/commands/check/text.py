"""What a check says, as text and as JSON: problems first, then what would be read, then what was not looked at."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from boldflow.commands.check.findings import Finding
from boldflow.commands.check.looking import SubjectLook

if TYPE_CHECKING:
    from boldflow.commands.check.check import Checked

WIDTH = 110
N_SHOWN = 30  # findings of a kind: a fault of one run is often that of all
HEADER = (
    "subject",
    "sessions",
    "runs",
    "trials",
    "pictures",
    "shown",
    "volumes",
    "TR (s)",
    "volumes begin",
    "confounds",
)


def written(checked: "Checked") -> str:
    """Write all for people."""
    findings = checked.findings
    counts_text = f"{_n(len(findings.problems), 'problem')}, {_n(len(findings.warnings), 'warning')}"
    parts = [f"{checked.draft.root}: {counts_text}"]
    parts += _titled("problems, each of which would stop a study", findings.problems)
    parts += _titled("warnings, which stop nothing and may mislead", findings.warnings)
    splits = [_wrapped(f"split {split.name}: {split.text}") for split in checked.splits]
    parts += ["", "what would be read:", *_table(checked.looks)]
    parts += [f"  pictures: {checked.pictures.n_files}, of which {checked.pictures.n_read} were opened"]
    parts += [f"  windows: those of response {checked.response.name}", *splits]
    parts += ["", "taken from the folder, since nothing was said (say it by an option):"]
    parts += [_wrapped(f"{guess.key}: {_value(guess.value)} ({guess.reason})") for guess in checked.draft.guesses]
    parts += ["", "not looked at:", *(_wrapped(sentence) for sentence in checked.unseen)]
    return "\n".join(parts)


def as_json(checked: "Checked") -> str:
    """Write all as one JSON object."""
    content: dict[str, Any] = {
        "folder": str(checked.draft.root),
        "problems": [_row(finding) for finding in checked.findings.problems],
        "warnings": [_row(finding) for finding in checked.findings.warnings],
        "entry": dict(checked.draft.keys),
        "guesses": [asdict(guess) for guess in checked.draft.guesses],
        "response": checked.response.name,
        "subjects": [_facts(look) for look in checked.looks],
        "pictures": {"files": checked.pictures.n_files, "opened": checked.pictures.n_read},
        "splits": [asdict(split) for split in checked.splits],
        "not_looked_at": checked.unseen,
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def first_lines(findings: Sequence[Finding], limit: int) -> str:
    """Write some findings, and how many more there are."""
    more = [f"  and {len(findings) - limit} more (check FOLDER --json names all)"] if len(findings) > limit else []
    return "\n".join([*_findings(findings[:limit]), *more])


def _titled(title: str, findings: Sequence[Finding]) -> list[str]:
    return ["", f"{title}:", first_lines(findings, N_SHOWN)] if findings else []


def _findings(findings: Sequence[Finding]) -> list[str]:
    """Number findings: place, sentence, remedy."""
    lines = []
    for number, finding in enumerate(findings, start=1):
        place = ", ".join(filter(None, (finding.place.subject, finding.place.run, finding.place.file)))
        lines.append(f"  {number}. {place or 'the folder'}")
        lines += [_wrapped(line, "     ") for line in finding.sentence.splitlines()]
        lines.append(_wrapped(f"remedy: {finding.remedy}", "     "))
    return lines


def _row(finding: Finding) -> dict[str, str]:
    return {**asdict(finding.place), "sentence": finding.sentence, "remedy": finding.remedy}


def _facts(look: SubjectLook) -> dict[str, Any]:
    """What would be read of a subject; empty where its tables or its BOLD cannot be."""
    trials = look.trials if look.trials_are_whole else None
    facts: dict[str, Any] = {"subject": look.subject, "runs_with_bold": len(look.n_volumes)}
    if trials is not None:
        repeats = trials["image_id"].value_counts()
        facts |= {
            "sessions": trials["session"].nunique(),
            "runs": trials.groupby(["session", "run"]).ngroups,
            "trials": len(trials),
            "usable": int(trials["usable"].sum()),
            "pictures": int(trials["image_id"].nunique()),
            "shown": [int(repeats.min()), int(repeats.max())],
        }
    return facts | {
        "volumes": sorted(set(look.n_volumes)),
        "tr_s": sorted({round(value, 4) for value in look.tr_s}),
        "volumes_begin": [{"offset_s": offset_s, "by": origin} for offset_s, origin in look.offsets],
        "confounds": look.n_confounds,
    }


def _table(looks: Sequence[SubjectLook]) -> list[str]:
    """Write a row per subject under a header, in columns."""
    rows = [HEADER, *(_cells(_facts(look)) for look in looks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _cells(facts: dict[str, Any]) -> tuple[str, ...]:
    begin = ", ".join(f"{row['offset_s']:g} s ({row['by']})" for row in facts["volumes_begin"])
    return (
        facts["subject"],
        *(str(facts.get(key, "-")) for key in ("sessions", "runs", "trials", "pictures")),
        f"{_range(facts['shown'])}x" if "shown" in facts else "-",
        _range(facts["volumes"]),
        ", ".join(f"{value:g}" for value in facts["tr_s"]) or "-",
        begin or "-",
        f"{facts['confounds']} of {facts['runs_with_bold']} runs",
    )


def _range(values: Sequence[int]) -> str:
    return "-" if not values else str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


def _value(value: Any) -> str:
    return "nothing" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


def _wrapped(sentence: str, indent: str = "  ") -> str:
    """Break a sentence into lines, between words alone, so that paths stay whole."""
    return textwrap.fill(
        sentence, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _n(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
