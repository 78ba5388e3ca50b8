"""The estimate as text."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from boldflow.commands.estimate.costs import ORDER, SHARED, Cost, Estimate

GB = 1e9
RED, PLAIN = "\033[31m", "\033[0m"
HEAD = ("data set", "subject", "stage", "jobs", "fetch GB", "keep GB", "memory GB")


@dataclass(frozen=True)
class Need:
    """What is written to one file system, and what is free there (bytes)."""

    places: tuple[str, ...]
    n_bytes: int
    n_free: int


def written(costs: Estimate, needs: Sequence[Need], study: str, memory: int, colour: bool) -> str:
    """Write an estimate as a table and what is to be said beside it.

    Parameters
    ----------
    costs : Estimate
    needs : sequence of Need
    study : str
    memory : int
        Of this machine, bytes.
    colour : bool
        Whether what does not fit stands in red.
    """
    if not costs.rows:
        return f"study {study}: nothing is to be done, all results are there"
    lines = [f"study {study}: what is still to be done (GB are 10^9 bytes; kept is at most)", ""]
    lines += [*_table(costs, memory, colour), ""]
    lines += [_need(need, colour) for need in needs]
    lines.append(f"memory of this machine: {_gb(memory)} GB")
    return "\n".join([*lines, *_remarks(costs)])


def _table(costs: Estimate, memory: int, colour: bool) -> list[str]:
    """Write a line for each stage of each subject; those that need more memory than there is stand out."""
    rows: list[tuple[str, ...]] = [HEAD]
    over_memory = [False]
    for dataset, subjects, stage, cost, each_text in _alike(costs):
        sizes = tuple(_gb(n_bytes, dataset in costs.unverified) for n_bytes in (cost.fetch, cost.keep))
        rows.append((dataset, subjects + each_text, stage, str(cost.jobs), *sizes, _gb(cost.memory)))
        over_memory.append(cost.memory > memory)
    total_cost, is_about = costs.total, bool(costs.unverified)
    rows.append(
        ("total", "", "", str(total_cost.jobs), _gb(total_cost.fetch, is_about), _gb(total_cost.keep, is_about), "")
    )
    over_memory.append(False)
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    return [
        _red(_line(row, widths) + "  more than this machine has", colour) if too_high else _line(row, widths)
        for row, too_high in zip(rows, over_memory, strict=True)
    ]


def _need(need: Need, colour: bool) -> str:
    """Say whether what is written to a file system fits there."""
    places = " and ".join(f"{place}/" for place in need.places)
    short = need.n_bytes > need.n_free
    verdict = "WILL NOT FIT" if short else "fits"
    text = f"{places}: {_gb(need.n_bytes)} GB needed, {_gb(need.n_free)} GB free: {verdict}"
    return _red(f"{text}, {_gb(need.n_bytes - need.n_free)} GB short", colour) if short else text


def _remarks(costs: Estimate) -> list[str]:
    """Say what is not in the numbers."""
    lines = []
    if costs.unverified:
        lines.append(f"~ not counted in the data's own tree: {', '.join(sorted(costs.unverified))}")
    if costs.unknown:
        lines.append(f"size not known, not counted: checkpoint {', '.join(sorted(costs.unknown))}")
    for dataset, recording in sorted(costs.unread):
        lines.append(f"responses cannot be made yet: recording {recording} of {dataset} is not read in this version")
    for dataset, source in sorted(costs.to_bring.items()):
        lines.append(f"the pictures of {dataset} are yours to bring (key stimuli_root of its entry): {source}")
    return lines


def _alike(costs: Estimate) -> list[tuple[str, str, str, Cost, str]]:
    """Rows in the order of stages, subjects that cost the same in one row, whose numbers are of each."""
    costs_by_subject: dict[tuple[str, str], dict[str, Cost]] = defaultdict(dict)
    for (dataset, subject, stage), cost in costs.rows.items():
        costs_by_subject[dataset, subject][stage] = cost
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (dataset, subject), stages in sorted(costs_by_subject.items(), key=_order):
        groups[dataset, repr([(stage, stages.get(stage)) for stage in ORDER])].append(subject)
    rows = []
    for (dataset, _), subjects in groups.items():
        stages = costs_by_subject[dataset, subjects[0]]
        subjects_text = subjects[0] if len(subjects) == 1 else f"{subjects[0]} .. {subjects[-1]}"
        each_text = f" ({len(subjects)}, each)" if len(subjects) > 1 else ""
        rows += [(dataset, subjects_text, stage, stages[stage], each_text) for stage in ORDER if stage in stages]
    return rows


def _order(item: tuple[tuple[str, str], dict[str, Cost]]) -> tuple[bool, str, bool, str]:
    dataset, subject = item[0]
    return (not dataset, dataset, subject != SHARED, subject)


def _gb(size: int, about: bool = False) -> str:
    return f"{'~' if about and size else ''}{size / GB:.2f}"


def _red(text: str, colour: bool) -> str:
    return f"{RED}{text}{PLAIN}" if colour else text


def _line(cells: Sequence[str], width: Sequence[int]) -> str:
    words = [
        cell.ljust(size) if k < 3 else cell.rjust(size) for k, (cell, size) in enumerate(zip(cells, width, strict=True))
    ]
    return "  ".join(words).rstrip()
