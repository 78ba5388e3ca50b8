"""Linear layers of several seeds whose gradients are written where an earlier step's gradients lay.

A gradient as large as the weights is new memory at each step, which a CPU takes longer to hand out than a product takes
to fill; and from a product with transposed weights torch makes it transposed, to be copied once more. Here it is made
as it is needed, in memory that a ``SpareMemory`` was given; on a CPU some columns at a time, since a product of few
rows into as many columns as there are vertices takes a fifth longer when it is made whole.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional

COLUMNS = 1024  # of a gradient, at a time


class SpareMemory:
    """Gradients of an earlier step of one fit, in whose memory the next are written."""

    def __init__(self) -> None:
        """Start with none."""
        self._tensors: dict[tuple[torch.Size, torch.device], list[torch.Tensor]] = {}

    def recycle(self, gradients: Iterable[torch.Tensor | None]) -> None:
        """Take memory that nobody reads any more for the gradients of the next step; what was left over before goes."""
        self._tensors.clear()
        for gradient in gradients:
            if gradient is not None:
                self._tensors.setdefault((gradient.shape, gradient.device), []).append(gradient)

    def like(self, weight: torch.Tensor) -> torch.Tensor:
        """Give memory of a weight's shape, of any content: each tensor that was taken once, then new memory."""
        tensors = self._tensors.get((weight.shape, weight.device))
        return tensors.pop() if tensors else torch.empty_like(weight)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spare: SpareMemory | None = None) -> torch.Tensor:
    """Take each seed's inputs through its layer.

    Parameters
    ----------
    x : tensor of shape (n_seeds, n_rows, n_inputs)
    weight : tensor of shape (n_seeds, n_outputs, n_inputs)
    bias : tensor of shape (n_seeds, n_outputs)
    spare : SpareMemory, optional
        Where the weights' gradient finds its memory.

    Returns
    -------
    tensor of shape (n_seeds, n_rows, n_outputs)
    """
    if torch.is_autocast_enabled(x.device.type):  # in lower precision torch casts both ways
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
    return _Linear.apply(x, weight, bias, spare or SpareMemory())


def shared_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spare: SpareMemory | None = None
) -> torch.Tensor:
    """Take the same inputs through the layers of all seeds, as one product.

    Parameters
    ----------
    x : tensor of shape (n_rows, n_inputs)
        Data: it is given no gradient.
    weight : tensor of shape (n_seeds, n_outputs, n_inputs)
    bias : tensor of shape (n_seeds, n_outputs)
    spare : SpareMemory, optional
        Where the weights' gradient finds its memory.

    Returns
    -------
    tensor of shape (n_rows, n_seeds, n_outputs)
    """
    if torch.is_autocast_enabled(x.device.type):
        return functional.linear(x, weight.flatten(0, 1), bias.flatten()).view(len(x), *bias.shape)
    return _SharedLinear.apply(x, weight, bias, spare or SpareMemory())


def _multiply(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    width = COLUMNS if out.device.type == "cpu" else out.shape[1]
    for b_columns, out_columns in zip(b.split(width, 1), out.split(width, 1), strict=True):
        torch.mm(a, b_columns, out=out_columns)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spare: SpareMemory
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.spare = spare
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, None]:
        x, weight = ctx.saved_tensors
        (grad_output,) = upstream  # (n_seeds, n_rows, n_outputs)
        grad_x = torch.bmm(grad_output, weight) if ctx.needs_input_grad[0] else None
        grad_weight = ctx.spare.like(weight)
        if grad_weight.device.type != "cpu":  # one product for all seeds
            torch.bmm(grad_output.transpose(1, 2), x, out=grad_weight)
            return grad_x, grad_weight, grad_output.sum(dim=1), None
        for seed_grad_weight, seed_grad_output, seed_x in zip(grad_weight, grad_output, x, strict=True):
            _multiply(seed_grad_output.T, seed_x, seed_grad_weight)
        return grad_x, grad_weight, grad_output.sum(dim=1), None


class _SharedLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, spare: SpareMemory
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.spare = spare
        return functional.linear(x, weight.flatten(0, 1), bias.flatten()).view(len(x), *bias.shape)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor, None]:
        x, weight = ctx.saved_tensors
        grad_output = upstream[0].flatten(1)  # (n_rows, n_seeds * n_outputs)
        grad_weight = ctx.spare.like(weight)
        _multiply(grad_output.T, x, grad_weight.flatten(0, 1))
        return None, grad_weight, grad_output.sum(dim=0).view(weight.shape[:2]), None
