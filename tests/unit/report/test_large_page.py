"""The report of a thousand rows: the primary metric first and in short, everything else folded, nothing lost."""

import re

import pandas as pd
import pytest

from boldflow.artifacts.releases import published
from boldflow.artifacts.store.leaderboard import tidy
from boldflow.report.page import Study, render_page
from boldflow.report.provenance import Provenance
from boldflow.report.scores import FLAT
from boldflow.stages.studies._published import beside
from tests.conftest import ROOT
from tests.made import large_board

STUDY = Study("large", "Large", "inv_norm_rank", "image")
COSTS = pd.DataFrame(columns=["rule", "job", "seconds", "max_rss_mb"])


def page(board, pairs, others=None, study=STUDY):
    tables = {"leaderboard": board, "comparisons": pairs, "published": others, "costs": COSTS}
    there = {name: table for name, table in tables.items() if table is not None}
    return render_page(study, there, [], Provenance())


def parts(text):
    """Open tables as (depth of folds, caption, number of rows), in order."""
    found, depth, shown = [], 0, [True]
    for token in re.finditer(r"<details( open)?>|</details>|<caption>(.*?)</caption>|<tr>", text, re.DOTALL):
        word = token.group()
        if word.startswith("<details"):
            depth += 1
            shown.append(shown[-1] and bool(token.group(1)))
        elif word == "</details>":
            depth -= 1
            shown.pop()
        elif word == "<tr>":
            if found:
                found[-1]["rows"] += 1
        else:
            caption = re.sub("<.*?>", "", token.group(2)).strip()
            found.append({"depth": depth, "caption": caption, "rows": 0, "shown": shown[-1]})
    return found


@pytest.fixture(scope="module")
def large():
    board, pairs = large_board.make()
    assert len(board) == 1000
    return board, pairs, page(board, pairs)


def test_what_is_open_is_short_and_the_primary_metric(large):
    tables = parts(large[2])
    shown = [one for one in tables if one["shown"]]
    assert sum(one["rows"] for one in shown) < 60
    assert shown[0]["caption"].endswith("The best model of each subject")
    assert shown[0]["rows"] == 1 + 8
    assert all(
        one["rows"] <= FLAT + 1
        or "Digests" in one["caption"]
        or "digests" in one["caption"]
        or "differ" in one["caption"]
        for one in tables
    )


def test_every_row_is_on_the_page_and_pairs_with_the_best_model(large):
    board, pairs, text = large
    for one in board.sample(60, random_state=0).itertuples():
        form = ".2f" if one.metric == "mean_rank" else ".3f"
        interval = f"{one.value:{form}} [{one.ci_low:{form}}, {one.ci_high:{form}}]".replace("-", "\N{MINUS SIGN}")
        assert interval in text
    assert f"192 of {pairs['primary'].sum()} pairs" in text and "comparisons.csv" in text
    table = next(one for one in parts(text) if "Do two models differ" in one["caption"])
    assert table["rows"] == 1 + 8 * 24


def test_folds_say_which_subject_and_which_metric(large):
    text = large[2]
    assert len(re.findall(r"<summary>sub-0\d of sim, bold-4to10s-fsaverage5: 25 rows, best model-0", text)) == 8
    assert len(re.findall(r"<summary>Top-5 accuracy, image view: 25 rows", text)) == 8
    assert len(re.findall(r"<summary>10 more rows of sub-0", text)) == 8


def test_the_page_needs_no_script_and_no_network(large):
    assert "<script" not in large[2] and "http" not in large[2]


def test_ties_are_letters_and_the_best_models_are_named_with_those_tied(large):
    board, pairs, text = large
    best = board[board["primary"] & (board["subject"] == "sub-01")].sort_values("value").iloc[-1]
    own = pairs[pairs["primary"] & (pairs["subject"] == "sub-01") & pairs["tied"].astype(bool)]
    n_tied = int(((own["model_a"] == best["model"]) | (own["model_b"] == best["model"])).sum())
    row = re.search(r"<th scope=\"row\">sub-01</th>.*?</tr>", text, re.DOTALL).group()
    assert best["model"] in row and f"and {n_tied - 3} more" in row


