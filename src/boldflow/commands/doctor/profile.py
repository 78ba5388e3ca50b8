"""The profile that ``doctor`` proposes: its text with a reason beside each value."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from boldflow.commands.doctor.cluster import Cluster, seconds_of
from boldflow.commands.doctor.draft import Draft
from boldflow.commands.doctor.machine import Machine
from boldflow.commands.doctor.node import Node
from boldflow.commands.doctor.partitions import Choice, partitions_text, preemptible

CONFIG, PARTITIONS = "config.yaml", "partitions.yaml"
# seconds that the plug-in may let pass between two looks at the queue (`max_sleep_time` in its __init__.py)
LOOK_S = 180
# seconds between two looks at the queue at first (its default)
FIRST_LOOK_S = 40
# seconds in which a training job should be able to keep its progress once it is told to end
KEEP_S = 10
UNSAVED = "Training needs some seconds to keep its progress; without them the next attempt resumes from an earlier step"


def for_machine(base: Mapping[str, Any], machine: Machine) -> dict[str, str]:
    """Write a profile for a machine without Slurm from that in profiles/cpu: file name to text."""
    draft = Draft.of(base)
    draft.put("cores", machine.cores, f"usable here ({machine.cores_of})")
    memory_reason = f"MB: nine tenths of the {machine.mem_mb} MB usable here ({machine.mem_of})"
    draft.put("resources.mem_mb", machine.mem_mb * 9 // 10, memory_reason)
    torch_facts = machine.torch
    if no_gpu_reason := without_cuda(torch_facts):
        draft.reasons["set-resources"] = f"as in profiles/cpu: no GPU, since {no_gpu_reason}"
    else:
        draft.settings["set-resources"] = draft.set_resources(without="gpu")
        one_gpu_reason = (
            "one GPU job at a time, on the GPU that CUDA_VISIBLE_DEVICES names, since nothing hands them out here"
        )
        draft.put("resources.gpu", 1, f"torch {torch_facts['version']} sees {torch_facts['devices']}; {one_gpu_reason}")
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
    if end_text := short_end(cluster):
        _reason_of_end(draft, end_text)
    _decide_partition(draft, choice)
    draft.put("default-resources.gpu", 0, "a rule asks for one where its plug-in's facts say so, never for more")
    draft.settings["set-resources"] = draft.set_resources(without="slurm_partition")
    if no_gpu_reason := no_gpu(machine, choice, nodes):
        _decide_no_gpu(draft, gpu_rules, no_gpu_reason)
    cluster_id = cluster.config.get("ClusterName", "(its name was not found out)")
    head = [
        f"Proposed by `python -m boldflow doctor` on {machine.host} for the cluster {cluster_id}, from profiles/slurm.",
        "Start Snakemake on a login node, inside tmux or screen.",
    ]
    files = {PARTITIONS: partitions_text(cluster, choice)} if len(choice.used) > 1 else {}
    return {CONFIG: draft.text(head, "profiles/slurm"), **files}


def _reason_of_end(draft: Draft, ending: str) -> None:
    signals = "--signal" in str(draft.settings["default-resources"].get("slurm_extra"))
    key = "default-resources.slurm_extra" if signals else "retries"
    draft.reasons[key] = f"as in profiles/slurm. {ending}. {UNSAVED}"


def _decide_no_gpu(draft: Draft, gpu_rules: Sequence[str], why: str) -> None:
    rules = draft.settings["set-resources"]
    for rule in gpu_rules:
        draft.put(f"set-resources.{rule}", {**rules.get(rule, {}), "gpu": 0}, f"no GPU: {why}")


def _decide_account(draft: Draft, cluster: Cluster) -> None:
    draft.settings["default-resources"].pop("slurm_account", None)
    if cluster.account:
        account_text = (
            "your only one" if len(cluster.accounts) == 1 else f"your default of {', '.join(cluster.accounts)}"
        )
        reason = f"{account_text} (sacctmgr); in quotes twice, since Snakemake evaluates values as Python"
        draft.put("default-resources.slurm_account", f"'{cluster.account}'", reason)
        draft.settings.pop("slurm-no-account", None)
    elif cluster.accounts_error or not cluster.accounting:
        no_account_text = cluster.accounts_error or "Slurm keeps no accounts here"
        reason = (
            f"{no_account_text}. Plug-in 2.8.0 reads this key and does no more: it tries to guess an account, warns, "
            "goes on"
        )
        draft.put("slurm-no-account", True, reason)


def _decide_status(draft: Draft, cluster: Cluster) -> None:
    age_s = seconds_of(cluster.config, "MinJobAge")
    known_text = f"{age_s} s (MinJobAge)" if age_s is not None else "MinJobAge, which was not found out"
    sacct_problem = cluster.sacct.error or cluster.config["AccountingStorageType"]
    reason = (
        f"sacct cannot be used: {sacct_problem}. squeue knows ended jobs for {known_text}; Snakemake looks each "
        f"{LOOK_S} s or sooner"
    )
    draft.put("slurm-status-command", "squeue", reason)
    key = "slurm-init-seconds-before-status-checks"
    if age_s is not None and 3 * draft.settings.get(key, FIRST_LOOK_S) > age_s:
        reason = f"a third of MinJobAge ({age_s} s) at most: above it the plug-in leaves squeue for sacct"
        draft.put(key, max(1, age_s // 3), reason)


def _decide_partition(draft: Draft, choice: Choice) -> None:
    draft.settings["default-resources"].pop("slurm_partition", None)
    if len(choice.used) > 1:
        reason = "beside this file: a job goes where limits are nearest above its needs (a slurm_partition would win)"
        draft.put("slurm-partition-config", PARTITIONS, reason)
        return
    others_text = "; ".join(f"{name}: {refusal}" for name, refusal in choice.left_out.items())
    reason = "the only one that your jobs can use" + (f" ({others_text})" if others_text else "")
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
    return [gpu for gpu in (look["visible"] or "").split(",") if gpu.strip()]


def no_gpu(machine: Machine, choice: Choice, nodes: Sequence[Node]) -> str:
    """Say why a GPU job would fail; empty where nothing is known against it."""
    if not choice.gpu:
        return "no partition that you can use has GPUs"
    for look in (node.look for node in nodes if node.gpu and not node.error):
        reason = without_cuda(look["torch"])
        if not reason and len(gpu_ids(look)) != 1:
            reason = f"CUDA_VISIBLE_DEVICES is {look['visible']} in a job that asked for one"
        return f"{reason}, on {look['host']}" if reason else ""
    # this machine may have no GPU where a node has; the build is the same
    return without_cuda(machine.torch) if not machine.torch.get("cuda") else ""


def short_end(cluster: Cluster) -> str:
    """Say that jobs are killed soon after they are told to end; empty where there is time to keep progress."""
    kill_wait_s = seconds_of(cluster.config, "KillWait")
    sentences = []
    if kill_wait_s is not None and kill_wait_s < KEEP_S:
        sentences.append(
            f"KillWait: a job that is cancelled or at its time limit has {kill_wait_s} s from SIGTERM to SIGKILL"
        )
    for partition in cluster.partitions:
        grace_s = seconds_of(partition.fields, "GraceTime") or 0
        if grace_s < KEEP_S and preemptible(partition, cluster):
            sentences.append(f"GraceTime: a preempted job in {partition.name} has {grace_s} s")
    return "; ".join(sentences)


def read_base(path: Path) -> dict[str, Any]:
    """Read a profile of the project.

    Raises
    ------
    ValueError
        If it is not there or no mapping of settings.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds no settings")
    return settings
