"""What codes say of a class: against scikit-learn, on null data, and where the published scaling goes wrong."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from boldflow.core.scores import latents, metrics


def made(seed, effect=0.0, n=60, n_latents=8, repeats=2):
    """Codes of pictures shown twice; half of them, those of the class, have a larger first latent."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2 == 0
    pictures = rng.normal(size=(n, n_latents))
    pictures[y, 0] += effect
    codes = np.repeat(pictures, repeats, axis=0)
    codes = codes + 0.5 * rng.normal(size=codes.shape)
    picture = np.repeat(np.arange(n), repeats)
    inside = picture < n * 2 // 3
    fold = latents.FoldCodes(codes[inside], picture[inside], codes[~inside], picture[~inside])
    return [fold], y, (np.arange(n) < n * 2 // 3).astype(int)


@pytest.mark.parametrize("n_latents", [5, 200])
def test_separation_is_that_of_scikit_learn(n_latents):
    (fold,), y, block = made(0, 1.0, n_latents=n_latents)
    found = latents.separate([fold], y, block, 0, 0, penalty=2.0)
    mean, spread = fold.train.mean(axis=0), fold.train.std(axis=0)
    witness = LogisticRegression(C=0.5, tol=1e-8, max_iter=2000)
    witness.fit((fold.train - mean) / spread, y[fold.train_picture])
    wanted = roc_auc_score(y[fold.test_picture], witness.decision_function((fold.test - mean) / spread))
    assert found.auc == pytest.approx(wanted, abs=1e-3)
    assert found.ci_low < found.auc < found.ci_high


def test_a_planted_class_is_found():
    found = latents.separate(*made(1, 2.5), 99, 0)
    assert found.p == pytest.approx(0.01) and found.ci_low > 0.5


def test_on_null_data_the_test_rejects_no_more_than_it_may():
    """40 sets: the share of p <= .05 lies within the 99.9 % bound of a binomial."""
    p = np.array([latents.separate(*made(100 + k, n_latents=3), 19, k).p for k in range(40)])
    assert (p <= 0.05).sum() <= stats.binom.ppf(0.9995, 40, 0.05)
    assert 0.35 < p.mean() < 0.65


def test_held_out_trials_are_compared_within_folds():
    """Two halves, each held out once: areas weighted by their pairs of unlike class."""
    (fold,), y, _ = made(4, 1.5)
    codes, picture = np.concatenate([fold.train, fold.test]), np.concatenate([fold.train_picture, fold.test_picture])
    odd = picture // 2 % 2 == 1
    halves = [latents.FoldCodes(codes[a], picture[a], codes[~a], picture[~a]) for a in (odd, ~odd)]
    found = latents.separate(halves, y, np.zeros(len(y)), 0, 0)
    areas, n_pairs = [], []
    for half in halves:
        inside, outside = latents._scaled(half)
        witness = LogisticRegression(tol=1e-10).fit(inside, y[half.train_picture])
        truth = y[half.test_picture]
        areas.append(roc_auc_score(truth, witness.decision_function(outside)))
        n_pairs.append(truth.sum() * (~truth).sum())
    assert found.auc == pytest.approx(np.average(areas, weights=n_pairs), abs=1e-3)
    assert np.isnan(found.ci_low) and np.isnan(found.ci_high)


def test_what_cannot_be_tested_is_refused():
    (fold,), y, block = made(3)
    both = latents.FoldCodes(fold.train, fold.train_picture, fold.train, fold.train_picture)
    with pytest.raises(ValueError, match="in training and in test, the first is 0"):
        latents.separate([both], y, block, 0, 0)
    with pytest.raises(ValueError, match="both classes must be there"):
        latents.separate([fold], y | (block == 1), block, 0, 0)
    with pytest.raises(ValueError, match="both classes must be held out"):
        latents.separate([fold], y | (block == 0), block, 0, 0)


def test_false_discovery_rates_are_those_of_benjamini_and_hochberg():
    """Witness: the step-up written out."""
    p = np.array([0.03, 0.001, 0.8, 0.02])
    order = np.argsort(p)
    wanted = np.minimum.accumulate((p[order] * 4 / np.arange(1, 5))[::-1])[::-1]
    np.testing.assert_allclose(latents.adjusted(p)[order], wanted)


def test_scaled_apart_a_class_moves_the_vertices_that_do_not_know_it():
    """One class is 1 s.d. larger in a fifth of the vertices; the others are equal, and should stay so."""
    apart, together, area = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values, y = rng.normal(size=(80, 200)), np.arange(80) < 40
        values[np.ix_(y, np.arange(200) < 40)] += 1
        others = slice(40, None)
        for kept, scaled in (
            (apart, latents.scaled_apart(values, y)),
            (together, (values - values.mean()) / values.std()),
        ):
            mean = scaled[:, others].mean(axis=1)
            kept.append(stats.ttest_ind(mean[y], mean[~y]).pvalue)
        area.append(metrics.area(latents.scaled_apart(values, y)[:, others].mean(axis=1), y))
    assert np.mean(np.array(apart) < 0.05) == 1 and np.mean(area) < 0.35  # found always, with the sign reversed
    assert np.sum(np.array(together) < 0.05) <= 4


def test_lengths_miss_what_lies_in_directions():
    """Two classes of equal length in opposite directions: the published test sees nothing, the other everything."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2 == 0
    codes = np.abs(rng.normal(size=(120, 6))) + np.where(y, 1, 0)[:, None] * np.array([3, 0, 0, 0, 0, 0])
    codes[~y, 1] += 3
    assert latents.norm_test(codes, y) > 0.05
    inside, picture = np.arange(120) < 80, np.arange(120)
    fold = latents.FoldCodes(codes[inside], picture[inside], codes[~inside], picture[~inside])
    assert latents.separate([fold], y, inside, 19, 0).auc > 0.95
