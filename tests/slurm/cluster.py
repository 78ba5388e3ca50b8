"""A real Slurm on this machine: one controller, several nodes, accounting. Every process is ended by its id.

``python -m tests.slurm.cluster up`` starts it and ``down`` stops what was started, also what cut-off tests have left.
It needs root and Debian's packages slurm-wlm, munge, slurmdbd, mariadb-server. All nodes run on this host under names
of their own (n1, n2); the last one has a GPU that is none: a null device that Slurm hands out and counts like one.

Several clusters can live side by side, each with a number of its own (folder, ports, ids of jobs) and in a process that
has called ``own_system_folder``.
"""

import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "lab"
SYSTEM = Path("/etc/slurm")  # jobs of Snakemake run without SLURM_*: srun reads the file there
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "sbatch", "squeue", "sacct", "sacctmgr")
SECONDS = 30
CLONE_NEWNS = 0x00020000  # linux/sched.h: a mount namespace


def base_folder() -> Path:
    """Where the clusters' state is kept: short, since sockets lie in it."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache") / "boldflow-slurm"


def own_system_folder() -> None:
    """Give this process, and all that it starts from now on, an empty /etc/slurm that no other sees."""
    SYSTEM.mkdir(exist_ok=True)
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS):
        raise SystemExit(f"a mount namespace cannot be made here: {os.strerror(ctypes.get_errno())}")
    _run(["mount", "--make-rprivate", "/"])
    _run(["mount", "-t", "tmpfs", "boldflow-slurm", str(SYSTEM)])


@dataclass
class Cluster:
    """A cluster of ``n_nodes`` nodes; ``accounting`` is a database of jobs, ``gpus`` those of the last node."""

    number: int = 0
    n_nodes: int = 2
    accounting: bool = True
    gpus: int = 1
    cpus: int = 4
    memory_mb: int = 8000

    @property
    def folder(self) -> Path:
        return base_folder() / str(self.number)

    @property
    def nodes(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.n_nodes + 1)]

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    def port(self, service: int) -> int:
        """Port of a service (0 the controller, 1 accounting, 2 the database, from 3 on the nodes)."""
        return 16800 + 20 * self.number + service

    # --- life

    def up(self) -> None:
        """Start all; ends with an error that says what did not come up."""
        if os.geteuid() != 0:
            raise SystemExit("a Slurm of our own needs root: nodes start jobs for users")
        missing = [program for program in PROGRAMS if _program(program) is None]
        if missing:
            raise SystemExit(
                f"programs are missing: {', '.join(missing)}; install slurm-wlm munge slurmdbd mariadb-server"
            )
        there = SYSTEM / "slurm.conf"
        if there.exists() and there.resolve() != self.conf:
            raise SystemExit(f"{there} belongs to another cluster ({there.resolve()}): stop that one first")
        self.down()
        for part in ("etc", "run", "log", "ctld", "munge", "db", "dev", *(f"d/{node}" for node in self.nodes)):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for place in (self.folder, *self.folder.iterdir()):
            place.chmod(0o755)
        shutil.rmtree(self.folder / "ctld")  # a controller's memory is of one set of nodes
        (self.folder / "ctld").mkdir()
        self._start_munge()
        self._write_configuration()
        if self.accounting:
            self._start_accounting()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)

    def down(self) -> None:
        """End what was started here, jobs and nodes first, and take our files from the system's folder."""
        if self._process("slurmctld") and self.ask("squeue", "-h"):
            self.ask("scancel", "-u", getpass.getuser())
            end = time.monotonic() + SECONDS
            while self.ask("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.5)
        names = [*(f"slurmd-{node}" for node in self.nodes), "slurmctld", "slurmdbd", "mariadbd", "munged"]
        for path in sorted((self.folder / "run").glob("slurmd-*.pid")):
            names = [path.stem, *names] if path.stem not in names else names
        for name in names:
            process = self._process(name)
            if process:
                _end(process)
            (self.folder / "run" / f"{name}.pid").unlink(missing_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            link = SYSTEM / name
            if link.is_symlink() and Path(os.readlink(link)).parent == self.folder / "etc":
                link.unlink()

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        _run(["slurmctld", "-f", str(self.conf)])
        _wait(lambda: "UP" in self.ask("scontrol", "ping"), "the controller answers")

    def start_node(self, node: str) -> None:
        """Start slurmd of a node and wait until it takes jobs."""
        _run(["slurmd", "-N", node, "-f", str(self.conf)])
        _wait(lambda: self._resumed(node), f"node {node} takes jobs")

    def _resumed(self, node: str) -> bool:
        """Tell whether a node takes jobs; one that Slurm has put aside (down, drained) is resumed."""
        state = self.node_state(node)
        if state.startswith(("down", "drain", "drng", "fail")):
            self.ask("scontrol", "update", f"nodename={node}", "state=resume")
        return state in ("idle", "mix", "alloc")

    # --- faults

    def kill_controller(self) -> None:
        """Kill slurmctld; jobs live on."""
        process = self._process("slurmctld")
        assert process, "no controller runs"
        os.kill(process, signal.SIGKILL)
        _wait(lambda: not _alive(process), "the controller is gone")

    def kill_node(self, node: str) -> list[int]:
        """Kill slurmd of a node and all that runs below it, at once, as when its power fails."""
        process = self._process(f"slurmd-{node}")
        assert process, f"node {node} does not run"
        jobs = self.ask("squeue", "-h", "-w", node, "-t", "RUNNING", "-o", "%A").split()
        steps = [pid for pid, words in _commands() if any(words.startswith(f"slurmstepd: [{job}.") for job in jobs)]
        doomed = [one for root in (process, *steps) for one in _tree(root)]
        for one in doomed:
            os.kill(one, signal.SIGSTOP)  # none sees another die
        for one in doomed:
            os.kill(one, signal.SIGKILL)
        return doomed

    # --- questions

    def ask(self, *command: str) -> str:
        """Run a client command; what it says, or nothing where it gave no answer."""
        return self._client(command).stdout

    def refusal(self, *command: str) -> str:
        """Run a client command; what it says against it."""
        return self._client(command).stderr

    def node_state(self, node: str) -> str:
        """State of a node, such as idle."""
        return (self.ask("sinfo", "-h", "-n", node, "-o", "%t").split() or ["unknown"])[0]

    def job_states(self) -> dict[str, str]:
        """State of every job of the accounting, by id."""
        rows = self.ask("sacct", "-X", "-n", "-P", "-a", "-S", "now-1day", "-o", "JobIDRaw,State").splitlines()
        return {number: state.split()[0] for number, state in (row.split("|") for row in rows if row)}

    def running(self, folder: Path) -> list[tuple[str, str, str]]:
        """Jobs of a working folder that run: id, node, comment (rule and wildcards)."""
        rows = self.ask("squeue", "-h", "-t", "RUNNING", "-o", "%A|%N|%Z|%k").splitlines()
        parts = [row.split("|") for row in rows if row]
        return [(number, node, comment) for number, node, place, comment in parts if Path(place) == folder]

    def cancel(self, folder: Path) -> None:
        """Cancel all jobs of a working folder."""
        rows = self.ask("squeue", "-h", "-o", "%A|%Z").splitlines()
        ours = [row.split("|")[0] for row in rows if row and Path(row.split("|")[1]) == folder]
        if ours:
            self.ask("scancel", *ours)

    # --- parts

    def _client(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                env={**os.environ, "SLURM_CONF": str(self.conf)},
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer in {SECONDS} s")

    def _process(self, name: str) -> int | None:
        path = self.folder / "run" / f"{name}.pid"
        try:
            process = int(path.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return process if _alive(process) else None

    def _start_munge(self) -> None:
        key = self.folder / "munge" / "key"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        key.parent.chmod(0o700)
        run = self.folder / "run"
        _run([
            *("munged", "--force", f"--key-file={key}", f"--socket={run / 'munge.sock'}"),
            *(f"--pid-file={run / 'munged.pid'}", f"--log-file={self.folder / 'log' / 'munged.log'}"),
            f"--seed-file={self.folder / 'munge' / 'seed'}",
        ])  # fmt: skip

    def _write_configuration(self) -> None:
        run, log = self.folder / "run", self.folder / "log"
        host = socket.gethostname().split(".")[0]
        devices = [self.folder / "dev" / f"gpu{number}" for number in range(self.gpus)]
        for device in devices:
            if not device.exists():
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))  # as /dev/null
        lines = [
            "ClusterName=boldflow",
            f"FirstJobId={100000 * self.number + 1}",  # a job is known by its id among all processes of the host
            f"SlurmctldHost={host}(127.0.0.1)",
            "SlurmUser=root",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            f"AuthInfo=socket={run / 'munge.sock'}",
            "CredType=cred/munge",
            f"SlurmctldPort={self.port(0)}",
            f"StateSaveLocation={self.folder / 'ctld'}",
            f"SlurmdSpoolDir={self.folder / 'd'}/%n",
            f"SlurmctldPidFile={run / 'slurmctld.pid'}",
            f"SlurmdPidFile={run}/slurmd-%n.pid",
            f"SlurmctldLogFile={log / 'slurmctld.log'}",
            f"SlurmdLogFile={log}/slurmd-%n.log",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SwitchType=switch/none",
            "MpiDefault=none",
            "ReturnToService=2",
            "SlurmctldTimeout=30",
            "SlurmdTimeout=10",
            "KillWait=10",
            "MinJobAge=300",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=batch_sched_delay=0,sched_interval=3,bf_interval=3,defer",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "SlurmdParameters=config_overrides",
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=3",
            "JobAcctGatherParams=OverMemoryKill",
            "JobRequeue=1",
            "PreemptType=preempt/partition_prio",
            "PreemptMode=CANCEL",
            "DefMemPerCPU=1000",
            "GresTypes=gpu",
        ]
        if self.accounting:
            lines += [
                "AccountingStorageType=accounting_storage/slurmdbd",
                "AccountingStorageHost=127.0.0.1",
                f"AccountingStoragePort={self.port(1)}",
                f"AccountingStoragePass={run / 'munge.sock'}",
                "AccountingStorageTRES=gres/gpu",
            ]
        else:
            lines += ["AccountingStorageType=accounting_storage/none"]
        for number, node in enumerate(self.nodes, start=1):
            gres = f" Gres=gpu:{self.gpus}" if self.gpus and node == self.nodes[-1] else ""
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port(2 + number)} CPUs={self.cpus} "
                f"RealMemory={self.memory_mb} State=UNKNOWN{gres}"
            )
        every = f"Nodes={self.nodes[0]},{self.nodes[-1]}" if self.n_nodes < 3 else f"Nodes=n[1-{self.n_nodes}]"
        lines += [
            f"PartitionName=cpu {every} Default=YES MaxTime=1-0 State=UP PriorityTier=1 GraceTime=20",
            f"PartitionName=gpu Nodes={self.nodes[-1]} MaxTime=1-0 State=UP PriorityTier=1",
            f"PartitionName=urgent {every} MaxTime=1:00:00 State=UP PriorityTier=10 PreemptMode=OFF",
        ]
        self.conf.write_text("\n".join(lines) + "\n")
        gres = [f"NodeName={self.nodes[-1]} Name=gpu File={device}" for device in devices]
        (self.conf.parent / "gres.conf").write_text("\n".join(gres) + "\n")
        SYSTEM.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            link = SYSTEM / name
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.conf.parent / name)

    def _start_accounting(self) -> None:
        run, data = self.folder / "run", self.folder / "db" / "data"
        plain = ["--no-defaults", "--user=root", f"--datadir={data}"]
        if not (data / "mysql").is_dir():
            _run(["mariadb-install-db", *plain, "--auth-root-authentication-method=normal", "--skip-test-db"])
        with (self.folder / "log" / "mariadbd.log").open("ab") as log:
            subprocess.Popen(
                [
                    *("mariadbd", *plain, f"--socket={run / 'db.sock'}", f"--port={self.port(2)}"),
                    *("--bind-address=127.0.0.1", f"--pid-file={run / 'mariadbd.pid'}"),
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-lock-wait-timeout=900",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        client = ["mariadb", "--no-defaults", "-S", str(run / "db.sock")]
        _wait(lambda: not subprocess.run([*client, "-e", "select 1"], capture_output=True).returncode, "the database")
        users = "; ".join(
            f"CREATE USER IF NOT EXISTS 'slurm'@'{host}' IDENTIFIED BY 'slurm'; "
            f"GRANT ALL ON slurm_acct.* TO 'slurm'@'{host}'"
            for host in ("127.0.0.1", "localhost")
        )
        _run([*client, "-e", f"CREATE DATABASE IF NOT EXISTS slurm_acct; {users}"])
        conf = self.conf.parent / "slurmdbd.conf"
        settings = {
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={run / 'munge.sock'}",
            "DbdHost": socket.gethostname().split(".")[0],
            "DbdAddr": "127.0.0.1",
            "DbdPort": str(self.port(1)),
            "SlurmUser": "root",
            "StorageType": "accounting_storage/mysql",
            "StorageHost": "127.0.0.1",
            "StoragePort": str(self.port(2)),
            "StorageUser": "slurm",
            "StoragePass": "slurm",
            "StorageLoc": "slurm_acct",
            "LogFile": str(self.folder / "log" / "slurmdbd.log"),
            "PidFile": str(run / "slurmdbd.pid"),
        }
        conf.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        conf.chmod(0o600)
        _run(["slurmdbd"], SLURM_CONF=str(self.conf))

        def listens() -> bool:
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", self.port(1))) == 0

        _wait(listens, "slurmdbd")
        for words in (
            ["cluster", "boldflow"],
            ["account", ACCOUNT, "Cluster=boldflow"],
            ["user", getpass.getuser(), f"Account={ACCOUNT}"],
        ):
            self.ask("sacctmgr", "-i", "add", *words)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(command: list[str], **variables: str) -> None:
    found = subprocess.run(
        [_program(command[0]) or command[0], *command[1:]],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"{command[0]} ended with {found.returncode}: {(found.stderr + found.stdout)[-2000:]}")


def _wait(there: Callable[[], bool], what: str, seconds: float = 2 * SECONDS) -> None:
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise SystemExit(f"after {seconds:.0f} s this does not hold: {what}")
        time.sleep(0.2)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _end(process: int) -> None:
    os.kill(process, signal.SIGTERM)
    end = time.monotonic() + 10
    while _alive(process):
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.1)


def _commands() -> Iterator[tuple[int, str]]:
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                yield int(place.name), (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:
        return found
    for child in children:
        found += _tree(int(child))
    return found


if __name__ == "__main__":
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    if action not in ("up", "down"):
        sys.exit("say up or down")
    if action == "down":
        for place in sorted(base_folder().glob("[0-9]*")):
            Cluster(int(place.name)).down()
    else:
        Cluster().up()
        print(Cluster().ask("sinfo", "-N", "-o", "%N %P %t %c %m %G"), end="")
