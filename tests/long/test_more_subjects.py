"""What is added to an entry, a subject or a session: nothing of the others is computed again, and their files stay."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.made import nsd, nsd_copy

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


# Each subject of NSD sees pictures that no other sees: features grow with each of them, and so does the gallery of all
# pictures in which a decoder's are retrieved. subj04 has 30 sessions.
STUDY = """title: Made files
primary: {metric: r, view: image}
runs:
  - {datasets: [nsd-tiny], subjects: all, responses: [betas-nsdgeneral], features: [gabor],
     models: [ridge-encoder, ridge], splits: [shared-1000]}
"""
OF_NSD = "results/nsd-tiny/{}/betas-nsdgeneral/gabor/{}/shared-1000/scores.parquet"
SHARED = {"pack_stimuli/nsd-tiny", "make_split/nsd-tiny_shared-1000", "cache_features/nsd-tiny_gabor"}
OF_DECODER = "score_model/nsd-tiny_{}_betas-nsdgeneral_gabor_ridge_shared-1000"


def computed(project: Project, before: dict[Path, int], subject: str) -> set[str]:
    """Jobs that did their work since and are not of a subject; fetches only see that their files are there."""
    jobs = {name for name in worked(project, before) if subject not in name}
    return {name for name in jobs if not name.startswith("fetch_")}


def but_scores_of_decoder(project: Project, subject: str) -> dict[str, str]:
    """Contents of all files of a subject that no gallery of all pictures concerns."""
    files = contents(project, f"results/nsd-tiny/{subject}")
    scored = ("scores.parquet", "draws.npy", "draws.parquet", "queries.parquet", "map.parquet", "bands.parquet")
    return {path: sha for path, sha in files.items() if "/ridge/" not in path or not path.endswith(scored)}


def test_a_subject_and_a_session_of_nsd_cost_those_who_have_them_alone(tmp_path: Path):
    made = nsd.make(n_sessions=31, per_session=24, n_vertices=42, subjects=("subj01", "subj04"))
    one = "    subjects: [subj01]\n    sessions: [1, 2]\n"
    two = "    subjects: [subj01, subj04]\n    sessions: [1, 2]\n"
    first, both = ([OF_NSD.format(name, model) for name in names for model in ("ridge-encoder", "ridge")]
                   for names in (["subj01"], ["subj01", "subj04"]))  # fmt: skip
    with nsd.serve(made.files) as bucket:
        project = nsd_copy.copied(tmp_path / "project", bucket, STUDY)
        project.edit("config/config.yaml", "    subjects: [subj01, subj02]\n    sessions: [1, 2, 3]\n", one)
        project.run(*first)
        of_first = but_scores_of_decoder(project, "subj01")
        logs = {path: path.stat().st_mtime_ns for path in (project.folder / "logs").rglob("*.log")}

        project.edit("config/config.yaml", one, two)
        project.run(*both)
        assert but_scores_of_decoder(project, "subj01") == of_first
        assert computed(project, logs, "subj04") == SHARED | {OF_DECODER.format("subj01")}

        of_second = but_scores_of_decoder(project, "subj04")
        logs = {path: path.stat().st_mtime_ns for path in (project.folder / "logs").rglob("*.log")}
        project.edit("config/config.yaml", "sessions: [1, 2]\n", "sessions: [1, 2, 31]\n")
        project.run(*both)
        assert but_scores_of_decoder(project, "subj04") == of_second
        assert computed(project, logs, "subj01") == SHARED | {OF_DECODER.format("subj04")}
        assert but_scores_of_decoder(project, "subj01") != of_first
