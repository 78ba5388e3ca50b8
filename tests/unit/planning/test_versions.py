"""The bounds on Snakemake stand once each for people, and agree."""

import re
import tomllib

import pytest

from boldflow.planning import versions
from tests.conftest import ROOT


def test_the_bounds_are_those_of_the_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (bounds,) = [line for line in listed if line.startswith("snakemake>")]
    (lowest,) = re.findall(r'min_version\("([^"]+)"\)', (ROOT / "Snakefile").read_text(encoding="utf-8"))
    assert bounds == f"snakemake>={lowest},<{versions.BELOW}"


@pytest.mark.parametrize(("version", "fits"), [("9.27.1", True), ("9.99", True), ("10.0.0", False), ("11", False)])
def test_a_version_that_nobody_tried_is_refused(version, fits):
    problems = versions.version_problems(version)
    assert not problems if fits else version in problems[0] and "below 10" in problems[0]


def test_the_one_that_is_installed_fits():
    assert versions.version_problems() == []
