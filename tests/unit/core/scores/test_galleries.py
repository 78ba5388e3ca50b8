"""Ranks in large galleries against sorting, ties included."""

import tracemalloc

import numpy as np
import pytest

from boldflow.core.linear.scaling import ScaledRows, fit_scaler, scale
from boldflow.core.scores import galleries, metrics
from boldflow.core.scores.galleries import Gallery


def by_sorting(predictions, gallery, true):
    """Places that hold the true one's score when whole rows are sorted: the first, and how many."""
    unit = gallery / (np.linalg.norm(gallery, axis=1, keepdims=True) + 1e-15)
    found = []
    for x, t in zip(predictions, true, strict=True):
        scores = (unit @ x).round(10)
        places = np.flatnonzero(scores[np.argsort(-scores)] == scores[t])
        found.append((places[0], len(places)))
    return np.array(found).T


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [5, 64, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_sorting_whole_rows(dtype, block, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(230, 24)).astype(dtype)
    gallery[[3, 77, 200]] = gallery[9]  # the same picture again
    gallery[100] = gallery[9][::-1]  # the same numbers, another picture
    gallery[[50, 51]] = 0
    true = np.concatenate([rng.integers(0, 230, 60), [9, 3, 200, 50, 51, 100]])
    predictions = (0.3 * gallery[true] + rng.normal(size=(66, 24))).astype(dtype)
    predictions[5] = 0  # everything ties
    monkeypatch.setattr(galleries, "BYTES", 8 * 24 * block)
    monkeypatch.setattr(galleries, "QUERIES", 13)
    found = Gallery(gallery).ranks(predictions, true)
    above, tied = by_sorting(predictions.astype(float), gallery.astype(float), true)
    np.testing.assert_array_equal(found.above, above)
    np.testing.assert_array_equal(found.tied, tied)
    assert found.gallery_size == 230 and found.tied[5] == 230


def test_ranks_are_those_of_the_whole_matrix():
    rng = np.random.default_rng(4)
    gallery = rng.normal(size=(3000, 96)).astype("f4")
    true = rng.integers(0, 3000, 500)
    predictions = 0.2 * gallery[true] + rng.normal(size=(500, 96))
    wanted = metrics.ranks(metrics.identification_scores(predictions, gallery), true)
    found = Gallery(gallery).ranks(predictions, true)
    np.testing.assert_array_equal(found.above, wanted.above)
    np.testing.assert_array_equal(found.tied, wanted.tied)


@pytest.mark.parametrize(("apart", "shared"), [(1e-3, 0.0), (1e-6, 0.0), (1e-9, 0.0), (1e-3, 30.0), (1e-6, 30.0)])
@pytest.mark.parametrize("length", [1e-150, 1.0, 1e150])
def test_scores_closer_than_single_precision_are_told_apart(apart, shared, length):
    """Many candidates lie ``apart`` from the true one, and all may share most of what they are."""
    rng = np.random.default_rng(7)
    gallery = rng.normal(size=(600, 40)) + shared
    gallery[100:500] = gallery[:1] + apart * rng.normal(size=(400, 40))
    predictions = gallery[:100] + 0.1 * rng.normal(size=(100, 40))
    wanted = metrics.ranks(metrics.identification_scores(predictions, gallery), np.arange(100))
    found = Gallery(gallery).ranks(predictions * length, np.arange(100))
    np.testing.assert_array_equal(found.above, wanted.above)
    np.testing.assert_array_equal(found.tied, wanted.tied)


@pytest.mark.parametrize(("n", "size"), [(400, 5), (33, 7), (1536, 24)])
def test_copies_of_one_candidate_tie_exactly(n, size):
    rng = np.random.default_rng(0)
    found = Gallery(np.tile(rng.normal(size=n), (size, 1))).ranks(rng.normal(size=(7, n)), np.arange(7) % size)
    assert (found.above == 0).all() and (found.tied == size).all()


def test_a_gallery_may_be_scaled_while_it_is_read():
    rng = np.random.default_rng(5)
    values = rng.normal(3, 2, size=(300, 20)).astype("f4")
    scaler = fit_scaler(values[:50])
    true = rng.integers(0, 300, 40)
    predictions = scale(values[true], scaler) + rng.normal(size=(40, 20))
    read = Gallery(ScaledRows(values, scaler)).ranks(predictions, true)
    whole = Gallery(scale(values.astype(float), scaler)).ranks(predictions, true)
    np.testing.assert_array_equal(read.rank, whole.rank)


def test_memory_does_not_grow_with_the_gallery():
    rng = np.random.default_rng(6)
    gallery = rng.standard_normal((20_000, 512), dtype="f4")
    predictions = rng.standard_normal((1000, 512), dtype="f4")
    tracemalloc.start()
    Gallery(gallery).ranks(predictions, np.arange(1000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # the whole matrix would be 160 MB


def test_what_is_not_finite_is_refused_because_it_would_rank_first():
    gallery = np.ones((4, 3))
    with pytest.raises(ValueError, match="2 queries have NaN scores"):
        Gallery(gallery).ranks(np.array([[1, np.nan, 1], [1, 1, 1], [np.inf, 1, 1]]), np.array([0, 1, 2]))
    gallery[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 candidates have NaN scores"):
        Gallery(gallery)
