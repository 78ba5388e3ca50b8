"""Which partitions jobs may use, and the file that tells Snakemake's plug-in of them.

Keys and units are those of snakemake-executor-plugin-slurm 2.8.0 (``partitions.py``: minutes, MB, numbers for one job).
"""

import getpass
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boldflow.commands.doctor.cluster import Cluster, Partition
from boldflow.commands.doctor.draft import commented, scalar

LIMITS = ("max_runtime", "max_mem_mb", "max_cpus_per_task")


@dataclass(frozen=True)
class Choice:
    """Partitions that jobs may use, those for jobs without GPU first, and why the others are left out."""

    plain: list[Partition]
    gpu: list[Partition]
    left_out: dict[str, str]

    @property
    def used(self) -> list[Partition]:
        """All that jobs may use, each once."""
        return [*self.plain, *(partition for partition in self.gpu if partition not in self.plain)]


def choose(cluster: Cluster) -> Choice:
    """Choose partitions for jobs on one node with at most one GPU.

    A partition all of whose nodes have GPUs serves GPU jobs alone where there is another; one with GPUs on some nodes
    serves GPU jobs where there is none of the first kind. One that preempts, or is preempted by, the default partition
    serves only where no other does.
    """
    reason_by_name = {partition.name: refusal(partition, cluster) for partition in cluster.partitions}
    usable = [partition for partition in cluster.partitions if not reason_by_name[partition.name]]
    plain_partitions = [partition for partition in usable if not partition.gpu_only] or usable
    gpu_partitions = [partition for partition in usable if partition.gpu_only] or [
        part for part in usable if part.max_gpu
    ]
    default_objections = {part.name: _against_default(part, usable, cluster) for part in usable}
    plain_partitions, gpu_partitions = (
        [part for part in group if not default_objections[part.name]] or group
        for group in (plain_partitions, gpu_partitions)
    )
    used_names = {part.name for part in (*plain_partitions, *gpu_partitions)}
    reason_by_name |= {name: reason for name, reason in default_objections.items() if name not in used_names}
    return Choice(plain_partitions, gpu_partitions, {name: reason for name, reason in reason_by_name.items() if reason})


def refusal(partition: Partition, cluster: Cluster) -> str:
    """Say why our jobs cannot run in a partition; empty where nothing speaks against it."""
    fields = partition.fields
    if fields.get("State", "UP") != "UP":
        return f"its state is {fields['State']}"
    if not partition.working:
        return f"none of its {len(partition.nodes)} nodes takes jobs now"
    if fields.get("RootOnly") == "YES" and getpass.getuser() != "root":
        return "only root may use it"
    if fields.get("MinNodes", "0") not in ("0", "1"):
        return f"it takes jobs of {fields['MinNodes']} nodes or more, ours use one"
    allowed_accounts, denied_accounts = _names(fields, "AllowAccounts"), _names(fields, "DenyAccounts")
    if cluster.account and (
        cluster.account in denied_accounts or (allowed_accounts and cluster.account not in allowed_accounts)
    ):
        return f"account {cluster.account} may not use it"
    groups = _names(fields, "AllowGroups")
    if groups and groups.isdisjoint(cluster.groups):
        return f"it is for members of {', '.join(sorted(groups))}"
    qos = _names(fields, "AllowQos")
    if qos and cluster.default_qos and cluster.default_qos not in qos:
        return f"it takes QOS {', '.join(sorted(qos))} and yours is {cluster.default_qos}"
    return ""


def preemptible(partition: Partition, cluster: Cluster) -> bool:
    """Tell whether jobs of another partition can end those of this one."""
    return any(_preempts(other, partition, cluster) for other in cluster.partitions)


def _preempts(strong: Partition, weak: Partition, cluster: Cluster) -> bool:
    return (
        cluster.config.get("PreemptType") == "preempt/partition_prio"
        and weak.fields.get("PreemptMode", "OFF") != "OFF"
        and strong.tier > weak.tier
        and not strong.nodes.isdisjoint(weak.nodes)
    )


