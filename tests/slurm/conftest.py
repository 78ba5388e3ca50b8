"""A real Slurm for each worker, copies of a finished study on it. Needs root and Debian's packages (`make help`)."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Project, once
from tests.made.running import SLOW, SLOW_NETWORK, Site, result, wait_for
from tests.slurm.cluster import Cluster, own_system_folder

QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
TINY = ("--config", "study=demo-tiny")
EPOCHS = 2500  # about 20 s of steps
NETWORK_EPOCHS, NETWORK_PAUSE_S = 160, 0.02  # of four steps each: not below 13 s


@dataclass
class ClusterSite(Site):
    """A copy of the project on the cluster."""

    cluster: Cluster | None = None

    def training(self, subject: str = "sub-01") -> tuple[str, str]:
        """Wait until the slow model has left a checkpoint; its Slurm job and node."""
        self.trains(subject)
        assert self.cluster
        found = [
            one for one in self.cluster.running(self.folder) if f"train_model_wildcards_sim-tiny_{subject}" in one[2]
        ]
        assert len(found) == 1, self.cluster.running(self.folder)
        return found[0][0], found[0][1]

    def submitted(self, rule: str) -> list[str]:
        """Slurm jobs of a rule or group that the runs of this folder have submitted, in order."""
        text = "".join(run.text() for run in self.runs)
        return re.findall(rf"submitted with SLURM jobid (\d+) \(log: \S*/(?:rule_{rule}|group_{rule}_\w+)/", text)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes with accounting; stopped when the tests end. Workers of one run have a cluster each."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        own_system_folder()
    one = Cluster(number=int(worker.removeprefix("gw") or 0))
    try:
        one.up()
        yield one
    finally:
        one.down()


@pytest.fixture(autouse=True)
def whole(cluster: Cluster) -> Iterator[None]:
    """Each test starts with a whole cluster."""
    if "UP" not in cluster.ask("scontrol", "ping"):
        cluster.start_controller()
    for node in cluster.nodes:
        if cluster.node_state(node) not in ("idle", "mix", "alloc"):
            cluster.start_node(node)
    yield


def on_cluster(folder: Path, cluster: Cluster) -> ClusterSite:
    return ClusterSite(folder, "slurm", QUICK, [], cluster)


@pytest.fixture(scope="session")
def local(finished: Project) -> Site:
    """The embedded study at its smallest, run on this machine; never touched."""
    return Site(finished.folder)


@pytest.fixture(scope="session")
def undisturbed(local: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The slow model on all subjects, run on this machine without any fault; never touched."""

    def make(folder: Path) -> None:
        Site(local.again(folder).folder).slow(EPOCHS).start("--config", "study=wide").ends()

    return Site(once(tmp_path_factory, "undisturbed", make))


@pytest.fixture(scope="session")
def undisturbed_network(local: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The slow network of one subject, trained and scored on this machine without any fault; never touched."""

    def make(folder: Path) -> None:
        one = Site(local.again(folder).folder).slow(NETWORK_EPOCHS, NETWORK_PAUSE_S, SLOW_NETWORK)
        one.start(f"{result()}/scores.parquet", *SLOW).ends()

    return Site(once(tmp_path_factory, "undisturbed_network", make))


@pytest.fixture
def site(local: Site, cluster: Cluster, tmp_path: Path) -> Iterator[ClusterSite]:
    """A copy of the finished study; its jobs are cancelled at the end."""
    one = on_cluster(local.again(tmp_path / "project").folder, cluster)
    yield one
    one.close()
    cluster.cancel(one.folder)
    wait_for(lambda: not cluster.running(one.folder), "end of its jobs")
