"""What names and facts tell stops at parse, not after a night of training."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from boldflow import registry, validation
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
ROW = {
    "datasets": ["sim-tiny"], "subjects": "all", "responses": ["bold-4to10s-fsaverage5"], "features": ["gabor"],
    "models": ["ridge"], "splits": ["repeated"],
}  # fmt: skip
OWN = {
    "plugin": "bids", "folder": "mine", "subjects": ["sub-01"], "tr_s": 2.0, "image_column": "stim_file",
    "stimuli_root": "mine/stimuli",
}  # fmt: skip
ENCODER = {"models": ["ridge-encoder"]}


def problems(primary=("top1", "image"), figures=(), sections=None, **row):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for section, entries in (sections or {}).items():
        config[section] |= entries
    metric, view = primary
    study = {"title": "A study", "primary": {"metric": metric, "view": view}, "runs": [ROW | row]}
    study |= {"figures": list(figures)}
    known = validation.config_problems(config, SCHEMAS, Draft202012Validator)
    return known or validation.study_problems(config, study, SCHEMAS, Draft202012Validator)


@pytest.mark.parametrize(
    ("primary", "row", "fits"),
    [
        (("top1", "image"), {}, True),
        (("top1", "trial"), {}, True),
        (("r", "image"), ENCODER, True),
        (("r", "trial"), ENCODER, False),
        (("R2", "trial"), ENCODER, False),
        (("r_pooled", "trial"), ENCODER, False),
        (("accuracy", "trial"), {"datasets": ["haxby"], "features": ["labels"], "splits": ["leave-one-run-out"],
                                 "responses": ["blocks-0to22s-native"]}, True),
        (("accuracy", "image"), {"datasets": ["haxby"], "features": ["labels"], "splits": ["leave-one-run-out"],
                                 "responses": ["blocks-0to22s-native"]}, False),
    ],
)  # fmt: skip
def test_a_primary_metric_in_a_view_that_no_model_gives(primary, row, fits):
    found = problems(primary, **row)
    assert (found == []) == fits, found
    if not fits:
        (sentence,) = found
        other = {"image": "trial", "trial": "image"}[primary[1]]
        assert f"primary.view: no model of this study gives {primary[0]!r} in the view {primary[1]!r}" in sentence
        assert f"there are: {other}" in sentence


@pytest.mark.parametrize("figure", ["encoding-map", "ceiling-map"])
@pytest.mark.parametrize(
    ("responses", "entry", "words"),
    [
        (["bold-4to10s-fsaverage5"], {}, []),
        (["bold-4to10s-native"], {}, ["['bold-4to10s-native'] do not lie on fsaverage5", "take it off"]),
        (
            ["bold-4to10s-native", "bold-4to10s-fsaverage5"],
            {},
            ["['bold-4to10s-native']", "set its key responses to ['bold-4to10s-fsaverage5']"],
        ),
        (["bold-4to10s-native", "bold-4to10s-fsaverage5"], {"responses": ["bold-4to10s-fsaverage5"]}, []),
    ],
)
def test_a_map_of_responses_that_lie_elsewhere(figure, responses, entry, words):
    found = problems(
        ("r", "image"), ["mine"],
        {"figures": {"mine": {"plugin": figure.replace("-", "_"), **entry}}, "datasets": {"mine": OWN}},
        responses=responses, datasets=["mine"], **ENCODER,
    )  # fmt: skip
    assert len(found) == bool(words) and all(word in found[0] for word in words), found


@pytest.mark.parametrize(
    ("split", "data_set", "words"),
    [
        ({"test": "run"}, {"n_runs": 2}, []),
        ({"test": "run"}, {"n_runs": 1}, ["tests 1 of the 1 runs of 'mine'", "none to train on"]),
        ({"test": "runs", "test_fraction": 0.9}, {"n_runs": 2}, ["tests 2 of the 2 runs"]),
        ({"test": "runs", "test_fraction": 0.5, "val_fraction": 0.9}, {"n_runs": 4}, ["validates on 2 of the 2 runs"]),
        ({"test": "repeated", "val_fraction": 0.25}, {"n_runs": 1}, ["validates on 1 of the 1 runs"]),
        ({"test": "repeated", "val_fraction": 0.25}, {"n_runs": 2}, []),
        ({"test": "repeated", "min_repeats": 3}, {"n_test_repeats": 2}, ["shown 3 times", "none more than 2 times"]),
        ({"test": "named", "names": "test-50"}, {}, ["'test-50', which is no test set of data set 'mine'"]),
        ({"test": "repeated", "against": ["nsdd"]}, {}, ["against names data set 'nsdd'; did you mean 'nsd'"]),
        ({"test": "repeated", "windows_of": "betas-z"}, {}, ["of kind 'betas' and has no windows"]),
    ],
)
def test_a_split_whose_parts_would_be_empty_or_whose_names_are_others(split, data_set, words):
    sections = {"splits": {"mine": split}, "datasets": {"mine": {"plugin": "sim", **data_set}}}
    found = problems(sections=sections, datasets=["mine"], splits=["mine"])
    assert len(found) == bool(words) and all(word in found[0] for word in words), found
