"""Tests of maps against formulas written out, and their error rates over simulated maps with spatial correlation."""

import numpy as np
import pytest
from scipy import ndimage

from boldflow.core.scores import maps
from boldflow.core.scores.clusters import tfce
from boldflow.core.scores.maps import FEWEST_REFITS, vertex_tests

N_REFITS, N_VERTICES = 40, 30


def grid_edges(high, wide):
    number = np.arange(high * wide).reshape(high, wide)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    return np.concatenate([across, np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)])


def smooth_maps(rng, n_maps, high=16, wide=16):
    """Maps of vertices that go with their neighbours, each with a spread of its own, (n_maps, high * wide)."""
    smooth = ndimage.gaussian_filter(rng.normal(size=(n_maps, high, wide)), (0, 1.5, 1.5))
    spread = np.linspace(0.5, 2, wide) / smooth.std()
    return (smooth * spread).reshape(n_maps, -1)


def written_out(observed, null):
    """Each map about the others, one by one: t of the observed map (n_vertices,) and of the null maps."""
    n = len(null)
    t = (observed - null.mean(axis=0)) / (null.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n))
    null_t = np.empty(null.shape)
    for k in range(n):
        others = np.delete(null, k, axis=0)
        null_t[k] = (null[k] - others.mean(axis=0)) / (others.std(axis=0, ddof=1) * np.sqrt(1 + 1 / (n - 1)))
    return t, null_t


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    scale = np.linspace(0.1, 3, N_VERTICES)
    observed = 1.5 * scale * rng.normal(size=N_VERTICES) + 0.2
    return observed, 0.2 + scale * rng.normal(size=(N_REFITS, N_VERTICES))


def test_each_p_counts_what_is_written_out(pair):
    observed, null = pair
    edges = grid_edges(5, 6)
    t, null_t = written_out(observed, null)
    tests = vertex_tests(observed, null, edges)
    np.testing.assert_allclose(tests.p, [(1 + (null_t >= own).sum()) / (1 + null.size) for own in t])
    maxima = null_t.max(axis=1)
    np.testing.assert_allclose(tests.p_max, [(1 + (maxima >= own).sum()) / (1 + N_REFITS) for own in t])
    enhanced, enhanced_maxima = tfce(t, edges), np.array([tfce(values, edges).max() for values in null_t])
    expected = [(1 + (enhanced_maxima >= own).sum()) / (1 + N_REFITS) for own in enhanced]
    np.testing.assert_allclose(tests.p_tfce, expected)


def test_q_is_the_least_rate_at_which_benjamini_and_hochberg_reject(pair):
    """The witness: their step-up rule itself, at rates around each q."""
    p, q = (getattr(vertex_tests(*pair), name) for name in ("p", "q"))
    for vertex in range(N_VERTICES):
        for rate, rejects in ((q[vertex] * 1.0001, True), (q[vertex] * 0.9999, False)):
            below = np.sort(p) <= rate * np.arange(1, N_VERTICES + 1) / N_VERTICES
            threshold = np.sort(p)[below].max(initial=0.0)
            assert (p[vertex] <= threshold) == rejects


def test_blocks_change_nothing(pair, monkeypatch):
    whole = vertex_tests(*pair)
    monkeypatch.setattr(maps, "BLOCK_VALUES", 3 * N_REFITS)
    np.testing.assert_array_equal(whole.p, vertex_tests(*pair).p)
    np.testing.assert_array_equal(whole.p_max, vertex_tests(*pair).p_max)


def test_no_neighbours_no_enhancement(pair):
    assert np.isnan(vertex_tests(*pair).p_tfce).all()


def test_undefined_vertices_stay_so_are_counted_and_count_for_no_other(pair):
    observed, null = pair
    alone = vertex_tests(observed, null, grid_edges(5, 6)[:0])
    wider = np.concatenate([observed, [np.nan, 5.0, 5.0]])
    wider_null = np.concatenate([null, np.random.default_rng(0).normal(size=(N_REFITS, 3))], axis=1)
    wider_null[:, 31] = 0.25  # does not vary
    wider_null[4, 32] = np.nan
    tests = vertex_tests(wider, wider_null, grid_edges(3, 11)[:0])
    assert tests.n_undefined == 3 and alone.n_undefined == 0
    for name in ("p", "q", "p_max", "p_tfce"):
        assert np.isnan(getattr(tests, name)[30:]).all()
        np.testing.assert_array_equal(getattr(tests, name)[:30], getattr(alone, name))


def test_a_map_of_constants_is_undefined_everywhere():
    tests = vertex_tests(np.zeros(4), np.zeros((FEWEST_REFITS, 4)), np.array([[0, 1]]))
    assert tests.n_undefined == 4 and np.isnan(tests.q).all() and np.isnan(tests.p_tfce).all()


def test_too_few_null_maps_or_others_are_refused(pair):
    observed, null = pair
    with pytest.raises(ValueError, match="19 null maps or more"):
        vertex_tests(observed, null[: FEWEST_REFITS - 1])
    with pytest.raises(ValueError, match=r"found \(40, 29\)"):
        vertex_tests(observed, null[:, 1:])


def test_low_scores_are_not_found():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(99, 50))
    tests = vertex_tests(np.where(np.arange(50) < 25, -20.0, 20.0), null)
    assert (tests.p[:25] > 0.99).all() and (tests.q[25:] < 0.01).all() and (tests.p_max[25:] == 0.01).all()


def test_over_null_maps_with_spatial_correlation_errors_are_as_rare_as_asked():
    """300 studies: three standard errors above .05 are .088; each vertex alone is uniform."""
    rng, edges = np.random.default_rng(5), grid_edges(16, 16)
    hits = {"p_max": 0, "p_tfce": 0, "q": 0}
    shares = []
    for _ in range(300):
        made = smooth_maps(rng, 100).astype(np.float32)
        tests = vertex_tests(made[0], made[1:], edges)
        shares.append((tests.p <= 0.05).mean())
        for name in hits:
            hits[name] += int((getattr(tests, name) <= 0.05).any())
    assert {name: n for name, n in hits.items() if n > 300 * 0.088} == {}
    assert min(hits["p_max"], hits["p_tfce"]) >= 300 * 0.02  # and not by being blind
    assert np.mean(shares) == pytest.approx(0.05, abs=0.008)
