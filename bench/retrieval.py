"""Ranks of the true picture among 73,000, against the product of all pairs and its argsort.

Two rows: argsort of the full matrix (its time over ours), and the product alone (our time over its). Predictions and
candidates are single precision, as features are kept; all products are in double precision, as scores are, and the
peers' candidates have unit length and double precision beforehand. Memory is what ours allocates beyond its input,
counted in a call of its own.
"""

import tracemalloc

import numpy as np

from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.scores.galleries import Gallery
from boldflow.core.scores.metrics import Ranks

SHAPE, QUICK, REPEATS = (1_000, 73_000, 1_536), (200, 8_000, 768), 3
THREADS, MEMORY_MB = 2, 50.0


def run(quick: bool = False) -> list[Row]:
    """Rank.

    Parameters
    ----------
    quick : bool
        A fifth of the queries, a ninth of the candidates, half the features.

    Returns
    -------
    list of Row
        One per peer.
    """
    n_queries, size, n_features = QUICK if quick else SHAPE
    repeats = 2 if quick else REPEATS
    rng = np.random.default_rng(0)
    candidates = rng.standard_normal((size, n_features), dtype=np.float32)
    true = rng.permutation(size)[:n_queries]
    predictions = 0.05 * candidates[true] + rng.standard_normal((n_queries, n_features), dtype=np.float32)
    queries, unit = predictions.astype(np.float64), candidates.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found: dict[str, np.ndarray | Ranks] = {}

    def ours() -> None:
        found["ours"] = Gallery(candidates).ranks(predictions, true)

    def by_argsort() -> None:
        order = np.argsort(-(queries @ unit.T), axis=1)
        found["argsort"] = np.argmax(order == true[:, None], axis=1)

    def product() -> None:
        found["product"] = queries @ unit.T

    with fixed_threads(THREADS):
        ours_s, argsort_s, product_s = alternate([ours, by_argsort, product], repeats)
        found.clear()
        by_argsort()
        tracemalloc.start()
        ours()
        extra = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    same = float((found["ours"].rank == found["argsort"]).mean())
    rows = []
    for peer, ratio, sense, bound in (
        ("argsort of the full matrix", argsort_s / ours_s, ">=", 4.0),
        ("product alone", ours_s / product_s, "<=", 1.3),
    ):
        rows.append(
            Row(
                bench="retrieval",
                peer=f"numpy, {peer}",
                peer_version=np.__version__,
                shape=f"{n_queries} queries, {size} candidates, {n_features} features",
                ratio=ratio,
                sense=sense,
                bound=bound,
                agreement=f"{same:.2%} of ranks the same, {extra:.0f} MB beyond the input (at most {MEMORY_MB:.0f})",
                agrees=same == 1 and extra <= MEMORY_MB,
                repeats=repeats,
                floor_ratio=ours_s / product_s,
            )
        )
    return rows
