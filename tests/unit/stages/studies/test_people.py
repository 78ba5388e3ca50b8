"""Prevalence: which scores are counted, by key, and what the page shows of them."""

import pytest

from boldflow.artifacts.store import leaderboard
from boldflow.report.people import people_of as section_of
from boldflow.stages.studies._people import people_of


def scores(p: list[float], **more: object) -> list[dict[str, object]]:
    about = {"dataset": "sim", "response": "bold", "feature": "gabor", "model": "ridge", "split": "s", "seed": "0"}
    about |= {"fold": "all", "view": "image", "metric": "r", "roi": "all", "value": 0.1, "primary": True}
    about |= {"p_kind": "refit", "n_permutations": 99, "simulated": True}
    return [about | {"subject": f"sub-{k:02d}", "p": value} | more for k, value in enumerate(p)]


def test_subjects_are_counted_by_score_wherever_their_rows_stand():
    rows = [*scores([0.01, 0.01, 0.01]), *scores([0.01, 0.2, 0.9], metric="mse", primary=False)]
    people = people_of(leaderboard.tidy(rows[::-1])).set_index("metric")
    assert people.loc["r", ["n_significant", "n_subjects"]].tolist() == [3, 3]
    assert (people.loc["r", "ci_low"], people.loc["r", "ci_high"]) == pytest.approx((0.366, 0.993), abs=0.001)
    assert people.loc["mse", ["n_significant", "n_subjects"]].tolist() == [1, 3] and not people.loc["mse", "primary"]


@pytest.mark.parametrize("more", [{"p_kind": "rescore"}, {"n_permutations": 9}, {"p_kind": None}])
def test_only_p_by_enough_refits_speaks_for_people(more: dict[str, object]):
    assert people_of(leaderboard.tidy(scores([0.01, 0.01, 0.01], **more))).empty


def test_one_subject_speaks_for_nobody():
    assert people_of(leaderboard.tidy(scores([0.01]))).empty


def test_the_page_shows_the_primary_metric_and_says_that_it_is_simulated():
    rows = [*scores([0.01, 0.01, 0.2]), *scores([0.01, 0.2, 0.9], metric="mse", primary=False)]
    section = section_of(people_of(leaderboard.tidy(rows)).astype(str))
    assert section is not None and len(section.table.rows) == 1
    assert section.table.rows[0][-2] == "2 of 3" and section.table.rows[0][-1].startswith("0.65 [")
    assert "SIMULATED" in section.table.mark.upper()
    assert section_of(None) is None and section_of(people_of(leaderboard.tidy(scores([0.01])))) is None
