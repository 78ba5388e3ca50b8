"""Linear layers of several seeds whose gradients are written where an earlier step's gradients lay.

A gradient as large as the weights is new memory at each step, which a CPU takes longer to hand out than a product takes
to fill; and from a product with transposed weights torch makes it transposed, to be copied once more. Here it is made
as it is needed, in memory that ``recycle`` was given; on a CPU some columns at a time, since a product of few rows into
as many columns as there are vertices takes a fifth longer when it is made whole.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional

COLUMNS = 1024  # of a gradient, at a time
_SPARE: dict[tuple[torch.Size, torch.device], list[torch.Tensor]] = {}


def recycle(gradients: Iterable[torch.Tensor | None]) -> None:
    """Take memory that nobody reads any more for the gradients of the next step; what was left over before goes."""
    _SPARE.clear()
    for one in gradients:
        if one is not None:
            _SPARE.setdefault((one.shape, one.device), []).append(one)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Take each seed's inputs through its layer.

    Parameters
    ----------
    x : tensor of shape (n_seeds, n_rows, n_inputs)
    weight : tensor of shape (n_seeds, n_outputs, n_inputs)
    bias : tensor of shape (n_seeds, n_outputs)

    Returns
    -------
    tensor of shape (n_seeds, n_rows, n_outputs)
    """
    if torch.is_autocast_enabled(x.device.type):  # in lower precision torch casts both ways
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
    return _Linear.apply(x, weight, bias)


def shared_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Take the same inputs through the layers of all seeds, as one product.

    Parameters
    ----------
    x : tensor of shape (n_rows, n_inputs)
        Data: it is given no gradient.
    weight : tensor of shape (n_seeds, n_outputs, n_inputs)
    bias : tensor of shape (n_seeds, n_outputs)

    Returns
    -------
    tensor of shape (n_rows, n_seeds, n_outputs)
    """
    if torch.is_autocast_enabled(x.device.type):
        return functional.linear(x, weight.flatten(0, 1), bias.flatten()).view(len(x), *bias.shape)
    return _SharedLinear.apply(x, weight, bias)


def _memory_like(weight: torch.Tensor) -> torch.Tensor:
    spare = _SPARE.get((weight.shape, weight.device))
    return spare.pop() if spare else torch.empty_like(weight)


def _multiply(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    width = COLUMNS if out.device.type == "cpu" else out.shape[1]
    for some, into in zip(b.split(width, 1), out.split(width, 1), strict=True):
        torch.mm(a, some, out=into)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        (back,) = given
        of_x = torch.bmm(back, weight) if ctx.needs_input_grad[0] else None
        found = _memory_like(weight)
        if found.device.type != "cpu":  # one product for all seeds
            torch.bmm(back.transpose(1, 2), x, out=found)
            return of_x, found, back.sum(dim=1)
        for into, upstream, inputs in zip(found, back, x, strict=True):
            _multiply(upstream.T, inputs, into)
        return of_x, found, back.sum(dim=1)


class _SharedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return functional.linear(x, weight.flatten(0, 1), bias.flatten()).view(len(x), *bias.shape)

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        back = given[0].flatten(1)  # (n_rows, n_seeds * n_outputs)
        found = _memory_like(weight)
        _multiply(back.T, x, found.flatten(0, 1))
        return None, found, back.sum(dim=0).view(weight.shape[:2])
