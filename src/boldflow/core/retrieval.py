"""Exact ranks in large galleries: products in blocks, and counting instead of sorting.

Definitions are those of ``core.metrics``: score <prediction, candidate> / |candidate|, ranks from 0 with ties shared. A
gallery is read in blocks of rows, so that it may be a file or be scaled on the way; scores are never held all at once.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from boldflow.core.metrics import TINY, Ranks

QUERIES = 1024  # at a time
BYTES = 8 * 2**20  # of a block of candidates, and of one of queries, in double precision


class Rows(Protocol):
    """A gallery (n_candidates, n_features): an array, or what gives rows like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Rows, by slice or number."""


class Gallery:
    """Candidates among which predictions look for their own.

    Equal candidates are scored once: a matrix product may give them last bits of their own, and break their tie.

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
        """Find out which candidates are equal."""
        self.rows, self.size = rows, rows.shape[0]
        self.step = max(1, BYTES // (8 * rows.shape[1]))
        self.number, self.first = _distinct(rows, self.step)
        self.counts = np.bincount(self.number)

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
        above, level = np.empty(len(predictions), int), np.empty(len(predictions), int)
        step = min(QUERIES, self.step)
        for start in range(0, len(predictions), step):
            some = slice(start, start + step)
            above[some], level[some] = self._count(predictions[some].astype(np.float64), self.number[true[some]])
        return Ranks(above, level, self.size)

    def _count(self, queries: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates above each query's own and level with it."""
        # own candidates come first, so that their scores are read from the product in which they are compared
        own, place = np.unique(true, return_inverse=True)
        scores = queries @ self._candidates(own).T
        bar = scores[np.arange(len(queries)), place][:, None]
        above, level = _tally(scores, bar, self.counts[own])
        for numbers in self._others(own):
            more, same = _tally(queries @ self._candidates(numbers).T, bar, self.counts[numbers])
            above += more
            level += same
        return above, level

    def _others(self, own: np.ndarray) -> Iterator[np.ndarray]:
        rest = np.setdiff1d(np.arange(len(self.first)), own, assume_unique=True)
        return (rest[start : start + self.step] for start in range(0, len(rest), self.step))

    def _candidates(self, numbers: np.ndarray) -> np.ndarray:
        """Distinct candidates of length 1, double precision."""
        values = self.rows[self.first[numbers]].astype(np.float64)
        values /= np.sqrt(np.einsum("ij,ij->i", values, values))[:, None] + TINY
        return values


def _tally(scores: np.ndarray, bar: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count scores above the bar of their row and level with it."""
    above, level = scores > bar, scores == bar
    if (counts == 1).all():
        return np.count_nonzero(above, axis=1), np.count_nonzero(level, axis=1)
    return above @ counts, level @ counts


def _distinct(rows: Rows, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct rows: number of each row, and the first row of each number."""
    blocks = (np.ascontiguousarray(rows[start : start + step]) for start in range(0, rows.shape[0], step))
    keys = np.concatenate([_keys(block) for block in blocks])
    # equal rows have equal keys; rows that share a key are compared byte by byte
    first, count = np.unique(keys, return_index=True, return_counts=True)[1:]
    same = np.arange(len(keys))
    for key in keys[first[count > 1]]:
        known: dict[bytes, int] = {}
        for row in np.flatnonzero(keys == key):
            same[row] = known.setdefault(rows[np.array([row])].tobytes(), int(row))
    distinct, number = np.unique(same, return_inverse=True)
    return number, distinct


def _keys(block: np.ndarray) -> np.ndarray:
    """Sum up the bits of each row: exact in integers, whatever the order."""
    if not np.isfinite(block).all():
        raise ValueError(f"{int((~np.isfinite(block).all(axis=1)).sum())} candidates have NaN scores: not finite")
    bits = block.view(f"u{block.itemsize}")
    return bits.sum(axis=1, dtype=np.uint64)
