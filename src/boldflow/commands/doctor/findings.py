"""Findings, one line each: ``ok``, ``warn`` (works, with a limit that is said) or ``bad`` (runs will fail)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OK, WARN, BAD = "ok", "warn", "bad"
GB = 10**9
LOCKS = (
    "jobs keep each other from the same file by such locks: put the project on a file system with flock "
    "(Lustre: mounted with -o flock; NFS: not with local_lock=all or nolock)"
)


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: str
    what: str
    state: str
    todo: str = ""

    def __str__(self) -> str:
        """Write it in one line."""
        text = f"{self.level:<4}  {self.what}: {self.state}" + (f" -> {self.todo}" if self.todo else "")
        return " ".join(text.splitlines())


def of_folder(what: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge file locks and hard links of the project's folder."""
    if look["lock"]:
        yield Finding(BAD, what, look["lock"], LOCKS)
    else:
        yield Finding(OK, what, "a second process is refused while the first holds the lock")
    name = what.replace("file locks", "hard links")
    if look["link"]:
        yield Finding(WARN, name, look["link"], "a job that is started twice then does its work twice")
    else:
        yield Finding(OK, name, "can be made")


def of_scratch(what: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge folders for temporary files."""
    words = [
        f"{folder['name']} {folder['state']}"
        + (f" ({folder['path']})" if folder["path"] not in ("", folder["name"]) else "")
        + (f", {gigabytes(folder['free'])} free" if folder["state"] == "writable" else "")
        for folder in look["scratch"]
    ]
    if any(folder["state"] == "writable" and folder["free"] >= GB for folder in look["scratch"]):
        yield Finding(OK, what, "; ".join(words))
    else:
        todo = "set TMPDIR to a writable folder with some GB free"
        yield Finding(BAD, what, "; ".join(words), todo)


def unreached(look: Mapping[str, Any]) -> str:
    """Name the hosts that were not reached, and why; empty where all were."""
    errors = {host: error for host, error in look["network"].items() if error}
    return f"{', '.join(errors)} ({'; '.join(sorted(set(errors.values())))})" if errors else ""


def gigabytes(size: float) -> str:
    """Write bytes in GB."""
    return f"{size / GB:.1f} GB"