def _against_default(partition: Partition, usable: Sequence[Partition], cluster: Cluster) -> str:
    """Say which of a partition and the default one preempts the other; empty where neither does."""
    default = next((part for part in usable if part.default), partition)
    if _preempts(partition, default, cluster):
        return f"its jobs end those of others in {default.name} (PriorityTier); add it if you may use it so"
    return f"its jobs are ended by those in {default.name}" if _preempts(default, partition, cluster) else ""


def limits(partition: Partition) -> dict[str, float]:
    """List a partition's limits for one job; infinite where there is none."""
    values = (partition.minutes, partition.mem_mb, partition.cpus)
    return {key: value or math.inf for key, value in zip(LIMITS, values, strict=True)}


def kept_limits(partition: Partition, plain: Sequence[Partition]) -> list[str]:
    """List the limits of a GPU partition that may be told to the plug-in.

    It adds need / limit over the limits told and takes 1 off for a job without GPU in a GPU partition; the largest sum
    wins. So a GPU partition may be tighter than a plain one in at most one limit: then it stays below for every job
    that fits both (each ratio is at most 1, the others are no larger than the plain partition's own).
    """
    own_limits = limits(partition)
    kept_keys: list[str] = []
    for key in LIMITS:
        n_tighter = [
            sum(own_limits[name] < limits(plain_partition)[name] for name in [*kept_keys, key])
            for plain_partition in plain
        ]
        if max(n_tighter, default=0) <= 1:
            kept_keys.append(key)
    return kept_keys


def partitions_text(cluster: Cluster, choice: Choice) -> str:
    """Write the file of ``slurm-partition-config``."""
    lines = commented(
        "Proposed by `python -m boldflow doctor`: limits read off Slurm for one job on one node, in minutes, MB, CPUs "
        "and GPUs. Delete a partition that jobs should not use."
    )
    for name, reason in choice.left_out.items():
        lines += commented(f"{name} is left out: {reason}")
    lines.append("partitions:")
    for partition in choice.used:
        n_gpus = partition.max_gpu if partition in choice.gpu else 0
        only_gpu = partition not in choice.plain
        plain_partitions = [part for part in choice.plain if part not in choice.gpu] if n_gpus else []
        kept_keys = kept_limits(partition, plain_partitions)
        lines += commented("; ".join(_words(partition, n_gpus, only_gpu, cluster)), 2)
        lines.append(f"  {scalar(partition.name)}:")
        for key, value in limits(partition).items():
            if math.isfinite(value):
                lines += [f"    {key}: {value}"] if key in kept_keys else _unsaid(key, value)
        lines.append(f"    max_gpu: {n_gpus}")
        models = sorted(partition.gpus)
        if n_gpus and "" not in models:
            lines.append(f"    available_gpu_models: {scalar(models)}")
    return "\n".join(lines) + "\n"


def _words(partition: Partition, n_gpus: int, only_gpu: bool, cluster: Cluster) -> list[str]:
    """Say what a partition is; ``n_gpus`` on a node that its jobs may take."""
    words = [f"{partition.working} of {len(partition.nodes)} nodes take jobs"]
    words += ["default partition"] if partition.default else []
    words += ["GPU jobs come here"] if only_gpu else []
    words += ["its GPUs are left to GPU partitions"] if partition.max_gpu and not n_gpus else []
    words += ["a job gets whole nodes"] if partition.fields.get("OverSubscribe") == "EXCLUSIVE" else []
    words += ["its jobs can be preempted"] if preemptible(partition, cluster) else []
    return words


def _unsaid(key: str, value: float) -> list[str]:
    return commented(f"{key}: {value} is not told: it would draw jobs without GPU here (the sum of need / limit)", 4)


def _names(fields: Mapping[str, str], key: str) -> set[str]:
    text = fields.get(key, "ALL")
    return set() if text in ("ALL", "NONE", "N/A", "(null)", "") else set(text.split(","))
