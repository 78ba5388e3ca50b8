"""The decoder of top-k codes: a sum of the rows that a code names, against the product with the code written out.

Forward and backward together, as in training: gradients of the values and of the decoder. Same dtype (float32), same
threads, same values; the peer's code of all latents is made inside its time, as its training has to.
"""

import numpy as np
import torch

from bench.harness import Row, alternate
from boldflow.core.networks.overcomplete_autoencoder import decode_sparse

SHAPE, QUICK, REPEATS = (256, 4096, 3411, 16), (64, 1024, 600, 8), 7
THREADS = 2


def run(quick: bool = False) -> list[Row]:
    """Decode.

    Parameters
    ----------
    quick : bool
        A quarter of the trials and latents, a sixth of the vertices.

    Returns
    -------
    list of one Row
    """
    n_trials, n_latents, n_vertices, k = QUICK if quick else SHAPE
    repeats = 3 if quick else REPEATS
    rng = torch.Generator().manual_seed(0)
    index = torch.stack([torch.randperm(n_latents, generator=rng)[:k] for _ in range(n_trials)])[None]
    value = torch.rand(1, n_trials, k, generator=rng).requires_grad_()
    decoder = torch.randn(1, n_latents, n_vertices, generator=rng).requires_grad_()
    target = torch.randn(1, n_trials, n_vertices, generator=rng)
    found: dict[str, tuple[np.ndarray, ...]] = {}

    def step(name: str) -> None:
        value.grad = decoder.grad = None
        if name == "sparse":
            given = decode_sparse(value, index, decoder)
        else:
            given = torch.zeros(1, n_trials, n_latents).scatter(2, index, value) @ decoder
        loss = (given - target).square().mean()
        loss.backward()
        assert value.grad is not None and decoder.grad is not None
        found[name] = (loss.detach().numpy(), value.grad.numpy(), decoder.grad.numpy())

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        sparse_s, dense_s = alternate([lambda: step("sparse"), lambda: step("dense")], repeats)
    finally:
        torch.set_num_threads(before)
    pairs = zip(found["sparse"], found["dense"], strict=True)
    apart = max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs)
    return [
        Row(
            bench="sae",
            peer="torch, product with the code of all latents",
            peer_version=torch.__version__,
            shape=f"{n_trials} trials, {n_latents} latents, {n_vertices} vertices, k {k}",
            ratio=dense_s / sparse_s,
            sense=">=",
            bound=1.5,
            agreement=f"loss and gradients within {apart:.0e} of the largest (at most 1e-4)",
            agrees=apart <= 1e-4,
            repeats=repeats,
        )
    ]
