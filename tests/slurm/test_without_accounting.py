"""The documented variant for clusters without accounting: states come from squeue, no account is named."""

from collections.abc import Iterator

import pytest

from tests.made.running import SLOW, Site, result
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import EPOCHS, ClusterSite


@pytest.fixture
def plain(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, started again without its database of jobs."""
    cluster.accounting = False
    cluster.up()
    yield cluster
    cluster.accounting = True
    cluster.up()


def test_a_node_dies_where_there_is_no_accounting(plain: Cluster, site: ClusterSite, undisturbed: Site):
    site.slow(EPOCHS)
    site.edit("profiles/slurm/config.yaml", "# slurm-status-command: squeue", "slurm-status-command: squeue")
    assert "disabled" in plain.refusal("sacct", "-X")
    run = site.start(f"{result()}/scores.parquet", *SLOW)
    job, node = site.training()
    plain.kill_node(node)
    run.ends()
    jobs = site.submitted("train_model")
    assert jobs[0] == job and len(jobs) == 2 and site.resumed()
    site.as_undisturbed(undisturbed)
    assert (site.folder / result() / "scores.parquet").is_file()
