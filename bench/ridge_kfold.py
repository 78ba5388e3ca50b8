"""Ridge from features to responses, alphas by five folds of images, against himalaya's RidgeCV on the same folds.

Both in double precision, but for our first look at alphas and our last product (weights are single). Folds have one
size: himalaya averages folds, not trials. The floor: products at the rate of one in double precision, and an
eigendecomposition per fold and one of all trials.
"""

import importlib.metadata

from himalaya.backend import set_backend
from himalaya.ridge import RidgeCV
from sklearn.model_selection import PredefinedSplit

from bench import _ridge
from bench.harness import Row, alternate
from bench.ridge_encoder import REPEATS, TOLERANCE
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.ridge import RidgeFit, fit_ridge, group_folds

SHAPE, QUICK, N_FOLDS = (4_800, 1_536, 20_484), (1_200, 384, 2_048), 5


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
    folds = PredefinedSplit(group_folds(image, N_FOLDS, 0))
    found: dict[str, RidgeFit | RidgeCV] = {}

    def ours() -> None:
        found["ours"] = fit_ridge(x, y, _ridge.ALPHAS, image, n_folds=N_FOLDS, selection="kfold")

    def peer() -> None:
        found["peer"] = RidgeCV(alphas=_ridge.ALPHAS, fit_intercept=True, cv=folds).fit(x, y)

    set_backend("torch")
    with fixed_threads(_ridge.THREADS):
        ours_s, peer_s = alternate([ours, peer], repeats)
        steps = len(_ridge.ALPHAS)
        flops = 4 * n * p**2 + 2 * (1 + steps) * n * p * v + 2 * (N_FOLDS + 2) * p**2 * v
        floor_s = flops / _ridge.rate(min(p, 2048)) + (N_FOLDS + 1) * _ridge.eigh_seconds(p)
    same, worst = _ridge.compare(found["ours"], found["peer"].best_alphas_.numpy(), found["peer"].coef_.numpy())
    set_backend("numpy")
    return [
        Row(
            bench="ridge-kfold",
            peer="himalaya RidgeCV torch",
            peer_version=importlib.metadata.version("himalaya"),
            shape=f"n {n}, d {p}, v {v}, {steps} alphas, {N_FOLDS} folds",
            ratio=peer_s / ours_s,
            sense=">=",
            bound=4.0,
            agreement=f"{same:.2%} of alphas the same, weights there within {worst:.1e} of the largest",
            agrees=same == 1 and worst <= TOLERANCE,
            repeats=repeats,
            floor_ratio=ours_s / floor_s,
        )
    ]
