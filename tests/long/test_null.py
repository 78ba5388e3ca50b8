"""Data in which there is nothing: p values are uniform, ranks are chance, and what breaks them does so visibly."""

import numpy as np
import pytest

from boldflow.core import averaging
from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.scores import metrics
from boldflow.core.scores.statistics import permutation_p, permute_within

ALPHAS = np.array([10.0, 1000.0])
N_TRAIN, N_TEST, N_INPUTS, N_FEATURES = 48, 24, 10, 4
REPEATS_TRAIN, REPEATS_TEST = 2, 3
SEEDS, PERMUTATIONS = 240, 99
K = 5
PER_CATEGORY = 6  # images; test images are of other categories than training images
SHARE = (0.02, 0.085)  # of p <= .05 that the protocols allow


class Study:
    """Trials of one made subject: repeats of an image share what is particular to the image."""

    def __init__(self, seed, categories=False):
        rng = np.random.default_rng([11, seed])
        n = N_TRAIN + N_TEST
        self.part = np.repeat([0, 1], [N_TRAIN, N_TEST])
        repeats = np.where(self.part == 0, REPEATS_TRAIN, REPEATS_TEST)
        self.image = np.repeat(np.arange(n), repeats)  # image of each trial
        self.is_test = self.part[self.image] == 1
        latent = rng.normal(size=(n, N_FEATURES))
        seen = latent @ rng.normal(size=(N_FEATURES, N_INPUTS)) + rng.normal(size=(n, N_INPUTS))
        self.features = latent
        if categories:  # of each, brain and features have a centre of their own, drawn apart: nothing to be learnt
            category = np.arange(n) // PER_CATEGORY
            seen = rng.normal(size=(n, N_INPUTS))[category] + 0.4 * rng.normal(size=(n, N_INPUTS))
            self.features = rng.normal(size=(n, N_FEATURES))[category] + 0.4 * latent
        self.responses = seen[self.image] + rng.normal(size=(len(self.image), N_INPUTS))

    def predict(self, label):
        """Refit on training trials whose image ``i`` carries the features of ``label[i]``; image-view predictions."""
        train = ~self.is_test
        targets = self.features[label[self.image[train]]]
        found = fit_ridge(self.responses[train], targets, ALPHAS, self.image[train], n_folds=3, selection="kfold")
        predicted = self.responses[self.is_test] @ found.weights + found.intercept - targets.mean(axis=0)
        return averaging.average_by(predicted, self.image[self.is_test] - N_TRAIN, N_TEST)

    def ranks(self, predicted, label):
        """Rank each test image's own label among those of the test images."""
        centre = self.features[label[:N_TRAIN]].mean(axis=0)
        scores = metrics.identification_scores(predicted, self.features[N_TRAIN:] - centre)
        return metrics.ranks(scores, label[N_TRAIN:] - N_TRAIN)


def value(found):
    return metrics.inverse_normalised_rank(found).mean()


def images(study, label, rng):
    """Permute labels within train and within test; all repeats of an image get the same."""
    return permute_within(label, study.part, rng)


def categories(study, label, rng):
    """Permute whole categories within train and within test; images keep their neighbours."""
    order = permute_within(np.arange(len(label) // PER_CATEGORY), study.part[::PER_CATEGORY], rng)
    return label.reshape(-1, PER_CATEGORY)[order].ravel()


def by_refit(study, label, rng, n, permute=images):
    """Null of the score: the model is fitted anew to permuted labels, and scored against permuted labels."""
    null = []
    for _ in range(n):
        other = permute(study, label, rng)
        null.append(value(study.ranks(study.predict(other), other)))
    return np.array(null)


def by_rescoring(study, label, rng, n):
    """Null of the score with the one fitted model: labels of the test images alone are permuted."""
    predicted, null = study.predict(label), []
    for _ in range(n):
        other = np.concatenate([label[:N_TRAIN], images(study, label, rng)[N_TRAIN:]])
        null.append(value(study.ranks(predicted, other)))
    return np.array(null)


@pytest.fixture(scope="module")
def null_data():
    """p of the refit, and top-k, of studies with a real link whose image labels are permuted."""
    p, top = [], []
    for seed in range(SEEDS):
        study, rng = Study(seed), np.random.default_rng([12, seed])
        label = permute_within(np.arange(N_TRAIN + N_TEST), study.part, rng)
        found = study.ranks(study.predict(label), label)
        p.append(permutation_p(value(found), by_refit(study, label, rng, PERMUTATIONS)))
        top.append(metrics.top_k(found, K).mean())
    return np.array(p), np.array(top)


def test_p_by_refit_is_small_as_often_as_it_says(null_data):
    share = (null_data[0] <= 0.05).mean()
    assert SHARE[0] <= share <= SHARE[1]
    assert abs((null_data[0] <= 0.5).mean() - 0.5) < 2.5 * 0.5 / np.sqrt(SEEDS)


def test_top_k_of_null_data_is_k_over_g_within_monte_carlo_error(null_data):
    top = null_data[1]
    error = top.std(ddof=1) / np.sqrt(SEEDS)
    assert abs(top.mean() - K / N_TEST) < 2 * error
    assert error < 0.01


def test_the_same_studies_with_their_own_labels_are_told_from_chance():
    """Without this a p that is always 1 would pass."""
    found = []
    for seed in range(20):
        study, label = Study(seed), np.arange(N_TRAIN + N_TEST)
        null = by_refit(study, label, np.random.default_rng([13, seed]), PERMUTATIONS)
        found.append(permutation_p(value(study.ranks(study.predict(label), label)), null))
    assert np.mean(np.array(found) <= 0.05) > 0.9


@pytest.fixture(scope="module")
def category_p():
    """p of studies whose images come in categories, by each kind of null."""
    kinds = {
        "rescore": by_rescoring,
        "refit": by_refit,
        "refit, categories": lambda *given: by_refit(*given, permute=categories),
    }
    p = {kind: [] for kind in kinds}
    for seed in range(SEEDS):
        study, label = Study(1000 + seed, categories=True), np.arange(N_TRAIN + N_TEST)
        found = value(study.ranks(study.predict(label), label))
        for kind, null in kinds.items():
            p[kind].append(permutation_p(found, null(study, label, np.random.default_rng([14, seed]), 39)))
    return {kind: np.array(values) for kind, values in p.items()}


def test_rescoring_rejects_too_often_where_images_come_in_categories(category_p):
    share = (category_p["rescore"] <= 0.05).mean()
    assert share > SHARE[1] + 0.02


def test_permuting_whole_categories_is_what_mends_it_and_refitting_alone_does_not(category_p):
    """Images of a category are no exchangeable units: whatever the model, labels must move by category."""
    assert (category_p["refit"] <= 0.05).mean() > SHARE[1]
    assert SHARE[0] <= (category_p["refit, categories"] <= 0.05).mean() <= SHARE[1]


@pytest.mark.parametrize("k", [1, 5, 10, N_TEST])
def test_all_equal_scores_give_exactly_k_over_g(k):
    gallery = np.random.default_rng(15).normal(size=(N_TEST, N_FEATURES))
    scores = metrics.identification_scores(np.zeros((7, N_FEATURES)), gallery)
    found = metrics.ranks(scores, np.arange(7))
    assert (metrics.top_k(found, k) == k / N_TEST).all()
    assert (metrics.inverse_normalised_rank(found) == 0.5).all()
