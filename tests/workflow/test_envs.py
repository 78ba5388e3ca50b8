"""Environment files for conda hold the versions of the lock file."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
ENVS = sorted((PROJECT / "envs").glob("*.yaml"))
# conda-forge's own names; all others are the registry's in lower case
LOCK_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
# only the process that starts the jobs imports these
PARENT_ONLY = {"snakemake", "snakemake-executor-plugin-slurm"}


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def lock():
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = (line.split("==") for line in lines if line.strip() and not line.startswith("#"))
    return {plain(name): version.strip() for name, version in pins}


def pins_of(path):
    pins = {}
    for line in yaml.safe_load(path.read_text())["dependencies"]:
        assert isinstance(line, str), f"{path.name}: {line} is no pin of conda's"
        name, separator, version = line.partition("=")
        assert separator and re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), f"{path.name}: {line} is not name=version"
        assert name not in pins, f"{path.name} names {name} twice"
        pins[name] = version
    return pins


def test_there_is_one_file_per_kind_of_work():
    assert [path.stem for path in ENVS] == ["features", "fetch", "report", "surface", "train"]


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_versions_are_those_of_the_lock_file(path, lock):
    pins = pins_of(path)
    minor = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert pins.pop("python") == minor
    found = {name: (version, lock.get(plain(LOCK_NAMES.get(name, name)))) for name, version in pins.items()}
    assert {name: both for name, both in found.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_packages_come_from_conda_forge_alone(path):
    content = yaml.safe_load(path.read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert set(content) == {"channels", "dependencies"}


def test_every_package_of_the_run_time_is_in_one():
    names = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    there = {plain(LOCK_NAMES.get(name, name)) for path in ENVS for name in pins_of(path)}
    assert {plain(name) for name in names} - PARENT_ONLY - there == set()


def test_rules_name_files_that_exist_and_none_is_unused():
    named = set()
    for rules in (PROJECT / "workflow" / "rules").glob("*.smk"):
        found = re.findall(r'^\s*conda:\s*"\.\./\.\./envs/([^"]+)"', rules.read_text(), flags=re.MULTILINE)
        named |= set(found)
    assert named == {path.name for path in ENVS}
