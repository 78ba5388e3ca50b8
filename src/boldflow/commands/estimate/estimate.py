"""``python -m boldflow estimate``: what a study would fetch, keep and need in memory, before anything is downloaded.

Jobs are those that Snakemake would run now; sizes are what the plug-ins of the data sets say of themselves, without a
network.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from boldflow.commands import plan
from boldflow.commands.estimate.costs import Estimate, cost_of
from boldflow.commands.estimate.text import Need, written

PLACES = {"fetch": "resources"}  # where a stage writes; the others below results


def estimate(config: Sequence[str], colour: bool = False) -> tuple[str, int]:
    """Tell what a study would cost on this machine.

    Parameters
    ----------
    config : sequence of ``key=value``, as after ``snakemake --config``
    colour : bool
        Write what does not fit in red.

    Returns
    -------
    (text, code)
        0: it fits on the disks; 1: it does not; 2: the workflow does not parse, and why.

    Raises
    ------
    FileNotFoundError
        If the working folder is not the project's, or a folder of the user's own data is not there.
    """
    try:
        jobs = plan.ask([], config)
    except plan.Broken as error:
        return f"the study cannot be planned:\n{error}", 2
    costs = cost_of(jobs)
    needs = compare(costs)
    study = next((job.wildcards["study"] for job in jobs if "study" in job.wildcards), "")
    text = written(costs, needs, study, memory_here(), colour)
    return text, int(any(need.n_bytes > need.n_free for need in needs))


def compare(costs: Estimate) -> list[Need]:
    """Set what would be written against what is free, by file system.

    Returns
    -------
    list of Need
    """
    bytes_by_place: dict[str, int] = {"resources": 0, "results": 0}
    for (_, _, stage), cost in costs.rows.items():
        bytes_by_place[PLACES.get(stage, "results")] += cost.fetch + cost.keep
    places_by_device: dict[int, list[str]] = defaultdict(list)
    for place in bytes_by_place:
        places_by_device[_existing(place).stat().st_dev].append(place)
    return [
        Need(tuple(places), sum(bytes_by_place[place] for place in places), free_at(places[0]))
        for places in places_by_device.values()
    ]


def free_at(place: str) -> int:
    """Bytes that an ordinary user may still write where ``place`` is or would be."""
    disk = os.statvfs(_existing(place))
    return disk.f_bavail * disk.f_frsize


def memory_here() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _existing(place: str) -> Path:
    """The folder itself, or the nearest above it that exists."""
    path = Path(place).absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
