"""``doctor`` with fake clients of Slurm on a PATH of their own; the fake srun runs the real probe on this machine."""

import fcntl
import json
import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

from boldflow.__main__ import main
from boldflow.commands.doctor import doctor as command
from boldflow.commands.doctor import facts, probe, profile
from boldflow.commands.doctor.facts import Cluster, Partition, Waits
from tests.conftest import ROOT

WAITS = Waits(client=5, connect=1, queue=5, work=20, torch=20, appear=1)
CPU = {
    "cores": "all",
    "scheduler": "greedy",
    "set-resources": {"train_model": {"gpu": 0}, "cache_features": {"gpu": 0}},
}
SLURM = {
    **{"executor": "slurm", "jobs": 50, "retries": 1, "slurm-no-requeue": True, "slurm-no-account": True},
    "set-resources": {"make_split": {"lane": 1}},
    "default-resources": {"slurm_account": "yours", "slurm_partition": "yours", "mem_mb": 4000, "gpu": 0},
}
CONFIG = {
    **{"AccountingStorageType": "accounting_storage/slurmdbd", "ClusterName": "big", "KillWait": "30 sec"},
    **{"MinJobAge": "300 sec", "MaxArraySize": "1001", "PreemptType": "preempt/none", "PreemptMode": "OFF"},
}
OPEN = "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL MinNodes=0 State=UP PriorityTier=1 PreemptMode=OFF"
PARTITIONS = f"""\
PartitionName=short {OPEN} Default=NO MaxTime=01:00:00
PartitionName=normal {OPEN} Default=YES MaxTime=7-00:00:00
PartitionName=gpu {OPEN} Default=NO MaxTime=1-00:00:00 MaxMemPerNode=200000
PartitionName=theirs {OPEN.replace("AllowAccounts=ALL", "AllowAccounts=physics")} Default=NO MaxTime=UNLIMITED
PartitionName=broken {OPEN} Default=NO MaxTime=UNLIMITED
"""
NODES = """\
normal|a1|128|512000|(null)|idle
short|a1|128|512000|(null)|idle
normal|a2|64|256000|(null)|mix
short|a2|64|256000|(null)|mix
gpu|g1|64|300000|gpu:a100:4(S:0-1)|alloc
gpu|g2|48|250000|gpu:v100:8(S:0,1)|drain
theirs|t1|64|256000|(null)|idle
broken|b1|64|256000|(null)|down*
"""
TORCH = """
import types
__version__, version = "9.9", types.SimpleNamespace(cuda={cuda!r})
cuda = types.SimpleNamespace(device_count=lambda: {devices})
"""


