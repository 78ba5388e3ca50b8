"""Scores of regions: ceilings that a noise-free prediction reaches, shares with a sign, intervals; by simulation."""

import numpy as np
import pytest
from scipy import stats

from boldflow.core.records.test_sets import TestSet
from boldflow.core.responses import ceilings
from boldflow.core.scores import intervals
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.vocabulary.metrics import Scale

ALL = {"all": np.ones(60, dtype=bool)}


class Study:
    """Responses of 60 vertices with signal, single-trial noise ceilings from .15 to .6."""

    def __init__(self, n_images: int, repeats: int, seed: int, n_silent: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.image = np.repeat(np.arange(n_images), repeats)
        self.test = TestSet(np.zeros(len(self.image), int), self.image, np.zeros(n_images, int), np.arange(n_images))
        share = np.linspace(0.15, 0.6, 60)
        mixing = np.eye(60) + 0.5 * np.eye(60, k=1)  # neighbours go together
        signal = rng.normal(size=(n_images, 60)) @ mixing
        signal = signal / np.sqrt((mixing**2).sum(axis=0)) * np.sqrt(share)
        signal[:, :n_silent] = 0
        self.signal = signal
        self.responses = signal[self.image] + np.sqrt(1 - share) * rng.normal(size=(len(self.image), 60))

    @property
    def scorer(self) -> EncodingScorer:
        return EncodingScorer(self.test, self.responses, ALL)

    def of(self, metric: str, predicted: np.ndarray):
        measures = self.scorer.measure(predicted[self.image])
        return next(measure for measure in measures if measure.metric == metric)


@pytest.mark.parametrize(("n_images", "repeats"), [(24, 4), (113, 3)])
def test_a_ceiling_is_what_the_noise_free_response_reaches(n_images: int, repeats: int):
    for metric in ("r", "r_pooled"):
        reached, stated = [], []
        for seed in range(60):
            study = Study(n_images, repeats, seed)
            measure = study.of(metric, study.signal)
            reached.append(measure.value)
            if measure.ceiling is not None:
                stated.append(measure.ceiling)
        assert abs(np.mean(stated) - np.mean(reached)) <= 0.02, metric


def test_a_mean_of_r_over_silent_vertices_has_no_ceiling_and_says_why():
    study = Study(60, 3, 0, n_silent=30)
    r, pooled = study.of("r", study.signal), study.of("r_pooled", study.signal)
    assert r.ceiling is None and "show no signal (r_pooled has one)" in r.remark
    assert pooled.ceiling == pytest.approx(pooled.value, abs=0.1)


def test_pooled_r_is_that_of_all_columns_about_their_means():
    study = Study(30, 2, 1)
    predicted = study.signal + np.random.default_rng(0).normal(size=study.signal.shape)
    measured = study.responses.reshape(30, 2, 60).mean(axis=1)
    x, y = (z - z.mean(axis=0) for z in (predicted, measured))
    expected = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    assert study.of("r_pooled", predicted).value == pytest.approx(expected)


def test_minus_the_signal_explains_minus_its_share_and_half_of_it_reversed_nothing():
    shares = {name: [] for name in ("signal", "minus", "half")}
    for seed in range(20):
        study = Study(113, 3, seed)
        flip = np.where(np.arange(60) % 2, 1.0, -1.0)
        for name, predicted in (("signal", study.signal), ("minus", -study.signal), ("half", flip * study.signal)):
            shares[name].append(study.of("explained_share", predicted).value)
    assert np.mean(shares["signal"]) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(shares["minus"], -np.array(shares["signal"]), rtol=1e-9)
    # the vertices that are reversed have a little less signal
    expected = np.mean([(np.where(np.arange(60) % 2, 1, -1) * np.linspace(0.15, 0.6, 60)).sum() / 22.5])
    assert np.mean(shares["half"]) == pytest.approx(expected, abs=0.02)


def test_signed_r2_and_held_out_r2_are_scipys():
    study = Study(40, 1, 2)
    predicted = -study.signal + 0.5
    r = np.array([stats.pearsonr(a, b).statistic for a, b in zip(predicted.T, study.responses.T, strict=True)])
    assert study.of("r2", predicted).value == pytest.approx(np.mean(np.sign(r) * r**2))
    centred = study.responses - study.responses.mean(axis=0)
    residual = ((study.responses - predicted) ** 2).sum()
    assert study.of("R2", predicted).value == pytest.approx(1 - residual / (centred**2).sum())
    by_vertex = study.scorer.held_out_r2(predicted)
    expected = 1 - ((study.responses - predicted) ** 2).sum(axis=0) / (centred**2).sum(axis=0)
    np.testing.assert_allclose(by_vertex, expected)


def test_components_under_weights_are_those_of_the_images_that_are_left():
    study = Study(20, 3, 3)
    repeats = ceilings.Repeats.of(study.responses, study.image)
    weights = np.ones((2, 20))
    weights[1, 4] = 0
    signal, noise = repeats.components(weights)
    for row, inside in enumerate((np.ones(60, bool), study.image != 4)):
        expected = ceilings.variance_components(study.responses[inside], study.image[inside])
        np.testing.assert_allclose((signal[row], noise[row]), expected, rtol=1e-9)
    assert np.isnan(repeats.components(np.eye(20)[:1])[0]).all()


@pytest.mark.parametrize("metric", ["r", "explained_share", "ceiling"])
def test_intervals_hold_the_truth(metric: str):
    """Pictures are drawn anew; the truth is what many studies have in the mean."""
    values, ends = [], []
    rng = np.random.default_rng(4)
    for seed in range(150):
        study = Study(40, 3, seed + 1000)
        measure = study.of(metric, study.signal + 0.5 * rng.normal(size=study.signal.shape))
        scale = {"r": Scale.CORRELATION, "explained_share": Scale.PLAIN, "ceiling": Scale.SHARE}[metric]
        values.append(measure.value)
        ends.append(intervals.jackknife(measure.value, measure.draw(1 - np.eye(40)), scale))
    truth = np.mean(values)
    assert 0.90 <= np.mean([end.low <= truth <= end.high for end in ends]) <= 0.99
