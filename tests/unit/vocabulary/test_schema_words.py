"""Words of the schemas are those of the vocabulary: no enum is a second list."""

import re

from boldflow import registry
from boldflow.drawing import thresholds
from boldflow.vocabulary import meshes
from boldflow.vocabulary.directions import Direction
from boldflow.vocabulary.metrics import METRICS, Order
from boldflow.vocabulary.responses import KINDS_OF_KEY, WAYS_FROM_FSAVERAGE, WAYS_FROM_FSNATIVE
from boldflow.vocabulary.results import NONE, POOLED
from boldflow.vocabulary.sections import ROW_KEYS, SECTIONS
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
CONFIG, STUDY = SCHEMAS["config"], SCHEMAS["study"]["properties"]
PARTS = CONFIG["$defs"]
RESPONSES = PARTS["responses"]["properties"]


def test_directions():
    assert PARTS["models"]["properties"]["direction"]["enum"] == list(Direction)
    assert PARTS["representing"]["properties"]["direction"]["enum"] == [Direction.REPRESENT]


def test_metrics_that_can_be_primary_are_those_with_an_order_of_trained_models():
    kinds = {"embedding", "classes", "encode", "represent"}
    ordered = {m.name for m in METRICS.values() if m.order is not Order.NONE and kinds & set(m.kinds)}
    assert set(STUDY["primary"]["properties"]["metric"]["enum"]) == ordered


def test_sections_and_keys_of_a_row():
    assert [key for key in CONFIG["properties"] if "propertyNames" in CONFIG["properties"][key]] == list(SECTIONS)
    row = STUDY["runs"]["items"]
    assert list(row["properties"]) == row["required"] == list(ROW_KEYS)


def test_names_that_stand_for_no_or_all_subjects():
    words, _ = STUDY["runs"]["items"]["properties"]["subjects"]["oneOf"]
    assert set(words["enum"]) == {"all", POOLED, NONE}
    for name in (POOLED, NONE):
        assert not re.fullmatch(PARTS["name"]["pattern"], name)


def test_spaces_are_the_meshes_and_the_native_one():
    assert RESPONSES["space"]["enum"] == [*meshes.N_VERTICES, meshes.NATIVE]


def test_keys_of_responses_and_ways_to_a_mesh():
    assert set(KINDS_OF_KEY) <= set(RESPONSES)
    assert {kind for kinds in KINDS_OF_KEY.values() for kind in kinds} == set(RESPONSES["kind"]["enum"])
    assert set(RESPONSES["resampling"]["enum"]) == {*WAYS_FROM_FSAVERAGE, *WAYS_FROM_FSNATIVE}


def test_tests_by_which_maps_have_a_threshold():
    threshold = PARTS["thresholds"]["properties"]["threshold"]["properties"]
    assert threshold["by"]["enum"] == list(thresholds.MEANINGS)
