"""Ridge from responses to features, more vertices than trials, against scikit-learn and himalaya.

Ours leaves out single trials, exactly, from one eigendecomposition. Peers that choose by five folds: himalaya's
KernelRidgeCV, and scikit-learn's RidgeCV, which then has one alpha for all targets. scikit-learn's own leave-one-out is
the same criterion, so its alphas must be ours; it has to be no faster. All in double precision. The floor: products at
the rate of a matrix product, and one eigendecomposition of the Gram matrix of trials.
"""

import importlib.metadata

import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from sklearn.linear_model import RidgeCV

from bench import _ridge
from bench.harness import Row, alternate
from bench.ridge_encoder import TOLERANCE
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.ridge import RidgeFit, fit_ridge

SHAPE, QUICK, REPEATS = (4_803, 20_484, 1_536), (961, 4_096, 384), 1  # the peers take minutes


def run(quick: bool = False) -> list[Row]:
    """Fit 8 alphas, one per target.

    Parameters
    ----------
    quick : bool
        A fifth of the trials and vertices, a quarter of the features.

    Returns
    -------
    list of Row
        One per peer.
    """
    n, p, v = QUICK if quick else SHAPE
    repeats = 2 if quick else REPEATS
    x, y, _ = _ridge.made(n, p, v)
    found: dict[str, RidgeFit | RidgeCV | KernelRidgeCV] = {}

    def ours() -> None:
        found["ours"] = fit_ridge(x, y, _ridge.ALPHAS, np.arange(n), selection="loo")

    def by_folds() -> None:
        found["folds"] = RidgeCV(alphas=_ridge.ALPHAS, cv=5).fit(x, y)

    def by_loo() -> None:
        found["loo"] = RidgeCV(alphas=_ridge.ALPHAS, alpha_per_target=True).fit(x, y)

    def by_himalaya() -> None:
        model = KernelRidgeCV(
            alphas=_ridge.ALPHAS, fit_intercept=True, cv=5, solver_params={"diagonalize_method": "eigh"}
        )
        found["himalaya"] = model.fit(x, y)

    set_backend("torch")
    with fixed_threads(_ridge.THREADS):
        ours_s, himalaya_s, folds_s, loo_s = alternate([ours, by_himalaya, by_folds, by_loo], repeats)
        steps = len(_ridge.ALPHAS)
        flops = n**2 * p + 2 * (steps + 2) * n**2 * v + 2 * n * p * v
        floor_s = flops / _ridge.rate(min(n, 2048)) + _ridge.eigh_seconds(n)
    dual = found["himalaya"].dual_coef_.numpy()
    peers = {
        "himalaya KernelRidgeCV torch, 5 folds": (himalaya_s, 3.0, found["himalaya"].best_alphas_.numpy(), x.T @ dual),
        "scikit-learn RidgeCV, 5 folds": (folds_s, 8.0, np.full(v, found["folds"].alpha_), found["folds"].coef_.T),
        "scikit-learn RidgeCV, leave-one-out": (loo_s, 1.0, found["loo"].alpha_, found["loo"].coef_.T),
    }
    set_backend("numpy")
    rows = []
    for name, (seconds, bound, alphas, weights) in peers.items():
        same, worst = _ridge.compare(found["ours"], alphas, weights)
        enough = same == 1 if name.endswith("leave-one-out") else same > 0
        rows.append(
            Row(
                bench="ridge-decoder",
                peer=name,
                peer_version=importlib.metadata.version(name.split()[0]),
                shape=f"n {n}, p {p}, d {v}, {steps} alphas",
                ratio=seconds / ours_s,
                sense=">=",
                bound=bound,
                agreement=f"{same:.2%} of alphas the same, weights there within {worst:.1e} of the largest",
                agrees=enough and worst <= TOLERANCE,
                repeats=repeats,
                floor_ratio=ours_s / floor_s,
                floor_bound=1.5,
            )
        )
    return rows
