"""Ridge from features to responses, alphas by generalised cross-validation, against himalaya's RidgeCV.

himalaya chooses by five folds, which is what it offers: the criterion differs, so the witness for alphas is the same
criterion written out with one linear system per alpha, and himalaya's weights are compared where both chose the same
alpha. How often scikit-learn's leave-one-out, which the criterion estimates, agrees is told. All in double precision,
but for our last product: weights are single. The floor: products at the rate of one in double precision, and one
eigendecomposition.
"""

import importlib.metadata

import numpy as np
from himalaya.backend import set_backend
from himalaya.ridge import RidgeCV
from scipy import linalg
from sklearn.linear_model import RidgeCV as LeaveOneOut

from bench import _ridge
from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.ridge import RidgeFit, fit_ridge

SHAPE, QUICK, REPEATS = (4_803, 1_536, 20_484), (1_201, 384, 2_048), 1  # the peer takes minutes
N_WITNESS = 512  # targets for the witnesses
TOLERANCE = 2e-6  # weights are single precision


def run(quick: bool = False) -> list[Row]:
    """Fit 8 alphas, one per target.

    Parameters
    ----------
    quick : bool
        A quarter of the trials and features, a tenth of the vertices.

    Returns
    -------
    list of Row
        One.
    """
    n, p, v = QUICK if quick else SHAPE
    repeats = 2 if quick else REPEATS
    x, y, image = _ridge.made(n, p, v)
    found: dict[str, RidgeFit | RidgeCV] = {}

    def ours() -> None:
        found["ours"] = fit_ridge(x, y, _ridge.ALPHAS, image, selection="gcv")

    def peer() -> None:
        found["peer"] = RidgeCV(alphas=_ridge.ALPHAS, fit_intercept=True, cv=5).fit(x, y)

    set_backend("torch")
    with fixed_threads(_ridge.THREADS):
        ours_s, peer_s = alternate([ours, peer], repeats)
        flops = n * p**2 + 2 * n * p * v + 4 * p**2 * v
        floor_s = flops / _ridge.rate(min(p, 2048)) + _ridge.eigh_seconds(p)
        some = LeaveOneOut(alphas=_ridge.ALPHAS, alpha_per_target=True).fit(x, y[:, :N_WITNESS])
    ours_alphas = found["ours"].alphas[:N_WITNESS]
    right, same = (float((ours_alphas == one).mean()) for one in (_by_gcv(x, y[:, :N_WITNESS]), some.alpha_))
    chosen, worst = _ridge.compare(found["ours"], found["peer"].best_alphas_.numpy(), found["peer"].coef_.numpy())
    set_backend("numpy")
    return [
        Row(
            bench="ridge-encoder",
            peer="himalaya RidgeCV torch, 5 folds",
            peer_version=importlib.metadata.version("himalaya"),
            shape=f"n {n}, d {p}, v {v}, {len(_ridge.ALPHAS)} alphas",
            ratio=peer_s / ours_s,
            sense=">=",
            bound=20.0,
            agreement=f"{right:.2%} alphas of the criterion written out ({N_WITNESS} targets), {same:.2%} of "
            f"scikit-learn's leave-one-out; {chosen:.2%} of the peer's, weights there within {worst:.1e} of largest",
            agrees=right == 1 and worst <= TOLERANCE,
            repeats=repeats,
            floor_ratio=ours_s / floor_s,
            floor_bound=2.0,
        )
    ]


def _by_gcv(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Choose alphas by the mean square of residuals over the square of the share that is not fitted."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    gram, cross = x.T @ x, x.T @ y
    errors = []
    for alpha in _ridge.ALPHAS:
        solved = linalg.solve(gram + alpha * np.eye(len(gram)), np.hstack([cross, gram]), assume_a="pos")
        left = y - x @ solved[:, : y.shape[1]]
        free = len(x) - 1 - np.trace(solved[:, y.shape[1] :])
        errors.append((left**2).mean(axis=0) / (free / len(x)) ** 2)
    return np.asarray(_ridge.ALPHAS)[np.argmin(errors, axis=0)]
