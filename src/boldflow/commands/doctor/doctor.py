"""``python -m boldflow doctor``: what this machine or cluster can do, and a profile for it.

``machine``, ``cluster`` and ``node`` find out, ``probe`` is what runs on a node too, modules of findings judge, and
``profile`` writes the profile.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from boldflow.artifacts.store import atomic
from boldflow.commands.doctor import partitions, profile
from boldflow.commands.doctor.asking import Waits
from boldflow.commands.doctor.cluster import Cluster, examine_cluster
from boldflow.commands.doctor.cluster_findings import of_cluster, of_partitions
from boldflow.commands.doctor.findings import BAD, OK, WARN, Finding
from boldflow.commands.doctor.machine import Machine, examine_machine
from boldflow.commands.doctor.machine_findings import of_machine
from boldflow.commands.doctor.node import Node, examine_node
from boldflow.commands.doctor.node_findings import of_node


def doctor(write: str, force: bool, jobs: bool, waits: Waits | None = None) -> tuple[str, int]:
    """Look at the machine or cluster and propose a profile.

    Parameters
    ----------
    write : str
        Folder of the profile.
    force : bool
        Whether files there may be overwritten.
    jobs : bool
        Whether short jobs may look at compute nodes.
    waits : Waits, optional
        Time limits.

    Returns
    -------
    text, exit code
        1 where a finding is bad.

    Raises
    ------
    FileNotFoundError
        If the working folder is not the project's.
    """
    folder, time_limits = Path.cwd(), waits or Waits()
    if not (folder / "profiles").is_dir():
        raise FileNotFoundError(f"profiles does not exist here ({folder}); start the command in the project's folder")
    machine = examine_machine(folder, time_limits)
    findings = list(of_machine(machine))
    cluster = examine_cluster(time_limits)
    if cluster is None:
        findings.append(Finding(OK, "Slurm", "no sbatch here", "jobs run on this machine"))
        findings += propose(write, force, lambda: profile.for_machine(_base("cpu"), machine))
    else:
        findings += _of_slurm(cluster, machine, write, force, time_limits if jobs else None)
    return _report(findings)


def _of_slurm(cluster: Cluster, machine: Machine, write: str, force: bool, waits: Waits | None) -> Iterator[Finding]:
    """Judge a cluster and propose its profile; compute nodes are looked at where there are time limits for it."""
    folder = Path.cwd()
    yield from of_cluster(cluster)
    if cluster.controller.error or cluster.partitions_error:
        reason = cluster.controller.error or cluster.partitions_error
        yield Finding(BAD, "profile", f"none proposed: {reason}", "start doctor again when Slurm answers")
        return
    choice = partitions.choose(cluster)
    yield from of_partitions(cluster, choice, _asked(folder))
    if not choice.used:
        yield Finding(BAD, "profile", "none proposed: no partition that your jobs can use")
        return
    nodes = probes(cluster, choice, folder, waits) if waits else []
    if not waits:
        todo = "start doctor without --no-jobs"
        yield Finding(WARN, "compute nodes", "not found out: no probe was run (--no-jobs)", todo)
    for node in nodes:
        yield from of_node(node)
    gpu_rules = [rule for rule, resources in (_base("cpu").get("set-resources") or {}).items() if "gpu" in resources]
    yield from propose(
        write,
        force,
        lambda: profile.for_cluster(_base("slurm"), machine, cluster, choice, nodes, gpu_rules),
    )


def probes(cluster: Cluster, choice: partitions.Choice, folder: Path, waits: Waits) -> list[Node]:
    """Look at one node of each kind: of the partition for jobs without GPU, and of that for jobs with one."""
    nodes = [examine_node(choice.plain[0].name, False, cluster.account, folder, waits)]
    if choice.gpu:
        nodes.append(examine_node(choice.gpu[0].name, True, cluster.account, folder, waits))
    return nodes


def propose(write: str, force: bool, make: Callable[[], dict[str, str]]) -> Iterator[Finding]:
    """Write the proposed files, unless that would overwrite others.

    Parameters
    ----------
    write : str
        Folder.
    force : bool
    make : callable
        Gives file name to text; a ValueError says why there is none.
    """
    try:
        files = make()
    except ValueError as error:
        yield Finding(BAD, "profile", f"none proposed: {error}", "restore it with git")
        return
    command = f"snakemake --profile {write}"
    existing_paths = {name: Path(write, name) for name in files if Path(write, name).exists()}
    differing_names = [name for name, path in existing_paths.items() if path.read_text(encoding="utf-8") != files[name]]
    if len(existing_paths) == len(files) and not differing_names:
        yield Finding(OK, "profile", f"{write} is already as proposed", command)
    elif differing_names and not force:
        paths_text = " and ".join(str(existing_paths[name]) for name in differing_names)
        yield Finding(WARN, "profile", f"nothing written: {paths_text} would be overwritten", "--force overwrites")
    else:
        yield _write(write, files, command)


def _write(folder: str, files: dict[str, str], use: str) -> Finding:
    try:
        for name, text in files.items():
            atomic.write_text(Path(folder, name), text)
    except OSError as error:
        return Finding(BAD, "profile", f"not written: {error}", "--write FOLDER names another folder")
    return Finding(OK, "profile", f"written to {folder} ({', '.join(files)})", use)


def _asked(folder: Path) -> dict[str, int]:
    """Read the largest requests that the rules write as a number, be it inside a call."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((folder / "workflow" / "rules").glob("*.smk")))
    patterns = {"max_runtime": r"\bruntime=(?:\w+\()?(\d+)", "max_mem_mb": r"\bmem_mb=(?:\w+\()?(\d+)"}
    return {key: max(map(int, re.findall(pattern, text)), default=0) for key, pattern in patterns.items()}


def _base(name: str) -> dict[str, Any]:
    return profile.read_base(Path("profiles") / name / profile.CONFIG)


def _report(findings: Sequence[Finding]) -> tuple[str, int]:
    counts = {level: sum(finding.level == level for finding in findings) for level in (OK, WARN, BAD)}
    summary = ", ".join(f"{count} {level}" for level, count in counts.items())
    return "\n".join([*map(str, findings), summary]), int(counts[BAD] > 0)
