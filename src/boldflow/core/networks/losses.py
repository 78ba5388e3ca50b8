"""Losses that bring a decoded vector to the features of the seen picture, and how well it is found among a batch.

Arrays are torch tensors. Predictions have an axis of seeds in front, (n_seeds, n_trials, n_features): networks of
several seeds see the same batch and each has a loss of its own. Scores are <prediction, target> / |target|, as in
``core.scores.metrics``; ranks count from 0, ties shared.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from boldflow.settings import Entry

TINY = 1e-15  # keeps a target of zero length from dividing by zero
BLOCK = 2048  # queries at a time where a gallery is large


@dataclass(frozen=True)
class Contrast:
    """What is minimised.

    ``normalise``: "y" divides scores by the length of the target, "xy" by that of the prediction too, "none" by
    neither. ``symmetric``: the mean of both directions, else from brain to picture alone. ``masked``: other trials of
    the same picture are no negatives. ``scale``: factor of the scores at the start; ``learned``: it is a parameter.
    ``mse``: share of the mean squared error in the loss, from 0 to 1.
    """

    normalise: str = "y"
    symmetric: bool = False
    masked: bool = False
    scale: float = 1.0
    learned: bool = False
    mse: float = 0.0


def contrast_of(settings: Entry) -> Contrast:
    """Read the keys of a model's entry that say what is minimised."""
    return Contrast(
        normalise=settings["normalise"],
        symmetric=settings["symmetric"],
        masked=settings["duplicates"] == "masked",
        scale=settings["scale"],
        learned=settings["temperature"] == "learned",
        mse=settings["mse"],
    )


def scores(predicted: torch.Tensor, targets: torch.Tensor, normalise: str = "y") -> torch.Tensor:
    """Score each target for each prediction.

    Parameters
    ----------
    predicted : tensor of shape (n_seeds, n_trials, n_features)
    targets : tensor of shape (n_candidates, n_features)
    normalise : {"y", "xy", "none"}

    Returns
    -------
    tensor of shape (n_seeds, n_trials, n_candidates)

    Raises
    ------
    ValueError
        If ``normalise`` is none of the three.
    """
    if normalise not in ("y", "xy", "none"):
        raise ValueError(f"normalise must be y, xy or none, not {normalise!r}")
    if normalise != "none":
        targets = targets / (TINY + targets.norm(dim=-1, keepdim=True))
    if normalise == "xy":
        predicted = predicted / (TINY + predicted.norm(dim=-1, keepdim=True))
    return predicted @ targets.T


def clip_loss(
    predicted: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor, scale: torch.Tensor, contrast: Contrast
) -> torch.Tensor:
    """Cross-entropy of finding each trial's own target among those of its batch.

    Parameters
    ----------
    predicted : tensor of shape (n_seeds, n_trials, n_features)
    targets : tensor of shape (n_trials, n_features)
    groups : int tensor of shape (n_trials,)
        Trials of one group show the same picture (or a duplicate).
    scale : tensor of shape (n_seeds,)
        Factor of the scores: the inverse of the temperature.
    contrast : Contrast

    Returns
    -------
    tensor of shape (n_seeds,)
        -mean_i log softmax_j(scale * s_ij) at j = i; where it is symmetric, the mean of that over rows and columns.

    Notes
    -----
    Radford et al. 2021, ICML (symmetric, temperature learned); Defossez et al. 2023, Nat. Mach. Intell. 5, 1097-1107
    (from brain to stimulus, only the stimulus normalised).
    """
    logits = scale[:, None, None] * scores(predicted, targets, contrast.normalise)  # (n_seeds, n_trials, n_trials)
    if contrast.masked:
        logits = logits.masked_fill(same_picture(groups), float("-inf"))
    loss = _own(functional.log_softmax(logits, dim=-1))
    if contrast.symmetric:
        loss = (loss + _own(functional.log_softmax(logits, dim=-2))) / 2
    return loss


