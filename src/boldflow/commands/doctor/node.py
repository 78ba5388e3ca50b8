"""A compute node, seen by a short job that runs the probe there."""

import contextlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow.commands.doctor import asking, probe
from boldflow.commands.doctor.asking import Waits, ask


@dataclass(frozen=True)
class Node:
    """What a probe said on a node of a partition; ``error`` where it did not run."""

    partition: str
    gpu: bool
    look: dict[str, Any]
    error: str = ""
    busy: bool = False  # it waited in the queue too long: nothing is known


def examine_node(partition: str, gpu: bool, account: str, folder: Path, waits: Waits) -> Node:
    """Run the probe as a short job in a partition, with exactly one GPU where one is wanted.

    Parameters
    ----------
    partition, account : str
        ``account`` may be empty.
    gpu : bool
    folder : Path
        Of the project; this process holds a lock there, which the node must be refused.
    waits : Waits
    """
    name = f"boldflow-doctor-{os.getpid()}-{secrets.token_hex(3)}"
    partition_options = ["-p", partition, *(["-A", account] if account else []), *(["--gpus=1"] if gpu else [])]
    # Slurm counts whole seconds and minutes
    size_options = [
        "-N1",
        "-n1",
        "-c1",
        "--mem=2000",
        "-t",
        "2",
        f"--immediate={max(1, int(waits.queue))}",
        "--input=none",
    ]
    # a node where our Python does not start can still say the rest
    start_script = 'p="$1"; "$p" -c "" 2>/dev/null || p=python3; exec "$p" -c "$2" "$3"'
    source = Path(probe.__file__).read_text(encoding="utf-8")
    state_folder = folder / ".snakemake"
    try:
        with held_file(state_folder) as (held_path, token):
            request = {
                **{
                    "folder": str(state_folder),
                    "places": asking.PLACES,
                    "hosts": asking.HOSTS,
                    "connect_s": waits.connect,
                },
                **{"held": held_path, "token": token, "appear_s": waits.appear, "torch_s": waits.torch if gpu else 0},
            }
            command = ["/bin/sh", "-c", start_script, "sh", sys.executable, source, json.dumps(request)]
            limit_s = waits.queue + waits.work + (waits.torch if gpu else 0)
            answer = ask(["srun", "-J", name, *partition_options, *size_options, *command], limit_s)
    except OSError as error:
        return Node(partition, gpu, {}, f"the lock that a node is to be refused cannot be taken here: {error}")
    if "did not answer" in answer.error:
        ask(["scancel", "--name", name], waits.client)
    lines = [line for line in answer.text.splitlines() if line.startswith(probe.MARK)]
    if lines:
        probe_facts = json.loads(lines[-1].removeprefix(probe.MARK))
        return Node(partition, gpu, {**probe_facts, "asked_python": sys.executable})
    busy_match = re.search(r"nodes are busy|immediately|did not answer|Unable to contact|timed out", answer.error)
    return Node(partition, gpu, {}, answer.error or "the job ended and said nothing", busy=bool(busy_match))


@contextlib.contextmanager
def held_file(folder: Path) -> Iterator[tuple[str, str]]:
    """Write a file with a random content and hold its lock; gives path and content."""
    import fcntl

    path, token = folder / f"boldflow-doctor-{secrets.token_hex(6)}.held", secrets.token_hex(16)
    try:
        with path.open("w", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle.write(token)
            handle.flush()
            os.fsync(handle.fileno())
            yield str(path), token
    finally:
        path.unlink(missing_ok=True)
