"""What the benches of ridge share: made data, the rate of matrix products, the time of an eigendecomposition."""

import time
from collections.abc import Callable

import numpy as np
from scipy import linalg

from boldflow.core.linear.ridge import RidgeFit

ALPHAS = np.logspace(0, 5, 8)
THREADS = 2  # as models/ridge.py


def made(n: int, p: int, v: int, repeats: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets of all grades of signal, and the image of each trial, each shown ``repeats`` times.

    Returns
    -------
    x : array of shape (n, p), float64
        Correlated, with variances that fall off.
    y : array of shape (n, v), float64
    image : int array of shape (n,)
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.25
    x += 0.5 * rng.standard_normal((n, 8)) @ rng.standard_normal((8, p))
    few = rng.choice(p, 32, replace=False)
    y = x[:, few] @ (rng.standard_normal((32, v)) * rng.uniform(0, 0.3, v))
    y += rng.standard_normal((n, v))
    return x, y, np.arange(n) // repeats


def rate(size: int) -> float:
    """Floating-point operations per second of a product of two square matrices in double precision."""
    values = np.random.default_rng(1).standard_normal((size, size))
    return 2 * size**3 / min(_seconds(lambda: values @ values) for _ in range(3))


def eigh_seconds(size: int) -> float:
    """Time of one eigendecomposition, as fits need it."""
    values = np.random.default_rng(2).standard_normal((size, size + 8))
    gram = values @ values.T
    return min(_seconds(lambda: linalg.eigh(gram, check_finite=False)) for _ in range(2))


def compare(ours: RidgeFit, alphas: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Share of targets with the peer's alpha, and the largest difference of weights there over the largest weight."""
    same = np.isclose(ours.alphas, alphas, rtol=1e-9)  # himalaya takes logarithms on the way
    apart = np.abs(ours.weights[:, same] - weights[:, same]).max(initial=0)
    return float(same.mean()), float(apart / np.abs(weights).max())


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
