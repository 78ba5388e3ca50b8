"""Training of fmri_mlp against a plain DataLoader loop in PyTorch: one seed, and eight seeds side by side.

The peer is torch's own layers, ``DataLoader``, ``AdamW``, ``OneCycleLR`` and ``clip_grad_norm_``, one seed after the
other, with the same trials in the same order. Losses are compared without dropout, since masks are drawn in another
order; times are taken with it. Both in float32 on the same threads. The floor: the products of the first layer and of
the head, forwards and backwards, for as many batches, and nothing else.
"""

import numpy as np
import torch

from bench._plain_decoders import PlainMlp, plain_loop
from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.networks import decoders
from boldflow.core.networks.decoders import FmriMlp
from boldflow.core.networks.losses import Contrast
from boldflow.core.networks.progress import Nowhere
from boldflow.core.networks.recipe import Recipe
from boldflow.core.networks.resident import Resident
from boldflow.core.networks.training import train
from boldflow.core.records.training import TrainingData

SHAPE, QUICK = (4803, 4, 20_484, 1536), (960, 4, 2_048, 256)  # trials, TRs, vertices, features
SEEDS, THREADS, TOLERANCE, EPOCHS = tuple(range(33, 41)), 2, 1e-5, 40
BATCH, WIDTH = 64, 128
REPEATS, GOALS = {1: 3, 8: 2}, {1: 1.5, 8: 1.8}
TIMED = {1: 3, 8: 1}  # epochs: what is done once counts little in forty


def run(quick: bool = False) -> list[Row]:
    """Train for some epochs.

    Parameters
    ----------
    quick : bool
        A fifth of the trials, a tenth of the vertices, a sixth of the features.

    Returns
    -------
    list of Row
        One for a single seed, one for eight.
    """
    n, n_trs, v, d = QUICK if quick else SHAPE
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n_trs, v), dtype=np.float32)
    y = rng.standard_normal((n, d), dtype=np.float32)
    with fixed_threads(THREADS):
        return [_row(x, y, SEEDS[:n_seeds], 2 if quick else REPEATS[n_seeds]) for n_seeds in GOALS]


def _row(x: np.ndarray, y: np.ndarray, seeds: tuple[int, ...], repeats: int) -> Row:
    data = TrainingData(x, y, np.arange(len(x)), np.zeros(len(x), dtype=bool))
    worst = float(np.abs(_ours(data, seeds[:2], 0.0) / _peer(x, y, seeds[:2], 0.0) - 1).max())
    epochs = TIMED[len(seeds)]
    calls = [lambda: _ours(data, seeds, 0.5, epochs), lambda: _peer(x, y, seeds, 0.5, epochs)]
    ours_s, peer_s = alternate(calls, repeats)
    return Row(
        bench="train",
        peer="torch DataLoader loop",
        peer_version=torch.__version__,
        shape=f"n {len(x)}, T {x.shape[1]}, v {x.shape[2]}, d {y.shape[1]}, {len(seeds)} seed(s), {epochs} epoch(s)",
        ratio=peer_s / ours_s,
        sense=">=",
        bound=GOALS[len(seeds)],
        agreement=f"mean loss of an epoch within {worst:.1e} of the peer's",
        agrees=worst <= TOLERANCE,
        repeats=repeats,
        floor_ratio=ours_s
        / (epochs * -(-len(x) // BATCH) * _products_s(x.shape[1], x.shape[2], y.shape[1], len(seeds))),
    )


def _products_s(n_trs: int, v: int, d: int, n_seeds: int) -> float:
    """Seconds of a batch's products."""
    x, weight, hidden = torch.rand(BATCH * n_trs, v), torch.rand(n_seeds * WIDTH, v), torch.rand(n_seeds, BATCH, d)
    back, head, found = (
        torch.rand(n_seeds * WIDTH, BATCH * n_trs),
        torch.rand(n_seeds, d, d),
        torch.empty(n_seeds, d, d),
    )
    into = torch.empty_like(weight)
    calls = (
        lambda: x @ weight.T,
        lambda: torch.mm(back, x, out=into),
        lambda: hidden @ head,
        lambda: hidden @ head.mT,
        lambda: torch.bmm(hidden.mT, hidden, out=found),
    )
    return sum(alternate(calls, 9))


def _ours(data: TrainingData, seeds: tuple[int, ...], dropout: float, epochs: int = 1) -> np.ndarray:
    """Bring the data to the device and train; mean loss of each seed in the last epoch."""
    resident = Resident([data], False, "cpu")
    network = FmriMlp(resident.vertices, resident.n_trs, resident.n_features, WIDTH, 2, dropout, 0.3 * dropout)
    recipe = Recipe(EPOCHS, BATCH, 1e-4, 0.05, "onecycle", 0.1, 1.0, 0, "loss", "float32", (33,), Contrast())
    _, rows = train(network, resident, recipe, seeds, lambda s: decoders.start(network, s), Nowhere(), n_epochs=epochs)
    return np.array([row["loss"] for row in rows if row["epoch"] == epochs])


def _peer(x: np.ndarray, y: np.ndarray, seeds: tuple[int, ...], dropout: float, epochs: int = 1) -> np.ndarray:
    """Train one seed after the other; mean loss of each in the last epoch."""
    sizes = np.array([min(BATCH, len(x) - k) for k in range(0, len(x), BATCH)])
    found = []
    for seed in seeds:
        network = FmriMlp((x.shape[2],), x.shape[1], y.shape[1])
        drop = (dropout, 0.3 * dropout, 0.3 * dropout)
        plain = PlainMlp(x.shape[2], x.shape[1], y.shape[1], drop=drop).take(decoders.start(network, seed))
        steps = list(plain_loop(plain, torch.from_numpy(x), torch.from_numpy(y), EPOCHS, stop_after=epochs))
        found.append((np.array(steps[-len(sizes) :]) * sizes).sum() / len(x))
    return np.array(found)
