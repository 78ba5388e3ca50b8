"""A study of 8 subjects x 5 models x 3 features x 3 responses on paper: how many jobs it has, and what they ask for."""

import resource

import pytest
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import InputFiles
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from bench.dag import STUDY, plant_study
from tests.conftest import ROOT

CHOSEN = ("--config", f"study={STUDY}")
RESULTS = 8 * 5 * 3 * 3
FETCHED = {"fetch_dataset": 1, "fetch_stimuli": 1, "fetch_subject": 8}
# by hand: what is shared is made once, a response once per subject, a model once per result
JOBS = FETCHED | {
    "list_trials": 8,
    "pack_stimuli": 1,
    "make_split": 1,
    "cache_features": 3,
    "project_responses": 8 * 3,
    "train_model": RESULTS,
    "score_model": RESULTS,
    "collect_scores": 1,
    "collect_costs": 1,
    "draw_figure": 4,
    "write_report": 1,
}


@pytest.fixture
def large(project):
    plant_study(project.folder, subjects=8)
    return project


def test_774_jobs_are_planned_each_once_in_seconds_of_processor_time(large):
    """How fast it is, `make bench` says; this bound is loose and only tells another order of magnitude."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert large.planned(*CHOSEN) == JOBS
    assert sum(JOBS.values()) == 774
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 60


@pytest.mark.parametrize(
    ("stage", "jobs"),
    [
        ("prefetch", FETCHED),
        ("responses", FETCHED | {"list_trials": 8, "project_responses": 24} | {"fetch_stimuli": 0}),
        ("models", {name: n for name, n in JOBS.items() if not name.startswith(("score", "collect", "draw", "write"))}),
    ],
)
def test_a_stage_of_it_plans_that_stage_and_what_it_needs(large, stage, jobs):
    # --quiet, the option before, would take the target for one of its values
    assert large.planned("--nolock", stage, *CHOSEN) == {name: n for name, n in jobs.items() if n} | {stage: 1}


def test_memory_follows_the_size_of_the_inputs_and_the_attempt_and_waits_until_they_are_there(tmp_path):
    present, absent = tmp_path / "responses.npy", tmp_path / "absent.npy"
    with present.open("wb") as file:
        file.truncate(300 * 2**20)  # 300 MiB, of which the disk holds nothing
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        parsed = api.workflow(ResourceSettings(cores=1), snakefile=ROOT / "Snakefile", workdir=ROOT)
        rule = parsed._workflow.get_rule("train_model")
        wildcards = {"model": "ridge"}

        def asked(*paths, attempt=1):
            return rule.expand_resources(wildcards, InputFiles(map(str, paths)), attempt)["mem_mb"]

        assert [asked(present, attempt=n) for n in (1, 2)] == [2800, 5600]
        assert asked() == 2000
        assert asked(present, absent) == "<TBD>"
