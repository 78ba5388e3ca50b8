"""Entries as one rule reads them: a key that is not handed is an error that names where to add it."""

import dataclasses
import json

import pytest

from boldflow.settings import Entry, NotHandedError, read_entry

HANDED = {"name": "ridge-wide", "plugin": "ridge", "alphas": [500], "n_folds": None}
TEXT = json.dumps(HANDED | {"section": "models", "rule": "train_model"})


def test_a_key_without_value_counts_as_absent():
    entry = read_entry(TEXT)
    assert (entry.name, entry.plugin, entry["alphas"]) == ("ridge-wide", "ridge", [500])
    assert "n_folds" not in entry
    assert entry.get("n_folds", 5) == 5
    with pytest.raises(KeyError, match="n_folds"):
        entry["n_folds"]
    assert dict(entry) == {key: value for key, value in HANDED.items() if value is not None}
    assert len(entry) == 3


@pytest.mark.parametrize("ask", [lambda e: e["seeds"], lambda e: e.get("seeds", [0]), lambda e: "seeds" in e])
def test_a_key_that_is_not_handed_is_an_error_that_says_where_to_add_it(ask):
    with pytest.raises(NotHandedError) as raised:
        ask(read_entry(TEXT))
    for words in ("'seeds'", "models.ridge-wide", "READS['train_model']", "src/boldflow/models/ridge"):
        assert words in str(raised.value)


def test_a_whole_entry_has_no_other_keys():
    entry = Entry({"name": "mine", "seeds": [3]})
    assert entry.get("alphas") is None
    assert "alphas" not in entry


def test_an_entry_cannot_be_changed_and_gives_another():
    entry = read_entry(TEXT)
    with pytest.raises(TypeError):
        entry["alphas"] = [1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.rule = "score_model"
    other = entry.but(alphas=[1], n_folds=3)
    assert (other["alphas"], other["n_folds"], entry["alphas"]) == ([1], 3, [500])
    with pytest.raises(NotHandedError):
        other["seeds"]
