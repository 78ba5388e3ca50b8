"""What benches share: paired timing, rows with a goal, a readable table."""

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

HEADINGS = ("bench", "shape", "peer", "ratio", "goal", "of floor", "agreement", "repeats", "ok")


@dataclass(frozen=True)
class Row:
    """One comparison.

    ``ratio`` is held against ``bound`` in the ``sense`` given: a speed-up has to be ``>=``, a cost ``<=``.
    ``floor_ratio`` is our time over the least time that the machine allows (memory bandwidth, FLOPs), or None
    where no floor is known; ``floor_bound`` is its largest allowed value, or None where it has no goal.
    ``agreement`` says in words what was compared and found; ``agrees`` is the verdict.
    """

    bench: str
    peer: str
    peer_version: str
    shape: str
    ratio: float
    sense: Literal["<=", ">="]
    bound: float
    agreement: str
    agrees: bool
    repeats: int
    floor_ratio: float | None = None
    floor_bound: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words."""
        floor = "" if self.floor_bound is None else f", <= {self.floor_bound:g} x floor"
        return f"{self.sense} {self.bound:g}{floor}"

    @property
    def ok(self) -> bool:
        """Whether goal, floor and agreement all hold (a ratio that is not a number holds nothing)."""
        reached = self.ratio <= self.bound if self.sense == "<=" else self.ratio >= self.bound
        within = self.floor_bound is None or (self.floor_ratio is not None and self.floor_ratio <= self.floor_bound)
        return reached and within and self.agrees

    def record(self) -> dict[str, Any]:
        """Return the row as it stands in the last line of the output."""
        return {
            "bench": self.bench,
            "peer": self.peer,
            "peer_version": self.peer_version,
            "shape": self.shape,
            "ratio": round(self.ratio, 4),
            "goal": self.goal,
            "floor_ratio": None if self.floor_ratio is None else round(self.floor_ratio, 4),
            "agreement": self.agreement,
            "repeats": self.repeats,
            "machine": machine(),
            "ok": self.ok,
        }


def names() -> list[str]:
    """Benches that exist: the modules of this package that are no machinery, - for _."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem.replace("_", "-") for stem in stems if stem != "harness" and not stem.startswith("_"))


def alternate(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Time calls in turn, so that what disturbs the machine disturbs all of them.

    Parameters
    ----------
    calls : sequence of callables without arguments
    repeats : int
        Rounds; each call is made once per round.

    Returns
    -------
    list of float
        Median wall time of each call in seconds.

    Raises
    ------
    ValueError
        If ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for kept, call in zip(seconds, calls, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in seconds]


def machine() -> dict[str, str | int | float]:
    """Describe the machine without its name: processor, usable cores, memory in GiB, system, Python."""
    # only the cores that this process may use: a container or a batch system may give fewer than there are
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gib": round(memory, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def table(rows: Sequence[Row]) -> str:
    """Lay rows out for people, one line each under the headings."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in [lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def last_line(rows: Sequence[Row]) -> str:
    """Return the rows as one line of JSON: an object for one row, else a list."""
    records = [row.record() for row in rows]
    return json.dumps(records[0] if len(records) == 1 else records)


def _cells(row: Row) -> tuple[str, ...]:
    floor = "-" if row.floor_ratio is None else f"{row.floor_ratio:.2f} x"
    peer = f"{row.peer} {row.peer_version}".strip()
    verdict = "yes" if row.ok else "NO"
    agreement = row.agreement if row.agrees else f"FAILS: {row.agreement}"
    return (
        row.bench,
        row.shape,
        peer,
        f"{row.ratio:.3g}",
        row.goal,
        floor,
        agreement,
        str(row.repeats),
        verdict,
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return found[1].strip() if found else platform.machine()
