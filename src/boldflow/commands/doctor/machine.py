"""The machine that ``doctor`` runs on: what it has. Memory is in MB (2**20 bytes, as Snakemake counts it)."""

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow.commands.doctor import asking, probe
from boldflow.commands.doctor.asking import Answer, Waits, ask

MB = 2**20
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Machine:
    """The machine that ``doctor`` runs on."""

    host: str
    cores: int
    cores_of: str
    mem_mb: int
    mem_of: str
    disk_free: int
    venv: bool
    programs: dict[str, Answer]
    torch: dict[str, Any]
    gpus: Answer
    look: dict[str, Any]
    cache: str


def examine_machine(folder: Path, waits: Waits) -> Machine:
    """Look at this machine.

    Parameters
    ----------
    folder : Path
        Of the project.
    waits : Waits
    """
    cores, cores_text = usable_cores()
    mem_mb, mem_text = usable_memory()
    search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    annex_program = shutil.which("git-annex", path=search_path) or "git-annex"
    smi_command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    state_folder = folder / ".snakemake"
    with contextlib.suppress(OSError):  # the lock test says so
        state_folder.mkdir(exist_ok=True)
    return Machine(
        host=socket.gethostname(),
        cores=cores,
        cores_of=cores_text,
        mem_mb=mem_mb,
        mem_of=mem_text,
        disk_free=shutil.disk_usage(folder).free,
        venv=(folder / ".venv" / "bin" / "python").exists(),
        programs={
            "git": ask(["git", "--version"], waits.client),
            "git-annex": ask([annex_program, "version", "--raw"], waits.client),
        },
        torch=probe.torch(waits.torch),
        gpus=ask(smi_command, waits.client) if shutil.which("nvidia-smi") else Answer("", "no nvidia-smi"),
        look=probe.look(
            {"folder": str(state_folder), "places": asking.PLACES, "hosts": asking.HOSTS, "connect_s": waits.connect}
        ),
        cache=cache_fault(os.environ),
    )


def cache_fault(variables: Mapping[str, str]) -> str:
    """Say why Snakemake could not keep its cache, without which it does not start; empty where it can.

    It takes XDG_CACHE_HOME, or .cache in the home folder.
    """
    folder = Path(variables.get("XDG_CACHE_HOME") or Path(variables.get("HOME") or "~").expanduser() / ".cache")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"


def usable_cores(cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> tuple[int, str]:
    """Count the cores that this process may use, and say of how many."""
    n_cores, n_allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    quotas = [
        int(quota_us) / int(period_us)
        for quota_us, period_us in (text.split() for text in _limits("cpu.max", cgroups, own_cgroups))
        if quota_us != "max"
    ]
    n_usable = min([n_allowed, *(max(1, int(quota)) for quota in quotas)])
    reason_text = ", the others are not for this process" if n_usable < n_cores else ""
    return n_usable, f"of {n_cores}{reason_text}"


def usable_memory(cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> tuple[int, str]:
    """Tell the memory that this process may use in MB, and of how much."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB
    names = ("memory.max", "memory.limit_in_bytes")
    limits = [int(text) // MB for name in names for text in _limits(name, cgroups, own_cgroups) if text != "max"]
    usable = min([there, *limits])
    return usable, f"of {there} MB" + (", limited by a control group" if usable < there else "")


def _limits(name: str, cgroups: Path, own_cgroups: Path) -> Iterator[str]:
    """Read a limit in this process's control groups and all above them."""
    try:
        lines = own_cgroups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = cgroups / controllers if controllers else cgroups
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (folder / name).is_file():
                yield (folder / name).read_text(encoding="utf-8").strip()
