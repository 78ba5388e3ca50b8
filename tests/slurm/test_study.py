"""The embedded study on a real Slurm: whole, in part, sealed from the network, and with a proposed profile."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import copy_project
from tests.made.running import Site
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import TINY, ClusterSite, on_cluster

STUDY = "results/studies/demo-tiny"
SEALED = """
title: Without a network
primary: {metric: inv_norm_rank, view: image}
runs:
  - {datasets: [sim-tiny], subjects: [sub-02], responses: [bold-4to10s-fsaverage5], features: [gabor],
     models: [ridge], splits: [repeated]}
"""
# planted in the adapters: a socket of the internet cannot be opened
BLOCKED = """
import socket
class _Blocked(socket.socket):
    def connect(self, address):
        if self.family != socket.AF_UNIX:
            raise OSError(f"no network on this node: {address}")
        return super().connect(address)
socket.socket = _Blocked
"""


@pytest.fixture(scope="module")
def on_slurm(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterSite:
    """The study, run whole on Slurm with the profile as it is in the project; never touched."""
    site = on_cluster(copy_project(tmp_path_factory.mktemp("slurm") / "project").folder, cluster)
    site.start(*TINY).ends(seconds=600)
    return site


@pytest.mark.xdist_group("whole study")
def test_the_leaderboard_is_the_local_runs_byte_for_byte(on_slurm: ClusterSite, local: Site):
    tables = [path.relative_to(local.folder) for path in sorted((local.folder / STUDY).glob("*.csv"))]
    scores = [path.relative_to(local.folder) for path in (local.folder / "results/sim-tiny").rglob("scores.parquet")]
    assert len(tables) >= 2 and len(scores) == 18
    on_slurm.same(local, f"{STUDY}/leaderboard.parquet", *map(str, tables), *map(str, scores))
    assert on_slurm.planned(*TINY) == {}


@pytest.mark.xdist_group("whole study")
def test_short_jobs_share_a_slurm_job_and_each_asks_for_what_it_needs(on_slurm: ClusterSite, cluster: Cluster):
    assert len(on_slurm.submitted("tables")) == 1 and len(on_slurm.submitted("pages")) == 1
    assert len(on_slurm.submitted("scores")) == 5  # 18 scores, four at a time
    assert len(on_slurm.submitted("train_model")) == 18
    for job in on_slurm.submitted("train_model"):
        asked = cluster.ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "ReqTRES,TimelimitRaw,Partition").strip()
        tres, minutes, partition = asked.split("|")
        assert "gpu" not in tres and "mem=2000M" in tres and minutes == "240" and partition == "cpu"


@pytest.mark.xdist_group("whole study")
def test_a_rule_reruns_alone(on_slurm: ClusterSite, tmp_path: Path):
    site = on_cluster(on_slurm.again(tmp_path / "project").folder, on_slurm.cluster)
    before = site.times()
    site.start("-R", "draw_figure", *TINY).ends()
    assert len(site.submitted("pages")) == 1 and not site.submitted("train_model") and not site.submitted("scores")
    assert site.times() == before
    site.same(on_slurm, f"{STUDY}/leaderboard.parquet")
    drawn = [path for path in (site.folder / STUDY / "figures").glob("*.png")]
    assert drawn and all(
        path.stat().st_mtime_ns > (on_slurm.folder / path.relative_to(site.folder)).stat().st_mtime_ns for path in drawn
    )


def test_after_prefetch_no_job_needs_a_network(site: ClusterSite, local: Site):
    """Jobs on nodes with internet sockets blocked; and the whole in a network namespace that has not even loopback."""
    (site.folder / "config/studies/sealed.yaml").write_text(SEALED)
    site.edit("workflow/scripts/_adapter.py", "\nimport traceback\n", f"\nimport traceback\n{BLOCKED}\n")
    scores = "results/sim-tiny/sub-02/bold-4to10s-fsaverage5/gabor/ridge/repeated/scores.parquet"
    made = ["rm", "-rf", "results/sim-tiny", "results/studies"]
    subprocess.run(made, cwd=site.folder, check=True)
    site.start("--config", "study=sealed").ends()
    assert len(site.submitted("train_model")) == 1
    site.same(local, scores)
    subprocess.run(made, cwd=site.folder, check=True)
    site.start("--config", "study=sealed", profile="cpu", wrap=("unshare", "--net")).ends()
    site.same(local, scores)


def test_the_profile_that_doctor_proposes_runs_the_study(local: Site, site: ClusterSite):
    found = subprocess.run(
        ["python", "-m", "boldflow", "doctor"],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode in (0, 1), found.stderr
    subprocess.run(["rm", "-rf", "results/studies", "results/sim-tiny"], cwd=site.folder, check=True)
    site.profile = "profiles/proposed"
    site.start(*TINY).ends(seconds=600)
    assert len(site.submitted("train_model")) == 18
    site.same(local, f"{STUDY}/leaderboard.parquet")
