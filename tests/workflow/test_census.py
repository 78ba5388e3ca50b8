"""A census of the parsed workflow: every script rule says all that a rule must say."""

import ast
import subprocess
from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.io import is_flagged
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from tests.conftest import ROOT

STAGES = {
    "prefetch",
    "trials",
    "stimuli",
    "splits",
    "responses",
    "features",
    "models",
    "scores",
    "leaderboard",
}
STAGES |= {"figures", "report"}


@pytest.fixture(scope="module")
def rules():
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=ROOT / "Snakefile", workdir=ROOT)
        return {rule.name: rule for rule in workflow._workflow.rules}


@pytest.fixture(scope="module")
def scripts(rules):
    found = {name: rule for name, rule in rules.items() if not rule.norun}
    assert len(found) >= 13
    return found


def test_every_working_rule_runs_a_script(scripts):
    assert all(rule.is_script for rule in scripts.values())


@pytest.mark.parametrize("part", ["input", "output"])
def test_inputs_and_outputs_have_names(scripts, part):
    """Those that are unpacked are named by the tables that a figure or the report needs."""
    for name, rule in scripts.items():
        unnamed = [value for key, value in getattr(rule, part)._allitems() if key is None]
        unpacked = [value for value in unnamed if is_flagged(value, "unpack")]
        assert unnamed == unpacked, f"{name} has unnamed {part} {unnamed}"
        assert bool(unpacked) == (part == "input" and name in ("draw_figure", "write_report")), name
        assert rule.output


def test_every_rule_says_log_benchmark_conda_threads_resources_message(scripts):
    for name, rule in scripts.items():
        assert list(map(str, rule.log)) and str(rule.log[0]).startswith(f"logs/{name}/"), name
        assert str(rule.benchmark).startswith(f"benchmarks/{name}/"), name
        assert rule.conda_env and rule.message, name
        assert {"mem_mb", "runtime"} <= set(rule.resources), name
        assert (ROOT / "workflow" / "rules" / str(rule.conda_env)).resolve().is_file(), name


def test_threads_stand_in_every_rule(scripts):
    for name, rule in scripts.items():
        block = Path(rule.snakefile).read_text().split(f"rule {name}:")[1].split("\nrule ")[0]
        assert "    threads:" in block, name


def test_every_rule_carries_a_digest_of_its_code(scripts):
    for name, rule in scripts.items():
        assert callable(dict(rule.params.items())["code"]), name


def test_adapter_and_rule_share_their_name(scripts):
    for name, rule in scripts.items():
        assert str(rule.script).endswith(f"/{name}.py"), name
    adapters = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")} - {"_adapter"}
    assert adapters == set(scripts)


def test_adapters_hand_over_exactly_what_the_stage_takes(scripts):
    """The adapter's keywords are the parameters of the stage's run, neither more nor fewer."""
    for name in scripts:
        tree = ast.parse((ROOT / "workflow" / "scripts" / f"{name}.py").read_text())
        call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "run")
        assert call.func.value.id == name, "the stage of a rule bears its name"
        (module,) = (ROOT / "src" / "boldflow" / "stages").rglob(f"{name}.py")
        stage = ast.parse(module.read_text())
        run = next(n for n in stage.body if isinstance(n, ast.FunctionDef) and n.name == "run")
        assert [k.arg for k in call.keywords] == [a.arg for a in run.args.args] or {k.arg for k in call.keywords} == {
            a.arg for a in run.args.args
        }, name


def test_there_is_a_target_for_each_stage(rules):
    assert {name for name, rule in rules.items() if rule.norun} >= STAGES


def test_the_cpu_profile_turns_the_gpu_off_for_every_rule_that_may_ask_for_one(scripts):
    asking = {name for name, rule in scripts.items() if "gpu" in rule.resources}
    profile = yaml.safe_load((ROOT / "profiles" / "cpu" / "config.yaml").read_text())
    chosen = profile["set-resources"]
    silenced = {name for name, value in chosen.items() if value.get("gpu") in (0, "0")}
    assert asking and asking <= silenced


def test_profiles_are_reached_by_name_from_the_project(rules):
    for name in ("cpu", "slurm"):
        assert (ROOT / name).is_symlink() and (ROOT / name / "config.yaml").is_file()
        listed = subprocess.run(["git", "ls-files", name], cwd=ROOT, capture_output=True, text=True, check=True)
        assert listed.stdout.strip() == name
    assert not any((ROOT / place / "default").exists() for place in ("profiles", "workflow/profiles"))
