"""What ``doctor`` finds out: of this machine, and of Slurm through its client programs.

Nothing is judged here. Every program gets a time limit, and a failing one is a fact like others. Memory is in MB (2**20
bytes, as Slurm and Snakemake count it), disk in bytes, limits of partitions in minutes.
"""

import contextlib
import getpass
import grp
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boldflow.commands.doctor import probe

HOSTS = ["github.com:443", "s3.amazonaws.com:443", "huggingface.co:443"]
PLACES = [["TMPDIR", ""], ["SLURM_TMPDIR", ""], ["/scratch", "/scratch"], ["/tmp", "/tmp"]]
MB = 2**20
# states in which a node takes no job now (`man sinfo`, NODE STATE CODES); "*" marks a node that does not answer
NO_WORK = ("down", "drain", "drng", "fail", "inval", "unk", "maint", "err", "futr")
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Waits:
    """Time limits in seconds."""

    client: float = 10  # one call of a Slurm client
    connect: float = 5  # one connection
    queue: float = 60  # a probe in the queue
    work: float = 60  # a probe on its node, beyond the time for torch
    torch: float = 90  # import of torch from a cold file system
    appear: float = 20  # a file written here, seen on a node


@dataclass(frozen=True)
class Answer:
    """What a program said; ``error`` is empty where it succeeded."""

    text: str
    error: str = ""


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


@dataclass(frozen=True)
class Partition:
    """A partition: its limits for one job on one node, and its fields as ``scontrol`` gives them."""

    name: str
    fields: dict[str, str]
    nodes: frozenset[str] = frozenset()
    working: int = 0
    with_gpus: int = 0
    cpus: int = 0
    mem_mb: int = 0
    gpus: dict[str, int] = field(default_factory=dict)  # model ("" without one) to the largest number on one node

    @property
    def default(self) -> bool:
        """Whether jobs that name none go there."""
        return self.fields.get("Default") == "YES"

    @property
    def minutes(self) -> int | None:
        """Longest job; None without a limit."""
        return minutes(self.fields.get("MaxTime", ""))

    @property
    def max_gpu(self) -> int:
        """Most GPUs of one node."""
        return max(self.gpus.values(), default=0)

    @property
    def gpu_only(self) -> bool:
        """Whether all its nodes have GPUs."""
        return 0 < len(self.nodes) == self.with_gpus

    @property
    def tier(self) -> int:
        """Its ``PriorityTier``."""
        return int(self.fields.get("PriorityTier", "1"))


@dataclass(frozen=True)
class Cluster:
    """What Slurm's clients say; an ``Answer`` with an error where they do not."""

    version: Answer
    controller: Answer
    config: dict[str, str]
    config_error: str
    partitions: list[Partition]
    partitions_error: str
    sacct: Answer
    accounts: list[str]
    accounts_error: str
    default_account: str = ""
    default_qos: str = ""
    max_submit: int | None = None
    groups: tuple[str, ...] = ()

    @property
    def accounting(self) -> bool:
        """Whether ended jobs can be asked after with ``sacct``."""
        return not self.sacct.error and not self.config.get("AccountingStorageType", "").endswith("/none")

    @property
    def account(self) -> str:
        """The account to charge: the only one, or the default; empty where neither is known."""
        if len(self.accounts) == 1:
            return self.accounts[0]
        return self.default_account if self.default_account in self.accounts else ""


@dataclass(frozen=True)
class Node:
    """What a probe said on a node of a partition; ``error`` where it did not run."""

    partition: str
    gpu: bool
    look: dict[str, Any]
    error: str = ""
    busy: bool = False  # it waited in the queue too long: nothing is known


