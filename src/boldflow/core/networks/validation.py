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
    batch_size, masked, resident = stepper.recipe.batch_size, stepper.recipe.contrast.masked, stepper.data
    sums: dict[str, torch.Tensor] = {}
    batch_predictions = []
    for start in range(0, len(val_rows), batch_size):
        rows = val_rows[start : start + batch_size]
        parts, targets, groups = resident.batch(rows)
        predicted = stepper.forward(stack, parts)  # (n_seeds, n_batch, n_features)
        batch_predictions.append(predicted)
        left_out = losses.same_picture(groups) if masked else None
        n_above, n_tied, _ = losses.batch_ranks(losses.scores(predicted, targets), left_out)
        batch_sums = {f"val_top{k}": losses.top_k(n_above, n_tied, k).sum(dim=1) for k in TOP}
        batch_sums["val_mean_rank"] = (n_above + (n_tied - 1) / 2).sum(dim=1)
        batch_sums["val_loss"] = stepper.loss(stack, predicted, targets, groups) * len(rows)
        sums = {name: sums.get(name, 0) + value for name, value in batch_sums.items()}
    means = {name: value / len(val_rows) for name, value in sums.items()}
    device_rows = torch.from_numpy(val_rows).to(resident.device)
    means["val_inv_norm_rank"] = losses.inverse_normalised_ranks(
        torch.cat(batch_predictions, dim=1), resident.targets[device_rows], resident.groups[device_rows], masked
    )
    return {name: value.double().cpu().numpy() for name, value in means.items()}


def _reconstructed(network: Autoencoder, stepper: Stepper, stack: Stack, val_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Measure how each seed reconstructs the validation trials, means over trials."""
    sums: dict[str, torch.Tensor] = {}
    batch_size = stepper.recipe.batch_size
    for start in range(0, len(val_rows), batch_size):
        rows = val_rows[start : start + batch_size]
        for name, value in network.measure(stack.parameters, stepper.data.batch(rows)[0]).items():
            sums[f"val_{name}"] = sums.get(f"val_{name}", 0) + value * len(rows)
    return {name: (value / len(val_rows)).double().cpu().numpy() for name, value in sums.items()}
