"""A network in training that is killed or asked to end, or whose disk fills: rows 14, 15 and 20, on torch."""

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.made.running import SLOW, SLOW_NETWORK, Site, hit, jobs, result

pytestmark = pytest.mark.end_to_end
EPOCHS, PAUSE_S = 120, 0.02  # of four steps each, about 15 s
WEIGHTS = f"{result()}/model.safetensors"
CHECKPOINTS = f"{result()}/.checkpoints"


@pytest.fixture(scope="module")
def undisturbed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The slow network, trained and scored without any fault; never touched."""
    site = Site(finished.again(tmp_path_factory.mktemp("undisturbed") / "project").folder)
    site.slow(EPOCHS, PAUSE_S, SLOW_NETWORK).start(f"{result()}/scores.parquet", *SLOW).ends()
    return site


@pytest.fixture
def site(finished: Project, tmp_path: Path) -> Iterator[Site]:
    one = Site(finished.again(tmp_path / "project").folder).slow(EPOCHS, PAUSE_S, SLOW_NETWORK)
    yield one
    one.close()
    for process in jobs(one):
        os.kill(process, signal.SIGKILL)


def test_a_network_killed_five_times_and_asked_to_end_gives_the_bits_of_one_that_was_left_alone(
    site: Site, undisturbed: Site
):
    """kill -9 at five random moments after a checkpoint, then SIGTERM, then left alone."""
    moments = random.Random(14)
    for number in [signal.SIGKILL] * 5 + [signal.SIGTERM]:
        run = site.start(WEIGHTS, *SLOW)
        hit(site, number, moments.uniform(0, 0.6))
        run.ends(1)
        assert not (site.folder / WEIGHTS).exists()
        kept = sorted((site.folder / CHECKPOINTS / "fold0/seeds").glob("step-*"))
        assert 1 <= len(kept) <= 3
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.resumed()
    site.as_undisturbed(undisturbed)


def test_a_disk_that_fills_in_a_checkpoint_stops_the_training_which_goes_on_once_there_is_room(
    site: Site, undisturbed: Site
):
    """Checkpoints lie on a file system of their own that holds one of them and a half."""
    place = site.folder / CHECKPOINTS
    place.mkdir(parents=True)
    # a checkpoint holds the parameters and two moments of each
    size = 9 * (undisturbed.folder / WEIGHTS).stat().st_size // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "boldflow-test", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        text = site.start(WEIGHTS, *SLOW).ends(1)
        assert "No space left on device" in text and "bytes of arrays were to be written" in text
        assert re.search(rf"while writing \S*{CHECKPOINTS}/fold0/seeds/step-\d+.safetensors: \d+ bytes are free", text)
        assert not (site.folder / WEIGHTS).exists()
        (kept,) = (path for path in place.rglob("*") if path.is_file())  # whole, and nothing beside it
        subprocess.run(["mount", "-o", f"remount,size={4 * size}", str(place)], check=True)
        site.start(f"{result()}/scores.parquet", *SLOW).ends()
        assert site.resumed() and kept.name in site.log()
        assert not list(place.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
    place.rmdir()
    site.as_undisturbed(undisturbed)
