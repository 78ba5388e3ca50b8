"""A network in training that is killed or asked to end: rows 14 and 15 for what trains on torch."""

import contextlib
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.running import SLOW, SLOW_NETWORK, Site, hit, jobs, result, wait_for

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("faults")]
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


def test_a_disk_that_fills_in_a_checkpoint_is_told_of_and_training_goes_on_when_there_is_room(
    sites: tuple[Site, Site],
):
    """The folder of checkpoints is a small file system that holds other things; then there is room."""
    site, undisturbed = sites
    place = site.folder / result() / ".checkpoints"
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "boldflow-test", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    undisturbed.start(f"{result()}/scores.parquet", *SLOW).ends()
    try:
        run = site.start(WEIGHTS, *SLOW)
        wait_for(lambda: list(place.rglob("step-*")), "checkpoint", 180)
        with contextlib.suppress(OSError), (place / "other").open("wb") as other:
            while other.write(bytes(1 << 16)):
                other.flush()
        said = run.ends(1)
        assert re.search(r"while writing .*/\.checkpoints/.*: \d+ bytes are free there", said), said[-3000:]
        assert re.search(r"\d+ bytes of arrays were to be written", said), said[-3000:]
        assert not (site.folder / WEIGHTS).exists()
        left = {path.name for path in place.rglob("*") if path.is_file()} - {"other"}
        assert left and all(re.fullmatch(r"step-\d+\.safetensors", name) for name in left), left
        (place / "other").unlink()
        site.start(f"{result()}/scores.parquet", *SLOW).ends()
        assert site.resumed()
    finally:
        subprocess.run(["umount", "--lazy", place], check=False)
    place.rmdir()
    site.as_undisturbed(undisturbed)