def mixed_loss(
    predicted: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor, scale: torch.Tensor, contrast: Contrast
) -> torch.Tensor:
    """Mix ``clip_loss`` with the mean squared error; parameters as there, result (n_seeds,)."""
    share = contrast.mse
    loss = predicted.new_zeros(len(predicted))  # (n_seeds,)
    if share < 1:
        loss = loss + (1 - share) * clip_loss(predicted, targets, groups, scale, contrast)
    if share > 0:
        loss = loss + share * (predicted - targets).square().mean(dim=(1, 2))
    return loss


def same_picture(groups: torch.Tensor, other_groups: torch.Tensor | None = None, first_row: int = 0) -> torch.Tensor:
    """Mark pairs of different trials that show the same picture.

    Parameters
    ----------
    groups : int tensor of shape (n_trials,)
    other_groups : int tensor of shape (n_others,), optional
        By default the same trials; else all trials, of which ``groups`` are those from ``first_row`` on.
    first_row : int

    Returns
    -------
    bool tensor of shape (n_trials, n_others)
    """
    other_groups = groups if other_groups is None else other_groups
    is_same = groups[:, None] == other_groups[None]  # (n_trials, n_others)
    rows = torch.arange(len(groups), device=groups.device)
    is_same[rows, rows + first_row] = False
    return is_same


def batch_ranks(
    similarity: torch.Tensor, left_out: torch.Tensor | None = None, first_candidate: int = 0
) -> tuple[Any, Any, Any]:
    """Count, for each query, the candidates above its own and level with it.

    Parameters
    ----------
    similarity : tensor of shape (n_seeds, n_queries, n_candidates)
        Scores; the own candidate of query i is i + ``first_candidate``.
    left_out : bool tensor of shape (n_queries, n_candidates), optional
        Candidates that do not count.
    first_candidate : int

    Returns
    -------
    n_above, n_tied, n_candidates : int tensors of shape (n_seeds, n_queries)
        ``n_tied`` counts the own candidate too; ``n_candidates`` is the number of candidates that count.
    """
    n_queries = similarity.shape[1]
    rows = torch.arange(n_queries, device=similarity.device)
    own_score = similarity[:, rows, rows + first_candidate][:, :, None]  # (n_seeds, n_queries, 1)
    is_counted = torch.ones(similarity.shape[1:], dtype=torch.bool, device=similarity.device)
    if left_out is not None:
        is_counted = ~left_out
    n_above = ((similarity > own_score) & is_counted).sum(dim=2)
    n_tied = ((similarity == own_score) & is_counted).sum(dim=2)
    return n_above, n_tied, is_counted.sum(dim=1).expand_as(n_above)


def top_k(n_above: torch.Tensor, n_tied: torch.Tensor, k: int) -> torch.Tensor:
    """Give each query's chance of having its own candidate among the first ``k``, ties shared."""
    return ((k - n_above) / n_tied).clamp(0, 1)


def inverse_normalised_ranks(
    predicted: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor, masked: bool
) -> torch.Tensor:
    """Mean place of the own target among those of all trials, from 1 (first) to 0 (last); chance .5.

    Parameters
    ----------
    predicted : tensor of shape (n_seeds, n_trials, n_features)
    targets : tensor of shape (n_trials, n_features)
    groups : int tensor of shape (n_trials,)
    masked : bool
        Whether other trials of the same picture are left out.

    Returns
    -------
    tensor of shape (n_seeds,)
        .5 where there is nothing to be told apart.
    """
    inverse_ranks = []
    for start in range(0, predicted.shape[1], BLOCK):
        rows = slice(start, start + BLOCK)
        left_out = same_picture(groups[rows], groups, start) if masked else None
        n_above, n_tied, n_candidates = batch_ranks(scores(predicted[:, rows], targets), left_out, start)
        rank = n_above + (n_tied - 1) / 2  # (n_seeds, n_queries)
        inverse_ranks.append(torch.where(n_candidates > 1, 1 - rank / (n_candidates - 1).clamp(min=1), 0.5))
    return torch.cat(inverse_ranks, dim=1).mean(dim=1)


def _own(log_likelihood: torch.Tensor) -> torch.Tensor:
    """Mean of minus the diagonal, (n_seeds,)."""
    return -log_likelihood.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