def ask(command: Sequence[str], seconds: float) -> Answer:
    """Run a program with a time limit; it and its children end with the limit.

    Parameters
    ----------
    command : sequence of str
    seconds : float

    Returns
    -------
    Answer
        ``text``: standard output; ``error``: why it failed, in one line.
    """
    environment = {name: value for name, value in os.environ.items() if not _of_a_job(name)}
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**environment, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        return Answer("", f"{command[0]}: {error.strerror}")
    try:
        text, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for sign in (signal.SIGTERM, signal.SIGKILL):  # srun gives its job up on the first
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=2)
        return Answer("", f"{command[0]} did not answer in {seconds:g} s")
    if process.returncode:
        lines = [line.strip() for line in (said or text).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines
        return Answer(text, errors[-1] if errors else f"{command[0]} ended with {process.returncode}")
    return Answer(text)


def machine(folder: Path, waits: Waits) -> Machine:
    """Look at this machine.

    Parameters
    ----------
    folder : Path
        Of the project.
    waits : Waits
    """
    cores, cores_of = usable_cores()
    mem_mb, mem_of = usable_memory()
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    annex = shutil.which("git-annex", path=here) or "git-annex"
    smi = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    state = folder / ".snakemake"
    with contextlib.suppress(OSError):  # the lock test says so
        state.mkdir(exist_ok=True)
    return Machine(
        host=socket.gethostname(),
        cores=cores,
        cores_of=cores_of,
        mem_mb=mem_mb,
        mem_of=mem_of,
        disk_free=shutil.disk_usage(folder).free,
        venv=(folder / ".venv" / "bin" / "python").exists(),
        programs={
            "git": ask(["git", "--version"], waits.client),
            "git-annex": ask([annex, "version", "--raw"], waits.client),
        },
        torch=probe.torch(waits.torch),
        gpus=ask(smi, waits.client) if shutil.which("nvidia-smi") else Answer("", "no nvidia-smi"),
        look=probe.look({"folder": str(state), "places": PLACES, "hosts": HOSTS, "connect_s": waits.connect}),
    )


def usable_cores(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> tuple[int, str]:
    """Count the cores that this process may use, and say of how many."""
    there, allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    quotas = [int(a) / int(b) for a, b in (text.split() for text in _limits("cpu.max", cgroups, own)) if a != "max"]
    usable = min([allowed, *(max(1, int(quota)) for quota in quotas)])
    why = ", the others are not for this process" if usable < there else ""
    return usable, f"of {there}{why}"


def usable_memory(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> tuple[int, str]:
    """Tell the memory that this process may use in MB, and of how much."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB
    names = ("memory.max", "memory.limit_in_bytes")
    limits = [int(text) // MB for name in names for text in _limits(name, cgroups, own) if text != "max"]
    usable = min([there, *limits])
    return usable, f"of {there} MB" + (", limited by a control group" if usable < there else "")


def _limits(name: str, cgroups: Path, own: Path) -> Iterator[str]:
    """Read a limit in this process's control groups and all above them."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = cgroups / controllers if controllers else cgroups
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (folder / name).is_file():
                yield (folder / name).read_text(encoding="utf-8").strip()


def cluster(waits: Waits) -> Cluster | None:
    """Ask Slurm's clients; None on a machine without ``sbatch``."""
    if not shutil.which("sbatch"):
        return None
    wait = waits.client
    version = ask(["sbatch", "--version"], wait)
    ping = ask(["scontrol", "ping"], wait)
    if not ping.error and " UP" not in ping.text:
        ping = Answer(ping.text, " ".join(ping.text.split()) or "scontrol ping says nothing")
    silent = Answer("", "not asked, since the controller does not answer")
    told = silent if ping.error else ask(["scontrol", "show", "config"], wait)
    config = dict(re.findall(r"^(\w+)\s*= ?(.*?)\s*$", told.text, re.MULTILINE))
    limits = silent if ping.error else ask(["scontrol", "show", "partition", "-o"], wait)
    nodes = silent if ping.error else ask(["sinfo", "-h", "-N", "-o", "%R|%N|%c|%m|%G|%t"], wait)
    # as Snakemake's plug-in asks after its jobs
    query = ["sacct", "-X", "--parsable2", "--clusters", "all", "--noheader", "--format=JobIdRaw,State"]
    sacct = ask([*query, "--starttime", "now-1hour", "--endtime", "now", "--name", "boldflow-doctor"], wait)
    user = getpass.getuser()
    of = [f"cluster={config['ClusterName']}"] if "ClusterName" in config else []
    columns = "format=account,defaultqos,maxsubmitjobs"
    rows = ask(["sacctmgr", "-nP", "show", "associations", f"user={user}", *of, columns], wait)
    default = ask(["sacctmgr", "-nP", "show", "user", user, "format=defaultaccount"], wait)
    table = [line.split("|") for line in rows.text.splitlines() if line.count("|") == 2]
    account = default.text.strip() if not default.error else ""
    chosen = [row for row in table if row[0] == account] or table
    submit = [int(row[2]) for row in chosen if row[2].isdigit()]
    return Cluster(
        version=version,
        controller=ping,
        config=config,
        config_error=told.error,
        partitions=read_partitions(limits.text, nodes.text),
        partitions_error=limits.error or nodes.error,
        sacct=sacct,
        accounts=sorted({row[0] for row in table}),
        accounts_error=rows.error,
        default_account=account,
        default_qos=chosen[0][1] if chosen else "",
        max_submit=min(submit, default=None),
        groups=tuple(_groups()),
    )


def read_partitions(limits: str, nodes: str) -> list[Partition]:
    """Read ``scontrol show partition -o`` and ``sinfo -N -o '%R|%N|%c|%m|%G|%t'``, the default partition first.

    Memory and CPUs are those of the largest node, less what the partition's own limits take away.
    """
    table = [line.split("|") for line in nodes.splitlines() if line.count("|") == 5]
    found = []
    for line in limits.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        if "PartitionName" not in fields:
            continue
        rows = [row[1:] for row in table if row[0] == fields["PartitionName"]]
        gpus = [gpus_of(gres) for *_, gres, _ in rows]
        most: dict[str, int] = {}
        for one in gpus:
            most |= {model: max(count, most.get(model, 0)) for model, count in one.items()}
        found.append(
            Partition(
                name=fields["PartitionName"],
                fields=fields,
                nodes=frozenset(row[0] for row in rows),
                working=sum(works(row[-1]) for row in rows),
                with_gpus=sum(map(bool, gpus)),
                cpus=_least([row[1] for row in rows], fields.get("MaxCPUsPerNode")),
                mem_mb=_least([row[2] for row in rows], fields.get("MaxMemPerNode")),
                gpus=most,
            )
        )
    return sorted(found, key=lambda partition: not partition.default)


def gpus_of(gres: str) -> dict[str, int]:
    """Count a node's GPUs by model from text such as ``gpu:a100:4(S:0-1),gpu:2``; a model may be empty."""
    found: dict[str, int] = {}
    for item in re.sub(r"\([^)]*\)", "", gres).split(","):
        parts = item.split(":")
        if parts[0] == "gpu" and parts[-1].isdigit() and int(parts[-1]):
            model = parts[1] if len(parts) == 3 else ""
            found[model] = found.get(model, 0) + int(parts[-1])
    return found


def works(state: str) -> bool:
    """Tell whether a node in this short state of ``sinfo`` takes jobs, now or when it is powered up."""
    return not state.startswith(NO_WORK) and not state.endswith("*")


def minutes(text: str) -> int | None:
    """Read a time of Slurm (``D-HH:MM:SS``, ``HH:MM:SS``, ``MM:SS``, ``MM``) in whole minutes; None without a limit."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        return None
    days, *rest = found.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is None and len(numbers) < 3:
        return numbers[0]
    hours, more = numbers[0], numbers[1] if len(numbers) > 1 else 0
    return (24 * int(days or 0) + hours) * 60 + more


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


def node(partition: str, gpu: bool, account: str, folder: Path, waits: Waits) -> Node:
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
    where = ["-p", partition, *(["-A", account] if account else []), *(["--gpus=1"] if gpu else [])]
    # Slurm counts whole seconds and minutes
    size = ["-N1", "-n1", "-c1", "--mem=2000", "-t", "2", f"--immediate={max(1, int(waits.queue))}", "--input=none"]
    # a node where our Python does not start can still say the rest
    start = 'p="$1"; "$p" -c "" 2>/dev/null || p=python3; exec "$p" -c "$2" "$3"'
    source = Path(probe.__file__).read_text(encoding="utf-8")
    state = folder / ".snakemake"
    try:
        with held_file(state) as (held, token):
            asked = {
                **{"folder": str(state), "places": PLACES, "hosts": HOSTS, "connect_s": waits.connect},
                **{"held": held, "token": token, "appear_s": waits.appear, "torch_s": waits.torch if gpu else 0},
            }
            shell = ["/bin/sh", "-c", start, "sh", sys.executable, source, json.dumps(asked)]
            limit = waits.queue + waits.work + (waits.torch if gpu else 0)
            answer = ask(["srun", "-J", name, *where, *size, *shell], limit)
    except OSError as error:
        return Node(partition, gpu, {}, f"the lock that a node is to be refused cannot be taken here: {error}")
    if "did not answer" in answer.error:
        ask(["scancel", "--name", name], waits.client)
    lines = [line for line in answer.text.splitlines() if line.startswith(probe.MARK)]
    if lines:
        found = json.loads(lines[-1].removeprefix(probe.MARK))
        return Node(partition, gpu, {**found, "asked_python": sys.executable})
    busy = re.search(r"nodes are busy|immediately|did not answer|Unable to contact|timed out", answer.error)
    return Node(partition, gpu, {}, answer.error or "the job ended and said nothing", busy=bool(busy))


def seconds_of(config: Mapping[str, str], key: str) -> int | None:
    """Read a number of seconds of ``scontrol show config`` or a partition; None where it is not given."""
    found = re.match(r"\d+", config.get(key, ""))
    return int(found.group()) if found else None


def _least(sizes: Sequence[str], limit: str | None) -> int:
    """Size of the largest node, or a smaller limit."""
    largest = max((int(size) for size in sizes), default=0)
    return min(largest, int(limit)) if limit and limit.isdigit() else largest


def _groups() -> Iterator[str]:
    for number in {os.getgid(), *os.getgroups()}:
        with contextlib.suppress(KeyError):  # a group without a name
            yield grp.getgrgid(number).gr_name


def _of_a_job(name: str) -> bool:
    """Tell whether a variable would make srun a step of the job that ``doctor`` runs in."""
    return name.startswith("SLURM_") and name != "SLURM_CONF"
