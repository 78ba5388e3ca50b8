"""Data that must be asked for: nothing arrives before the entry says who signed."""

import copy
import datetime
import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from boldflow import catalogue, registry, validation
from boldflow.settings import Entry
from boldflow.stages.fetch import _arrival, fetch_dataset, fetch_stimuli, fetch_subject
from tests.conftest import ROOT

FORM = "https://example.org/form"
SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
ENTRY = {"name": "mine", "plugin": "haxby"}


@pytest.fixture
def asks(monkeypatch):
    """Haxby's plug-in, as if its data had to be asked for."""
    facts = registry.literal("datasets", "haxby", "FACTS") | {"agreement": FORM}
    literal = registry.literal
    monkeypatch.setattr(
        registry, "literal", lambda *what: facts if what == ("datasets", "haxby", "FACTS") else literal(*what)
    )


@pytest.mark.parametrize("stage", [fetch_dataset, fetch_subject, fetch_stimuli])
def test_no_stage_fetches_before_the_agreement_and_the_forms_address_is_told(asks, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = {name: "none" for name in stage.run.__annotations__ if name != "return"}
    texts = words | {"settings": json.dumps(ENTRY), "places": "{}", "facts": "{}"}
    with pytest.raises(PermissionError, match=rf"mine: nothing was fetched.*{FORM}.*datasets\.mine"):
        stage.run(**{name: texts[name] for name in words})
    assert not list(tmp_path.iterdir())


def test_a_signed_agreement_opens_and_data_without_one_need_none(asks):
    signed = Entry({"agreement": {"name": "Ada Lovelace", "date": "2026-01-31"}})
    _arrival.require_agreement(Entry(ENTRY), signed)
    _arrival.require_agreement(Entry(ENTRY | {"plugin": "nod"}), Entry({}))


def problems(entry):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["datasets"]["mine"] = {"plugin": "haxby"} | entry
    return validation.config_problems(copy.deepcopy(config), SCHEMAS, Draft202012Validator)


@pytest.mark.parametrize("date", ["2026-01-31", datetime.date(2026, 1, 31)])
def test_a_day_is_read_with_and_without_quotation_marks_and_is_no_setting(asks, date):
    entry = {"agreement": {"name": "Ada Lovelace", "date": date}}
    assert problems(entry) == []
    config = {"datasets": {"mine": {"plugin": "haxby"} | entry}}
    told = catalogue.places(config, "datasets", "mine")
    assert json.loads(json.dumps(told)) == {"agreement": {"name": "Ada Lovelace", "date": "2026-01-31"}}


@pytest.mark.parametrize(
    ("agreement", "words"),
    [
        ({"name": "Ada"}, "datasets.mine.agreement: key 'date' is missing"),
        ({"name": " ", "date": "2026-01-31"}, "datasets.mine.agreement.name: found ' '"),
        ({"name": "Ada", "date": "31.1.2026"}, "datasets.mine.agreement.date: found '31.1.2026', expected the day"),
        ({"name": "Ada", "date": "2999-12-31"}, "signed; today is "),
        ("yes", "datasets.mine.agreement: found 'yes' (str), expected a mapping"),
    ],
)
def test_half_an_agreement_is_refused_at_parse(asks, agreement, words):
    (told,) = problems({"agreement": agreement})
    assert words in told


def test_an_agreement_with_data_that_need_none_is_an_unknown_key():
    (told,) = problems({"agreement": {"name": "Ada", "date": "2026-01-31"}})
    assert "unknown key 'agreement'" in told
