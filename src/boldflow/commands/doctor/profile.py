"""The profile that ``doctor`` proposes: which partitions jobs may use, and the text with a reason beside each value.

Keys and units are those of snakemake-executor-plugin-slurm 2.8.0 (``partitions.py``: minutes, MB, numbers for one job).
"""

import copy
import getpass
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from boldflow.commands.doctor.facts import Cluster, Machine, Node, Partition, seconds_of

CONFIG, PARTITIONS = "config.yaml", "partitions.yaml"
WIDTH = 118
# seconds that the plug-in may let pass between two looks at the queue (`max_sleep_time` in its __init__.py)
LOOK_S = 180
# seconds between two looks at the queue at first (its default)
FIRST_LOOK_S = 40
# seconds in which a training job should be able to write a checkpoint once it is told to end
CHECKPOINT_S = 10
UNSAVED = "Training needs some seconds to write a checkpoint; without them the next attempt resumes from the one before"
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
    left_out = {partition.name: refusal(partition, cluster) for partition in cluster.partitions}
    usable = [partition for partition in cluster.partitions if not left_out[partition.name]]
    plain = [partition for partition in usable if not partition.gpu_only] or usable
    gpu = [partition for partition in usable if partition.gpu_only] or [part for part in usable if part.max_gpu]
    rank = {part.name: _against_default(part, usable, cluster) for part in usable}
    plain, gpu = ([part for part in kind if not rank[part.name]] or kind for kind in (plain, gpu))
    used = {part.name for part in (*plain, *gpu)}
    left_out |= {name: why for name, why in rank.items() if name not in used}
    return Choice(plain, gpu, {name: why for name, why in left_out.items() if why})


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
    allowed, denied = _names(fields, "AllowAccounts"), _names(fields, "DenyAccounts")
    if cluster.account and (cluster.account in denied or (allowed and cluster.account not in allowed)):
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


@dataclass
class Draft:
    """Settings of a profile, with the reasons for those that were decided on."""

    settings: dict[str, Any]
    reasons: dict[str, str]

    @classmethod
    def of(cls, base: Mapping[str, Any]) -> "Draft":
        """Start from a profile of the project, which stays as it is."""
        settings = copy.deepcopy(dict(base))
        for key in ("default-resources", "set-resources", "resources"):
            settings[key] = settings.get(key) or {}
        return cls(settings, {})

    def put(self, key: str, value: Any, reason: str) -> None:
        """Decide on a key, or on ``key.key``."""
        outer, _, inner = key.partition(".")
        if inner:
            self.settings[outer][inner] = value
        else:
            self.settings[outer] = value
        self.reasons[key] = reason

    def set_resources(self, without: str) -> dict[str, dict[str, Any]]:
        """List what the profile sets for single rules, but for one resource."""
        rules = self.settings["set-resources"].items()
        kept = {rule: {key: value for key, value in asked.items() if key != without} for rule, asked in rules}
        return {rule: asked for rule, asked in kept.items() if asked}

    def text(self, head: Sequence[str], base: str) -> str:
        """Write YAML with a comment above each key: its reason, or where it is from."""
        lines = [line for words in head for line in _comment(words)]
        for key, value in self.settings.items():
            if value == {}:
                continue
            decided = any(f"{key}.{name}" in self.reasons for name in value) if isinstance(value, dict) else False
            lines += _comment(
                self.reasons.get(key) or f"as in {base}" + (" but where a reason stands" if decided else "")
            )
            if not isinstance(value, dict):
                lines.append(f"{_scalar(key)}: {_scalar(value)}")
                continue
            lines.append(f"{_scalar(key)}:")
            for name, inner in value.items():
                lines += _comment(self.reasons.get(f"{key}.{name}", ""), 2)
                lines.append(f"  {_scalar(name)}: {_scalar(inner)}")
        return "\n".join(lines) + "\n"