class Machine:
    """A made-up machine: programs on a PATH of their own, a torch of our own, a small project."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.programs = folder, folder / "bin"
        for part in ("bin", "torch", "profiles/cpu", "profiles/slurm", "workflow/rules"):
            (folder / part).mkdir(parents=True)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PATH", str(self.programs))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("USER", "someone")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        (folder / "profiles/cpu/config.yaml").write_text(yaml.safe_dump(CPU))
        (folder / "profiles/slurm/config.yaml").write_text(yaml.safe_dump(SLURM))
        self.program("git", "echo git version 2")
        self.torch()

    def torch(self, cuda=None, devices=0):
        (self.folder / "torch" / "__init__.py").write_text(TORCH.format(cuda=cuda, devices=devices))

    def program(self, name, script):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def slurm(self, partitions=PARTITIONS, nodes=NODES, accounts="lab||\n", default="lab", srun="", **config):
        """Make the clients; ``srun`` replaces what a probe does."""
        settings = "".join(f"{key:<24}= {value}\n" for key, value in {**CONFIG, **config}.items())
        for name, text in {"config": settings, "partitions": partitions, "nodes": nodes, "accounts": accounts}.items():
            (self.folder / name).write_text(text)
        self.program("sbatch", "echo slurm 99.1")
        self.program(
            "scontrol",
            'case "$*" in ping) echo "Slurmctld(primary) at head is UP";;'
            f' "show config") /bin/cat {self.folder}/config;;'
            f' "show partition -o") /bin/cat {self.folder}/partitions;; *) exit 9;; esac',
        )
        self.program("sinfo", f"/bin/cat {self.folder}/nodes")
        self.program("sacct", 'case "$*" in *JobIdRaw,State*) ;; *) exit 9;; esac')
        self.program(
            "sacctmgr",
            f'case "$*" in *associations*user=someone*) /bin/cat {self.folder}/accounts;;'
            f' *"show user someone"*) echo {default};; *) exit 9;; esac',
        )
        self.program("scancel", "exit 0")
        run = 'while [ "$1" != /bin/sh ]; do case "$1" in --gpus=1) export CUDA_VISIBLE_DEVICES=3;; esac; shift; done'
        self.program("srun", srun or f'echo "$@" >> {self.folder}/asked\n{run}\nexec "$@"')

    def without_accounting(self, program=True, **config):
        self.slurm(**{"AccountingStorageType": "accounting_storage/none", **config})
        for name in ("sacct", "sacctmgr"):
            self.program(name, "echo Slurm accounting storage is disabled >&2; exit 1")
        if not program:
            (self.programs / "sacct").unlink()

    def doctor(self, write="proposed", force=False, jobs=True, waits=WAITS):
        text, code = command.doctor(write, force, jobs, waits)
        return text, code, text.splitlines()

    def config(self):
        return yaml.safe_load(Path("proposed/config.yaml").read_text())


@pytest.fixture
def here(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(facts, "HOSTS", [f"127.0.0.1:{server.getsockname()[1]}"])
        yield Machine(tmp_path, monkeypatch)


def line(lines, what):
    """The one line of the report on something."""
    found = [text for text in lines if text[6:].split(": ")[0] == what]
    assert len(found) == 1, (what, lines)
    return found[0]


def bad(lines):
    return [text for text in lines if text.startswith("bad")]


def above(key):
    """The comment above a line of the proposed profile."""
    lines = Path("proposed/config.yaml").read_text().splitlines()
    index = next(index for index, text in enumerate(lines) if text.strip().startswith(f"{key}:"))
    words = []
    while lines[index - 1].strip().startswith("#"):
        index -= 1
        words.insert(0, lines[index].strip(" #"))
    return " ".join(words)


# a machine without Slurm


def test_without_slurm_the_profile_holds_what_the_machine_has(here, monkeypatch):
    monkeypatch.setattr(facts, "usable_cores", lambda: (3, "of 8"))
    monkeypatch.setattr(facts, "usable_memory", lambda: (10_000, "of 64000 MB"))
    text, code, lines = here.doctor()
    assert code == 0, text
    assert line(lines, "Slurm").startswith("ok    Slurm: no sbatch")
    assert here.config() == {**CPU, "cores": 3, "resources": {"mem_mb": 9000}}
    assert "of 8" in above("cores") and "64000 MB" in above("mem_mb")
    assert "without CUDA" in above("set-resources") and above("scheduler") == "as in profiles/cpu"


def test_a_gpu_that_torch_sees_is_given_to_one_job_at_a_time(here):
    here.torch(cuda="12.8", devices=2)
    here.program("nvidia-smi", "echo H200, 141 GB; echo H200, 141 GB")
    _, code, lines = here.doctor()
    assert code == 0
    assert line(lines, "GPUs here").endswith("H200, 141 GB; H200, 141 GB")
    assert "CUDA_VISIBLE_DEVICES=0" in line(lines, "CUDA_VISIBLE_DEVICES")
    assert "set-resources" not in here.config() and here.config()["resources"]["gpu"] == 1


def test_a_gpu_that_torch_cannot_use_is_said(here):
    here.program("nvidia-smi", "echo H200, 141 GB")
    _, _, lines = here.doctor()
    assert line(lines, "torch").startswith("warn")
    assert here.config()["set-resources"] == CPU["set-resources"]


def test_what_is_missing_is_bad(here, monkeypatch):
    (here.programs / "git").unlink()
    monkeypatch.setattr(sys, "executable", str(here.folder / "python"))
    Path(sys.executable).symlink_to(sys._base_executable)
    monkeypatch.setattr(facts.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**6))
    (here.folder / "torch" / "__init__.py").write_text("raise ImportError('libcuda is not there')")
    _, code, lines = here.doctor()
    assert code == 1
    assert {text.split(":")[0][6:] for text in bad(lines)} == {"git", "git-annex", "disk", "torch"}
    assert "libcuda is not there" in line(lines, "torch")


def test_hosts_that_are_not_reached_are_named_with_the_reason(here, monkeypatch):
    _, _, lines = here.doctor()
    assert line(lines, "network").startswith("ok")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(facts, "HOSTS", [*facts.HOSTS, closed])
    _, _, lines = here.doctor()
    assert line(lines, "network").startswith(f"warn  network: not reached: {closed} ([Errno 111] Connection refused)")


def test_a_broken_profile_of_the_project_is_said_not_raised(here):
    Path("profiles/cpu/config.yaml").write_text("cores: [")
    _, code, lines = here.doctor()
    assert code == 1 and "profiles/cpu/config.yaml" in line(lines, "profile") and not Path("proposed").exists()


# what is there is kept


def test_a_profile_that_is_there_is_not_overwritten_without_force(here):
    Path("proposed").mkdir()
    Path("proposed/config.yaml").write_text("mine: 1\n")
    _, _, lines = here.doctor()
    assert line(lines, "profile").startswith("warn  profile: nothing written: proposed/config.yaml")
    assert here.config() == {"mine": 1}
    _, _, lines = here.doctor(force=True)
    assert line(lines, "profile").startswith("ok    profile: written") and "cores" in here.config()
    _, _, lines = here.doctor()
    assert "already as proposed" in line(lines, "profile")


def test_one_file_that_differs_keeps_the_other_from_being_written(here):
    here.slurm()
    Path("proposed").mkdir()
    Path("proposed/partitions.yaml").write_text("mine: 1\n")
    here.doctor(jobs=False)
    assert os.listdir("proposed") == ["partitions.yaml"]


def test_a_folder_that_cannot_be_written_is_bad(here):
    Path("taken").write_text("")
    _, code, lines = here.doctor(write="taken/profile")
    assert code == 1 and "taken" in line(lines, "profile")


# file locks


def test_file_locks_of_this_disk_work_and_leave_nothing_behind(tmp_path):
    assert probe.locking(str(tmp_path)) == "" and probe.linking(str(tmp_path)) == ""
    assert os.listdir(tmp_path) == []


def test_locks_that_exclude_nobody_are_found(tmp_path):
    assert "a second process got the lock" in probe.locking(str(tmp_path), flock=lambda handle, how: None)


def test_locks_that_are_never_given_back_are_found(tmp_path):
    def keep(handle, how):
        if how != fcntl.LOCK_UN:
            fcntl.flock(handle, how)

    assert "given back" in probe.locking(str(tmp_path), flock=keep)


def test_a_file_system_without_locks_is_bad(here, monkeypatch):
    def refuse(handle, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(probe.fcntl, "flock", refuse)
    monkeypatch.setattr(probe.locking, "__defaults__", (refuse,))
    _, code, lines = here.doctor()
    assert code == 1 and "Function not implemented" in line(lines, "file locks")


def test_a_file_system_without_hard_links_is_said(here, monkeypatch):
    def refuse(path, link):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    _, _, lines = here.doctor()
    assert line(lines, "hard links").startswith("warn")


# a cluster with accounting and typed GPUs


def test_a_cluster_with_accounting_and_typed_gpus(here):
    here.slurm()
    here.torch(cuda="12.8", devices=1)
    text, code, lines = here.doctor()
    assert code == 0, text
    assert line(lines, "partition normal").startswith("ok    partition normal: default, UP, 10080 min, 2 of 2 nodes")
    assert "4 x a100, 8 x v100" in line(lines, "partition gpu") and "1 of 2 nodes" in line(lines, "partition gpu")
    assert "account lab may not use it" in line(lines, "partition theirs")
    assert "none of its 1 nodes" in line(lines, "partition broken")
    written = here.config()
    assert written["slurm-partition-config"] == "partitions.yaml" and "slurm-no-account" not in written
    assert written["default-resources"] == {"mem_mb": 4000, "gpu": 0, "slurm_account": "'lab'"}
    assert written["set-resources"] == SLURM["set-resources"]
    assert above("jobs") == "as in profiles/slurm" and "your only one" in above("slurm_account")
    limits = yaml.safe_load(Path("proposed/partitions.yaml").read_text())["partitions"]
    assert list(limits) == ["normal", "short", "gpu"]
    assert limits["normal"] == {"max_runtime": 10080, "max_mem_mb": 512000, "max_cpus_per_task": 128, "max_gpu": 0}
    # the tighter limits of the GPU partition but one are left out, so that it draws no job without GPU
    assert limits["gpu"] == {"max_runtime": 1440, "max_gpu": 8, "available_gpu_models": ["a100", "v100"]}
    assert "max_mem_mb: 200000 is not told" in Path("proposed/partitions.yaml").read_text()


def test_one_node_of_each_kind_is_looked_at_with_exactly_one_gpu(here):
    here.slurm()
    here.torch(cuda="12.8", devices=1)
    _, _, lines = here.doctor()
    asked = [text.split() for text in (here.folder / "asked").read_text().splitlines() if text.startswith("-J")]
    assert [words[words.index("-p") + 1] for words in asked] == ["normal", "gpu"]
    assert [[word for word in words if "gpu" in word and "-" in word] for words in asked] == [[], ["--gpus=1"]]
    assert all(words[words.index("-A") + 1] == "lab" and words[words.index("-t") + 1] == "2" for words in asked)
    nodes = [text for text in lines if text[6:].startswith("node ")]
    assert any("lock held here: refused there" in text for text in nodes)
    assert any("CUDA_VISIBLE_DEVICES: 3" in text for text in nodes)
    assert os.listdir(".snakemake") == []


def test_gpu_jobs_that_would_fail_are_kept_to_the_cpu_with_the_reason(here):
    here.slurm()
    _, _, lines = here.doctor()
    off = {"train_model": {"gpu": 0}, "cache_features": {"gpu": 0}}
    assert here.config()["set-resources"] == {**SLURM["set-resources"], **off}
    assert "build without CUDA" in above("train_model")
    assert any(text.startswith("warn") and "GPU jobs would fail" in text for text in lines)


def test_a_gpu_that_slurm_does_not_name_is_said(here):
    here.slurm(srun='while [ "$1" != /bin/sh ]; do shift; done; exec "$@"')
    here.torch(cuda="12.8", devices=1)
    here.doctor()
    assert "CUDA_VISIBLE_DEVICES is None" in above("train_model")


def test_several_accounts_without_a_default_are_left_to_the_user(here):
    here.slurm(accounts="lab||\nother||\n", default="")
    _, _, lines = here.doctor(jobs=False)
    assert "lab, other" in line(lines, "account") and line(lines, "account").startswith("warn")
    assert "slurm_account" not in here.config()["default-resources"]


def test_the_default_account_is_taken_and_its_longest_queue(here):
    here.slurm(accounts="lab||7\nother||3\n")
    here.doctor(jobs=False)
    assert here.config()["default-resources"]["slurm_account"] == "'lab'"
    assert here.config()["jobs"] == 7 and "MaxSubmitJobs" in above("jobs")


def test_a_single_partition_is_named_without_a_file(here):
    here.slurm(partitions=PARTITIONS.splitlines()[1])
    here.doctor(jobs=False)
    assert here.config()["default-resources"]["slurm_partition"] == "'normal'"
    assert "slurm-partition-config" not in here.config() and os.listdir("proposed") == ["config.yaml"]
    assert here.config()["set-resources"]["train_model"] == {"gpu": 0}


def test_a_rule_that_asks_for_more_than_partitions_allow_is_said(here):
    Path("workflow/rules/train.smk").write_text("mem_mb=600000,\nruntime=growing(240),")
    here.slurm()
    _, _, lines = here.doctor(jobs=False)
    assert "600000, but partitions allow 512000" in line(lines, "largest mem_mb of a rule")
    assert not any("largest runtime" in text for text in lines)


def test_short_times_to_end_are_said_beside_retries(here):
    here.slurm(KillWait="5 sec")
    _, _, lines = here.doctor(jobs=False)
    assert line(lines, "end of jobs").startswith("warn") and "5 s from SIGTERM" in above("retries")


def test_partitions_that_preempt_the_default_one_are_left_out(here):
    tiers = {"normal": "1 PreemptMode=CANCEL GraceTime=3", "short": "10 PreemptMode=OFF", "gpu": "5 PreemptMode=OFF"}
    partitions = PARTITIONS
    for name, tier in tiers.items():
        row = next(text for text in PARTITIONS.splitlines() if f"={name} " in text)
        partitions = partitions.replace(row, row.replace("1 PreemptMode=OFF", tier))
    partitions += f"PartitionName=apart {OPEN.replace('PriorityTier=1', 'PriorityTier=5')} Default=NO MaxTime=1:00:00\n"
    nodes = f"{NODES}apart|c1|64|256000|(null)|idle\n"
    here.slurm(partitions=partitions, nodes=nodes, PreemptType="preempt/partition_prio", PreemptMode="CANCEL")
    _, _, lines = here.doctor(jobs=False)
    assert "its jobs end those of others in normal" in line(lines, "partition short")
    assert "left out" not in line(lines, "partition apart")  # it shares no node with the default partition
    assert line(lines, "preemption").startswith("warn") and "jobs in normal can be ended" in line(lines, "preemption")
    assert "preempted job in normal has 3 s" in line(lines, "end of jobs")


def test_the_plugin_sends_no_job_without_gpu_to_a_gpu_partition_while_another_takes_it(tmp_path):
    """The witness is the plug-in's own choice, over partitions and jobs of any size."""
    rng = random.Random(0)
    silent = SimpleNamespace(debug=lambda text: None, info=lambda text: None, warning=lambda text: None)

    def partition(name, gpus):
        limit = rng.choice(["UNLIMITED", *(f"{hours}:00:00" for hours in (1, 4, 24, 99))])
        sizes = {"cpus": rng.choice([2, 8, 64]), "mem_mb": rng.choice([4000, 64_000, 512_000])}
        return Partition(name, {"MaxTime": limit}, frozenset([name]), 1, bool(gpus), **sizes, gpus=gpus)

    placed = 0
    for _ in range(40):
        plain = [partition(f"p{n}", {}) for n in range(2)]
        slurm = cluster(partitions=[*plain, *(partition(f"g{n}", {"a100": rng.choice([1, 8])}) for n in range(2))])
        path = tmp_path / "partitions.yaml"
        path.write_text(profile.partitions_text(slurm, profile.choose(slurm)))
        read = read_partition_file(path)
        for _ in range(100):
            memory, runtime, threads = (int(2 ** rng.uniform(0, most)) for most in (19, 12.5, 6))
            wanted = {"max_mem_mb": memory, "max_runtime": runtime, "max_cpus_per_task": threads}
            room = [part.name for part in plain if all(profile.limits(part)[key] >= wanted[key] for key in wanted)]
            job = SimpleNamespace(resources={"mem_mb": memory, "runtime": runtime}, threads=threads, name="job")
            assert not room or get_best_partition(read, job, silent) in room, (wanted, path.read_text())
            placed += bool(room)
            job.resources["gpu"] = 1
            assert get_best_partition(read, job, silent) in (None, "g0", "g1")
    assert placed > 1000


