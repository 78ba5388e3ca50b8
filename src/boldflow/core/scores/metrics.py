"""Metrics: ranks in a gallery, accuracy and area under the curve, correlation.

Trials come first everywhere. Definitions are those of the project's protocols: cosine order with the prediction not
normalised, ranks from 0 with ties shared.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats is loaded where it is first used: it takes longer than most jobs
from scipy import special

from boldflow.core.scores.moments import FLAT, ROUNDING, moments

TINY = 1e-15  # keeps a candidate of zero length from dividing by zero; as in NeuralBench's loss
COLUMNS = 1024  # worked on at a time: temporaries of all would be made anew in memory each time
FEW_COLUMNS = 128  # so few that about a thousand rows stay in a processor's cache from one pass to the next


@dataclass(frozen=True)
class Ranks:
    """Where the true candidate of each query stands.

    ``above`` (n_queries,) candidates that score higher; ``tied`` (n_queries,) those that score the same, itself
    included; ``gallery_size``.
    """

    above: np.ndarray
    tied: np.ndarray
    gallery_size: int

    @property
    def rank(self) -> np.ndarray:
        """Rank from 0, ties shared: above + (tied - 1) / 2."""
        return self.above + (self.tied - 1) / 2


def identification_scores(predictions: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Score every candidate for every query: <prediction, candidate> / |candidate|.

    Parameters
    ----------
    predictions : array of shape (n_queries, n_features)
    gallery : array of shape (n_candidates, n_features)

    Returns
    -------
    array of shape (n_queries, n_candidates), float64
    """
    # equal candidates are scored once: a matrix product may give them last bits of their own, and break their tie
    number_of_candidate: dict[bytes, int] = {}
    distinct_index = np.array(
        [
            number_of_candidate.setdefault(row.tobytes(), len(number_of_candidate))
            for row in np.ascontiguousarray(gallery)
        ]
    )
    distinct_candidates = gallery[np.unique(distinct_index, return_index=True)[1]].astype(np.float64)
    norms = np.linalg.norm(distinct_candidates, axis=1, keepdims=True)
    scores: np.ndarray = predictions.astype(np.float64) @ (distinct_candidates / (norms + TINY)).T
    return scores if len(number_of_candidate) == len(gallery) else scores[:, distinct_index]


def ranks(scores: np.ndarray, true: np.ndarray) -> Ranks:
    """Count candidates above and level with the true one.

    Parameters
    ----------
    scores : array of shape (n_queries, n_candidates)
    true : int array of shape (n_queries,)
        Column of each query's own candidate.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        If a score is NaN: it would rank first.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).any(axis=1).sum())} queries have NaN scores")
    true_score = scores[np.arange(len(scores)), true][:, None]
    return Ranks((scores > true_score).sum(axis=1), (scores == true_score).sum(axis=1), scores.shape[1])


def top_k(ranked: Ranks, k: int) -> np.ndarray:
    """Give each query's chance of having the true candidate among its first ``k``, ties shared, (n_queries,)."""
    return np.clip((k - ranked.above) / ranked.tied, 0, 1)


def inverse_normalised_rank(ranked: Ranks) -> np.ndarray:
    """Map ranks to 1 (first) .. 0 (last); chance .5, (n_queries,).

    Raises
    ------
    ValueError
        If the gallery has one candidate only.
    """
    if ranked.gallery_size < 2:
        raise ValueError(f"a gallery of {ranked.gallery_size} candidate has no order")
    return 1 - ranked.rank / (ranked.gallery_size - 1)


