"""``python -m boldflow doctor``: what this machine or cluster can do, and a profile for it.

``doctor_facts`` finds out, ``doctor_probe`` is what runs on a node too, ``doctor_profile`` writes the profile. Here
facts become findings, one line each: ``ok``, ``warn`` (works, with a limit that is said) or ``bad`` (runs will fail).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version
from sys import version_info
from typing import Any

from boldflow.artifacts.store import atomic
from boldflow.commands.doctor import facts, probe, profile
from boldflow.commands.doctor.facts import Cluster, Machine, Node, Partition, Waits

OK, WARN, BAD = "ok", "warn", "bad"
GB = 10**9
# .venv takes about 2 GB, the demo less than 1
DEMO_BYTES, VENV_BYTES = GB, 2 * GB
PREFETCH = "snakemake --profile cpu prefetch"
LOCKS = (
    "jobs keep each other from the same file by such locks: put the project on a file system with flock "
    "(Lustre: mounted with -o flock; NFS: not with local_lock=all or nolock)"
)


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: str
    what: str
    found: str
    todo: str = ""

    def __str__(self) -> str:
        """Write it in one line."""
        text = f"{self.level:<4}  {self.what}: {self.found}" + (f" -> {self.todo}" if self.todo else "")
        return " ".join(text.splitlines())


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
    folder, limits = Path.cwd(), waits or Waits()
    if not (folder / "profiles").is_dir():
        raise FileNotFoundError(f"profiles does not exist here ({folder}); start the command in the project's folder")
    machine = facts.machine(folder, limits)
    findings = list(of_machine(machine))
    cluster = facts.cluster(limits)
    if cluster is None:
        findings.append(Finding(OK, "Slurm", "no sbatch here", "jobs run on this machine"))
        findings += propose(write, force, lambda: profile.for_machine(_base("cpu"), machine))
        return _report(findings)
    findings += of_cluster(cluster)
    if cluster.controller.error or cluster.partitions_error:
        why = cluster.controller.error or cluster.partitions_error
        findings.append(Finding(BAD, "profile", f"none proposed: {why}", "start doctor again when Slurm answers"))
        return _report(findings)
    choice = profile.choose(cluster)
    findings += of_partitions(cluster, choice, _asked(folder))
    if not choice.used:
        findings.append(Finding(BAD, "profile", "none proposed: no partition that your jobs can use"))
        return _report(findings)
    nodes = probes(cluster, choice, folder, limits) if jobs else []
    if not jobs:
        todo = "start doctor without --no-jobs"
        findings.append(Finding(WARN, "compute nodes", "not found out: no probe was run (--no-jobs)", todo))
    for node in nodes:
        findings += of_node(node, machine)
    gpu_rules = [rule for rule, asked in (_base("cpu").get("set-resources") or {}).items() if "gpu" in asked]
    findings += propose(
        write,
        force,
        lambda: profile.for_cluster(_base("slurm"), machine, cluster, choice, nodes, gpu_rules),
    )
    return _report(findings)


def of_machine(machine: Machine) -> Iterator[Finding]:
    """Judge this machine."""
    yield Finding(OK, "cores", f"{machine.cores} usable ({machine.cores_of})")
    yield Finding(OK, "memory", f"{machine.mem_mb} MB usable ({machine.mem_of})")
    need = DEMO_BYTES + (0 if machine.venv else VENV_BYTES)
    words = f"{_gb(machine.disk_free)} free for the project (a quota of your account would not show here)"
    words += f"; needed for {'the demo' if machine.venv else 'the demo and .venv'}: about {_gb(need)}"
    short = machine.disk_free < need
    yield Finding(BAD if short else OK, "disk", words, "make room or move the project" if short else "")
    found = version_info[:2] >= (3, 11)
    yield Finding(OK if found else BAD, "Python", python_version(), "" if found else "3.11 or later is needed")
    for name, todo in (
        ("git", "install it with the system's package manager"),
        ("git-annex", "it comes with the package into .venv: start doctor with .venv/bin/python, or run make"),
    ):
        program = machine.programs[name]
        yield Finding(BAD, name, program.error, todo) if program.error else Finding(OK, name, program.text.strip())
    for name in ("snakemake", "snakemake-executor-plugin-slurm"):
        try:
            yield Finding(OK, name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(BAD, name, "not there", "start doctor with .venv/bin/python, or run make to set .venv up")
    yield from _of_torch(machine)
    yield from _of_folder("file locks", machine.look)
    yield from _of_scratch("scratch", machine.look)
    unreached = _unreached(machine.look)
    if unreached:
        yield Finding(WARN, "network", f"not reached: {unreached}", "downloads fail here; the demo needs none")
    else:
        yield Finding(OK, "network", f"reached {', '.join(facts.HOSTS)}")


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
    size = facts.seconds_of(cluster.config, "MaxArraySize")
    if size is not None and size < 3:
        yield Finding(BAD, "MaxArraySize", str(size), "Snakemake's plug-in for Slurm refuses to start below 3")
    else:
        yield Finding(OK, "MaxArraySize", "not found out" if size is None else str(size))
    yield _of_preemption(cluster)
    if ending := profile.short_end(cluster):
        yield Finding(WARN, "end of jobs", ending, profile.UNSAVED)
    else:
        yield Finding(OK, "end of jobs", f"KillWait: {cluster.config.get('KillWait', 'not found out')}")


def _of_preemption(cluster: Cluster) -> Finding:
    kind, mode = (cluster.config.get(key, "not found out") for key in ("PreemptType", "PreemptMode"))
    if kind == "preempt/none":
        return Finding(OK, "preemption", "none")
    ended = [part.name for part in cluster.partitions if profile.preemptible(part, cluster)]
    where = f"jobs in {', '.join(ended)} can be ended for others" if ended else "not by partition"
    todo = (
        "a preempted job counts as failed and is tried again (retries in the profile); an iterative model goes on from "
        "its checkpoint, others start anew: long fits are better off where nothing is preempted"
    )
    safe = kind == "preempt/partition_prio" and not ended
    return Finding(OK if safe else WARN, "preemption", f"{kind}, mode {mode}; {where}", "" if safe else todo)


def _of_accounting(cluster: Cluster) -> Iterator[Finding]:
    kind = cluster.config.get("AccountingStorageType", "storage not found out")
    if cluster.accounting:
        yield Finding(OK, "accounting", f"sacct answers ({kind})")
        return
    missing = "No such file" in cluster.sacct.error
    words = f"sacct cannot be used: {cluster.sacct.error or kind}"
    if missing and not cluster.account:
        todo = "Snakemake's plug-in calls sacct to guess an account and fails without it: install Slurm's clients"
        yield Finding(BAD, "accounting", words, todo)
        return
    age = facts.seconds_of(cluster.config, "MinJobAge")
    if age is None:
        todo = "Snakemake must ask squeue, which knows ended jobs for MinJobAge seconds: not found out"
        yield Finding(WARN, "accounting", words, todo)
    elif age < profile.LOOK_S + 20:  # a look takes its time
        todo = (
            f"squeue forgets ended jobs after MinJobAge = {age} s and Snakemake may look only every "
            f"{profile.LOOK_S} s: it would wait for ever; ask the administrators for MinJobAge=300"
        )
        yield Finding(BAD, "accounting", words, todo)
    else:
        yield Finding(WARN, "accounting", words, f"Snakemake asks squeue, which knows ended jobs for {age} s")


def _of_accounts(cluster: Cluster) -> Iterator[Finding]:
    names = ", ".join(cluster.accounts)
    enforced = "associations" in cluster.config.get("AccountingStorageEnforce", "")
    if cluster.account:
        more = f"; at most {cluster.max_submit} jobs in the queue" if cluster.max_submit is not None else ""
        yield Finding(OK, "account", f"{cluster.account} (yours: {names}){more}")
    elif cluster.accounts_error:
        yield Finding(WARN, "account", f"not found out: {cluster.accounts_error}", "jobs name none")
    elif cluster.accounts:
        todo = "write slurm_account: NAME under default-resources of the profile"
        yield Finding(WARN, "account", f"{names}, none of them your default", todo)
    elif enforced:
        todo = "jobs will be refused: ask the administrators for an account"
        yield Finding(BAD, "account", "none, and Slurm asks for one", todo)
    else:
        yield Finding(OK, "account", "none, and Slurm asks for none")


def of_partitions(cluster: Cluster, choice: profile.Choice, asked: Mapping[str, int]) -> Iterator[Finding]:
    """Judge partitions, and whether the largest request of the rules fits into one.

    Parameters
    ----------
    cluster, choice
    asked : mapping
        ``max_runtime`` (minutes) and ``max_mem_mb`` of the most demanding rule.
    """
    for partition in cluster.partitions:
        why = choice.left_out.get(partition.name)
        yield Finding(OK, f"partition {partition.name}", _described(partition), f"left out: {why}" if why else "")
    if not choice.used:
        return
    kinds = ", ".join(sorted({model or "no type" for part in choice.gpu for model in part.gpus}))
    if choice.gpu:
        where = ", ".join(part.name for part in choice.gpu)
        yield Finding(OK, "GPUs", f"in {where} ({kinds}), at most {max(part.max_gpu for part in choice.gpu)} on a node")
    else:
        yield Finding(WARN, "GPUs", "no partition that you can use has any", "all rules run on CPUs")
    for key, value in asked.items():
        most = max(profile.limits(part)[key] for part in choice.plain)
        if value > most:
            todo = "set less for that rule under set-resources: such a job is refused, or goes to a GPU partition"
            yield Finding(WARN, f"largest {key[4:]} of a rule", f"{value}, but partitions allow {most:g}", todo)


def probes(cluster: Cluster, choice: profile.Choice, folder: Path, waits: Waits) -> list[Node]:
    """Look at one node of each kind: of the partition for jobs without GPU, and of that for jobs with one."""
    found = [facts.node(choice.plain[0].name, False, cluster.account, folder, waits)]
    if choice.gpu:
        found.append(facts.node(choice.gpu[0].name, True, cluster.account, folder, waits))
    return found


def of_node(node: Node, machine: Machine) -> Iterator[Finding]:
    """Judge a compute node by what the probe said there."""
    where = f"node of {node.partition}" + (" with GPU" if node.gpu else "")
    if node.error:
        if node.busy:
            todo = "start doctor again when the queue is shorter"
            yield Finding(WARN, where, f"not found out: {node.error}", todo)
        else:
            yield Finding(BAD, where, f"the probe did not run: {node.error}", "your jobs there will not run either")
        return
    look = node.look
    where = f"node {look['host']} ({node.partition}{', with GPU' if node.gpu else ''})"
    yield from _of_sharing(where, look)
    yield from _of_folder(f"{where}, file locks", look)
    yield from _of_scratch(f"{where}, scratch", look)
    if unreached := _unreached(look):
        todo = f"jobs there cannot download: run `{PREFETCH}` on the login node first"
        yield Finding(WARN, f"{where}, network", f"not reached: {unreached}", todo)
    else:
        yield Finding(OK, f"{where}, network", f"reached {', '.join(look['network'])}")
    if node.gpu:
        one = len(profile.gpu_ids(look)) == 1
        todo = "" if one else "a job must get the one GPU it asked for: ask the administrators (GresTypes, gres.conf)"
        yield Finding(OK if one else WARN, f"{where}, CUDA_VISIBLE_DEVICES", str(look["visible"]), todo)
        without = profile.without_cuda(look["torch"])
        if without:
            todo = "GPU jobs would fail, so the profile sets gpu: 0; install torch for CUDA and start doctor again"
            yield Finding(WARN, f"{where}, torch", without, todo)
        else:
            yield Finding(OK, f"{where}, torch", f"{look['torch']['version']} sees {look['torch']['devices']} GPU")


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
    use = f"snakemake --profile {write}"
    there = {name: Path(write, name) for name in files if Path(write, name).exists()}
    other = [name for name, path in there.items() if path.read_text(encoding="utf-8") != files[name]]
    if len(there) == len(files) and not other:
        yield Finding(OK, "profile", f"{write} is already as proposed", use)
    elif other and not force:
        names = " and ".join(str(there[name]) for name in other)
        yield Finding(WARN, "profile", f"nothing written: {names} would be overwritten", "--force overwrites")
    else:
        try:
            for name, text in files.items():
                atomic.write_text(Path(write, name), text)
        except OSError as error:
            yield Finding(BAD, "profile", f"not written: {error}", "--write FOLDER names another folder")
        else:
            yield Finding(OK, "profile", f"written to {write} ({', '.join(files)})", use)


def _of_torch(machine: Machine) -> Iterator[Finding]:
    names = [" ".join(line.split()) for line in machine.gpus.text.splitlines()]
    none = f"none ({machine.gpus.error or 'nvidia-smi lists none'})"
    yield Finding(OK, "GPUs here", "; ".join(names) or none)
    torch = machine.torch
    if "error" in torch:
        yield Finding(BAD, "torch", torch["error"], "run make to set .venv up")
        return
    build = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "built without CUDA"
    words = f"{torch['version']}, {build}, sees {torch['devices']} GPU"
    if names and not torch["devices"]:
        yield Finding(WARN, "torch", words, "torch cannot use the GPU here: install its build for CUDA")
    else:
        yield Finding(OK, "torch", words)
    if torch["devices"] and len(profile.gpu_ids(machine.look)) != 1:
        todo = "name one GPU before a run that uses it here, for example: export CUDA_VISIBLE_DEVICES=0"
        yield Finding(WARN, "CUDA_VISIBLE_DEVICES", str(machine.look["visible"]), todo)


def _of_sharing(where: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether a node sees what is written here and respects locks that are held here."""
    if not look["folder"] or not look["held"]["seen"]:
        waited = f" in {look['held']['after']:.0f} s" if look["folder"] else ""
        todo = "put the project on a file system that nodes share"
        yield Finding(BAD, f"{where}, project", f"a file written here does not appear there{waited}", todo)
        return
    yield Finding(OK, f"{where}, project", f"a file written here appears there after {look['held']['after']:.1f} s")
    if look["python"] != look["asked_python"]:
        todo = ".venv and the Python it was made from must be where nodes see them"
        yield Finding(BAD, f"{where}, Python", f"{look['asked_python']} does not start there", todo)
    else:
        yield Finding(OK, f"{where}, Python", f"{look['python']} starts there")
    lock = look["held"]["lock"]
    if lock == probe.REFUSED:
        yield Finding(OK, f"{where}, lock held here", "refused there")
    else:
        words = "taken there too" if lock == probe.TAKEN else lock
        yield Finding(BAD, f"{where}, lock held here", words, LOCKS)


