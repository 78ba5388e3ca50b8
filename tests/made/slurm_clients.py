"""A made-up machine for ``doctor``: fake clients of Slurm on a PATH of their own; the fake srun runs the real probe."""

from dataclasses import replace
from pathlib import Path

import yaml

from boldflow.commands.doctor.asking import Answer, Waits
from boldflow.commands.doctor.cluster import Cluster
from boldflow.commands.doctor.doctor import doctor

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
        text, code = doctor(write, force, jobs, waits)
        return text, code, text.splitlines()

    def config(self):
        return yaml.safe_load(Path("proposed/config.yaml").read_text())


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


def cluster(**changed):
    """A cluster as read, with some facts changed."""
    return replace(
        Cluster(
            version=Answer("slurm 99"),
            controller=Answer("UP"),
            config=CONFIG,
            config_error="",
            partitions=[],
            partitions_error="",
            sacct=Answer(""),
            accounts=["lab"],
            accounts_error="",
        ),
        **changed,
    )


def node_look(**changed):
    """What a probe says on a node where all is well."""
    return {
        **{"host": "a1", "python": "/p", "asked_python": "/p", "folder": True, "lock": "", "link": ""},
        "held": {"seen": True, "after": 0.1, "lock": "refused"},
        "scratch": [{"name": "/tmp", "path": "/tmp", "state": "writable", "free": 10**12}],
        **{"network": {"host:1": ""}, "visible": None},
        **changed,
    }
