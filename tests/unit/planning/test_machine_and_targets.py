"""What stops a run before any job: paths that a shell takes apart, names that became numbers, misspelt targets."""

import os
import subprocess

import pytest

from boldflow.commands.doctor.machine import cache_fault
from boldflow.planning import name_problems, place_problems, study_files, target_problems
from boldflow.planning.targets import nearest_file
from tests.conftest import ROOT

ODD = ["my lab", "o'neil", "data (copy)", "a[2]", "x$y", "a;b", "a&b", 'q"q', "two  blanks", "{a}", "back\\slash"]
PLAIN = ["étude", "plain", "with-dash_and.dot", "a+b,c=d@e:f%g"]
OUTPUTS = [
    "results/{dataset,sim|nsd\\-tiny}/{subject,sub\\-01|sub\\-02}/trials.parquet",
    "results/{dataset,sim|nsd\\-tiny}/splits/{split,repeated|folds}.parquet",
    "results/studies/{study,demo|haxby}/report/index.html",
    "results/{dataset,sim|nsd\\-tiny}/features/{feature,gabor}.shard-{shard,\\d+-of-\\d+}.safetensors",
]


@pytest.mark.parametrize("name", ODD)
def test_a_path_that_a_shell_takes_apart_is_refused_by_make_and_at_parse(tmp_path, name):
    folder = tmp_path / name / "boldflow"
    folder.mkdir(parents=True)
    for file in ("Makefile", "pyproject.toml", "requirements.lock"):
        (folder / file).write_text((ROOT / file).read_text())
    for goal in ("demo", "test", ".venv/.installed"):
        made = subprocess.run(
            ["make", "--no-print-directory", "-n", goal], cwd=folder, capture_output=True, text=True, check=False
        )
        assert made.returncode and "move it to a path without them" in made.stderr and not made.stdout
    assert subprocess.run(["make", "help"], cwd=folder, capture_output=True, check=False).returncode == 0
    (problem,) = place_problems(str(folder / ".venv/bin/python"), str(folder))
    assert "the Python that runs Snakemake" in problem and "move the project" in problem
    assert place_problems("/usr/bin/python", str(folder)) == []
    assert len(place_problems("/usr/bin/python", str(folder), uses_conda=True)) == 1


@pytest.mark.parametrize("name", PLAIN)
def test_other_paths_go(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for file in ("Makefile", "pyproject.toml", "requirements.lock"):
        (folder / file).write_text((ROOT / file).read_text())
    made = subprocess.run(
        ["make", "--no-print-directory", "-n", "demo"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0 and place_problems(str(folder / ".venv/bin/python")) == []


@pytest.mark.parametrize(
    ("value", "word", "name"),
    [(202302, "study=2023_02", "2023_02"), (2024.1, "study=2024.10", "2024.10"), (7, "study=007", "007"),
     (1e5, "study=1e5", "1e5"), (True, "study=True", "True"), (202302, "study='2023_02'", "2023_02")],
)  # fmt: skip
def test_a_name_that_became_a_number_is_told_as_it_was_written(value, word, name):
    (problem,) = name_problems(value, ["snakemake", "--config", word])
    assert f"of {name};" in problem and f'"study=!!str {name}"' in problem and f"config/studies/{name}.yaml" in problem
    assert name_problems(name, ["snakemake", "--config", word]) == []
    assert "YAML made" in name_problems(value, ["snakemake"])[0]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("scroes", ["no stage", "did you mean 'scores'"]),
        ("train_model", ["one file of many", "scores, trials"]),
        ("results/simm/splits/folds.parquet", ["'simm' is not known below results/", "did you mean 'sim'"]),
        ("results/nsd_tiny/sub-01/trials.parquet", ["'nsd_tiny'", "did you mean 'nsd-tiny'"]),
        ("results/sim/splits/repeatd.parquet", ["'repeatd.parquet'", "did you mean 'repeated.parquet'"]),
        ("results/sim/splits/repeated.csv", ["'repeated.csv'", "did you mean 'repeated.parquet'"]),
        ("results/sim/sub-01", ["results/sim/sub-01/ goes on", "trials.parquet"]),
        ("results/studies/demoo/report/index.html", ["'demoo'", "did you mean 'demo'"]),
        ("result/sim", ["'result' is not known", "did you mean 'results'"]),
        ("results/studies/demo/report/index.html/x", ["'index.html'"]),
    ],
)
def test_misspelt_targets_get_the_nearest_names(target, words):
    (problem,) = target_problems([target], ["scores", "trials"], ["scores", "trials", "train_model"], OUTPUTS)
    assert problem.startswith(f"{target}: ") and all(word in problem for word in words), problem


def test_what_is_made_is_no_problem_and_an_absolute_path_is_told_how_to_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = ["trials", "results/sim/sub-02/trials.parquet", "./results/sim/features/gabor.shard-0-of-3.safetensors"]
    assert target_problems(good, ["trials"], ["trials"], OUTPUTS) == []
    (problem,) = target_problems([str(tmp_path / "results/sim/sub-02/trials.parquet")], [], [], OUTPUTS)
    assert problem.endswith("write results/sim/sub-02/trials.parquet")


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/studies/demo").mkdir(parents=True)
    assert "results/studies/ has no 'dmeo'; did you mean 'demo'" in nearest_file("results/studies/dmeo/a.csv")


def test_two_study_files_of_one_name_are_refused(tmp_path):
    for name in ("a.yaml", "b.yaml", "c.yml"):
        (tmp_path / name).write_text("{}")
    problems = []
    assert set(study_files(tmp_path, lambda where, lines: problems.extend(lines))) == {"a", "b", "c"} and not problems
    (tmp_path / "a.yml").write_text("{}")
    study_files(tmp_path, lambda where, lines: problems.extend(lines))
    assert problems == ["two studies are called 'a': a.yaml and a.yml; rename one"]


def test_a_cache_that_cannot_be_made_is_seen(tmp_path):
    (tmp_path / "file").write_text("")
    assert cache_fault({"HOME": str(tmp_path)}) == ""
    assert "cannot be written" in cache_fault({"HOME": str(tmp_path / "file")})
    assert "cannot be written" in cache_fault({"HOME": os.devnull, "XDG_CACHE_HOME": "/proc/none"})
    assert cache_fault({"HOME": os.devnull, "XDG_CACHE_HOME": str(tmp_path / "cache")}) == ""
