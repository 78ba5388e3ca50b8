"""Processes that are killed, asked to end, or started twice: rows 14 to 18, on one machine."""

import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.made.running import SLOW, Site, hit, jobs, result, wait_for

pytestmark = pytest.mark.end_to_end
EPOCHS = 900  # about 7 s of steps
WEIGHTS = f"{result()}/model.safetensors"


@pytest.fixture(scope="module")
def undisturbed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The slow model, trained and scored without any fault; never touched."""
    site = Site(finished.again(tmp_path_factory.mktemp("undisturbed") / "project").folder).slow(EPOCHS)
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    return site


@pytest.fixture
def site(finished: Project, tmp_path: Path) -> Iterator[Site]:
    one = Site(finished.again(tmp_path / "project").folder).slow(EPOCHS)
    yield one
    one.close()
    for process in jobs(one):
        os.kill(process, signal.SIGKILL)


def test_a_training_killed_at_random_moments_goes_on_from_its_last_whole_checkpoint(site: Site, undisturbed: Site):
    moments = random.Random(14)
    before = site.times()
    for _ in range(3):
        run = site.start(WEIGHTS, *SLOW)
        hit(site, signal.SIGKILL, moments.uniform(0, 1.0))
        run.ends(1)
        assert not (site.folder / WEIGHTS).exists()
        kept = sorted((site.folder / result() / ".checkpoints/fold0").rglob("step-*"))
        assert kept and all(len(list(folder.iterdir())) <= 3 for folder in {path.parent for path in kept})
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.resumed() and site.times() == before
    site.as_undisturbed(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_asked_to_end_keeps_the_step_it_is_at(site: Site, undisturbed: Site, number: signal.Signals):
    run = site.start(WEIGHTS, *SLOW)
    hit(site, number, 0.3)
    text = run.ends(1)
    told = re.search(r"asked to end; (\d+) of (\d+) steps are kept", text)
    assert told and int(told[2]) == EPOCHS and not (site.folder / WEIGHTS).exists()
    newest = max(int(path.stem[5:]) for path in (site.folder / result()).rglob(f"step-{int(told[1]):08d}.safetensors"))
    assert newest == int(told[1])
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.resumed()
    site.as_undisturbed(undisturbed)


def test_an_interruption_of_snakemake_alone_reaches_its_jobs(site: Site, undisturbed: Site):
    """As ``kill -INT``, or a program that started Snakemake, does it; from a terminal all processes get the signal."""
    run = site.start(WEIGHTS, *SLOW)
    site.trains()
    run.process.send_signal(signal.SIGINT)
    text = run.ends(1, seconds=30)
    told = re.search(r"asked to end; (\d+) of (\d+) steps are kept", text)
    assert told and int(told[1]) < EPOCHS and not (site.folder / WEIGHTS).exists() and not jobs(site)
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.resumed()
    site.as_undisturbed(undisturbed)


def test_a_checkpoint_of_other_settings_is_not_used(site: Site):
    run = site.start(WEIGHTS, *SLOW)
    hit(site, signal.SIGKILL, 0)
    run.ends(1)
    site.edit("config/config.yaml", f"n_epochs: {EPOCHS}", "n_epochs: 50")
    site.start(WEIGHTS, *SLOW).ends()
    assert "inputs, settings or code have changed since" in site.log() and not site.resumed()
    assert len((site.folder / result() / "history.csv").read_text().splitlines()) == 1 + 2 * 50


def test_the_same_job_started_twice_is_done_once(site: Site, undisturbed: Site):
    """Snakemake's own lock is set aside; the second job waits for the first and leaves what it has made."""
    first = site.start(WEIGHTS, *SLOW)
    site.trains()
    second = site.start(WEIGHTS, *SLOW, "--nolock")
    wait_for(lambda: "waiting for it to end" in site.log(), "word of the second job", 60)
    first.ends()
    made = (site.folder / WEIGHTS).stat()
    second.ends()
    now = (site.folder / WEIGHTS).stat()
    assert "left as it is" in site.log() and (now.st_mtime_ns, now.st_ino) == (made.st_mtime_ns, made.st_ino)
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    site.as_undisturbed(undisturbed)


def test_snakemake_killed_while_its_job_lives(site: Site, undisturbed: Site):
    """The next run says what is locked and by whom; unlocked, it does not train a second time."""
    before = site.times()
    first = site.start(WEIGHTS, *SLOW)
    site.trains()
    first.kill()
    assert jobs(site), "the job has ended too early for this test"
    text = site.start(WEIGHTS, *SLOW).ends(1)
    assert f"a run was killed and left its lock: process {first.process.pid} of " in text and "--unlock" in text
    site.start("--unlock", *SLOW).ends()
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    assert site.is_taken_over() and not site.resumed() and site.times() == before
    site.as_undisturbed(undisturbed)
    # asked for again it is done again: nothing is left of the claim
    made = (site.folder / WEIGHTS).stat().st_mtime_ns
    site.start(WEIGHTS, "-f", *SLOW).ends()
    assert (site.folder / WEIGHTS).stat().st_mtime_ns > made


def test_two_snakemakes_with_the_same_targets(site: Site, undisturbed: Site):
    first = site.start(WEIGHTS, *SLOW)
    site.trains()
    text = site.start(WEIGHTS, *SLOW).ends(1, seconds=60)
    assert f"a run is at work in this folder: process {first.process.pid} of " in text
    text = site.start("--unlock", *SLOW).ends(1, seconds=60)
    assert "--unlock refused" in text and f"process {first.process.pid} of " in text
    first.ends()
    site.start(f"{result()}/scores.parquet", *SLOW).ends()
    site.as_undisturbed(undisturbed)