def test_a_few_rows_stay_in_one_table_with_letters():
    board, pairs = large_board.make(n_subjects=2, n_models=5, metrics=("inv_norm_rank",))
    tables = parts(page(board, pairs))
    headline = next(one for one in tables if "Inverse normalised rank, image view" in one["caption"])
    assert headline == {"depth": 0, "caption": headline["caption"], "rows": 11, "shown": True}
    assert "share a letter" in page(board, pairs) and "share a letter" not in page(board, pairs.iloc[:0])


def real():
    """Made rows that say they are measured, of a published model; one of them under the published protocol."""
    row = {"dataset": "nsd", "response": "betas-z", "direction": "encode", "split": "shared-1000", "view": "trial"}
    row |= {"feature": "pixels", "model": "gnet8j", "metric": "r2", "roi": "V1", "simulated": False, "study": "large"}
    rows = [row | {"subject": "subj01", "protocol": "published"}, row | {"subject": "subj02", "protocol": "mended"}]
    table = tidy([one | {"value": 0.2, "primary": True, "fold": "all", "seed": "0"} for one in rows])
    return beside(table, published.read(ROOT / "config" / "published.csv"))


def test_published_figures_stand_beside_ours_or_in_a_block_with_the_reason():
    board, others = real()
    text = page(board, None, others.astype(str), Study("large", "Large", "r2", "trial"))
    headline = text[text.index('id="headline"') : text.index('id="published"')]
    assert headline.count("(published: St-Yves et al. 2023") == 1 and "0.195 (published" in headline
    block = text[text.index('id="published"') : text.index('id="subjects"')]
    assert "1 of our rows have one" in block and "protocol: ours is mended, not the published one" in block
    assert block.count("<tr><th") == (others["reason"] != "").sum() + block.count("<thead>")
    assert "gnet: Signed r², trial view, 191 published figures" in block
    assert all("Published by others" in one["caption"] for one in parts(block))


def test_no_block_where_nothing_published_is_of_the_study(large):
    assert 'id="published"' not in large[2]
    board, pairs, _ = large
    table, others = beside(board, published.read(ROOT / "config" / "published.csv"))
    assert others.empty and table["published_value"].isna().all()
    assert 'id="published"' not in page(table, pairs, others.astype(str))


def test_of_several_seeds_the_means_are_compared_and_nothing_else_is_lost():
    """Models of sub-01 have two seeds but for one; sub-02 has one seed. Letters, leaders and pairs say the same."""
    board, pairs = large_board.make(n_subjects=2, n_models=5, metrics=("inv_norm_rank",))
    first = board["subject"] == "sub-01"
    many = first & (board["model"] != "model-01")
    other = board[many].assign(seed="34", value=board.loc[many, "value"] - 0.02)
    board = pd.concat([board.assign(seed=board["seed"].mask(many, "33")), other], ignore_index=True)
    pairs = pairs.assign(seed=pairs["seed"].mask(pairs["subject"] == "sub-01", "mean"))
    text = page(board, pairs)
    table = next(one for one in parts(text) if "Do two models differ" in one["caption"])
    assert "Means over seeds" in table["caption"] and table["rows"] == 1 + 2 * 10
    leaders = next(one for one in parts(text) if one["caption"].endswith("The best model of each subject"))
    assert leaders["rows"] == 1 + 2
    mean = board.loc[(board["subject"] == "sub-01") & (board["model"] == "model-00"), "value"].mean()
    assert f"{mean:.3f}" in text


def test_a_reference_is_named_and_each_model_stands_against_it():
    rows, pairs = large_board.make(n_subjects=2, n_models=6, metrics=("inv_norm_rank",), reference=2)
    text = page(rows, pairs)
    assert "The study fixed a reference beforehand, model-02 · gabor:" in text
    assert "share a letter" not in text
    assert "Best against the reference" in text and "Against the reference" in text
    (differences,) = (one for one in parts(text) if "Do two models differ?" in one["caption"])
    assert differences["rows"] == 1 + 2 * 5
    assert len(re.findall("<td>reference</td>", text)) == 2
