"""Settings in order are remembered for the same sources on the same day, and a problem is never hidden."""

import datetime

import pytest

from boldflow.symbols.remembered import FOLDER
from boldflow.validation import problems_unless_in_order


@pytest.fixture(autouse=True)
def of_this_folder(tmp_path, monkeypatch):
    """Work in an empty folder with Snakemake's own folder in it."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)


def test_settings_in_order_are_checked_once_a_day_and_others_every_time(monkeypatch):
    n_checks = []

    def check_of(problems):
        return lambda: n_checks.append(1) or problems

    assert problems_unless_in_order({"tr_s": 2}, check_of([])) == []
    assert problems_unless_in_order({"tr_s": 2}, check_of(["never asked"])) == []
    assert len(n_checks) == 1
    for _ in range(2):
        assert problems_unless_in_order({"tr_s": -1}, check_of(["tr_s: -1"])) == ["tr_s: -1"]
    assert len(n_checks) == 3

    class Tomorrow(datetime.date):
        @classmethod
        def today(cls):
            return datetime.date(2100, 1, 1)

    monkeypatch.setattr(datetime, "date", Tomorrow)
    assert problems_unless_in_order({"tr_s": 2}, check_of(["signed tomorrow"])) == ["signed tomorrow"]


@pytest.mark.parametrize("value", [datetime.date(2026, 1, 31), float("nan")])
def test_what_has_no_canonical_text_is_checked_every_time(value):
    problems_unless_in_order({"key": value}, list)
    assert problems_unless_in_order({"key": value}, lambda: ["a problem"]) == ["a problem"]
    assert not FOLDER.exists()