def _of_folder(what: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    if look["lock"]:
        yield Finding(BAD, what, look["lock"], LOCKS)
    else:
        yield Finding(OK, what, "a second process is refused while the first holds the lock")
    name = what.replace("file locks", "hard links")
    if look["link"]:
        yield Finding(WARN, name, look["link"], "a job that is started twice then does its work twice")
    else:
        yield Finding(OK, name, "can be made")


def _of_scratch(what: str, look: Mapping[str, Any]) -> Iterator[Finding]:
    words = [
        f"{place['name']} {place['state']}"
        + (f" ({place['path']})" if place["path"] not in ("", place["name"]) else "")
        + (f", {_gb(place['free'])} free" if place["state"] == "writable" else "")
        for place in look["scratch"]
    ]
    if any(place["state"] == "writable" and place["free"] >= GB for place in look["scratch"]):
        yield Finding(OK, what, "; ".join(words))
    else:
        todo = "set TMPDIR to a writable folder with some GB free"
        yield Finding(BAD, what, "; ".join(words), todo)


def _unreached(look: Mapping[str, Any]) -> str:
    errors = {host: error for host, error in look["network"].items() if error}
    return f"{', '.join(errors)} ({'; '.join(sorted(set(errors.values())))})" if errors else ""


def _described(partition: Partition) -> str:
    limit = f"{partition.minutes} min" if partition.minutes is not None else "no time limit"
    gpus = ", ".join(f"{count} x {model or 'GPU without type'}" for model, count in sorted(partition.gpus.items()))
    words = ["default"] if partition.default else []
    words += [
        str(partition.fields.get("State")),
        limit,
        f"{partition.working} of {len(partition.nodes)} nodes take jobs",
    ]
    words += [f"up to {partition.cpus} CPUs", f"{partition.mem_mb} MB", *([gpus] if gpus else [])]
    return ", ".join(words)


def _asked(folder: Path) -> dict[str, int]:
    """Read the largest requests that the rules write as a number, be it inside a call."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((folder / "workflow" / "rules").glob("*.smk")))
    patterns = {"max_runtime": r"\bruntime=(?:\w+\()?(\d+)", "max_mem_mb": r"\bmem_mb=(?:\w+\()?(\d+)"}
    return {key: max(map(int, re.findall(pattern, text)), default=0) for key, pattern in patterns.items()}


def _base(name: str) -> dict[str, Any]:
    return profile.read_base(Path("profiles") / name / profile.CONFIG)


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB"


def _report(findings: Sequence[Finding]) -> tuple[str, int]:
    counts = {level: sum(finding.level == level for finding in findings) for level in (OK, WARN, BAD)}
    summary = ", ".join(f"{count} {level}" for level, count in counts.items())
    return "\n".join([*map(str, findings), summary]), int(counts[BAD] > 0)
