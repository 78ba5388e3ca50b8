"""Each kind of result has the metrics that its scorer measures, all of them and no other."""

import numpy as np
import pytest

from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores.classes import ClassScorer
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.core.scores.reconstruction import ReconstructionScorer, code_measures
from boldflow.core.scores.retrieval import RetrievalScorer
from boldflow.vocabulary import metrics

N_IMAGES = 60  # more than the candidates of nway50
RNG = np.random.default_rng(0)
IMAGE = np.repeat(np.arange(N_IMAGES), 2)
TEST = TestSet(np.zeros(len(IMAGE), int), IMAGE, np.zeros(N_IMAGES, int), np.arange(N_IMAGES))
REGIONS = {"all": np.ones(4, dtype=bool)}


def encoded():
    signal = RNG.normal(size=(N_IMAGES, 4))[IMAGE]
    return EncodingScorer(TEST, signal + 0.1 * RNG.normal(size=signal.shape), REGIONS).measure(signal)


def represented():
    values = RNG.normal(size=(len(IMAGE), 4))
    return ReconstructionScorer(TEST, values, REGIONS).measure(values / 2) + code_measures([values.clip(0)], TEST)


def embedded():
    features = RNG.normal(size=(N_IMAGES + 5, 8))
    scorer = RetrievalScorer(TEST, features[:N_IMAGES], [features], np.arange(N_IMAGES))
    return scorer.measure(features[IMAGE] + RNG.normal(size=(len(IMAGE), 8)))


def classified():
    return ClassScorer(TEST, np.arange(N_IMAGES) % 3).measure(RNG.normal(size=(len(IMAGE), 3)))


@pytest.mark.parametrize(
    ("kind", "measures"),
    [("encode", encoded), ("represent", represented), ("embedding", embedded), ("classes", classified)],
)
def test_a_kind_of_result_has_the_metrics_that_its_scorer_measures(kind, measures):
    assert {measure.metric for measure in measures()} == set(metrics.of_kind(kind))
