"""Exact ranks in large galleries: products in blocks, and counting instead of sorting.

Definitions are those of ``core.scores.metrics``: score <prediction, candidate> / |candidate|, ranks from 0, ties
shared. A gallery is read in blocks of rows, so that it may be a file or be scaled on the way; scores are never held
all at once.
"""

from typing import Protocol

import numpy as np

from boldflow.core.scores.metrics import TINY, Ranks

QUERIES = 1024  # at a time
BYTES = 8 * 2**20  # of a block of candidates, and of one of queries, in double precision
READ = 2**20  # bytes of a block of candidates, in double precision, that is read for its lengths: stays in the cache
FEW = 0.02  # of the scores of a block: so many pairs are scored again one by one


class Rows(Protocol):
    """A gallery (n_candidates, n_features): an array, or what gives rows like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Rows, by slice or number."""


class Gallery:
    """Candidates among which predictions look for their own.

    Products are taken in single precision first; what they leave undecided, given a bound of their rounding, is decided
    in double precision. Equal candidates are scored once: a product may give them last bits of their own, and break
    their tie.

    Parameters
    ----------
    rows : array of shape (n_candidates, n_features), or ``Rows``
        Kept, not copied.

    Raises
    ------
    ValueError
        If a candidate is not finite: its score would be NaN, and rank first.
    """

    def __init__(self, rows: Rows) -> None:
        """Find out which candidates are equal, and how long they are."""
        self.rows, self.size = rows, rows.shape[0]
        self.step = max(1, BYTES // (8 * rows.shape[1]))
        self.number, self.first, lengths = _distinct(rows, max(1, READ // (8 * rows.shape[1])))
        self.counts = np.bincount(self.number)
        self.lengths = lengths[self.first] + TINY

    def ranks(self, predictions: np.ndarray, true: np.ndarray) -> Ranks:
        """Rank the true candidate of each query.

        Parameters
        ----------
        predictions : array of shape (n_queries, n_features)
        true : int array of shape (n_queries,)
            Row of each query's own candidate.

        Returns
        -------
        Ranks
            As ``metrics.ranks`` of ``metrics.identification_scores``, except where two scores differ in the last bit.

        Raises
        ------
        ValueError
            If a prediction is not finite.
        """
        wrong = ~np.isfinite(predictions).all(axis=1)
        if wrong.any():
            raise ValueError(f"{int(wrong.sum())} queries have NaN scores: their predictions are not finite")
        above, level = np.zeros(len(predictions), int), np.zeros(len(predictions), int)
        step = min(QUERIES, 2 * self.step)
        for start in range(0, len(predictions), step):
            some = slice(start, start + step)
            queries = predictions[some].astype(np.float64)
            largest = np.maximum(queries.max(axis=1), -queries.min(axis=1))
            queries /= np.where(largest > 0, largest, 1)[:, None]
            queries /= np.sqrt(np.einsum("ij,ij->i", queries, queries)).clip(1)[:, None]
            self._count(queries, self.number[true[some]], above[some], level[some])
        level[~predictions.any(axis=1)] = self.size
        return Ranks(above, level, self.size)

    def _count(self, queries: np.ndarray, true: np.ndarray, above: np.ndarray, level: np.ndarray) -> None:
        """Add candidates above each query's own and level with it; queries of length 0 are left out."""
        asked = np.flatnonzero(queries.any(axis=1))
        if len(asked) < len(queries):
            queries, true = queries[asked], true[asked]
        bar = self._scores(queries, true, np.arange(len(true)))
        single = queries.astype(np.float32)
        for start in range(0, len(self.first), self.step):
            numbers = np.arange(start, min(start + self.step, len(self.first)))
            more, same = self._decide(queries, single, numbers, bar)
            above[asked] += more
            level[asked] += same

    def _decide(
        self, queries: np.ndarray, taken: np.ndarray, numbers: np.ndarray, bar: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count candidates above the bar of each query and level with it, by queries ``taken`` in some precision.

        A product of vectors of length 1 is within (n + 8) units of rounding: n for the sum, the rest for their own
        rounding and for that of the bar (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1).
        """
        dtype = taken.dtype
        scores = taken @ self._candidates(numbers, dtype).T
        margin = (queries.shape[1] + 8) * float(np.finfo(dtype).eps) / 2
        above = scores > (bar + margin)[:, None].astype(dtype)
        unsure = scores >= (bar - margin)[:, None].astype(dtype)
        unsure ^= above
        if taken is not queries and np.count_nonzero(unsure) > FEW * unsure.size:
            return self._decide(queries, queries, numbers, bar)
        counts = self.counts[numbers]
        query, candidate = np.divmod(np.flatnonzero(unsure), len(numbers))  # np.nonzero takes ten times as long
        exact = self._scores(queries, numbers[candidate], query)
        higher, equal = (exact > bar[query]) * counts[candidate], (exact == bar[query]) * counts[candidate]
        sure = np.count_nonzero(above, axis=1) if (counts == 1).all() else above @ counts
        more, same = (np.bincount(query, some, minlength=len(queries)).astype(int) for some in (higher, equal))
        return sure + more, same

    def _scores(self, queries: np.ndarray, numbers: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Score pairs one by one in double precision, so that no score depends on where its pair stands."""
        scores = np.empty(len(query))
        for start in range(0, len(query), self.step):
            some = slice(start, start + self.step)
            chosen, inverse = np.unique(numbers[some], return_inverse=True)
            candidates = self._candidates(chosen, queries.dtype)
            scores[some] = np.einsum("ij,ij->i", queries[query[some]], candidates[inverse])
        return scores

    def _candidates(self, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Distinct candidates of length 1."""
        first = self.first[numbers]
        together = len(first) and first[-1] - first[0] == len(first) - 1  # they ascend
        values = self.rows[slice(first[0], first[-1] + 1)] if together else self.rows[first]
        inverse = 1 / self.lengths[numbers][:, None]
        if values.dtype == dtype:
            return values * inverse.astype(dtype)
        return (values * inverse).astype(dtype, copy=False)


def _distinct(rows: Rows, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the distinct rows: number of each row, the first row of each number, and the length of each row."""
    keys, lengths = np.empty(rows.shape[0], np.uint64), np.empty(rows.shape[0])
    for start in range(0, rows.shape[0], step):
        some = slice(start, start + step)
        block = np.ascontiguousarray(rows[some])
        double = block.astype(np.float64, copy=False)
        lengths[some] = np.sqrt(np.vecdot(double, double))
        if not np.isfinite(lengths[some]).all():
            lengths[some] = _long(double)
        # the bits of each row, summed up: exact in integers, whatever the order
        width = 8 if block[:1].nbytes % 8 == 0 else block.itemsize
        keys[some] = block.view(f"u{width}").sum(axis=1, dtype=np.uint64)
    # equal rows have equal keys; rows that share a key are compared byte by byte
    first, count = np.unique(keys, return_index=True, return_counts=True)[1:]
    same = np.arange(len(keys))
    for key in keys[first[count > 1]]:
        first_of: dict[bytes, int] = {}
        for row in np.flatnonzero(keys == key):
            same[row] = first_of.setdefault(rows[np.array([row])].tobytes(), int(row))
    distinct, number = np.unique(same, return_inverse=True)
    return number, distinct, lengths


def _long(block: np.ndarray) -> np.ndarray:
    """Lengths of rows whose squares are too large for double precision."""
    if not np.isfinite(block).all():
        raise ValueError(f"{int((~np.isfinite(block).all(axis=1)).sum())} candidates have NaN scores: not finite")
    largest = np.abs(block).max(axis=1).clip(TINY)
    lengths: np.ndarray = largest * np.linalg.norm(block / largest[:, None], axis=1)
    return lengths
