"""How well each seed does on the validation trials."""

import numpy as np
import torch

from boldflow.core.networks import losses
from boldflow.core.networks.decoders import Autoencoder
from boldflow.core.networks.stack import Stack
from boldflow.core.networks.steps import Stepper

TOP = (1, 5, 10)


@torch.no_grad()
def validate(stepper: Stepper, stack: Stack, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Measure each seed on validation trials: batch by batch in their order, and among all of them.

    Parameters
    ----------
    stepper : Stepper
        Of the fit, whose network, data and recipe are taken.
    stack : Stack
    rows : int array of shape (n_val,)

    Returns
    -------
    dict of arrays of shape (n_seeds,)
        Of a decoder ``val_top1``, ``val_top5``, ``val_top10``, ``val_mean_rank`` and ``val_loss`` within batches, and
        ``val_inv_norm_rank`` among all; of an autoencoder ``val_`` and what it measures itself.
    """
    if isinstance(stepper.network, Autoencoder):
        return _reconstructed(stepper.network, stepper, stack, rows)
    return _decoded(stepper, stack, rows)


def _decoded(stepper: Stepper, stack: Stack, val_rows: np.ndarray) -> dict[str, np.ndarray]:
    size, masked, data = stepper.recipe.batch_size, stepper.recipe.contrast.masked, stepper.data
    sums: dict[str, torch.Tensor] = {}
    by_batch = []
    for first in range(0, len(val_rows), size):
        rows = val_rows[first : first + size]
        parts, targets, groups = data.batch(rows)
        predicted = stepper.forward(stack, parts)  # (n_seeds, n_batch, n_features)
        by_batch.append(predicted)
        left_out = losses.same_picture(groups) if masked else None
        above, tied, _ = losses.batch_ranks(losses.scores(predicted, targets), left_out)
        of_batch = {f"val_top{k}": losses.top_k(above, tied, k).sum(dim=1) for k in TOP}
        of_batch["val_mean_rank"] = (above + (tied - 1) / 2).sum(dim=1)
        of_batch["val_loss"] = stepper.loss(stack, predicted, targets, groups) * len(rows)
        sums = {name: sums.get(name, 0) + value for name, value in of_batch.items()}
    means = {name: value / len(val_rows) for name, value in sums.items()}
    where = torch.from_numpy(val_rows).to(data.device)
    means["val_inv_norm_rank"] = losses.inverse_normalised_ranks(
        torch.cat(by_batch, dim=1), data.targets[where], data.groups[where], masked
    )
    return {name: value.double().cpu().numpy() for name, value in means.items()}


def _reconstructed(network: Autoencoder, stepper: Stepper, stack: Stack, val_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Measure how each seed reconstructs the validation trials, means over trials."""
    sums: dict[str, torch.Tensor] = {}
    size = stepper.recipe.batch_size
    for first in range(0, len(val_rows), size):
        rows = val_rows[first : first + size]
        for name, value in network.measure(stack.parameters, stepper.data.batch(rows)[0]).items():
            sums[f"val_{name}"] = sums.get(f"val_{name}", 0) + value * len(rows)
    return {name: (value / len(val_rows)).double().cpu().numpy() for name, value in sums.items()}
