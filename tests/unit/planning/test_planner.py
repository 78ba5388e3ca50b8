"""What rules ask for, without Snakemake: its wildcards are texts with attributes and items."""

import json
import re
from pathlib import Path

import pytest
import yaml

from boldflow import planning, registry
from boldflow.planning.parameters import fill
from boldflow.planning.studies import filled
from boldflow.vocabulary.results import ResultKey
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
ROW = {
    "datasets": ["sim"],
    "subjects": ["sub-01", "sub-02"],
    "responses": ["bold-2to8s-fsaverage5"],
    "features": ["gabor"],
    "models": ["ridge", "dummy"],
    "splits": ["repeated"],
}


class Wildcards(dict):
    """As Snakemake's: attributes and items."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Stopped(Exception):
    """Parsing would have ended."""


def stop(where, problems):
    raise Stopped(f"{where}: {problems}")


@pytest.fixture
def studies(tmp_path):
    """Two studies: one of two subjects, one whose subjects are pooled."""
    config = CONFIG | {"responses": {"bold-2to8s-fsaverage5": {}, **CONFIG["responses"]}}
    files = {}
    for name, row in {"each": ROW, "pooled": ROW | {"subjects": "pooled", "models": ["ridge"]}}.items():
        files[name] = tmp_path / f"{name}.yaml"
        files[name].write_text(yaml.safe_dump({"runs": [row], "figures": ["leaderboard"]}))
    return planning.Studies(config, SCHEMAS, files, read, lambda study: [], stop)


def read(path: Path):
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def test_paths_come_once_and_in_the_order_of_the_study(studies):
    found = studies.paths("results/{dataset}/{subject}/trials.parquet", "each")
    assert found == ["results/sim/sub-01/trials.parquet", "results/sim/sub-02/trials.parquet"]
    assert len(studies.paths(f"{planning.RESULT}/scores.parquet", "each")) == 4


def test_what_comes_before_models_is_each_subject_s_own_where_they_are_pooled(studies):
    everyone = registry.literal("datasets", "sim", "FACTS")["subjects"]
    found = studies.paths("results/{dataset}/{subject}/trials.parquet", "pooled")
    assert found == [f"results/sim/{subject}/trials.parquet" for subject in everyone]
    (scores,) = studies.paths(f"{planning.RESULT}/scores.parquet", "pooled")
    assert "/pooled/" in scores


def test_a_study_is_read_and_expanded_once(studies, monkeypatch):
    first = studies.results("each")
    monkeypatch.setattr(studies, "read", None)
    assert studies.results("each") is first


def test_an_unknown_study_is_told_with_the_nearest(studies):
    with pytest.raises(Stopped, match="did you mean 'each'"):
        studies.of_name("eahc")


def test_a_study_that_is_no_yaml_or_has_problems_stops_with_its_file(studies, tmp_path):
    (tmp_path / "each.yaml").write_text("runs: [")
    with pytest.raises(Stopped, match=r"each\.yaml.*not YAML"):
        studies.of_name("each")
    studies.check = lambda study: ["runs: none"]
    with pytest.raises(Stopped, match=r"pooled\.yaml.*runs: none"):
        studies.of_name("pooled")


def test_a_file_of_one_s_own_becomes_a_study_unless_its_name_is_taken(studies, tmp_path):
    own = tmp_path / "below" / "mine.yaml"
    own.parent.mkdir()
    own.write_text((tmp_path / "each.yaml").read_text())
    assert studies.choose(str(own)) == "mine"
    assert studies.results("mine") == studies.results("each")
    with pytest.raises(Stopped, match="there is no file"):
        studies.choose(str(tmp_path / "other.yaml"))
    with pytest.raises(Stopped, match="rename the file"):
        studies.choose(str(own.rename(own.with_name("each.yaml"))))


def test_rivals_are_encoders_of_one_subject(studies):
    assert studies.rivals("each") == []
    assert planning.Targets(studies).wins("each") == []


@pytest.fixture
def inputs(studies):
    return planning.Inputs(studies.config, SCHEMAS, studies)


def test_a_result_reads_its_own_subject_or_all(inputs):
    pattern = "results/{dataset}/{subject}/{response}/responses.npy"
    one = Wildcards(dataset="sim", subject="sub-02", response="bold")
    assert inputs.for_each_subject(pattern)(one) == ["results/sim/sub-02/bold/responses.npy"]
    assert len(inputs.for_each_subject(pattern)(Wildcards(one | {"subject": "pooled"}))) == 3
    assert inputs.for_each_subject(pattern)(Wildcards(one | {"response": "none"})) == []


def test_a_model_of_responses_alone_has_no_feature(inputs):
    names = Wildcards(dataset="sim", feature="none")
    assert inputs.file_of_feature("npy")(names) == []
    assert inputs.file_of_feature("npy")(Wildcards(names | {"feature": "gabor"})) == ["results/sim/features/gabor.npy"]


def test_a_split_seeks_duplicates_only_where_all_pictures_are_at_hand(studies):
    config = studies.config | {
        "datasets": {"sim": {}, "shown": {"plugin": "bold5000"}, "mine": {"plugin": "god", "stimuli_root": "x"}},
        "splits": {"near": {"test": "run", "against": ["sim", "mine"]}, "far": {"test": "run", "against": ["shown"]}},
    }
    packs = planning.Inputs(config, SCHEMAS, studies).packs_of_split("h5")
    near = packs(Wildcards(dataset="sim", split="near"))
    assert near == ["results/sim/stimuli.h5", "results/mine/stimuli.h5"]
    assert packs(Wildcards(dataset="sim", split="far")) == []


def test_receipts_of_a_run_are_those_of_its_data_and_of_networks(inputs):
    receipts = inputs.receipts_of_run("each")(Wildcards())
    assert receipts[:2] == ["resources/receipts/sim/dataset.json", "resources/receipts/sim/stimuli.json"]
    assert receipts[2:] == [f"resources/receipts/sim/{subject}/bold.json" for subject in ("sub-01", "sub-02")]


def test_settings_of_a_data_set_are_cut_to_the_job_s_subject(studies):
    config = studies.config | {"datasets": {"nsd": {"subjects": ["subj01", "subj02"], "sessions": [1, 35]}}}
    hand = planning.Parameters(config, SCHEMAS, studies)
    settings = hand.settings_of("datasets", "{dataset}", "list_trials")
    text = settings(Wildcards(dataset="nsd", subject="subj04"))
    assert json.loads(text) == {
        "name": "nsd", "plugin": "nsd", "section": "datasets", "rule": "list_trials", "sessions": [1],
    }  # fmt: skip
    whole = hand.settings_of("datasets", "{dataset}", "pack_stimuli")(Wildcards(dataset="nsd"))
    assert json.loads(whole)["subjects"] == ["subj01", "subj02"]


def test_a_split_is_told_the_repetition_time_only_where_it_keeps_windows_apart(studies):
    mine = {"plugin": "bids", "folder": "/mine", "tr_s": 2.5}
    splits = {"plain": {"test": "repeated"}, "apart": {"test": "repeated", "windows_of": "bold-2to8s-fsaverage5"}}
    config = studies.config | {"datasets": {"mine": mine}, "splits": splits}
    hand = planning.Parameters(config, SCHEMAS, studies)
    facts = {name: json.loads(hand.facts_of_split(Wildcards(dataset="mine", split=name))) for name in splits}
    assert facts["apart"] == facts["plain"] | {"tr_s": 2.5} and "tr_s" not in facts["plain"]


def test_parameters_are_the_same_text_whatever_order_the_catalogue_has(studies):
    entries = studies.config["models"]
    turned = {name: dict(reversed((entry or {}).items())) for name, entry in entries.items()}
    one, other = (
        planning.Parameters(config, SCHEMAS, studies).settings_of("models", "{model}", "train_model")
        for config in (studies.config, studies.config | {"models": turned})
    )
    for model in entries:
        assert one(Wildcards(model=model)) == other(Wildcards(model=model))


def test_where_this_machine_finds_things_is_no_setting(studies, tmp_path):
    config = studies.config | {"datasets": {"mine": {"plugin": "god", "stimuli_root": str(tmp_path)}}}
    hand = planning.Parameters(config, SCHEMAS, studies)
    names = Wildcards(dataset="mine")
    assert str(tmp_path) not in hand.settings_of("datasets", "{dataset}", "fetch_stimuli")(names)
    assert json.loads(hand.places_of("datasets", "{dataset}")(names)) == {"stimuli_root": str(tmp_path)}
    before = hand.pictures_of_dataset(names)
    (tmp_path / "picture.jpg").write_bytes(b"x")
    assert json.loads(hand.pictures_of_dataset(names))["n_files"] == json.loads(before)["n_files"] + 1


def test_more_is_asked_for_at_each_attempt(studies, tmp_path):
    needs = planning.Resources(studies.config, studies)
    assert [planning.growing(30)(Wildcards(), attempt) for attempt in (1, 2, 3)] == [30, 60, 120]
    assert needs.memory_of_feature(Wildcards(feature="gabor"), 2) == 8000
    file = tmp_path / "big"
    file.write_bytes(bytes(2**20))
    assert planning.more_memory(Wildcards(), 1, [file] * 500) == 4000
    assert planning.more_memory(Wildcards(), 2, [file]) == 4000
    assert needs.gpus_of_model(Wildcards(model="ridge")) == 0
    assert needs.threads_of_model(Wildcards(model="ridge")) >= 1


def test_costs_are_those_of_all_steps_of_a_study(studies):
    costs = planning.Resources(studies.config, studies).benchmarks_of_study(Wildcards(study="each"))
    assert len(costs) == len(set(costs)) == 2 * 4 + 2 + 1 + 1 + 3 + 2 + 2
    assert "benchmarks/fetch_subject/sim_sub-01_bold.tsv" in costs


def test_a_constraint_allows_the_names_and_nothing_that_resembles_them():
    pattern = planning.one_of(["a.b", "ridge"])
    assert [bool(re.fullmatch(pattern, name)) for name in ("a.b", "ridge", "axb", "ridge-2")] == [
        True,
        True,
        False,
        False,
    ]
    assert not re.fullmatch(planning.one_of([]), "")


def test_constraints_know_pooled_subjects_of_results_alone(studies):
    constraints = planning.wildcard_constraints(studies.config, studies)
    assert "pooled" not in constraints["subject"].split("|")
    assert {"pooled", "none"} <= set(constraints["subject_of_result"].split("|"))
    assert "none" in constraints["feature"].split("|")


def test_patterns_are_filled():
    key = ResultKey("d", "s", "r", "f", "m", "p")
    assert filled(planning.RESULT, key) == "results/d/s/r/f/m/p"
    assert fill("{model}-x", Wildcards(model="m")) == "m-x"
    assert json.loads(planning.wildcard_names(Wildcards(b="2", a="1"))) == {"a": "1", "b": "2"}


def test_a_study_given_by_a_path_is_known_by_its_name_afterwards(studies, tmp_path):
    own = tmp_path / "elsewhere/own.yaml"
    own.parent.mkdir()
    own.write_text(yaml.safe_dump({"runs": [ROW], "figures": []}))
    memory = tmp_path / ".snakemake/studies.json"

    def again():
        parts = (studies.config, SCHEMAS, dict(studies.files), read, lambda study: [], stop, memory)
        return planning.Studies(*parts)

    assert again().choose(str(own)) == "own"
    assert again().choose("own") == "own" and "own" in again().files
    namesake = tmp_path / "own.yaml"
    namesake.write_text(own.read_text())
    with pytest.raises(
        Stopped, match=r"has the name of a study that exists, 'own'.*both would write results/studies/own"
    ):
        again().choose(str(namesake))
    own.unlink()
    assert again().choose(str(namesake)) == "own"