def cluster(**changed):
    """A cluster as read, with some facts changed."""
    return replace(
        Cluster(
            version=facts.Answer("slurm 99"),
            controller=facts.Answer("UP"),
            config=CONFIG,
            config_error="",
            partitions=[],
            partitions_error="",
            sacct=facts.Answer(""),
            accounts=["lab"],
            accounts_error="",
        ),
        **changed,
    )


# a cluster without accounting


def test_without_accounting_squeue_is_asked_and_no_account_named(here):
    here.without_accounting()
    text, code, lines = here.doctor(jobs=False)
    assert code == 0, text
    written = here.config()
    assert written["slurm-no-account"] is True and written["slurm-status-command"] == "squeue"
    assert "slurm_account" not in written["default-resources"]
    assert "300 s (MinJobAge)" in above("slurm-status-command")
    assert line(lines, "accounting").startswith("warn")
    assert "slurm-init-seconds-before-status-checks" not in written


def test_an_accounting_that_does_not_answer_is_not_relied_on(here):
    here.slurm()
    for name in ("sacct", "sacctmgr"):
        here.program(name, "echo error: Connection refused >&2; exit 1")
    _, _, lines = here.doctor(jobs=False)
    assert "Connection refused" in line(lines, "accounting") and "Connection refused" in line(lines, "account")
    assert here.config()["slurm-status-command"] == "squeue" and here.config()["slurm-no-account"] is True
    assert "Connection refused" in above("slurm-no-account")


