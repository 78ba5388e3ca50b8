"""Entries with their defaults, facts, and the results that a study asks for."""

import pytest

from boldflow import catalogue, registry
from boldflow.vocabulary.results import ResultKey
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
CONFIG = {
    "datasets": {"haxby": {}, "half": {"plugin": "haxby", "subjects": ["sub001"]}},
    "models": {"ridge-strong": {"plugin": "ridge", "alphas": [500]}, "dummy": None},
    "features": {"labels": {}},
    "responses": {"blocks": {}},
    "splits": {"runs": {"test": "run"}},
    "figures": {},
}


def test_defaults_of_section_and_plugin_are_filled_in_and_the_entry_wins():
    found = catalogue.settings(CONFIG, SCHEMAS, "models", "ridge-strong")
    assert found["alphas"] == [500] and found["n_folds"] == 5 and found["direction"] == "decode"
    assert (found["plugin"], found["name"]) == ("ridge", "ridge-strong")
    assert catalogue.settings(CONFIG, SCHEMAS, "models", "dummy")["plugin"] == "dummy"


def test_an_unknown_entry_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="no entry 'ridge-weak'; did you mean 'ridge-strong'"):
        catalogue.settings(CONFIG, SCHEMAS, "models", "ridge-weak")


def test_rows_are_cross_products_and_each_result_comes_once():
    row = {
        "datasets": ["haxby", "half"],
        "subjects": "all",
        "responses": ["blocks"],
        "features": ["labels"],
        "models": ["dummy", "ridge-strong"],
        "splits": ["runs"],
    }
    found = catalogue.expand(CONFIG, {"runs": [row, row | {"datasets": ["half"]}]})
    assert len(found) == 4
    assert found[0] == ResultKey("haxby", "sub001", "blocks", "labels", "dummy", "runs")


def test_a_fact_that_is_none_is_the_entrys_own():
    config = {"datasets": {"mine": {"plugin": "bids", "tr_s": 1.5}, "haxby": {"tr_s": 9}}}
    assert catalogue.dataset_facts(config, "mine").tr_s == 1.5
    assert catalogue.dataset_facts(config, "haxby").tr_s == 2.5


def test_files_of_regions_are_named_for_a_subject_and_their_names_stay_in_the_settings():
    entry = {"region_files": {"b": ["/d/{subject}/{hemisphere}.aparc.annot:V1", "/d:3/hemi-R_x.gii:2"], "a": ["m.nii"]}}
    found = catalogue.region_files(entry, "sub-01")
    assert list(found) == ["a", "b"]
    rows = [tuple(row.values()) for row in found["b"]]
    assert rows == [
        ("/d/sub-01/lh.aparc.annot", "annotation", "V1", "lh", False),
        ("/d/sub-01/rh.aparc.annot", "annotation", "V1", "rh", False),
        ("/d:3/hemi-R_x.gii", "overlay", "2", "rh", True),
    ]
    assert [tuple(row.values()) for row in found["a"]] == [("m.nii", "volume", "", "", True)]
    assert catalogue.region_files(None, "sub-01") == {}
    config = {"responses": {"mine": entry, "plain": None}}
    assert catalogue.settings(config, SCHEMAS, "responses", "mine")["regions_of_files"] == ["a", "b"]
    assert "regions_of_files" not in catalogue.settings(config, SCHEMAS, "responses", "plain")
