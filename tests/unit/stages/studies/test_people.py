"""People: which scores are counted, by key, their mean with its interval, and what page and figure show."""

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import leaderboard
from boldflow.core.scores.group_means import group_interval
from boldflow.core.scores.statistics import bootstrap_counts
from boldflow.figures import prevalence as figure
from boldflow.report.cells import MISSING
from boldflow.report.people import people_of as section_of
from boldflow.stages.studies._people import people_of as with_draws
from tests.made.figures import defaults, tables_of

N_IMAGES = 24


def people_of(table: pd.DataFrame) -> pd.DataFrame:
    return with_draws(table, lambda score_id: np.full(50, np.nan))


def scores(p: list[float], **more: object) -> list[dict[str, object]]:
    about = {"dataset": "sim", "response": "bold", "feature": "gabor", "model": "ridge", "split": "s", "seed": "0"}
    about |= {"fold": "all", "view": "image", "metric": "r", "roi": "all", "value": 0.1, "primary": True}
    about |= {"p_kind": "refit", "n_permutations": 99, "simulated": True, "n_test_images": N_IMAGES}
    return [about | {"subject": f"sub-{k:02d}", "p": value} | more for k, value in enumerate(p)]


def test_subjects_are_counted_by_score_wherever_their_rows_stand():
    rows = [*scores([0.01, 0.01, 0.01]), *scores([0.01, 0.2, 0.9], metric="mse", primary=False)]
    people = people_of(leaderboard.tidy(rows[::-1])).set_index("metric")
    assert people.loc["r", ["n_significant", "n_tested"]].tolist() == [3, 3]
    assert (people.loc["r", "ci_low"], people.loc["r", "ci_high"]) == pytest.approx((0.366, 0.993), abs=0.001)
    assert people.loc["mse", ["n_significant", "n_tested"]].tolist() == [1, 3] and not people.loc["mse", "primary"]


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


def of_people(n: int, **more: object) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Scores of people who saw the same pictures, and their draws by id."""
    rng = np.random.default_rng(n)
    values = 0.5 + 0.1 * rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(1, N_IMAGES)) + rng.normal(size=(n, N_IMAGES))
    draws = values @ bootstrap_counts(N_IMAGES, 300, 0).T / N_IMAGES
    table = leaderboard.tidy(scores([0.01] * n, **more)).assign(value=values.mean(axis=1))
    table[leaderboard.ID] = [f"score {k}" for k in range(n)]
    return table, dict(zip(table[leaderboard.ID], draws, strict=True))


def test_from_eight_people_on_their_mean_has_an_interval_over_people_and_pictures():
    table, draws = of_people(8)
    shuffled = table.sample(frac=1, random_state=1)
    (row,) = with_draws(shuffled, draws.__getitem__).to_dict("records")
    interval = group_interval(table["value"].to_numpy(), np.stack(list(draws.values())), N_IMAGES)
    assert row["mean"] == pytest.approx(table["value"].mean())
    assert (row["mean_low"], row["mean_high"]) == pytest.approx((interval.low, interval.high))
    section = section_of(pd.DataFrame([row]).astype(str))
    assert section is not None and section.table.columns[-1].startswith("Mean score")
    assert section.table.rows[0][-1].startswith(f"{row['mean']:.3f} [")


@pytest.mark.parametrize(
    ("n", "more", "words"),
    [
        (7, {}, "7 people, 8 are needed"),
        (8, {"n_test_images": [24] * 4 + [25] * 4}, "numbers of test pictures differ, [24, 25]"),
        (8, {"inference": "refit"}, "over folds there are no draws of pictures"),
    ],
)
def test_where_the_mean_has_no_interval_the_row_says_why(n, more, words):
    table, draws = of_people(n)
    (row,) = with_draws(table.assign(**more), draws.__getitem__).to_dict("records")
    assert words in row["mean_remarks"] and pd.isna(row["mean_low"])


def test_eight_people_without_p_have_a_mean_and_no_prevalence():
    table, draws = of_people(8, p_kind=None)
    (row,) = with_draws(table, draws.__getitem__).to_dict("records")
    assert pd.isna(row["value"]) and row["mean"] > 0
    section = section_of(pd.DataFrame([row]).astype(str))
    assert section is not None and section.table.rows[0][2:4] == [MISSING, MISSING]
    with pytest.raises(ValueError, match="no score of the primary metric has p by refits in two subjects"):
        figure.source_table(tables_of({"people": pd.DataFrame([row]).astype(str)}), defaults("prevalence"))


def test_the_figure_draws_its_source_table_and_names_the_counts():
    rows = [*scores([0.01, 0.01, 0.2]), *scores([0.01, 0.01, 0.01], model="mlp"), *scores([0.9] * 3, metric="mse")]
    rows = [row | {"primary": row["metric"] == "r"} for row in rows]
    tables = tables_of({"people": people_of(leaderboard.tidy(rows)).astype(str)})
    source = figure.source_table(tables, defaults("prevalence"))
    assert source["model"].tolist() == ["ridge", "mlp"] and source["simulated"].all()
    drawn = figure.draw(tables, defaults("prevalence"))
    (axes,) = drawn.axes
    values = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "value"]
    assert values == pytest.approx(source["value"].tolist())
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "ridge \u00b7 gabor (2 of 3)",
        "mlp \u00b7 gabor (3 of 3)",
    ]
    assert len(figure.source_table(tables, defaults("prevalence", metrics=["r", "mse"]))) == 3
