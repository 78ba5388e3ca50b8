"""Causes in words, from parameters as Snakemake records them (without names, as Python writes them)."""

import json
import os
from pathlib import Path

import pytest

from boldflow import symbols
from boldflow.commands import changes
from boldflow.commands.plan import Job
from boldflow.provenance import canonical, digest


def as_recorded(**params):
    return changes.recorded(sorted(repr(value) for value in params.values()))


def texts(causes):
    return [(cause.kind, cause.text) for cause in causes]


CODE = {"boldflow.stages.models.train_model": "a1", "boldflow.models.ridge": "b1", "boldflow.core.linear.ridge": "c1"}
RIDGE = {"name": "ridge", "plugin": "ridge", "alphas": [1, 10], "n_folds": 5, "head": {"width": 8}}
PARAMS = {"settings": json.dumps(RIDGE), "code": json.dumps(CODE), "n_draws": 1000}


def changed(**new):
    return texts(changes.of_params(as_recorded(**PARAMS), {**PARAMS, **new}))


def test_equal_parameters_have_no_cause_whatever_their_order():
    assert changes.of_params(as_recorded(**dict(reversed(PARAMS.items()))), PARAMS) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("n_folds", 4, "setting n_folds of ridge: 5 -> 4"),
        ("n_folds", 5.0, "setting n_folds of ridge: 5 -> 5.0"),
        ("alphas", [1], "setting alphas of ridge: [1, 10] -> [1]"),
        ("head", {"width": 9}, "setting head.width of ridge: 8 -> 9"),
        ("seeds", [0], "setting seeds of ridge: (not there) -> [0]"),
    ],
)
def test_a_setting_is_named_by_its_key_path_with_both_values(key, value, words):
    assert changed(settings=json.dumps({**RIDGE, key: value})) == [("setting", words)]


def test_a_setting_that_went_is_named():
    less = {key: value for key, value in RIDGE.items() if key != "n_folds"}
    assert changed(settings=json.dumps(less)) == [("setting", "setting n_folds of ridge: 5 -> (not there)")]


def test_a_number_of_a_rule_is_named_by_its_parameter():
    assert changed(n_draws=500) == [("setting", "setting n_draws: 1000 -> 500")]


def test_modules_are_named_that_changed_came_or_went():
    code = {"boldflow.stages.models.train_model": "a1", "boldflow.models.ridge": "b2", "boldflow.core.solvers": "d1"}
    assert changed(code=json.dumps(code)) == [
        ("module", "module boldflow.core.linear.ridge was used and is not now"),
        ("module", "module boldflow.core.solvers is used now and was not"),
        ("module", "module boldflow.models.ridge changed"),
    ]


def test_a_setting_and_a_module_that_change_at_once_are_told_apart():
    code, settings = {**CODE, "boldflow.core.linear.ridge": "c2"}, {**RIDGE, "n_folds": 4}
    assert changed(code=json.dumps(code), settings=json.dumps(settings), n_draws=1) == [
        ("setting", "setting n_draws: 1000 -> 1"),
        ("setting", "setting n_folds of ridge: 5 -> 4"),
        ("module", "module boldflow.core.linear.ridge changed"),
    ]


def test_a_parameter_that_came_or_went_is_a_change_of_the_rule():
    came = changes.of_params(as_recorded(**PARAMS), {**PARAMS, "what": "stimuli"})
    assert texts(came) == [("rule", 'the rule has a new parameter, what: "stimuli"')]
    went = changes.of_params(as_recorded(**PARAMS, what="stimuli"), PARAMS)
    assert texts(went) == [("rule", 'the rule no longer has a parameter that was "stimuli"')]


