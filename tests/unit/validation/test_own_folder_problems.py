"""Keys of a folder of one's own that cannot be are told at parse, with what would be right."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from boldflow import registry, validation
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
MINE = {"plugin": "bids", "folder": "/x", "subjects": ["sub-01"], "tr_s": 2.0, "image_column": "stim_file"}


def problems(response, **keys):
    """What is wrong with a study of the demo's that reads a folder of one's own."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["datasets"]["mine"] = {**MINE, "stimuli_root": "/x/stimuli", **keys}
    row = {"datasets": ["mine"], "subjects": "all", "responses": [response], "features": ["gabor"], "models": ["ridge"]}
    study = {
        "title": "My own",
        "primary": {"metric": "top1", "view": "image"},
        "runs": [{**row, "splits": ["repeated"]}],
    }
    found = validation.config_problems(config, SCHEMAS, Draft202012Validator)
    return found or validation.study_problems(config, study, SCHEMAS, Draft202012Validator)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"space": "MNI305", "slice_time_ref": 0.5},
        {"space": "MNI152NLin6Asym_res-2", "entities": {"acq": "mb", "echo": ["1", "2"], "dir": ""}},
        {"leave_out": ["trials_beyond_end", "runs_without_bold"], "scanned_after_onset_s": 0},
        {"derivatives": "/elsewhere/prep"},
    ],
)
def test_keys_that_can_be_have_no_problem(keys):
    assert problems("bold-4to10s-fsaverage5", **keys) == []


@pytest.mark.parametrize(
    "space", ["T1w", "MNIInfant_cohort-1", "MNIPediatricAsym_cohort-3", "Talairach", "MNI152NLin2009c"]
)
def test_a_space_in_which_fsaverage_does_not_lie_is_told_before_any_job(space):
    told = problems("bold-4to10s-fsaverage5", space=space)
    words = (f"volumes in space {space!r}", "MNI152NLin2009cAsym", "space native")
    assert len(told) == 1 and all(word in told[0] for word in words), told
    assert problems("bold-4to10s-native", space=space) == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"slice_time_ref": 1.5}, ["datasets.mine.slice_time_ref: found 1.5"]),
        ({"slice_time_ref": "middle"}, ["datasets.mine.slice_time_ref: found 'middle'"]),
        ({"leave_out": ["trials_beyond_the_end"]}, ["datasets.mine.leave_out[0]", "trials_beyond_end"]),
        ({"entities": {"acquisition": "mb"}}, ["datasets.mine.entities", "acquisition"]),
        ({"entities": {"acq": "acq-mb"}}, ["datasets.mine.entities.acq"]),
        ({"scanned_after_onset_s": -1}, ["datasets.mine.scanned_after_onset_s: found -1"]),
        ({"derivatives": ""}, ["datasets.mine.derivatives"]),
    ],
)
def test_keys_that_cannot_be_are_told_with_what_was_found(keys, words):
    told = problems("bold-4to10s-fsaverage5", **keys)
    assert told and all(word in " ".join(told) for word in words), told
