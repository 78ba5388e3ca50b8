"""Correlation of every vertex against a loop over vertices, with SciPy and with NumPy."""

import importlib.metadata

import numpy as np
from scipy import stats

from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.scores.metrics import correlation

N_ROWS, N_VERTICES, REPEATS = 907, 20_484, 3
TOLERANCE = 1e-10


def run(quick: bool = False) -> list[Row]:
    """Correlate predictions with responses of 907 images at 20,484 vertices.

    Parameters
    ----------
    quick : bool
        A tenth of the vertices, measured twice.

    Returns
    -------
    list of Row
        One per peer.
    """
    n_vertices, repeats = (N_VERTICES // 10, 2) if quick else (N_VERTICES, REPEATS)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N_ROWS, n_vertices))
    y = 0.3 * x + rng.standard_normal((N_ROWS, n_vertices))
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = correlation(x, y)  # as scoring calls it

    def by_scipy() -> None:
        found["scipy"] = np.array([stats.pearsonr(x[:, k], y[:, k]).statistic for k in range(n_vertices)])

    def by_numpy() -> None:
        found["numpy"] = np.array([np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(n_vertices)])

    with fixed_threads(1):
        ours_s, scipy_s, numpy_s = alternate([ours, by_scipy, by_numpy], repeats)
    rows = []
    for name, call, seconds, bound in (("scipy", "pearsonr", scipy_s, 25.0), ("numpy", "corrcoef", numpy_s, 5.0)):
        worst = float(np.abs(found["ours"] - found[name]).max())
        rows.append(
            Row(
                bench="metrics",
                peer=f"{name} {call} in a loop",
                peer_version=importlib.metadata.version(name),
                shape=f"{N_ROWS} images, {n_vertices} vertices",
                ratio=seconds / ours_s,
                sense=">=",
                bound=bound,
                agreement=f"largest difference {worst:.1e}",
                agrees=worst <= TOLERANCE,
                repeats=repeats,
            )
        )
    return rows