def for_machine(base: Mapping[str, Any], machine: Machine) -> dict[str, str]:
    """Write a profile for a machine without Slurm from that in profiles/cpu: file name to text."""
    draft = Draft.of(base)
    draft.put("cores", machine.cores, f"usable here ({machine.cores_of})")
    memory = f"MB: nine tenths of the {machine.mem_mb} MB usable here ({machine.mem_of})"
    draft.put("resources.mem_mb", machine.mem_mb * 9 // 10, memory)
    torch = machine.torch
    if why := without_cuda(torch):
        draft.reasons["set-resources"] = f"as in profiles/cpu: no GPU, since {why}"
    else:
        draft.settings["set-resources"] = draft.set_resources(without="gpu")
        one = "one GPU job at a time, on the GPU that CUDA_VISIBLE_DEVICES names, since nothing hands them out here"
        draft.put("resources.gpu", 1, f"torch {torch['version']} sees {torch['devices']}; {one}")
    head = [f"Proposed by `python -m boldflow doctor` on {machine.host}, from profiles/cpu."]
    return {CONFIG: draft.text(head, "profiles/cpu")}


def for_cluster(
    base: Mapping[str, Any],
    machine: Machine,
    cluster: Cluster,
    choice: Choice,
    nodes: Sequence[Node],
    gpu_rules: Sequence[str],
) -> dict[str, str]:
    """Write a profile for a Slurm cluster from that in profiles/slurm.

    Parameters
    ----------
    base : mapping
        profiles/slurm/config.yaml; keys that are not decided on here are carried on.
    machine, cluster, choice
        What was found out; ``choice`` holds at least one partition.
    nodes : sequence of Node
        What probes on compute nodes said; may be empty.
    gpu_rules : sequence of str
        Rules that may ask for a GPU.

    Returns
    -------
    dict
        File name to text: config.yaml, and partitions.yaml where there is more than one partition.
    """
    draft = Draft.of(base)
    draft.reasons["executor"] = f"sbatch is there: {cluster.version.text.strip()}"
    _decide_account(draft, cluster)
    if not cluster.accounting:
        _decide_status(draft, cluster)
    if cluster.max_submit is not None and cluster.max_submit < draft.settings.get("jobs", math.inf):
        draft.put("jobs", cluster.max_submit, "your account may have no more in the queue (MaxSubmitJobs)")
    if ending := short_end(cluster):
        told = "--signal" in str(draft.settings["default-resources"].get("slurm_extra"))
        key = "default-resources.slurm_extra" if told else "retries"
        draft.reasons[key] = f"as in profiles/slurm. {ending}. {UNSAVED}"
    _decide_partition(draft, choice)
    draft.put("default-resources.gpu", 0, "a rule asks for one where its plug-in's facts say so, never for more")
    draft.settings["set-resources"] = draft.set_resources(without="slurm_partition")
    if why := no_gpu(machine, choice, nodes):
        rules = draft.settings["set-resources"]
        for rule in gpu_rules:
            draft.put(f"set-resources.{rule}", {**rules.get(rule, {}), "gpu": 0}, f"no GPU: {why}")
    name = cluster.config.get("ClusterName", "(its name was not found out)")
    head = [
        f"Proposed by `python -m boldflow doctor` on {machine.host} for the cluster {name}, from profiles/slurm.",
        "Start Snakemake on a login node, inside tmux or screen.",
    ]
    files = {PARTITIONS: partitions_text(cluster, choice)} if len(choice.used) > 1 else {}
    return {CONFIG: draft.text(head, "profiles/slurm"), **files}


def _decide_account(draft: Draft, cluster: Cluster) -> None:
    draft.settings["default-resources"].pop("slurm_account", None)
    if cluster.account:
        whose = "your only one" if len(cluster.accounts) == 1 else f"your default of {', '.join(cluster.accounts)}"
        reason = f"{whose} (sacctmgr); in quotes twice, since Snakemake evaluates values as Python"
        draft.put("default-resources.slurm_account", f"'{cluster.account}'", reason)
        draft.settings.pop("slurm-no-account", None)
    elif cluster.accounts_error or not cluster.accounting:
        why = cluster.accounts_error or "Slurm keeps no accounts here"
        reason = f"{why}. Plug-in 2.8.0 reads this key and does no more: it tries to guess an account, warns, goes on"
        draft.put("slurm-no-account", True, reason)


def _decide_status(draft: Draft, cluster: Cluster) -> None:
    age = seconds_of(cluster.config, "MinJobAge")
    known = f"{age} s (MinJobAge)" if age is not None else "MinJobAge, which was not found out"
    why = cluster.sacct.error or cluster.config["AccountingStorageType"]
    reason = (
        f"sacct cannot be used: {why}. squeue knows ended jobs for {known}; Snakemake looks each {LOOK_S} s or sooner"
    )
    draft.put("slurm-status-command", "squeue", reason)
    key = "slurm-init-seconds-before-status-checks"
    if age is not None and 3 * draft.settings.get(key, FIRST_LOOK_S) > age:
        reason = f"a third of MinJobAge ({age} s) at most: above it the plug-in leaves squeue for sacct"
        draft.put(key, max(1, age // 3), reason)


def _decide_partition(draft: Draft, choice: Choice) -> None:
    draft.settings["default-resources"].pop("slurm_partition", None)
    if len(choice.used) > 1:
        reason = "beside this file: a job goes where limits are nearest above its needs (a slurm_partition would win)"
        draft.put("slurm-partition-config", PARTITIONS, reason)
        return
    others = "; ".join(f"{name}: {why}" for name, why in choice.left_out.items())
    reason = "the only one that your jobs can use" + (f" ({others})" if others else "")
    draft.put("default-resources.slurm_partition", f"'{choice.used[0].name}'", reason)


def without_cuda(torch: Mapping[str, Any]) -> str:
    """Say why torch can use no GPU; empty where it sees one."""
    if "error" in torch:
        return f"torch does not start ({torch['error']})"
    if not torch["cuda"]:
        return f"torch {torch['version']} is a build without CUDA"
    return "" if torch["devices"] else f"torch {torch['version']} (CUDA {torch['cuda']}) sees none"


def gpu_ids(look: Mapping[str, Any]) -> list[str]:
    """List the GPUs that ``CUDA_VISIBLE_DEVICES`` names; a job of ours takes exactly one."""
    return [one for one in (look["visible"] or "").split(",") if one.strip()]


def no_gpu(machine: Machine, choice: Choice, nodes: Sequence[Node]) -> str:
    """Say why a GPU job would fail; empty where nothing is known against it."""
    if not choice.gpu:
        return "no partition that you can use has GPUs"
    for look in (node.look for node in nodes if node.gpu and not node.error):
        why = without_cuda(look["torch"])
        if not why and len(gpu_ids(look)) != 1:
            why = f"CUDA_VISIBLE_DEVICES is {look['visible']} in a job that asked for one"
        return f"{why}, on {look['host']}" if why else ""
    # this machine may have no GPU where a node has; the build is the same
    return without_cuda(machine.torch) if not machine.torch.get("cuda") else ""


def short_end(cluster: Cluster) -> str:
    """Say that jobs are killed soon after they are told to end; empty where there is time for a checkpoint."""
    wait = seconds_of(cluster.config, "KillWait")
    words = []
    if wait is not None and wait < CHECKPOINT_S:
        words.append(f"KillWait: a job that is cancelled or at its time limit has {wait} s from SIGTERM to SIGKILL")
    for partition in cluster.partitions:
        grace = seconds_of(partition.fields, "GraceTime") or 0
        if grace < CHECKPOINT_S and preemptible(partition, cluster):
            words.append(f"GraceTime: a preempted job in {partition.name} has {grace} s")
    return "; ".join(words)


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
    own = limits(partition)
    kept: list[str] = []
    for key in LIMITS:
        tight = [sum(own[name] < limits(other)[name] for name in [*kept, key]) for other in plain]
        if max(tight, default=0) <= 1:
            kept.append(key)
    return kept


def partitions_text(cluster: Cluster, choice: Choice) -> str:
    """Write the file of ``slurm-partition-config``."""
    lines = _comment(
        "Proposed by `python -m boldflow doctor`: limits read off Slurm for one job on one node, in minutes, MB, CPUs "
        "and GPUs. Delete a partition that jobs should not use."
    )
    for name, why in choice.left_out.items():
        lines += _comment(f"{name} is left out: {why}")
    lines.append("partitions:")
    for partition in choice.used:
        gpus = partition.max_gpu if partition in choice.gpu else 0
        only_gpu = partition not in choice.plain
        others = [part for part in choice.plain if part not in choice.gpu] if gpus else []
        kept = kept_limits(partition, others)
        words = [f"{partition.working} of {len(partition.nodes)} nodes take jobs"]
        words += ["default partition"] if partition.default else []
        words += ["GPU jobs come here"] if only_gpu else []
        words += ["its GPUs are left to GPU partitions"] if partition.max_gpu and not gpus else []
        words += ["a job gets whole nodes"] if partition.fields.get("OverSubscribe") == "EXCLUSIVE" else []
        words += ["its jobs can be preempted"] if preemptible(partition, cluster) else []
        lines += _comment("; ".join(words), 2)
        lines.append(f"  {_scalar(partition.name)}:")
        for key, value in limits(partition).items():
            if math.isfinite(value):
                lines += [f"    {key}: {value}"] if key in kept else _unsaid(key, value)
        lines.append(f"    max_gpu: {gpus}")
        models = sorted(partition.gpus)
        if gpus and "" not in models:
            lines.append(f"    available_gpu_models: {_scalar(models)}")
    return "\n".join(lines) + "\n"


def _unsaid(key: str, value: float) -> list[str]:
    return _comment(f"{key}: {value} is not told: it would draw jobs without GPU here (the sum of need / limit)", 4)


def _names(fields: Mapping[str, str], key: str) -> set[str]:
    text = fields.get(key, "ALL")
    return set() if text in ("ALL", "NONE", "N/A", "(null)", "") else set(text.split(","))


def _comment(words: str, indent: int = 0) -> list[str]:
    start = " " * indent + "# "
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and "'" in value:
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()


def read_base(path: Path) -> dict[str, Any]:
    """Read a profile of the project.

    Raises
    ------
    ValueError
        If it is not there or no mapping of settings.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no settings")
    return found
