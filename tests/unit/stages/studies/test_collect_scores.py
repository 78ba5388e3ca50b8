"""Which models differ: by their means over seeds, so that a model of one seed is compared with those of several."""

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store.comparisons import SAME
from boldflow.core.scores import statistics
from boldflow.stages.studies import collect_scores

N_DRAWS = 400


def scored(model, seed, value, subject="sub-01"):
    about = dict.fromkeys(SAME) | {"dataset": "sim", "subject": subject, "seed": seed, "metric": "inv_norm_rank"}
    about |= {"view": "image", "gallery_size": 12, "n_test_images": 12, "n_repeats_averaged": 4.0}
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
    assert (one["ci_low"], one["ci_high"]) == pytest.approx(statistics.percentile_interval(own))
    assert over.loc[("ridge", "mlp"), "difference"] == pytest.approx(0.15) and not over.loc[("ridge", "mlp"), "tied"]
    np.testing.assert_allclose(over["p_holm"], statistics.holm(over["p"].to_numpy()))


def test_without_several_seeds_there_are_no_means(board):
    table, draws = board
    rows = table.index[table["seed"] != "34"]
    found = collect_scores._compare(table.loc[rows].assign(seed="33"), drawn(table, draws))
    assert set(found["seed"]) == {"33"} and len(found) == 3
