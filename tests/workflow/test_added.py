"""A subject or a session that is added to an entry is no parameter of the jobs that it does not concern."""

import json
import os
import subprocess
import sys

from tests.conftest import Project

Jobs = dict[tuple[str, str], dict]


def jobs(project: Project, study: str) -> Jobs:
    """Jobs of a study by rule and subject, as they would be asked for now."""
    command = [sys.executable, "workflow/tools/plan.py", json.dumps({"targets": [], "config": [f"study={study}"]})]
    environment = os.environ | {"PYTHONPATH": str(project.folder / "src")}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=True)
    return {(job["rule"], json.dumps(job["wildcards"], sort_keys=True)): job for job in json.loads(done.stdout)["jobs"]}


def changed(before: Jobs, after: Jobs) -> list[dict]:
    """Jobs of which a parameter is another one."""
    return [job for key, job in before.items() if after[key]["params"] != job["params"]]


def test_a_third_subject_is_no_parameter_of_the_others(project: Project):
    two, three = "subjects: [sub-01, sub-02], ", "subjects: [sub-01, sub-02, sub-03], "
    project.edit("config/config.yaml", "sim-tiny: {plugin: sim, ", "sim-tiny: {plugin: sim, " + two)
    before = jobs(project, "demo-tiny")
    project.edit("config/config.yaml", two, three)
    after = jobs(project, "demo-tiny")
    assert {job["rule"] for job in changed(before, after)} == {"collect_costs"}  # it names where costs are
    assert {job["wildcards"]["subject"] for key, job in after.items() if key not in before} == {"sub-03"}
    grown = {key[0] for key in before if after[key]["input"] != before[key]["input"]}
    assert grown - {"make_split"} <= {"collect_scores", "collect_costs", "draw_figure", "write_report"}


def test_a_session_concerns_those_who_have_it_alone(project: Project):
    project.edit("config/config.yaml", "  nsd: {}", "  nsd: {sessions: [1, 2, 3, 32]}")
    before = jobs(project, "nsd")
    project.edit("config/config.yaml", "[1, 2, 3, 32]", "[1, 2, 3, 32, 33]")
    concerned = changed(before, jobs(project, "nsd"))
    assert {job["rule"] for job in concerned} == {"fetch_subject", "list_trials", "pack_stimuli", "project_responses"}
    # the others have 30 or 32 sessions
    assert {job["wildcards"].get("subject", "") for job in concerned} == {"", "subj01", "subj02", "subj05", "subj07"}
