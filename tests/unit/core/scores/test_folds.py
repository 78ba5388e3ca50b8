"""Scores over folds: each has the form whose mean without signal is its chance. Witnesses: plain loops, simulations."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.reconstruction import ReconstructionScorer

N_RUNS, N_PICTURES = 8, 12
N = N_RUNS * N_PICTURES
RUN = np.repeat(np.arange(N_RUNS), N_PICTURES)
TEST = TestSet(RUN, np.arange(N), RUN, np.arange(N))
ALL = {"all": np.ones(5, dtype=bool)}


def value(measures, metric, view=None):
    return next(m for m in measures if m.metric == metric and (view is None or m.view == view)).value


def without_run(inputs, targets, predict):
    """Predictions of each run by a model of all others."""
    predicted = np.empty(targets.shape)
    for run in range(N_RUNS):
        inside, outside = run != RUN, run == RUN
        predicted[outside] = predict(inputs[inside], targets[inside], inputs[outside])
    return predicted


def ridge(x, y, new):
    return Ridge(alpha=10.0).fit(x, y).predict(new)


def mean_of_training(_, y, new):
    return np.tile(y.mean(axis=0), (len(new), 1))


def test_the_mean_of_training_rows_predicts_nothing():
    rng = np.random.default_rng(0)
    pooled = []
    for _ in range(40):
        responses = rng.normal(size=(N, 5))
        predicted = without_run(responses, responses, mean_of_training)
        scores = EncodingScorer(TEST, responses, ALL).measure(predicted)
        assert value(scores, "r") == value(scores, "r_pooled") == value(scores, "r2") == 0
        pooled += [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, responses.T, strict=True)]
    assert np.mean(pooled) < -0.2, "what is mended: correlations pooled over folds"


@pytest.mark.parametrize("offset", [0.1, 1e6])
def test_a_constant_prediction_scores_zero_whatever_rounding_leaves(offset: float):
    image = np.repeat(np.arange(N), 3)  # averages of three equal numbers differ in their last bits
    test = TestSet(RUN[image], image, RUN, np.arange(N))
    responses = np.random.default_rng(1).normal(size=(3 * N, 5))
    constant = np.tile(offset + 0.1 * RUN[image][:, None], 5)
    scores = EncodingScorer(test, responses, ALL).measure(constant)
    assert value(scores, "r") == value(scores, "r_pooled") == value(scores, "r2") == 0


def test_without_signal_the_covariances_of_a_ridge_are_0_and_its_r_lies_near():
    """Not at 0: the length of a prediction depends on the other folds' responses. Refits say where its chance is."""
    rng = np.random.default_rng(2)
    r, covariance, pooled = [], [], []
    for _ in range(150):
        features, responses = rng.normal(size=(N, 10)), rng.normal(size=(N, 5))
        predicted = without_run(features, responses, ridge)
        scores = EncodingScorer(TEST, responses, ALL).measure(predicted)
        r.append(value(scores, "r"))
        about_mean = [z - np.repeat([z[run == RUN].mean(axis=0) for run in range(N_RUNS)], N_PICTURES, axis=0) for z in
                      (predicted, responses)]  # fmt: skip
        covariance.append((about_mean[0] * about_mean[1]).sum())
        pooled.append(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, responses.T, strict=True)]))
    assert abs(np.mean(covariance)) < 3 * np.std(covariance) / np.sqrt(150)
    assert -0.04 < np.mean(r) < 0.01 and np.mean(pooled) < np.mean(r) - 0.03


def test_correlations_with_signal_are_not_shrunk_by_short_folds():
    """A mean of within-fold r is: .33 of .5 at two pictures a fold."""
    rng = np.random.default_rng(3)
    fold = np.repeat(np.arange(600), 2)
    test = TestSet(fold, np.arange(1200), fold, np.arange(1200))
    x = rng.normal(size=(1200, 5))
    y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=x.shape)
    shift = 3 * rng.normal(size=600)[fold][:, None]
    assert value(EncodingScorer(test, y, ALL).measure(x + shift), "r") == pytest.approx(0.5, abs=0.05)


def test_errors_and_r2_are_those_of_values_about_their_fold_means():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(N, 5)) + RUN[:, None], rng.normal(size=(N, 5))
    centred = [np.concatenate([z[run == RUN] - z[run == RUN].mean(axis=0) for run in range(N_RUNS)]) for z in (x, y)]
    residual, total = ((centred[0] - centred[1]) ** 2).sum(), (centred[1] ** 2).sum()
    for scorer in (EncodingScorer(TEST, y, ALL), ReconstructionScorer(TEST, y, ALL)):
        scores = scorer.measure(x)
        assert value(scores, "mse", "image") == pytest.approx(residual / (N - N_RUNS) / 5)
        assert value(scores, "R2", "image") == pytest.approx(1 - residual / total)
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(centred[0].T, centred[1].T, strict=True)]
        assert value(scores, "r", "image") == pytest.approx(np.mean(r))


def test_an_area_counts_the_pairs_within_folds():
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 2, N)
    evidence = rng.normal(size=(N, 2)) + RUN[:, None] + np.eye(2)[classes]
    wins, n_pairs = np.zeros(2), np.zeros(2)
    for label in range(2):
        for a in np.flatnonzero(classes == label):
            for b in np.flatnonzero((classes != label) & (RUN[a] == RUN)):
                wins[label] += evidence[a, label] > evidence[b, label]
                n_pairs[label] += 1
    scores = ClassScorer(TEST, classes).measure(evidence)
    assert value(scores, "auc") == pytest.approx((wins / n_pairs).mean())


def test_evidence_of_how_often_classes_train_tells_nothing():
    """Pooled over runs of unequal classes such evidence has an area of .35: it is low where its own class is tested."""
    rng = np.random.default_rng(6)
    classes = rng.integers(0, 2, N)
    evidence = without_run(classes[:, None], np.eye(2)[classes], mean_of_training)
    scores = ClassScorer(TEST, classes).measure(evidence)
    assert value(scores, "auc") == 0.5


def test_folds_of_one_class_are_told_and_where_all_are_the_area_is_empty():
    classes = np.where(RUN < 7, RUN % 2, 0)
    classes[RUN == 7] = np.arange(N_PICTURES) % 2
    area = next(m for m in ClassScorer(TEST, classes).measure(np.eye(2)[classes]) if m.metric == "auc")
    assert area.value == 1 and area.remark == "7 of 8 folds hold one class only"
    area = next(m for m in ClassScorer(TEST, RUN % 2).measure(np.eye(2)[RUN % 2]) if m.metric == "auc")
    assert np.isnan(area.value) and area.remark == "8 of 8 folds hold one class only"


def test_folds_of_one_picture_have_no_correlation():
    test = TestSet(np.arange(9), np.arange(9), np.arange(9), np.arange(9))
    values = np.random.default_rng(7).normal(size=(9, 5))
    scores = EncodingScorer(test, values, ALL).measure(values)
    assert all(np.isnan(value(scores, metric)) for metric in ("r", "r_pooled", "r2", "R2", "mse"))
    remark = next(m.remark for m in scores if m.metric == "r")
    assert "each picture is alone in its fold" in remark


def test_a_share_under_folds_is_left_out():
    image = np.repeat(np.arange(N), 2)
    test = TestSet(RUN[image], image, RUN, np.arange(N))
    values = np.random.default_rng(8).normal(size=(N, 5))[image]
    scores = EncodingScorer(test, values + np.random.default_rng(9).normal(size=values.shape), ALL).measure(values)
    assert "explained_share" not in {measure.metric for measure in scores}
