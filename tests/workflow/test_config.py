"""Wrong configuration stops at parse, says what and where, and starts no job."""

import resource
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CATALOGUE = "config/config.yaml"
STUDY = "config/studies/demo.yaml"
CASES = {
    "misspelt top key": (
        CATALOGUE,
        "study: demo",
        "studdy: demo",
        ["'studdy'", "'demo'", "did you mean 'study'"],
    ),
    "misspelt model key": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {direktion: decode}",
        ["models.ridge", "'direktion'", "'decode'", "did you mean 'direction'"],
    ),
    "misspelt plug-in setting": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {alpha: [1]}",
        ["models.ridge", "'alpha'", "[1]", "'alphas'"],
    ),
    "wrong type": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {alphas: 3}",
        ["models.ridge.alphas", "found 3 (int)", "expected a list"],
    ),
    "negative number": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {alphas: [-1]}",
        ["models.ridge.alphas[0]", "found -1", "0"],
    ),
    "value not in the list": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {direction: decod}",
        ["models.ridge.direction", "'decod' is not known", "did you mean 'decode'"],
    ),
    "unknown plug-in": (
        CATALOGUE,
        "chance: {}",
        "chance: {plugin: chanse}",
        ["models.chance", "no plug-in 'chanse'", "did you mean 'chance'"],
    ),
    "a name that cannot be a path": (CATALOGUE, "chance: {}", "a/b: {plugin: chance}", ["models", "'a/b'"]),
    "missing key": (CATALOGUE, "{test: run}", "{}", ["splits.leave-one-run-out", "'test' is missing"]),
    "unknown model in a study": (
        STUDY,
        "ridge-encoder-maps]",
        "ridge-encodr]",
        ["runs[0].models", "'ridge-encodr'", "'ridge-encoder'"],
    ),
    "unknown data set in a study": (
        STUDY,
        "datasets: [sim]",
        "datasets: [simm]",
        ["runs[0].datasets", "'simm'", "'sim'"],
    ),
    "unknown subject": (
        STUDY,
        "subjects: all",
        "subjects: [sub-1]",
        ["'sim' has no subject 'sub-1'", "'sub-01'"],
    ),
    "unknown figure": (STUDY, "ceiling-map", "ceiling-mapp", ["figures", "'ceiling-mapp'", "'ceiling-map'"]),
    "misspelt study key": (STUDY, "primary:", "primery:", ["'primery'", "'primary'"]),
    "unknown metric": (
        STUDY,
        "metric: inv_norm_rank",
        "metric: top_5",
        ["primary.metric", "'top_5'", "'top5'"],
    ),
    "a metric that no model gives": (STUDY, "metric: inv_norm_rank", "metric: nway50, x: 1", ["'x'"]),
    "a figure that nothing feeds": (
        "config/studies/haxby.yaml",
        "figures: [leaderboard]",
        "figures: [encoding-map]",
        ["'encoding-map' needs ['maps']"],
    ),
    "a primary metric that no model gives": (
        "config/studies/haxby.yaml",
        "metric: accuracy",
        "metric: top5",
        ["primary.metric", "'top5'", "accuracy"],
    ),
    "pictures where there are none": (
        "config/studies/haxby.yaml",
        "features: [labels]",
        "features: [gabor]",
        ["'gabor' reads pictures", "'haxby' has none"],
    ),
    "a space that the data do not come in": (
        "config/studies/haxby.yaml",
        "blocks-0to22s-native",
        "bold-4to10s-fsaverage5",
        ["'fsaverage5'", "'haxby' cannot give"],
    ),
    "a plug-in without its facts": (
        "src/boldflow/models/chance.py",
        '"threads": 1, ',
        "",
        ["chance.py of models", "FACTS lack ['threads']"],
    ),
    "a plug-in with a fact that there is not": (
        "src/boldflow/models/chance.py",
        '"threads": 1, ',
        '"threads": 1, "closed_forms": True, ',
        ["chance.py of models", "FACTS: there is no fact 'closed_forms' of models; did you mean 'closed_form'?"],
    ),
    "a plug-in without a function": (
        "src/boldflow/models/chance.py",
        "def predict(",
        "def foresee(",
        ["chance.py of models", "['predict'] are missing"],
    ),
    "a plug-in that is no Python": ("src/boldflow/models/chance.py", "def fit(", "def fit((", ["chance.py of models"]),
    "a catalogue that is no YAML": (
        CATALOGUE,
        "ridge: {direction: decode}",
        "ridge: {direction: decode",
        ["config/config.yaml is not YAML", "line ", "did not find expected"],
    ),
    "study is no mapping": (STUDY, "title:", "- title:", ["demo.yaml"]),
}


