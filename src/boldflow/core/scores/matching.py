"""Units of one code that go with units of another: matched on some pictures, checked on others."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from boldflow.core.scores.statistics import permutation_p


@dataclass(frozen=True)
class Matches:
    """Pairs of units, one to one, as many as the smaller code has that vary.

    ``first``, ``second`` (n_pairs,) units of either code; ``r`` (n_pairs,) their correlation over the pictures on
    which they were matched, ``held_out`` (n_pairs,) over the others, NaN where a unit does not vary there.
    ``stability``: mean of ``held_out`` over pairs that vary, NaN without any; ``p``: by permuted pictures, NaN without
    permutations or stability.
    """

    first: np.ndarray
    second: np.ndarray
    r: np.ndarray
    held_out: np.ndarray
    stability: float
    p: float

    @property
    def n_undefined(self) -> int:
        """Pairs of which a unit does not vary over the pictures held out."""
        return int(np.isnan(self.held_out).sum())


def match_units(a: np.ndarray, b: np.ndarray, matching: np.ndarray, n_permutations: int, seed: int) -> Matches:
    """Match units by the largest sum of correlations, and see how the pairs go together elsewhere.

    Parameters
    ----------
    a, b : arrays of shape (n_pictures, n_units)
        Two codes of the same pictures; units may differ in number.
    matching : bool array of shape (n_pictures,)
        Pictures on which units are matched; the others are held out.
    n_permutations : int
        Matches anew to a code whose pictures were permuted within either part: how stable pairs are by chance.
    seed : int

    Returns
    -------
    Matches
        In the order of ``r``, the largest first.

    Raises
    ------
    ValueError
        If codes differ in pictures, or a part has fewer than 3.
    """
    if len(a) != len(b) or min(matching.sum(), (~matching).sum()) < 3:
        raise ValueError(
            f"codes of {len(a)} and {len(b)} pictures, {int(matching.sum())} of them for matching: both must be of the "
            "same, and 3 or more on either side"
        )
    a_units, b_units, r, held_out = _matched(a, b, matching)
    order = np.argsort(-r, kind="stable")
    stability = _mean(held_out)
    rng = np.random.default_rng(seed)
    null = np.empty(n_permutations)
    for n in range(n_permutations):
        shuffled_b = b.copy()
        for mask in (matching, ~matching):
            shuffled_b[mask] = b[rng.permutation(np.flatnonzero(mask))]
        null[n] = _mean(_matched(a, shuffled_b, matching)[3])
    p = permutation_p(stability, null) if n_permutations and np.isfinite(stability) else float("nan")
    return Matches(a_units[order], b_units[order], r[order], held_out[order], stability, p)


def _matched(
    a: np.ndarray, b: np.ndarray, matching: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    matching_r, held_out_r = (_correlations(a[mask], b[mask]) for mask in (matching, ~matching))
    varying_units = [np.flatnonzero(~np.isnan(matching_r).all(axis=axis)) for axis in (1, 0)]
    varying_r = matching_r[np.ix_(*varying_units)]
    rows, columns = optimize.linear_sum_assignment(varying_r, maximize=True)
    a_units, b_units = varying_units[0][rows], varying_units[1][columns]
    return a_units, b_units, matching_r[a_units, b_units], held_out_r[a_units, b_units]


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of each unit with each, (n_units_a, n_units_b), NaN where one does not vary."""
    unit_codes = []
    for code in (a, b):
        centred = code - code.mean(axis=0, dtype=np.float64)
        length = np.linalg.norm(centred, axis=0)
        unit_codes.append(centred / np.where(length > 1e-9 * np.maximum(1.0, np.abs(code).max(axis=0)), length, np.nan))
    return np.asarray(unit_codes[0].T @ unit_codes[1])


def _mean(r: np.ndarray) -> float:
    """Mean of the correlations that exist; NaN where there are none."""
    defined_r = r[np.isfinite(r)]
    return float(defined_r.mean()) if len(defined_r) else float("nan")
