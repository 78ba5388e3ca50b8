"""Edits of scoring, of the report and of records in a finished study: which rules work again, in one real run each."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.long.test_cut_off import STUDY, at_work, logs
from tests.workflow.test_digests import BEFORE_SCORES, EDITS, FETCHING, edited

OF_SCORES = ("a rank", "an interval", "a ceiling", "name of pooled models", "a metric", "a fact of data sets in scores")
pytestmark = pytest.mark.end_to_end


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy for each test: links to kept outputs become files of their own in it, and serve for one run."""
    return finished.again(tmp_path / "copy")


def working_after(copy: Project, edits: Iterable[str]) -> set[str]:
    """Make edits of the table of digests, run the study, and give the rules that worked rather than put back."""
    for name in edits:
        place, texts, *_ = EDITS[name]
        path, _, function = place.partition(":")
        file = copy.folder / "src/boldflow" / path
        text = file.read_text()
        if texts is None:
            file.write_text(edited(text, function))
        else:
            assert texts[0] in text
            file.write_text(text.replace(*texts, 1))
    before = logs(copy)
    copy.snakemake(*STUDY)
    return at_work(copy, before)[0]


def test_edits_of_scoring_train_nothing_and_make_nothing_before_scores_again(copy: Project):
    working = working_after(copy, OF_SCORES)
    assert "score_model" in working and not working & BEFORE_SCORES


def test_an_edit_of_the_template_is_followed_by_the_report_alone(copy: Project):
    assert working_after(copy, ["the report's template"]) == {"write_report"}


def test_a_fact_that_records_of_data_sets_gain_and_a_key_of_a_figure_train_nothing(copy: Project):
    working = working_after(copy, ["a fact of datasets", "a key of a figure"])
    assert FETCHING & working and "draw_figure" in working
    assert not working & {"project_responses", "cache_features", "train_model", "score_model"}
    assert copy.planned(*STUDY) == {}