def test_a_row_of_a_study_is_named_by_its_place():
    study = {"name": "mine", "runs": [{"models": ["a"]}, {"models": ["a", "b"]}]}
    new = {"name": "mine", "runs": [{"models": ["a"]}, {"models": ["a"]}]}
    found = texts(changes.of_value("study", json.dumps(study), json.dumps(new)))
    assert found == [("setting", 'setting runs[1].models of mine: ["a", "b"] -> ["a"]')]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job with one input (with checksum) and one output, as it was recorded."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.npy", "out.parquet"):
        (tmp_path / name).write_text(name)
    end = os.stat("out.parquet").st_mtime
    record = {
        **{"rule": "train_model", "params": [repr(v) for v in PARAMS.values()]},
        **{"input": ["in.npy"], "input_checksums": {"in.npy": f"sha256:{changes.sha256('in.npy')}"}, "endtime": end},
    }
    return Job(
        rule="train_model",
        wildcards={},
        output=["out.parquet"],
        input=["in.npy"],
        params=PARAMS,
        runs=False,
        records={"out.parquet": record},
    )


def causes(job, **changed_fields):
    return texts(changes.of_job(Job(**{**vars(job), **changed_fields}), changes.sha256, {}))


def test_a_job_as_it_was_has_no_cause(job):
    assert causes(job) == []


def test_content_is_compared_not_times(job, tmp_path):
    os.utime("in.npy", (2e9, 2e9))
    assert causes(job) == []
    (tmp_path / "in.npy").write_text("other")
    os.utime("in.npy", (1, 1))
    ((kind, text),) = causes(job)
    assert kind == "data" and text.startswith("file in.npy changed: SHA-256 ")


def test_without_a_checksum_the_time_counts(job):
    job.records["out.parquet"]["input_checksums"] = {}
    assert causes(job) == []
    os.utime("in.npy", (2e9, 2e9))
    ((kind, text),) = causes(job)
    assert kind == "data" and "newer" in text


def test_what_is_missing_is_named(job, tmp_path):
    (tmp_path / "out.parquet").unlink()
    assert causes(job) == [("output", "out.parquet is missing")]
    assert causes(job, records={}) == [("output", "never made")]
    (tmp_path / "in.npy").unlink()
    assert ("data", "file in.npy is missing") in causes(job)


def test_other_inputs_and_a_lost_record_are_named(job):
    assert causes(job, input=["new.npy"]) == [
        ("input", "train_model no longer reads: in.npy"),
        ("input", "train_model reads now: new.npy"),
    ]
    assert [kind for kind, _ in causes(job, records={})] == ["record"]


MAP = {"boldflow.(adapter).train_model": "a", "boldflow.models.ridge": "b", symbols.ROOTS: "train_model ridge"}
NEW = MAP | {"boldflow.models.ridge": "c"}


def kept(code, **definitions):
    path = Path(".snakemake/boldflow-code") / f"{digest(canonical(code))}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({f"boldflow.models.ridge:{name}": value for name, value in definitions.items()}))


def test_definitions_are_named_where_their_side_files_are_kept_and_modules_where_one_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert texts(changes.of_code(MAP, NEW)) == [("module", "module boldflow.models.ridge changed")]
    kept(MAP, fit="1", predict="1", left="1")
    assert texts(changes.of_code(MAP, NEW)) == [("module", "module boldflow.models.ridge changed")]
    kept(NEW, fit="2", predict="1", came="1", **{"(import)": "1", "(page.html)": "1"})
    assert texts(changes.of_code(MAP, NEW)) == [
        ("module", "boldflow.models.ridge:came is used now and was not"),
        ("module", "boldflow.models.ridge:fit changed"),
        ("module", "boldflow.models.ridge:left was used and is not now"),
        ("module", "page.html beside boldflow.models.ridge is used now and was not"),
        ("module", "what boldflow.models.ridge does when it is imported is used now and was not"),
    ]


def test_an_edited_adapter_other_roots_and_a_map_of_an_older_version_are_named():
    edited = MAP | {"boldflow.(adapter).train_model": "x", symbols.ROOTS: "train_model dummy"}
    assert texts(changes.of_code(MAP, edited)) == [
        ("module", "what runs is another: train_model ridge -> train_model dummy"),
        ("adapter", "adapter train_model changed"),
    ]
    assert texts(changes.of_code(CODE, MAP)) == [("module", changes.ONCE)]
