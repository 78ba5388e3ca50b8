"""What is done and what is put back in one run of the finished study, after an edit and after a failure."""

import os
from pathlib import Path

import pytest

from tests.conftest import Project

STUDY = ("--config", "study=demo-tiny")
FETCHES = {"fetch_dataset", "fetch_subject", "fetch_stimuli"}
RESPONSES = "results/sim-tiny/sub-01/bold-4to10s-fsaverage5/responses.npy"
FIGURE = "results/studies/demo-tiny/figures/ceiling-map.png"
pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def copy(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.again(tmp_path_factory.mktemp("cut-off") / "copy")


def logs(project: Project) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (project.folder / "logs").rglob("*.log")}


def at_work(project: Project, before: dict[Path, int]) -> tuple[set[str], int]:
    """Rules of the jobs that did their work since, and how many put back what was there."""
    started = [path for path, changed in logs(project).items() if before.get(path) != changed]
    idle = [path for path in started if "put back" in path.read_text()]
    return {path.parent.name for path in started if path not in idle}, len(idle)


def state(project: Project, *paths: str) -> list[tuple[int, int]]:
    infos = [os.stat(project.folder / path) for path in paths]
    return [(info.st_ino, info.st_mtime_ns) for info in infos]


def test_an_edit_of_what_fetches_is_followed_by_the_fetches_alone(copy: Project):
    copy.edit("src/boldflow/artifacts/arrival/annex_get.py", "JOBS = 4", "JOBS = 3")
    before, costs = logs(copy), (copy.folder / "benchmarks/train_model").glob("*ridge*.tsv")
    texts = {path: path.read_text() for path in costs}
    copy.snakemake(*STUDY)
    working, n_idle = at_work(copy, before)
    assert working == FETCHES and n_idle > 40
    assert copy.planned(*STUDY) == {}
    assert {path: path.read_text() for path in texts} == texts


def test_a_changed_byte_of_what_is_simulated_is_followed_by_all_that_reads_it(copy: Project):
    before, pack = logs(copy), (copy.folder / "results/sim-tiny/stimuli.h5").read_bytes()
    copy.edit("src/boldflow/datasets/sim/drawn_pictures.py", "np.rint(255 * faces", "np.rint(254 * faces")
    copy.snakemake("results/sim-tiny/stimuli.h5", "results/sim-tiny/sub-01/trials.parquet", *STUDY)
    working, _ = at_work(copy, before)
    assert working >= {"fetch_dataset", "fetch_stimuli", "pack_stimuli"}
    assert (copy.folder / "results/sim-tiny/stimuli.h5").read_bytes() != pack


def test_a_setting_that_is_refused_and_a_figure_that_cannot_be_drawn_cost_nothing(finished: Project, tmp_path: Path):
    copy = finished.again(tmp_path / "copy")
    paths = [RESPONSES, RESPONSES.replace("responses.npy", "vertices.parquet"), FIGURE, FIGURE.replace("png", "pdf")]
    before = state(copy, *paths)
    copy.edit("config/config.yaml", "start_s: 4.0, duration_s: 6.0}", "start_s: 4.0, duration_s: 6.0, rois: [nope]}")
    for _ in range(2):
        result = copy.snakemake(RESPONSES, *STUDY, check=False)
        assert "nope" in result.stdout and "put back the last good outputs of 1 job(s)" in result.stdout
    copy.edit("config/config.yaml", "duration_s: 6.0, rois: [nope]}", "duration_s: 6.0}")
    drawing = '"""Draw a row per subject, the ceiling first; parameters and errors as ``source_table``."""'
    copy.edit("src/boldflow/figures/ceiling_map.py", drawing, "raise ValueError('no ink')")
    assert "no ink" in copy.snakemake(FIGURE, *STUDY, check=False).stdout
    copy.edit("src/boldflow/figures/ceiling_map.py", "raise ValueError('no ink')", drawing)
    assert copy.planned(*STUDY) == {}
    assert state(copy, *paths) == before
