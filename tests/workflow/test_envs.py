"""Environment files for conda, and the definition of the image, hold the versions of the lock file."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
ENVS = sorted((PROJECT / "envs").glob("*.yaml"))
IMAGE = PROJECT / "envs" / "boldflow.def"  # for Apptainer
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


@pytest.fixture(scope="module")
def minor():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")


def sections_of_image():
    """Lines of each section of the image's definition, without comments; the header is the section ''."""
    sections, name = {"": []}, ""
    for line in IMAGE.read_text().splitlines():
        if line.startswith("%"):
            name = line.removeprefix("%").strip()
            sections[name] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            sections[name].append(line.strip())
    return sections


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_versions_are_those_of_the_lock_file(path, lock, minor):
    pins = pins_of(path)
    assert pins.pop("python") == minor
    found = {name: (version, lock.get(plain(LOCK_NAMES.get(name, name)))) for name, version in pins.items()}
    assert {name: both for name, both in found.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_packages_come_from_conda_forge_alone(path):
    content = yaml.safe_load(path.read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert set(content) == {"channels", "dependencies"}


def test_every_package_of_the_run_time_is_in_one():
    listed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split("[<>=]", line)[0] for line in listed]
    there = {plain(LOCK_NAMES.get(name, name)) for path in ENVS for name in pins_of(path)}
    assert {plain(name) for name in names} - PARENT_ONLY - there == set()


def test_rules_name_files_that_exist_and_none_is_unused():
    named = set()
    for rules in (PROJECT / "workflow" / "rules").glob("*.smk"):
        found = re.findall(r'^\s*conda:\s*"\.\./\.\./envs/([^"]+)"', rules.read_text(), flags=re.MULTILINE)
        named |= set(found)
    assert named == {path.name for path in ENVS}


def test_the_image_has_the_same_python_and_installs_the_lock_file_and_nothing_else(minor):
    sections = sections_of_image()
    base = dict(line.split(": ") for line in sections[""])["From"]
    assert re.fullmatch(rf"python:{re.escape(minor)}(-[a-z]+)*", base), base
    source, place = sections["files"][0].split()
    assert (PROJECT / source).name == "requirements.lock" and len(sections["files"]) == 1
    installs = [line.split(" install ")[1].split() for line in sections["post"] if "pip install" in line]
    assert installs == [["--no-cache-dir", "--requirement", place]]


def test_the_image_names_no_registry_host_and_no_path_of_a_machine():
    text = IMAGE.read_text()
    assert "://" not in text and not re.search(r"\b[\w-]+\.(com|org|io|net|edu|gov)\b", text)
    base = next(line for line in text.splitlines() if line.startswith("From:")).split()[1]
    assert not re.search(r"[.:]", base.rpartition("/")[0]), f"{base} names a host"
    commands = "\n".join("\n".join(lines) for lines in sections_of_image().values())
    paths = set(re.findall(r"(?<![\w.])/[\w./-]+", commands))
    assert paths == {"/opt/boldflow/requirements.lock", "/var/lib/apt/lists"}
