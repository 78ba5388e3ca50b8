"""Models that see only responses: feature none, at parse and in the plan of a study."""

import pytest

from boldflow import catalogue, validation
from tests.made.features import SCHEMAS

CONFIG = {
    "datasets": {"sim": None},
    "responses": {"mean": {}, "apart": {"average": False}},
    "features": {"gabor": None},
    "models": {"pca": None, "ridge": None},
    "splits": {"repeated": {"test": "repeated"}},
    "figures": {"code-panels": None, "code-table": None},
}


def problems(model="pca", feature="none", response="mean", metric="R2", **more):
    from jsonschema import Draft202012Validator

    row = {"datasets": ["sim"], "subjects": ["sub-01"], "responses": [response], "features": [feature]}
    study = {
        "title": "t",
        "primary": {"metric": metric, "view": "trial"},
        "runs": [row | {"models": [model], "splits": ["repeated"]}],
        **more,
    }
    return validation.study_problems(CONFIG, study, SCHEMAS, Draft202012Validator)


def test_a_model_of_responses_alone_takes_the_feature_none():
    assert problems() == []
    assert catalogue.feature_facts(CONFIG, "none").reads == "nothing"
    assert not catalogue.opens_checkpoint(CONFIG, "none") and catalogue.shards_of_feature(CONFIG, "none") == []


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"feature": "gabor"}, "model 'pca' has direction 'represent' and takes feature 'none', or response"),
        ({"model": "ridge", "metric": "top1"}, "model 'ridge' has direction 'decode' and takes a feature of the"),
        ({"response": "apart"}, "response 'apart' keeps time, and model 'pca' is of direction 'represent'"),
        ({"metric": "top5"}, "no model of this study gives 'top5'"),
    ],
)
def test_what_does_not_fit_is_told_at_parse(chosen, told):
    assert any(told in one for one in problems(**chosen))


@pytest.mark.parametrize(
    ("name", "entry", "told"),
    [
        ("small", {"untrained": True}, "models.small: the model is untrained, and the name does not say so"),
        ("sae-untrained-control", {}, "models.sae-untrained-control: the model is trained"),
        ("sae-untrained-control", {"untrained": True}, None),
    ],
)
def test_an_untrained_model_says_so_in_its_name(name, entry, told):
    from jsonschema import Draft202012Validator

    config = {"study": "x", **CONFIG, "models": {name: {"plugin": "sae", **entry}}}
    found = validation.config_problems(config, SCHEMAS, Draft202012Validator)
    assert any(one.startswith(told) for one in found) if told else not [one for one in found if name in one]


def test_a_plug_in_of_responses_alone_has_no_other_direction():
    from jsonschema import Draft202012Validator

    config = CONFIG | {"models": {"pca": {"direction": "decode"}}}
    found = validation.config_problems({"study": "x", **config}, SCHEMAS, Draft202012Validator)
    assert any("models.pca.direction: 'decode' is not known" in one for one in found)


def test_a_study_asks_codes_of_a_class_and_only_codes():
    asked = {"label": "category", "class": "face"}
    assert problems(latents=asked, figures=["code-panels", "code-table"]) == []
    assert problems(figures=["code-table"]) == []
    (told,) = problems(figures=["code-panels"])
    assert "needs ['embeddings', 'separations']" in told and "they come with the study's key latents" in told
    found = problems(model="ridge", feature="gabor", metric="top1", latents=asked)
    assert any("latents: no model of this study has direction 'represent'" in one for one in found)
    assert any("latents: key 'class' is missing" in one for one in problems(latents={"label": "category"}))
    filled = catalogue.latents({"latents": asked}, SCHEMAS)
    assert filled == {**asked, "against": [], "permutations": 1000, "penalty": 1.0, "match": []}
    assert catalogue.latents({}, SCHEMAS) == {}
