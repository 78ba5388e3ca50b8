"""Wrong configuration and edits that change nothing: rows 1 and 28."""

import re
import resource
import time

import pytest

from tests.faults.conftest import STUDY

pytestmark = pytest.mark.end_to_end


def test_wrong_configuration_stops_at_parse_within_seconds(project):
    """A misspelt key, a wrong type and an unknown model at once; 5 s of processor time hold on a busy machine too."""
    project.edit("config/config.yaml", "nearest: {permutations: 100}", "nearest: {permutation: 100}")
    project.edit("config/config.yaml", "{direction: decode}", "{direction: decode, alphas: 3}")
    project.edit("config/config.yaml", "dummy: {permutations: 0}", "dummy: {plugin: dumy}")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    said = project.snakemake("-n", check=False)
    after, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    assert said.returncode == 1
    for words in (
        "3 problem(s), no job was started",
        "models.nearest: unknown key 'permutation' (value 100); did you mean 'permutations'",
        "models.ridge.alphas: found 3 (int), expected a list",
        "models.dummy: no plug-in 'dumy'; did you mean 'dummy'",
    ):
        assert words in said.stdout, f"{words!r} is not in:\n{said.stdout}"
    assert not (project.folder / "results").exists()
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert took < 20


def test_a_colour_reruns_one_figure_and_the_dry_run_says_why(study):
    """A comment in the model and a docstring in the stage rerun nothing beside it."""
    study.edit("src/boldflow/core/linear/folds.py", "\nBLOCK = ", "\n# another comment\nBLOCK = ")
    study.edit("src/boldflow/stages/models/train_model.py", '"""Training of one model', '"""Teaching of one model')
    figure = study.folder / "src/boldflow/figures/leaderboard/__init__.py"
    figure.write_text(figure.read_text() + "\nANOTHER_COLOUR = '#123456'\n")
    said = study.snakemake("-n", *STUDY).stdout
    jobs = re.findall(r"^Job \d+: (.*)\nReason: ([^:]*)", said, re.M)
    assert jobs == [
        ("Draw leaderboard of demo-tiny", "Params have changed since last execution"),
        ("Write the report of demo-tiny", "Input files updated by another job"),
    ]
    assert '"boldflow.figures.leaderboard"' in said
