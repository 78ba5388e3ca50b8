"""A network in training that is killed or asked to end: rows 14 and 15 for what trains on torch."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.running import SLOW, SLOW_NETWORK, Site, hit, jobs, result

pytestmark = pytest.mark.end_to_end
EPOCHS = 120  # of four steps, about 15 s
WEIGHTS = f"{result()}/model.safetensors"


@pytest.fixture
def sites(finished: Project, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """A copy that is disturbed, and one that is not."""
    both = [Site(finished.again(tmp_path / name).folder) for name in ("disturbed", "undisturbed")]
    for one in both:
        one.slow(EPOCHS, 0.02, SLOW_NETWORK)
    yield both[0], both[1]
    both[0].close()
    for process in jobs(both[0]):
        os.kill(process, signal.SIGKILL)


def test_a_network_killed_five_times_and_asked_to_end_gives_the_bits_of_one_that_was_left_alone(
    sites: tuple[Site, Site],
):
    """kill -9 at five random moments after a checkpoint, then SIGTERM, then left alone."""
    site, undisturbed = sites
    undisturbed.start(f"{result()}/scores.parquet", *SLOW).ends()
    moments = random.Random(14)
    for number in [signal.SIGKILL] * 5 + [signal.SIGTERM]:
        run = site.start(WEIGHTS, *SLOW)
        hit(site, number, moments.uniform(0, 0.6))
        run.ends(1)
        assert not (site.folder / WEIGHTS).exists()
        kept = sorted((site.folder / result() / ".checkpoints/fold0/seeds").glob("step-*"))
        assert 1 <= len(kept) <= 3
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.resumed()
    site.as_undisturbed(undisturbed)