@pytest.mark.parametrize("case", CASES)
def test_it_stops_at_parse_and_names_key_value_and_what_would_be_right(project, case):
    path, old, new, words = CASES[case]
    project.edit(path, old, new)
    study = "haxby" if "haxby" in path else "demo"
    result = (
        project.snakemake("--config", f"study={study}", check=False)
        if path != CATALOGUE
        else project.snakemake(check=False)
    )
    assert result.returncode == 1
    for word in words:
        assert word in result.stdout, f"{word!r} is not in:\n{result.stdout}"
    assert "Traceback" not in result.stdout and "common.smk" not in result.stdout
    assert not (project.folder / "results").exists() and not (project.folder / "resources").exists()


def test_a_wrong_configuration_stops_within_five_seconds(project):
    """As faults.md asks; processor time is that of an idle machine, whatever runs beside."""
    project.edit(CATALOGUE, "study: demo", "studdy: demo")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "snakemake", "--profile", "cpu"]
    assert subprocess.run(words, cwd=project.folder, check=False, capture_output=True).returncode == 1
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime < 5


def test_each_problem_is_said_once(project):
    project.edit(CATALOGUE, "  haxby: {}\n", "  haxby: {}\n  mine: {plugin: bids, folder: /x, image_column: stim}\n")
    said = project.snakemake("-n", check=False).stdout
    assert "2 problem(s)" in said
    assert said.count("key 'subjects' is missing") == said.count("key 'tr_s' is missing") == 1


@pytest.mark.parametrize("name", ["demmo", "elsewhere/mine.yaml"])
def test_an_unknown_study_is_named_with_the_nearest_ones(project, name):
    result = project.snakemake("--config", f"study={name}", check=False)
    assert result.returncode == 1
    assert repr(name) in result.stdout and "demo" in result.stdout


def test_a_study_of_ones_own_is_given_by_path(project):
    own = project.folder.parent / "mine.yaml"
    own.write_text((ROOT / "config" / "studies" / "demo-tiny.yaml").read_text())
    result = project.snakemake("-n", "--config", f"study={own}")
    assert "results/studies/mine/report/index.html" in result.stdout


def test_the_configuration_page_is_what_the_schemas_say():
    from pathlib import Path

    from boldflow import registry
    from boldflow.report import config_page

    page = config_page.render(registry.read_schemas(Path(ROOT) / "workflow" / "schemas"))
    assert (ROOT / "config" / "README.md").read_text() == page + "\n", "run `make docs`"


def test_every_key_is_described():
    from boldflow import registry
    from boldflow.vocabulary.sections import PLUGIN_SECTIONS, SECTIONS

    schemas = registry.read_schemas(ROOT / "workflow" / "schemas")

    def keys(schema, where):
        for name, one in schema.get("properties", {}).items():
            yield f"{where}.{name}", one
            yield from keys(one, f"{where}.{name}")
            yield from keys(one.get("items", {}), f"{where}.{name}[]")

    found = [*keys(schemas["config"], "config"), *keys(schemas["study"], "study")]
    for section in SECTIONS:
        found += keys(schemas["config"]["$defs"][section], section)
        for plugin in registry.plugins(section) if section in PLUGIN_SECTIONS else []:
            found += keys({"properties": registry.literal(section, plugin, "SETTINGS")}, f"{section}/{plugin}")
    assert len(found) > 40
    undescribed = [name for name, one in found if not one.get("description", "").strip()]
    assert not undescribed
