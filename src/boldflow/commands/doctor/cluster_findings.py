"""Slurm, its accounting, its settings and its partitions, judged."""

from collections.abc import Iterator, Mapping

from boldflow.commands.doctor.cluster import Cluster, Partition, seconds_of
from boldflow.commands.doctor.findings import BAD, OK, WARN, Finding
from boldflow.commands.doctor.partitions import Choice, limits, preemptible
from boldflow.commands.doctor.profile import LOOK_S, UNSAVED, short_end


def of_cluster(cluster: Cluster) -> Iterator[Finding]:
    """Judge Slurm, its accounting and its settings."""
    version = cluster.version
    yield Finding(BAD if version.error else OK, "Slurm", version.error or version.text.strip())
    if cluster.controller.error:
        todo = "nothing more can be found out before it answers; ask the administrators if it stays so"
        yield Finding(BAD, "Slurm controller", cluster.controller.error, todo)
    else:
        yield Finding(OK, "Slurm controller", " ".join(cluster.controller.text.split()))
        if cluster.config_error:
            yield Finding(WARN, "Slurm settings", f"not found out: {cluster.config_error}")
    yield from _of_accounting(cluster)
    yield from _of_accounts(cluster)
    if not cluster.config:
        return
    max_array_size = seconds_of(cluster.config, "MaxArraySize")
    if max_array_size is not None and max_array_size < 3:
        yield Finding(
            BAD, "MaxArraySize", str(max_array_size), "Snakemake's plug-in for Slurm refuses to start below 3"
        )
    else:
        yield Finding(OK, "MaxArraySize", "not found out" if max_array_size is None else str(max_array_size))
    yield _of_preemption(cluster)
    if end_text := short_end(cluster):
        yield Finding(WARN, "end of jobs", end_text, UNSAVED)
    else:
        yield Finding(OK, "end of jobs", f"KillWait: {cluster.config.get('KillWait', 'not found out')}")


def _of_preemption(cluster: Cluster) -> Finding:
    preempt_type, mode = (cluster.config.get(key, "not found out") for key in ("PreemptType", "PreemptMode"))
    if preempt_type == "preempt/none":
        return Finding(OK, "preemption", "none")
    preemptible_names = [part.name for part in cluster.partitions if preemptible(part, cluster)]
    scope = (
        f"jobs in {', '.join(preemptible_names)} can be ended for others" if preemptible_names else "not by partition"
    )
    todo = (
        "a preempted job counts as failed and is tried again (retries in the profile); an iterative model goes on from "
        "kept progress, others start anew: long fits are better off where nothing is preempted"
    )
    is_safe = preempt_type == "preempt/partition_prio" and not preemptible_names
    return Finding(
        OK if is_safe else WARN, "preemption", f"{preempt_type}, mode {mode}; {scope}", "" if is_safe else todo
    )


def _of_accounting(cluster: Cluster) -> Iterator[Finding]:
    storage = cluster.config.get("AccountingStorageType", "storage not found out")
    if cluster.accounting:
        yield Finding(OK, "accounting", f"sacct answers ({storage})")
        return
    is_missing = "No such file" in cluster.sacct.error
    problem = f"sacct cannot be used: {cluster.sacct.error or storage}"
    if is_missing and not cluster.account:
        todo = "Snakemake's plug-in calls sacct to guess an account and fails without it: install Slurm's clients"
        yield Finding(BAD, "accounting", problem, todo)
        return
    age_s = seconds_of(cluster.config, "MinJobAge")
    if age_s is None:
        todo = "Snakemake must ask squeue, which knows ended jobs for MinJobAge seconds: not found out"
        yield Finding(WARN, "accounting", problem, todo)
    elif age_s < LOOK_S + 20:  # a look takes its time
        todo = (
            f"squeue forgets ended jobs after MinJobAge = {age_s} s and Snakemake may look only every "
            f"{LOOK_S} s: it would wait for ever; ask the administrators for MinJobAge=300"
        )
        yield Finding(BAD, "accounting", problem, todo)
    else:
        yield Finding(WARN, "accounting", problem, f"Snakemake asks squeue, which knows ended jobs for {age_s} s")


def _of_accounts(cluster: Cluster) -> Iterator[Finding]:
    accounts_text = ", ".join(cluster.accounts)
    is_enforced = "associations" in cluster.config.get("AccountingStorageEnforce", "")
    if cluster.account:
        limit_text = f"; at most {cluster.max_submit} jobs in the queue" if cluster.max_submit is not None else ""
        yield Finding(OK, "account", f"{cluster.account} (yours: {accounts_text}){limit_text}")
    elif cluster.accounts_error:
        yield Finding(WARN, "account", f"not found out: {cluster.accounts_error}", "jobs name none")
    elif cluster.accounts:
        todo = "write slurm_account: NAME under default-resources of the profile"
        yield Finding(WARN, "account", f"{accounts_text}, none of them your default", todo)
    elif is_enforced:
        todo = "jobs will be refused: ask the administrators for an account"
        yield Finding(BAD, "account", "none, and Slurm asks for one", todo)
    else:
        yield Finding(OK, "account", "none, and Slurm asks for none")


def of_partitions(cluster: Cluster, choice: Choice, asked: Mapping[str, int]) -> Iterator[Finding]:
    """Judge partitions, and whether the largest request of the rules fits into one.

    Parameters
    ----------
    cluster, choice
    asked : mapping
        ``max_runtime`` (minutes) and ``max_mem_mb`` of the most demanding rule.
    """
    for partition in cluster.partitions:
        reason = choice.left_out.get(partition.name)
        yield Finding(OK, f"partition {partition.name}", _described(partition), f"left out: {reason}" if reason else "")
    if not choice.used:
        return
    models_text = ", ".join(sorted({model or "no type" for part in choice.gpu for model in part.gpus}))
    if choice.gpu:
        gpu_partitions = ", ".join(part.name for part in choice.gpu)
        yield Finding(
            OK,
            "GPUs",
            f"in {gpu_partitions} ({models_text}), at most {max(part.max_gpu for part in choice.gpu)} on a node",
        )
    else:
        yield Finding(WARN, "GPUs", "no partition that you can use has any", "all rules run on CPUs")
    for key, value in asked.items():
        limit = max(limits(part)[key] for part in choice.plain)
        if value > limit:
            todo = "set less for that rule under set-resources: such a job is refused, or goes to a GPU partition"
            yield Finding(WARN, f"largest {key[4:]} of a rule", f"{value}, but partitions allow {limit:g}", todo)


def _described(partition: Partition) -> str:
    limit = f"{partition.minutes} min" if partition.minutes is not None else "no time limit"
    gpus_text = ", ".join(f"{count} x {model or 'GPU without type'}" for model, count in sorted(partition.gpus.items()))
    words = ["default"] if partition.default else []
    words += [
        str(partition.fields.get("State")),
        limit,
        f"{partition.working} of {len(partition.nodes)} nodes take jobs",
    ]
    words += [f"up to {partition.cpus} CPUs", f"{partition.mem_mb} MB", *([gpus_text] if gpus_text else [])]
    return ", ".join(words)