def test_a_queue_that_forgets_ended_jobs_too_soon_is_bad(here):
    here.without_accounting(MinJobAge="60 sec")
    _, code, lines = here.doctor(jobs=False)
    assert code == 1 and "MinJobAge = 60 s" in line(lines, "accounting")
    # above a third of MinJobAge the plug-in would go back to sacct
    assert here.config()["slurm-init-seconds-before-status-checks"] == 20


def test_without_the_program_sacct_the_plugin_cannot_submit(here):
    here.without_accounting(program=False)
    _, code, lines = here.doctor(jobs=False)
    assert code == 1 and "fails without it" in line(lines, "accounting")


# a cluster that does not answer


def test_a_controller_that_hangs_does_not_hang_doctor(here):
    here.slurm()
    for name in ("scontrol", "sinfo", "sacct", "sacctmgr", "srun"):
        here.program(name, "/bin/sleep 300 & /bin/sleep 300")
    start = time.monotonic()
    _, code, lines = here.doctor(waits=replace(WAITS, client=0.3))
    assert time.monotonic() - start < 20
    assert code == 1 and not Path("proposed").exists()
    assert "scontrol did not answer in 0.3 s" in line(lines, "Slurm controller")
    assert line(lines, "profile").startswith("bad   profile: none proposed")


