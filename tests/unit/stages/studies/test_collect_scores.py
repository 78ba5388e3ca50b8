"""Which models differ: by their means over seeds, so that a model of one seed is compared with those of several."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.releases import published
from boldflow.artifacts.store import keyed, leaderboard, tables
from boldflow.artifacts.store.comparisons import SAME
from boldflow.core.scores import statistics
from boldflow.stages.studies import collect_scores
from tests.made.keys import permuted, permuted_alone

N_DRAWS = 400


def scored(model, seed, value, subject="sub-01"):
    about = dict.fromkeys(SAME) | {"dataset": "sim", "subject": subject, "seed": seed, "metric": "inv_norm_rank"}
    about |= {"view": "image", "gallery_size": 12, "n_test_images": 24, "n_repeats_averaged": 4.0}
    own = {"response": "bold", "feature": "gabor", "model": model, "value": value, "ci_method": "bootstrap"}
    return about | own | {"primary": True, "simulated": True}


@pytest.fixture
def board():
    """Ridge has one seed, two networks have two; draws of all hold the same pictures."""
    rng = np.random.default_rng(0)
    rows = [scored("ridge", "0", 0.7), scored("mlp", "33", 0.5), scored("mlp", "34", 0.6)]
    rows += [scored("contrast", "33", 0.72), scored("contrast", "34", 0.66), scored("ridge", "0", 0.9, "sub-02")]
    table = pd.DataFrame(rows).assign(id=[f"score {n}" for n in range(len(rows))])
    return table, table["value"].to_numpy()[:, None] + rng.normal(0, 0.05, (len(rows), N_DRAWS))


def drawn(table, draws):
    return collect_scores._Draws(draws, {name: row for row, name in enumerate(table["id"])})


def test_means_over_seeds_are_compared_with_a_model_that_has_one_seed(board):
    table, draws = board
    found = collect_scores._compare(table, drawn(table, draws))
    over = found.set_index(["model_a", "model_b"])
    assert set(found["seed"]) == {"mean"}
    assert set(over.index) == {("ridge", "mlp"), ("ridge", "contrast"), ("mlp", "contrast")}
    assert set(over["subject"]) == {"sub-01"}, "one seed alone has no mean"
    one = over.loc[("ridge", "contrast")]
    assert one["difference"] == pytest.approx(0.7 - 0.69)
    own = draws[0] - draws[3:5].mean(axis=0)
    tested = statistics.paired(one["difference"], own, int(table["n_test_images"].iloc[0]))
    assert (one["ci_low"], one["ci_high"], one["p"]) == pytest.approx((tested.ci_low, tested.ci_high, tested.p))
    assert over.loc[("ridge", "mlp"), "difference"] == pytest.approx(0.15) and not over.loc[("ridge", "mlp"), "tied"]
    np.testing.assert_allclose(over["p_holm"], statistics.holm(over["p"].to_numpy()))


def test_without_several_seeds_there_are_no_means(board):
    table, draws = board
    rows = table.index[table["seed"] != "34"]
    found = collect_scores._compare(table.loc[rows].assign(seed="33"), drawn(table, draws))
    assert set(found["seed"]) == {"33"} and len(found) == 3


@pytest.fixture
def collected(tmp_path):
    """Scores and draws of two models as files, and a function that collects them."""
    rng = np.random.default_rng(0)
    paths = {}
    for name in ("ridge", "mlp"):
        value = 0.7 if name == "ridge" else 0.6
        views = [scored(name, "0", value + k / 20) | {"view": view} for k, view in enumerate(("trial", "image"))]
        rows = [row | {"split": "s", "fold": "all", "study": None} for row in views]
        table = leaderboard.tidy(pd.DataFrame(rows))
        draws = table["value"].to_numpy()[:, None] + rng.normal(0, 0.02, (2, N_DRAWN))
        paths[name] = [tmp_path / f"{name}-{part}" for part in ("scores.parquet", "draws.npy", "draws.parquet")]
        tables.write(paths[name][0], table)
        keyed.write(paths[name][1], draws.astype(np.float32), paths[name][2], table[["id"]])
    (tmp_path / "published.csv").write_text(",".join([*published.KEYS, *PUBLISHED]) + "\n")

    def collect():
        out = {
            name: str(tmp_path / name)
            for name in ("board.parquet", "board.csv", "pairs.csv", "people.csv", "elsewhere.csv")
        }
        collect_scores.run(
            **dict(zip(("scores", "draws", "draws_indexes"), zip(*paths.values(), strict=True), strict=True)),
            published_=str(tmp_path / "published.csv"),
            leaderboard_=out["board.parquet"],
            csv=out["board.csv"],
            comparisons=out["pairs.csv"],
            people=out["people.csv"],
            elsewhere=out["elsewhere.csv"],
            study=json.dumps({"name": "made", "primary": {"metric": "inv_norm_rank", "view": "image"}}),
            code="{}",
        )
        return [(tmp_path / name).read_bytes() for name in out]

    return paths, collect


N_DRAWN = 50
PUBLISHED = [name for name in published.COLUMNS if name not in published.KEYS]


def test_scores_and_draws_in_another_order_give_the_same_leaderboard_and_comparisons(collected):
    paths, collect = collected
    before = collect()
    assert b"ridge" in before[2], "models are compared"
    scores, draws, index = paths["mlp"]
    permuted(draws, index, axis=0)
    assert tables.read(index)["id"].tolist() == tables.read(scores)["id"].tolist()[::-1]
    assert collect() == before
    tables.write(scores, tables.read(scores).iloc[::-1])
    assert collect() == before


def ids_swapped(scores, draws, index):
    table = tables.read(scores)
    tables.write(scores, table.assign(id=table["id"].to_numpy()[::-1]))


def score_twice(scores, draws, index):
    tables.write(scores, tables.read(scores).iloc[[0, 1, 1]])


def score_gone(scores, draws, index):
    tables.write(scores, tables.read(scores).iloc[:1])


def draws_gone(scores, draws, index):
    keyed.write(draws, np.zeros((1, N_DRAWN)), index, tables.read(index).iloc[:1])


def draws_moved(scores, draws, index):
    permuted_alone(draws, axis=0)


def index_moved(scores, draws, index):
    tables.write(index, tables.read(index).iloc[::-1], tables.sidecar(index))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (ids_swapped, r"mlp-scores\.parquet: the id of row 0 is 'sim.*/image/.*', its columns say 'sim.*/trial/"),
        (score_twice, r"mlp-scores\.parquet: the id 'sim/.*/mlp/.*' comes twice"),
        (score_gone, r"0 scores have no bootstrap draws and 1 draws have no score: those of 'sim/.*/mlp/.*' have no"),
        (draws_gone, r"1 scores have no bootstrap draws and 0 draws have no score: the score 'sim/.*/mlp/.*' has none"),
        (draws_moved, r"mlp-draws\.parquet belongs to another state of .*mlp-draws\.npy"),
        (index_moved, r"mlp-draws\.parquet belongs to another state of .* of its own keys in their order"),
    ],
)
def test_scores_or_draws_that_were_changed_alone_are_refused(collected, change, says):
    paths, collect = collected
    change(*paths["mlp"])
    with pytest.raises(ValueError, match=says):
        collect()


def test_with_a_reference_each_model_is_compared_with_it_alone(board):
    table, draws = board
    pairs = collect_scores._compare(table, drawn(table, draws), {"model": "ridge"})
    assert pairs["against_reference"].all()
    assert set(zip(pairs["model_a"], pairs["model_b"], strict=True)) == {("mlp", "ridge"), ("contrast", "ridge")}
    every = collect_scores._compare(table, drawn(table, draws)).set_index(["model_a", "model_b"])
    ours = pairs.set_index("model_a")
    assert ours.loc["mlp", "difference"] == pytest.approx(-every.loc[("ridge", "mlp"), "difference"])
    np.testing.assert_allclose(ours["p_holm"], statistics.holm(ours["p"].to_numpy()), err_msg="a family of two")


def test_where_the_reference_is_not_nothing_is_compared_and_two_of_them_are_refused(board):
    table, draws = board
    assert collect_scores._compare(table, drawn(table, draws), {"model": "banded"}).empty
    twice = table.assign(feature=["gabor", "gabor", "gabor", "gabor", "gabor", "gabor"])
    twice.loc[1, ["model", "seed", "feature"]] = ["ridge", "0", "dino"]
    with pytest.raises(ValueError, match=r"means 2 models of one comparison.*bold · gabor · ridge"):
        collect_scores._compare(twice, drawn(twice, draws), {"model": "ridge"})
    assert len(collect_scores._compare(twice, drawn(twice, draws), {"model": "ridge", "feature": "dino"}))