def n_way_top1(ranked: Ranks, n: int) -> np.ndarray:
    """Give each query's chance of winning against ``n - 1`` candidates drawn at random, in closed form.

    Parameters
    ----------
    ranked : Ranks
    n : int
        Candidates in a draw, the true one included.

    Returns
    -------
    array of shape (n_queries,)
        C(G - 1 - r, n - 1) / C(G - 1, n - 1) at rank r; the mean over the places of a tie.

    Raises
    ------
    ValueError
        If ``n`` is below 2 or above the gallery's size.
    """
    gallery_size = ranked.gallery_size
    if not 2 <= n <= gallery_size:
        raise ValueError(f"{n} candidates cannot be drawn from a gallery of {gallery_size}: 2 to {gallery_size} can")
    rank = np.arange(gallery_size)
    chance = np.exp(_log_choose(gallery_size - 1 - rank, n - 1) - _log_choose(gallery_size - 1, n - 1))
    cumulative_chance = np.concatenate([[0.0], np.cumsum(chance)])
    return (cumulative_chance[ranked.above + ranked.tied] - cumulative_chance[ranked.above]) / ranked.tied


def two_way(predictions: np.ndarray, gallery: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Count how often the true candidate correlates more with the prediction than a wrong one.

    Parameters
    ----------
    predictions : array of shape (n_queries, n_features)
    gallery : array of shape (n_candidates, n_features)
    true : int array of shape (n_queries,)

    Returns
    -------
    array of shape (n_queries,)
        Share of wrong candidates with lower Pearson correlation, ties counted half; chance .5.
    """
    centred = [vectors - vectors.mean(axis=1, keepdims=True) for vectors in (predictions, gallery)]
    ranked = ranks(identification_scores(*centred), true)
    return inverse_normalised_rank(ranked)


def area(scores: np.ndarray, in_class: np.ndarray, fold: np.ndarray | None = None) -> float:
    """Area under the ROC curve, ties shared: exact but for the last division.

    Parameters
    ----------
    scores : array of shape (n_units,)
    in_class : bool array of shape (n_units,)
        Whether a unit is in the class that high scores speak for.
    fold : int array of shape (n_units,), optional
        Scores of different folds come from different models and are not compared: the area is that within folds,
        weighted by their pairs of a unit in the class and one that is not.

    Returns
    -------
    float
        Chance .5; NaN where no fold has units of both kinds.
    """
    total, n_pairs = 0.0, 0
    for rows in [slice(None)] if fold is None else [fold == number for number in np.unique(fold)]:
        inside, n_rows = in_class[rows], len(in_class[rows])
        n = int(inside.sum())
        if 0 < n < n_rows:
            total += scipy.stats.rankdata(scores[rows])[inside].sum() - n * (n + 1) / 2
            n_pairs += n * (n_rows - n)
    return float(total / n_pairs) if n_pairs else float("nan")


def class_auc(scores: np.ndarray, true: np.ndarray, fold: np.ndarray | None = None) -> float:
    """Mean over classes of the area under the ROC curve, each class against the rest.

    Parameters
    ----------
    scores : array of shape (n_units, n_classes)
    true : int array of shape (n_units,)
    fold : int array of shape (n_units,), optional
        As of ``area``.

    Returns
    -------
    float
        Chance .5; classes that no fold tells from another are left out; NaN where all are.
    """
    areas = [area(scores[:, label], true == label, fold) for label in range(scores.shape[1])]
    defined = [value for value in areas if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def class_hits(scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give each unit's share of being right when the best-scoring class wins, ties shared, (n_units,)."""
    is_best = scores == scores.max(axis=1, keepdims=True)
    return is_best[np.arange(len(scores)), true] / is_best.sum(axis=1)


def class_hits_by_chance(scores: np.ndarray, true: np.ndarray, fold: np.ndarray) -> float:
    """Give the accuracy that is expected where classes do not depend on scores.

    Parameters
    ----------
    scores : array of shape (n_units, n_classes)
    true, fold : int array of shape (n_units,)

    Returns
    -------
    float
        Share of units that are right when true classes trade places within folds, its mean over all ways to do so:
        1 / n_classes where a fold has as many units of each class, the share of the largest class for a guess that is
        always this one.
    """
    is_best = scores == scores.max(axis=1, keepdims=True)
    wins = is_best / is_best.sum(axis=1, keepdims=True)  # (n_units, n_classes)
    expected_hits = 0.0
    for number in np.unique(fold):
        rows = fold == number
        units_of_class = np.bincount(true[rows], minlength=scores.shape[1])
        expected_hits += float(wins[rows].sum(axis=0) @ units_of_class) / rows.sum()
    return expected_hits / len(scores)


def median_rank_by_chance(gallery_sizes: np.ndarray) -> float:
    """Give the median of ranks that are uniform in galleries of these sizes, (n_queries,), between ranks by share."""
    sizes, n_queries = np.unique(gallery_sizes, return_counts=True)
    share_of_rank = np.zeros(sizes.max())
    for size, n in zip(sizes, n_queries, strict=True):
        share_of_rank[:size] += n / size / len(gallery_sizes)
    cumulative = np.cumsum(share_of_rank)
    rank = int(np.searchsorted(cumulative, 0.5))
    return float(rank + 0.5 - (cumulative[rank] - 0.5) / share_of_rank[rank])


def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate columns of ``x`` and ``y``, Pearson.

    Parameters
    ----------
    x, y : array of shape (n_rows, n_columns)

    Returns
    -------
    array of shape (n_columns,)
        0 where a column does not vary: a constant prediction explains nothing.
    """
    # used again for every block: new memory costs as much as the sums, and sums of what lies together are quicker
    buffers = np.empty((2, len(x) * FEW_COLUMNS))
    r = np.empty(x.shape[1])
    for k in range(0, x.shape[1], FEW_COLUMNS):
        columns = slice(k, k + FEW_COLUMNS)
        parts = [z[:, columns] for z in (x, y)]
        floors = [ROUNDING * np.einsum("ij,ij->j", part, part, dtype=np.float64) / len(part) for part in parts]
        centred = (_centred(part, buffer) for part, buffer in zip(parts, buffers, strict=True))
        r[columns] = _correlation(*centred, *floors)
    return r


def _centred(z: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    centred = buffer[: z.size].reshape(z.shape)
    centred[:] = z
    centred -= _mean(centred)
    return centred


def _mean(z: np.ndarray) -> np.ndarray:
    """Mean of columns as a product of matrices, which reads rows in one go."""
    mean: np.ndarray = np.ones(len(z)) @ z / len(z)
    return mean


def _correlation(x: np.ndarray, y: np.ndarray, floor_x: np.ndarray, floor_y: np.ndarray) -> np.ndarray:
    mean_x, mean_y = _mean(x), _mean(y)  # what rounding leaves; all that there is of a constant column
    mean_square_x, mean_square_y = (np.einsum("ij,ij->j", z, z) / len(z) for z in (x, y))
    covariance = np.einsum("ij,ij->j", x, y) / len(x) - mean_x * mean_y
    variance_x, variance_y = mean_square_x - mean_x**2, mean_square_y - mean_y**2
    varies = variance_x > np.maximum(FLAT * mean_square_x, floor_x)
    varies &= variance_y > np.maximum(FLAT * mean_square_y, floor_y)
    variance_product = np.where(varies, variance_x * variance_y, 1.0)
    return np.where(varies, covariance / np.sqrt(variance_product), 0.0)


def weighted_correlation(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, fold: np.ndarray | None = None
) -> np.ndarray:
    """Correlate columns of ``x`` and ``y`` under several weightings of the rows at once.

    Parameters
    ----------
    x, y : array of shape (n_rows, n_columns)
    weights : array of shape (n_draws, n_rows)
        Counts of each row in a bootstrap draw; a row of ones is the plain Pearson correlation.
    fold : int array of shape (n_rows,), optional
        Rows are held against the means of their own folds.

    Returns
    -------
    array of shape (n_draws, n_columns)
        0 where a column does not vary in a draw: a constant prediction explains nothing.
    """
    starts = range(0, x.shape[1], COLUMNS)
    blocks = [
        moments(x[:, start : start + COLUMNS], y[:, start : start + COLUMNS], weights, fold).correlation()
        for start in starts
    ]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(weights), 0))


def _log_choose(n: np.ndarray | int, k: int) -> np.ndarray:
    """Logarithm of the binomial coefficient; -inf where k > n."""
    n = np.asarray(n, dtype=np.float64)
    logarithm = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(n - k, 0) + 1)
    return np.where(n >= k, logarithm, -np.inf)