def test_a_program_that_hangs_ends_with_its_children(here, tmp_path):
    here.program("slow", f"/bin/sleep 300 & echo $! > {tmp_path}/child; wait")
    answer = facts.ask(["slow"], 0.5)
    assert answer.error == "slow did not answer in 0.5 s"
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_controller_that_is_down_is_bad(here):
    here.slurm()
    here.program("scontrol", 'echo "Slurmctld(primary) at head is DOWN"')
    _, code, lines = here.doctor()
    assert code == 1 and "is DOWN" in line(lines, "Slurm controller")


# compute nodes


def test_a_full_queue_is_said_and_the_profile_written(here):
    here.slurm(srun="echo srun: error: Unable to allocate resources: Requested nodes are busy >&2; exit 1")
    _, code, lines = here.doctor()
    assert code == 0 and "slurm" in here.config()["executor"]
    assert line(lines, "node of normal").startswith("warn  node of normal: not found out: srun: error")


def test_a_probe_that_outlasts_its_time_is_cancelled(here):
    here.slurm(srun="/bin/sleep 300")
    here.program("scancel", f'echo "$@" >> {here.folder}/cancelled')
    _, _, lines = here.doctor(waits=replace(WAITS, queue=0.3, work=0.2, torch=0.1))
    assert "not found out" in line(lines, "node of normal")
    assert (here.folder / "cancelled").read_text().count("--name boldflow-doctor-") == 2


