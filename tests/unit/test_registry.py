"""The catalogue: plug-ins, settings, and the jobs of a study."""

import pytest

from boldflow import registry
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
    found = registry.settings(CONFIG, SCHEMAS, "models", "ridge-strong")
    assert found["alphas"] == [500] and found["n_folds"] == 5 and found["direction"] == "decode"
    assert (found["plugin"], found["name"]) == ("ridge", "ridge-strong")
    assert registry.settings(CONFIG, SCHEMAS, "models", "dummy")["plugin"] == "dummy"


def test_an_unknown_entry_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="no entry 'ridge-weak'; did you mean 'ridge-strong'"):
        registry.settings(CONFIG, SCHEMAS, "models", "ridge-weak")


def test_literals_are_read_without_importing():
    import sys

    sys.modules.pop("boldflow.datasets.haxby", None)
    assert registry.literal("datasets", "haxby", "FACTS")["tr_s"] == 2.5
    assert "boldflow.datasets.haxby" not in sys.modules


def test_rows_are_cross_products_and_each_result_comes_once():
    row = {
        "datasets": ["haxby", "half"],
        "subjects": "all",
        "responses": ["blocks"],
        "features": ["labels"],
        "models": ["dummy", "ridge-strong"],
        "splits": ["runs"],
    }
    found = registry.expand(CONFIG, {"runs": [row, row | {"datasets": ["half"]}]})
    assert len(found) == 4
    assert found[0] == registry.Result("haxby", "sub001", "blocks", "labels", "dummy", "runs")


def test_the_plugin_is_the_name_unless_said_otherwise():
    assert registry.plugin_name("linear-contrastive", {}) == "linear_contrastive"
    assert registry.plugin_name("x", {"plugin": "ridge"}) == "ridge"
    with pytest.raises(ValueError, match="no plug-in 'rigde'; did you mean 'ridge'"):
        registry.load("models", "rigde")
