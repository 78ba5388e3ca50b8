"""A subject that is added to an entry: nothing of the others is computed again, and their files are the same bits."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import Project

ENTRY = "sim-tiny: {plugin: sim, "
OF_ONE = "results/sim-tiny/{}/bold-4to10s-fsaverage5/gabor/ridge/repeated/scores.parquet"
pytestmark = pytest.mark.end_to_end


def scores(*subjects: str) -> list[str]:
    return [OF_ONE.format(subject) for subject in subjects]


def contents(project: Project, *places: str) -> dict[str, str]:
    files = [path for place in places for path in (project.folder / place).rglob("*") if path.is_file()]
    return {str(path.relative_to(project.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def worked(project: Project, before: dict[Path, int]) -> set[str]:
    """Logs of the jobs that did their work since: others put back what was there."""
    logs = {path: path.stat().st_mtime_ns for path in (project.folder / "logs").rglob("*.log")}
    started = [path for path, changed in logs.items() if before.get(path) != changed]
    return {f"{path.parent.name}/{path.stem}" for path in started if "put back" not in path.read_text()}


def test_a_third_subject_costs_the_others_nothing(project: Project):
    project.edit("config/config.yaml", ENTRY, f"{ENTRY}subjects: [sub-01, sub-02], ")
    project.snakemake(*scores("sub-01", "sub-02"))
    places = ("results/sim-tiny/sub-01", "results/sim-tiny/sub-02", "results/sim-tiny/features")
    files = contents(project, *places)
    logs = {path: path.stat().st_mtime_ns for path in (project.folder / "logs").rglob("*.log")}
    project.edit("config/config.yaml", "subjects: [sub-01, sub-02], ", "subjects: [sub-01, sub-02, sub-03], ")
    project.snakemake(*scores("sub-01", "sub-02", "sub-03"))
    assert contents(project, *places) == files
    others = {name for name in worked(project, logs) if "sub-03" not in name}
    assert others <= {"make_split/sim-tiny_repeated", "fetch_dataset/sim-tiny", "fetch_stimuli/sim-tiny"}, others
    assert project.planned(*scores("sub-01", "sub-02", "sub-03")) == {}