def test_a_probe_that_is_refused_is_bad(here):
    here.slurm(srun="echo srun: error: Invalid account or account/partition combination >&2; exit 1")
    _, code, lines = here.doctor()
    assert code == 1 and "Invalid account" in line(lines, "node of normal")


def test_nodes_without_network_are_told_to_prefetch():
    look = node_look(network={"github.com:443": "Network is unreachable", "huggingface.co:443": ""})
    lines = list(map(str, command.of_node(facts.Node("normal", False, look), None)))
    network = line(lines, "node a1 (normal), network")
    assert network.startswith("warn  node a1 (normal), network: not reached: github.com:443 (Network is unreachable)")
    assert "snakemake --profile cpu prefetch" in network


def node_look(**changed):
    """What a probe says on a node where all is well."""
    return {
        **{"host": "a1", "python": "/p", "asked_python": "/p", "folder": True, "lock": "", "link": ""},
        "held": {"seen": True, "after": 0.1, "lock": "refused"},
        "scratch": [{"name": "/tmp", "path": "/tmp", "state": "writable", "free": 10**12}],
        **{"network": {"host:1": ""}, "visible": None},
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ""),
        ({"folder": False}, "project: a file written here does not appear there"),
        (
            {"held": {"seen": False, "after": 20, "lock": ""}},
            "project: a file written here does not appear there in 20 s",
        ),
        ({"held": {"seen": True, "after": 0, "lock": "taken"}}, "lock held here: taken there too"),
        ({"python": "/usr/bin/python3"}, "Python: /p does not start there"),
        ({"scratch": [{"name": "/tmp", "path": "/tmp", "state": "missing", "free": 0}]}, "scratch: /tmp missing"),
        ({"lock": "no lock can be taken"}, "file locks: no lock can be taken"),
    ],
)
def test_what_a_node_lacks_is_bad(changed, words):
    found = [str(finding) for finding in command.of_node(facts.Node("normal", False, node_look(**changed)), None)]
    assert [text for text in found if text.startswith("bad")] == [text for text in found if words and words in text]
    assert len(bad(found)) == bool(words)


