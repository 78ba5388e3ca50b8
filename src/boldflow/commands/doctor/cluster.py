"""What Slurm says of itself through its client programs.

Nothing is judged here. Memory is in MB (2**20 bytes, as Slurm counts it), limits of partitions are in minutes.
"""

import contextlib
import getpass
import grp
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from boldflow.commands.doctor.asking import Answer, Waits, ask

# states in which a node takes no job now (`man sinfo`, NODE STATE CODES); "*" marks a node that does not answer
NO_WORK = ("down", "drain", "drng", "fail", "inval", "unk", "maint", "err", "futr")


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


def examine_cluster(waits: Waits) -> Cluster | None:
    """Ask Slurm's clients; None on a machine without ``sbatch``."""
    if not shutil.which("sbatch"):
        return None
    wait = waits.client
    version = ask(["sbatch", "--version"], wait)
    ping = ask(["scontrol", "ping"], wait)
    if not ping.error and " UP" not in ping.text:
        ping = Answer(ping.text, " ".join(ping.text.split()) or "scontrol ping says nothing")
    no_answer = Answer("", "not asked, since the controller does not answer")
    settings = no_answer if ping.error else ask(["scontrol", "show", "config"], wait)
    config = dict(re.findall(r"^(\w+)\s*= ?(.*?)\s*$", settings.text, re.MULTILINE))
    limits = no_answer if ping.error else ask(["scontrol", "show", "partition", "-o"], wait)
    nodes = no_answer if ping.error else ask(["sinfo", "-h", "-N", "-o", "%R|%N|%c|%m|%G|%t"], wait)
    # as Snakemake's plug-in asks after its jobs
    query = ["sacct", "-X", "--parsable2", "--clusters", "all", "--noheader", "--format=JobIdRaw,State"]
    sacct = ask([*query, "--starttime", "now-1hour", "--endtime", "now", "--name", "boldflow-doctor"], wait)
    user = getpass.getuser()
    cluster_filter = [f"cluster={config['ClusterName']}"] if "ClusterName" in config else []
    columns = "format=account,defaultqos,maxsubmitjobs"
    associations = ask(["sacctmgr", "-nP", "show", "associations", f"user={user}", *cluster_filter, columns], wait)
    account_answer = ask(["sacctmgr", "-nP", "show", "user", user, "format=defaultaccount"], wait)
    association_rows = [line.split("|") for line in associations.text.splitlines() if line.count("|") == 2]
    account = account_answer.text.strip() if not account_answer.error else ""
    account_rows = [row for row in association_rows if row[0] == account] or association_rows
    submit_limits = [int(row[2]) for row in account_rows if row[2].isdigit()]
    return Cluster(
        version=version,
        controller=ping,
        config=config,
        config_error=settings.error,
        partitions=read_partitions(limits.text, nodes.text),
        partitions_error=limits.error or nodes.error,
        sacct=sacct,
        accounts=sorted({row[0] for row in association_rows}),
        accounts_error=associations.error,
        default_account=account,
        default_qos=account_rows[0][1] if account_rows else "",
        max_submit=min(submit_limits, default=None),
        groups=tuple(_groups()),
    )


def read_partitions(limits: str, nodes: str) -> list[Partition]:
    """Read ``scontrol show partition -o`` and ``sinfo -N -o '%R|%N|%c|%m|%G|%t'``, the default partition first.

    Memory and CPUs are those of the largest node, less what the partition's own limits take away.
    """
    node_rows = [line.split("|") for line in nodes.splitlines() if line.count("|") == 5]
    partitions = []
    for line in limits.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        if "PartitionName" not in fields:
            continue
        partition_rows = [row[1:] for row in node_rows if row[0] == fields["PartitionName"]]
        partitions.append(_partition(fields, partition_rows))
    return sorted(partitions, key=lambda partition: not partition.default)


def _partition(fields: dict[str, str], node_rows: list[list[str]]) -> Partition:
    """Make a partition of its fields and of rows of its nodes: name, CPUs, memory, GPUs, state."""
    gpus_of_nodes = [gpus_of(gres) for *_, gres, _ in node_rows]
    max_gpus: dict[str, int] = {}
    for node_gpus in gpus_of_nodes:
        max_gpus |= {model: max(count, max_gpus.get(model, 0)) for model, count in node_gpus.items()}
    return Partition(
        name=fields["PartitionName"],
        fields=fields,
        nodes=frozenset(row[0] for row in node_rows),
        working=sum(works(row[-1]) for row in node_rows),
        with_gpus=sum(map(bool, gpus_of_nodes)),
        cpus=_least([row[1] for row in node_rows], fields.get("MaxCPUsPerNode")),
        mem_mb=_least([row[2] for row in node_rows], fields.get("MaxMemPerNode")),
        gpus=max_gpus,
    )


def gpus_of(gres: str) -> dict[str, int]:
    """Count a node's GPUs by model from text such as ``gpu:a100:4(S:0-1),gpu:2``; a model may be empty."""
    n_by_model: dict[str, int] = {}
    for item in re.sub(r"\([^)]*\)", "", gres).split(","):
        parts = item.split(":")
        if parts[0] == "gpu" and parts[-1].isdigit() and int(parts[-1]):
            model = parts[1] if len(parts) == 3 else ""
            n_by_model[model] = n_by_model.get(model, 0) + int(parts[-1])
    return n_by_model


def works(state: str) -> bool:
    """Tell whether a node in this short state of ``sinfo`` takes jobs, now or when it is powered up."""
    return not state.startswith(NO_WORK) and not state.endswith("*")


def minutes(text: str) -> int | None:
    """Read a time of Slurm (``D-HH:MM:SS``, ``HH:MM:SS``, ``MM:SS``, ``MM``) in whole minutes; None without a limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not match:
        return None
    days, *clock_parts = match.groups()
    clock_numbers = [int(part) for part in clock_parts if part is not None]
    if days is None and len(clock_numbers) < 3:
        return clock_numbers[0]
    hours, n_minutes = clock_numbers[0], clock_numbers[1] if len(clock_numbers) > 1 else 0
    return (24 * int(days or 0) + hours) * 60 + n_minutes


def seconds_of(config: Mapping[str, str], key: str) -> int | None:
    """Read a number of seconds of ``scontrol show config`` or a partition; None where it is not given."""
    match = re.match(r"\d+", config.get(key, ""))
    return int(match.group()) if match else None


def _least(sizes: Sequence[str], limit: str | None) -> int:
    """Size of the largest node, or a smaller limit."""
    largest = max((int(size) for size in sizes), default=0)
    return min(largest, int(limit)) if limit and limit.isdigit() else largest


def _groups() -> Iterator[str]:
    for number in {os.getgid(), *os.getgroups()}:
        with contextlib.suppress(KeyError):  # a group without a name
            yield grp.getgrgid(number).gr_name
