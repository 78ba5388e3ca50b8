"""Tests of every vertex of a map against the same map under permuted labels: p, FDR, family-wise error.

Scores r are compared vertex by vertex in units of the spread that their own null has: t is r less the mean of the null
maps over their standard deviation, and each null map is taken about the others in the same way (as deleted residuals
are), so that observed and null maps are on one scale. Everything is one-sided: a vertex is found where r is higher than
under permuted labels, since a negative r of held-out pictures is no prediction.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from boldflow.core.scores.clusters import tfce

Array = np.ndarray
FEWEST_REFITS = 19  # null maps below which nothing is tested: no family-wise p could reach .05
FLAT = 1e-6  # s.d. of a null, in units of r, below which it is rounding
BLOCK_VALUES = 2**22  # null values in the work at once


@dataclass(frozen=True)
class VertexTests:
    """Tests of a map, each (n_vertices,), NaN where a vertex is undefined.

    ``p``: from the null values of all vertices pooled; ``q``: its false discovery rate (Benjamini and Hochberg);
    ``p_max``: family-wise, by the maximum over vertices; ``p_tfce``: the same of cluster-enhanced maps, NaN everywhere
    where no neighbours are known.
    """

    p: Array
    q: Array
    p_max: Array
    p_tfce: Array

    @property
    def n_undefined(self) -> int:
        """Vertices without a test."""
        return int(np.isnan(self.p).sum())


def vertex_tests(observed: Array, null: Array, edges: Array | None = None) -> VertexTests:
    """Test each vertex of a map.

    Parameters
    ----------
    observed : array of shape (n_vertices,)
        Scores, higher is better; NaN where there is none.
    null : array of shape (n_refits, n_vertices)
        The same under permuted labels, with the model refitted; may be single precision. Read in blocks, never copied.
    edges : int array of shape (n_edges, 2), optional
        Pairs of vertices that are neighbours, for TFCE.

    Returns
    -------
    VertexTests
        ``p`` is (1 + k) / (1 + n) with k of all n null values of defined vertices at least as high; ``p_max`` and
        ``p_tfce`` the same with k of the n null maps' maxima. Vertices are undefined where a value is not finite or the
        null does not vary.

    Raises
    ------
    ValueError
        If there are fewer than 19 null maps, or their vertices are not those observed.

    Notes
    -----
    Nichols and Holmes 2002, Hum. Brain Mapp. 15, 1-25 (maximum statistic). Benjamini and Hochberg 1995, J. R. Stat.
    Soc. B 57, 289-300. Smith and Nichols 2009, NeuroImage 44, 83-98 (TFCE).

    Pooling takes the null of every vertex to have one shape once mean and spread are those of each: r over the same
    pictures has. Memory beyond the null itself is a block of it.
    """
    if len(null) < FEWEST_REFITS or null.shape[1:] != observed.shape:
        raise ValueError(
            f"tests need {FEWEST_REFITS} null maps or more of {observed.shape} vertices as observed, found {null.shape}"
        )
    scale = _NullScale.of(null)
    t = scale.of_observed(np.asarray(observed, dtype=np.float64))  # NaN where undefined
    defined = np.flatnonzero(np.isfinite(t))
    p, q, p_max, p_tfce = (np.full(t.shape, np.nan) for _ in range(4))
    if len(defined):
        n_higher, maxima = _pooled(t[defined], defined, null, scale)
        p[defined] = (1 + n_higher) / (1 + len(null) * len(defined))
        q[defined] = stats.false_discovery_control(p[defined])
        p_max[defined] = maximum_p(t[defined], maxima)
        if edges is not None:
            enhanced, enhanced_maxima = _enhanced(t, null, scale, edges)
            p_tfce[defined] = maximum_p(enhanced[defined], enhanced_maxima)
    return VertexTests(p, q, p_max, p_tfce)


def maximum_p(observed: Array, maxima: Array) -> Array:
    """Give the share of null maps whose maximum is at least as high, the observed one counted: (1 + k) / (1 + n).

    Parameters
    ----------
    observed : array of shape (n_vertices,)
    maxima : array of shape (n_refits,)
    """
    n_lower = np.searchsorted(np.sort(maxima), observed, side="left")
    return np.asarray((1 + len(maxima) - n_lower) / (1 + len(maxima)))


@dataclass(frozen=True)
class _NullScale:
    """Mean and standard deviation of each vertex over ``n`` null maps, (n_vertices,); NaN where it is undefined."""

    mean: Array
    spread: Array
    n: int

    @classmethod
    def of(cls, null: Array) -> "_NullScale":
        """Measure each vertex over the null maps."""
        mean, spread = np.empty(null.shape[1]), np.empty(null.shape[1])
        for block in _blocks(null.shape[1], len(null)):
            values = null[:, block].astype(np.float64)
            mean[block], spread[block] = values.mean(axis=0), values.std(axis=0, ddof=1)
        return cls(mean, np.where(spread > FLAT, spread, np.nan), len(null))

    def of_observed(self, values: Array) -> Array:
        """Give t of an observed map, (n_vertices,): about all null maps."""
        return np.asarray((values - self.mean) / (self.spread * np.sqrt(1 + 1 / self.n)))

    def of_null(self, values: Array, block: slice | Array = slice(None)) -> Array:
        """Give t of null maps, (..., n_vertices in the block): each about all the others."""
        n, u = self.n, (values - self.mean[block]) / self.spread[block]
        of_others = np.maximum((n - 1) - n / (n - 1) * u**2, 1e-9) / (n - 2)  # variance of the others over that of all
        return np.asarray(u * np.sqrt(n / (n - 1) / of_others))


def _pooled(t: Array, defined: Array, null: Array, scale: _NullScale) -> tuple[Array, Array]:
    """Count pooled null values at least as high as each t, and take the maximum of each null map.

    ``t``: of the vertices ``defined``. Gives (n_defined,) and (n_refits,).
    """
    order = np.argsort(t)
    n_passed = np.zeros(len(t) + 1, dtype=np.int64)  # null values that are at least as high as so many of the sorted t
    maxima = np.full(len(null), -np.inf)
    for block in _blocks(len(defined), len(null)):
        vertices = defined[block]
        null_t = scale.of_null(null[:, vertices], vertices)
        n_passed += np.bincount(np.searchsorted(t[order], null_t.ravel(), side="right"), minlength=len(t) + 1)
        maxima = np.maximum(maxima, null_t.max(axis=1))
    n_higher = np.empty(len(t), dtype=np.int64)
    n_higher[order] = np.cumsum(n_passed[::-1])[::-1][1:]
    return n_higher, maxima


def _enhanced(t: Array, null: Array, scale: _NullScale, edges: Array) -> tuple[Array, Array]:
    """Enhance the observed map, (n_vertices,), and give the maximum of each enhanced null map, (n_refits,).

    Undefined vertices are part of no cluster, in the null maps either.
    """
    undefined = ~np.isfinite(t)
    maxima = np.empty(len(null))
    for number, values in enumerate(null):
        maxima[number] = tfce(np.where(undefined, 0.0, scale.of_null(values)), edges).max()
    return tfce(np.where(undefined, 0.0, t), edges), maxima


def _blocks(n_vertices: int, n_refits: int) -> Iterator[slice]:
    step = max(1, BLOCK_VALUES // n_refits)
    return (slice(start, min(start + step, n_vertices)) for start in range(0, n_vertices, step))