def test_a_node_that_ignores_the_lock_held_here_is_found(here, monkeypatch):
    """The lock is not taken here at all, as on a file system that does not tell nodes of it."""
    here.slurm()
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None)
    _, code, lines = here.doctor()
    assert code == 1 and any("lock held here: taken there too" in text for text in bad(lines))


def test_without_our_python_a_node_still_answers(here, monkeypatch):
    here.slurm()
    here.program("python3", f'exec {sys.executable} "$@"')
    real = sys.executable
    Path(".snakemake").mkdir()
    monkeypatch.setattr(sys, "executable", "/not/there/python")
    found = facts.node("normal", False, "lab", here.folder, WAITS)
    assert found.error == "" and found.look["python"] == real and found.look["asked_python"] == "/not/there/python"


def test_no_jobs_runs_none(here):
    here.slurm(srun=f"touch {here.folder}/ran")
    _, _, lines = here.doctor(jobs=False)
    assert not (here.folder / "ran").exists() and line(lines, "compute nodes").startswith("warn")


# reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-00:00:00", 1440),
        ("01:30:00", 90),
        ("2-12", 3600),
        ("90", 90),
        ("90:30", 90),
        ("UNLIMITED", None),
        ("", None),
    ],
)
def test_times_of_slurm_are_minutes(text, expected):
    assert facts.minutes(text) == expected


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("(null)", {}),
        ("gpu:1", {"": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0,1),gpu:v100:2,tmpfs:900", {"a100": 2, "v100": 2}),
        ("gpu:1g.10gb:7", {"1g.10gb": 7}),
        ("shard:8", {}),
    ],
)
def test_gpus_are_read_by_model(gres, expected):
    assert facts.gpus_of(gres) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("idle", True),
        ("mix", True),
        ("idle~", True),
        ("idle*", False),
        ("down*", False),
        ("drain", False),
        ("drng", False),
    ],
)
def test_states_of_nodes(state, expected):
    assert facts.works(state) == expected


def test_limits_of_control_groups_count(tmp_path):
    (tmp_path / "user" / "me").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("0::/user/me\n")
    (tmp_path / "user" / "me" / "memory.max").write_text("max\n")
    (tmp_path / "user" / "memory.max").write_text(f"{512 * 2**20}\n")
    (tmp_path / "user" / "cpu.max").write_text("100000 100000\n")
    memory, why = facts.usable_memory(tmp_path, own)
    assert memory == 512 and "control group" in why
    assert facts.usable_cores(tmp_path, own)[0] == 1
    own.write_text("0::/\n")
    assert facts.usable_memory(tmp_path, own)[0] > 512


# the command


def test_the_command_says_where_to_start_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1
    assert "start the command in the project's folder" in capsys.readouterr().err


def test_the_proposed_profile_is_usable_at_once(here, capsys):
    """Snakemake itself reads what is proposed from the project's own profiles."""
    for name in ("cpu", "slurm"):
        Path(f"profiles/{name}/config.yaml").write_text((ROOT / "profiles" / name / "config.yaml").read_text())
    here.slurm(accounts="max||\n", default="max")  # a name that Python knows
    here.torch(cuda="12.8", devices=1)
    assert main(["doctor", "--no-jobs", "--write", "profiles/proposed"]) == 0, capsys.readouterr().out
    base = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    written = yaml.safe_load(Path("profiles/proposed/config.yaml").read_text())
    assert base.keys() - written.keys() <= {"slurm-no-account", "set-resources"}
    Path("Snakefile").write_text("rule all:\n    output: 'x'\n    shell: 'touch {output}'\n")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--profile", "profiles/proposed"],
        env={"PATH": f"{here.programs}:/usr/bin:/bin", "HOME": str(here.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "slurm_account=max" in said and "gpu=0" in said and "slurm_partition" not in said


def test_the_probe_is_text_that_runs_alone(tmp_path):
    asked = {"folder": str(tmp_path), "places": [["/tmp", "/tmp"]], "hosts": [], "connect_s": 1}
    source = Path(probe.__file__).read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", source, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    found = json.loads(done.stdout.strip().removeprefix(probe.MARK))
    assert found["lock"] == "" and found["folder"] is True
