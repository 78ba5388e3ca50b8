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
        self.number, self.first_row, lengths = _distinct(rows, max(1, READ // (8 * rows.shape[1])))
        self.n_equal = np.bincount(self.number)
        self.lengths = lengths[self.first_row] + TINY

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
        is_wrong = ~np.isfinite(predictions).all(axis=1)
        if is_wrong.any():
            raise ValueError(f"{int(is_wrong.sum())} queries have NaN scores: their predictions are not finite")
        n_above, n_level = np.zeros(len(predictions), int), np.zeros(len(predictions), int)
        step = min(QUERIES, 2 * self.step)
        for start in range(0, len(predictions), step):
            block = slice(start, start + step)
            queries = predictions[block].astype(np.float64)
            largest_entry = np.maximum(queries.max(axis=1), -queries.min(axis=1))
            queries /= np.where(largest_entry > 0, largest_entry, 1)[:, None]
            queries /= np.sqrt(np.einsum("ij,ij->i", queries, queries)).clip(1)[:, None]
            self._count(queries, self.number[true[block]], n_above[block], n_level[block])
        n_level[~predictions.any(axis=1)] = self.size
        return Ranks(n_above, n_level, self.size)

    def _count(self, queries: np.ndarray, true: np.ndarray, n_above: np.ndarray, n_level: np.ndarray) -> None:
        """Add candidates above each query's own and level with it; queries of length 0 are left out."""
        query_rows = np.flatnonzero(queries.any(axis=1))
        if len(query_rows) < len(queries):
            queries, true = queries[query_rows], true[query_rows]
        true_scores = self._scores(queries, true, np.arange(len(true)))
        single_queries = queries.astype(np.float32)
        for start in range(0, len(self.first_row), self.step):
            candidates = np.arange(start, min(start + self.step, len(self.first_row)))
            block_above, block_level = self._decide(queries, single_queries, candidates, true_scores)
            n_above[query_rows] += block_above
            n_level[query_rows] += block_level

    def _decide(
        self, queries: np.ndarray, cast_queries: np.ndarray, candidates: np.ndarray, true_scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count candidates above the true one of each query and level with it, by ``cast_queries`` in some precision.

        A product of vectors of length 1 is within (n + 8) units of rounding: n for the sum, the rest for their own
        rounding and for that of the true score (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1).
        """
        dtype = cast_queries.dtype
        scores = cast_queries @ self._candidates(candidates, dtype).T
        margin = (queries.shape[1] + 8) * float(np.finfo(dtype).eps) / 2
        is_above = scores > (true_scores + margin)[:, None].astype(dtype)
        is_unsure = scores >= (true_scores - margin)[:, None].astype(dtype)
        is_unsure ^= is_above
        if cast_queries is not queries and np.count_nonzero(is_unsure) > FEW * is_unsure.size:
            return self._decide(queries, queries, candidates, true_scores)
        n_equal = self.n_equal[candidates]
        # np.nonzero takes ten times as long
        query_index, candidate_index = np.divmod(np.flatnonzero(is_unsure), len(candidates))
        exact_scores = self._scores(queries, candidates[candidate_index], query_index)
        n_higher, n_tied = (
            (exact_scores > true_scores[query_index]) * n_equal[candidate_index],
            (exact_scores == true_scores[query_index]) * n_equal[candidate_index],
        )
        n_sure = np.count_nonzero(is_above, axis=1) if (n_equal == 1).all() else is_above @ n_equal
        n_more, n_level = (
            np.bincount(query_index, counts, minlength=len(queries)).astype(int) for counts in (n_higher, n_tied)
        )
        return n_sure + n_more, n_level

    def _scores(self, queries: np.ndarray, candidates: np.ndarray, query_index: np.ndarray) -> np.ndarray:
        """Score pairs one by one in double precision, so that no score depends on where its pair stands."""
        scores = np.empty(len(query_index))
        for start in range(0, len(query_index), self.step):
            block = slice(start, start + self.step)
            distinct_candidates, inverse = np.unique(candidates[block], return_inverse=True)
            vectors = self._candidates(distinct_candidates, queries.dtype)
            scores[block] = np.einsum("ij,ij->i", queries[query_index[block]], vectors[inverse])
        return scores

    def _candidates(self, candidates: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Distinct candidates of length 1."""
        first_rows = self.first_row[candidates]
        is_contiguous = len(first_rows) and first_rows[-1] - first_rows[0] == len(first_rows) - 1  # they ascend
        vectors = self.rows[slice(first_rows[0], first_rows[-1] + 1)] if is_contiguous else self.rows[first_rows]
        inverse_lengths = 1 / self.lengths[candidates][:, None]
        if vectors.dtype == dtype:
            return vectors * inverse_lengths.astype(dtype)
        return (vectors * inverse_lengths).astype(dtype, copy=False)


def _distinct(rows: Rows, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the distinct rows: number of each row, the first row of each number, and the length of each row."""
    row_keys, lengths = np.empty(rows.shape[0], np.uint64), np.empty(rows.shape[0])
    for start in range(0, rows.shape[0], step):
        block_rows = slice(start, start + step)
        block = np.ascontiguousarray(rows[block_rows])
        double_block = block.astype(np.float64, copy=False)
        lengths[block_rows] = np.sqrt(np.vecdot(double_block, double_block))
        if not np.isfinite(lengths[block_rows]).all():
            lengths[block_rows] = _long(double_block)
        # the bits of each row, summed up: exact in integers, whatever the order
        n_word_bytes = 8 if block[:1].nbytes % 8 == 0 else block.itemsize
        row_keys[block_rows] = block.view(f"u{n_word_bytes}").sum(axis=1, dtype=np.uint64)
    # equal rows have equal keys; rows that share a key are compared byte by byte
    first_rows, n_rows = np.unique(row_keys, return_index=True, return_counts=True)[1:]
    first_equal = np.arange(len(row_keys))
    for key in row_keys[first_rows[n_rows > 1]]:
        first_row_of: dict[bytes, int] = {}
        for row in np.flatnonzero(row_keys == key):
            first_equal[row] = first_row_of.setdefault(rows[np.array([row])].tobytes(), int(row))
    distinct_rows, number = np.unique(first_equal, return_inverse=True)
    return number, distinct_rows, lengths


def _long(block: np.ndarray) -> np.ndarray:
    """Lengths of rows whose squares are too large for double precision."""
    if not np.isfinite(block).all():
        raise ValueError(f"{int((~np.isfinite(block).all(axis=1)).sum())} candidates have NaN scores: not finite")
    largest_entry = np.abs(block).max(axis=1).clip(TINY)
    lengths: np.ndarray = largest_entry * np.linalg.norm(block / largest_entry[:, None], axis=1)
    return lengths
