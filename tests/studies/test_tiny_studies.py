"""Each tiny study once, in one shared project: it is made whole, says what it is, and leaves nothing to do."""

import os
import re
from collections.abc import Iterator

import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT, Project
from tests.made import forked, loopback
from tests.made import nsd as made_nsd

STUDIES = sorted(path.stem for path in (ROOT / "config/studies").glob("*-tiny.yaml"))
SECONDS = 1700  # that a study may take where others are at work beside it
pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shared(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the smallest study's project, beside a look-alike of NSD's bucket: data and features are made once."""
    project = finished.again(tmp_path_factory.mktemp("studies") / "project")
    made = made_nsd.make()
    with made_nsd.serve(made.files) as bucket:
        address = f"http://127.0.0.1:{made_nsd.PORT}/{made_nsd.BUCKET}/{{path}}"
        project.edit("config/config.yaml", address, bucket.public_url)
        yield project


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest, shared: Project) -> str:
    """Name of a study that has been run whole."""
    shared.snakemake("--config", f"study={request.param}", seconds=SECONDS, **fetching(shared))
    return str(request.param)


def fetching(project: Project) -> dict[str, str]:
    """Variables of a shell in which git-annex may read from this machine."""
    return {**loopback.allowed(), "HOME": str(project.folder), "GIT_CONFIG_NOSYSTEM": "1"}


def test_every_row_says_simulated_and_the_primary_score_is_there(shared: Project, study: str):
    board = pd.read_parquet(shared.folder / f"results/studies/{study}/leaderboard.parquet")
    primary = yaml.safe_load((ROOT / f"config/studies/{study}.yaml").read_text())["primary"]
    assert len(board) and board["simulated"].all()
    of_primary = board[(board["metric"] == primary["metric"]) & board["primary"]]
    assert len(of_primary) and of_primary["value"].notna().all()
    has_interval = board["ci_low"].notna()
    assert (board["remarks"].fillna("") != "")[~has_interval & board["ci_method"].notna()].all()


def test_each_figure_is_a_picture_with_its_numbers_beside(shared: Project, study: str):
    names = yaml.safe_load((ROOT / f"config/studies/{study}.yaml").read_text())["figures"]
    folder = shared.folder / f"results/studies/{study}/figures"
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            picture.load()
            assert min(picture.size) > 300 and len(picture.convert("L").resize((64, 64)).getcolors()) > 5, name
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF"), name


def test_the_report_says_simulated_and_loads_nothing_from_elsewhere(shared: Project, study: str):
    page = (shared.folder / f"results/studies/{study}/report/index.html").read_text()
    assert "imulated" in page
    assert not re.findall(r"""(?:src|srcset)\s*=\s*["'](?:https?:)?//""", page)


def test_nothing_is_left_to_do_and_results_are_those_of_their_sources(shared: Project, study: str):
    words = ["--config", f"study={study}"]
    assert shared.planned(*words, **fetching(shared)) == {}
    assert "nothing is to be done, all results are there" in command(shared, "estimate", *words)
    command(shared, "verify", f"results/studies/{study}/report/index.html", *words)


def command(project: Project, *words: str) -> str:
    """Run a command of the project, which has to end well."""
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src"), **fetching(project)}
    ended = forked.run("boldflow", words, project.folder, environment, apart=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
