"""One step of all seeds: gradients of a batch, whole or in pieces where memory is short, their clipping, and AdamW."""

import contextlib
import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.adamw import adamw

from boldflow.core.networks import losses, schedules
from boldflow.core.networks.decoders import Autoencoder, Network, Part
from boldflow.core.networks.layers import SpareMemory
from boldflow.core.networks.recipe import Recipe
from boldflow.core.networks.resident import Resident
from boldflow.core.networks.stack import MOMENTS, Stack

LOG = logging.getLogger(__name__)
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW, torch's defaults
SCALE = "log_scale"  # parameter of a temperature that is learned


class Stepper:
    """Takes the steps of one fit.

    Parameters
    ----------
    network : Network
    data : Resident
    recipe : Recipe
    n_steps : int
        Of the whole schedule.

    Attributes
    ----------
    micro_batch : int
        Trials whose gradients are computed in one go; halved where memory is short.
    """

    def __init__(self, network: Network, data: Resident, recipe: Recipe, n_steps: int) -> None:
        """Begin with whole batches, or with the recipe's pieces."""
        self.network, self.data, self.recipe, self._n_steps = network, data, recipe, n_steps
        self.micro_batch = recipe.micro_batch or recipe.batch_size
        self._spare = SpareMemory()

    def step(self, stack: Stack, rows: np.ndarray) -> None:
        """Take one step of all seeds by a batch, and add its loss to theirs; the step is not counted."""
        loss = self._gradients(stack, rows, self._noise(stack, len(rows)))
        if self.recipe.clip:
            self._clip(stack, self.recipe.clip)
        rate, momentum = self.rate(stack.step)
        self._update(stack, rate, BETAS[0] if momentum is None else momentum)
        if isinstance(self.network, Autoencoder):
            make_parts = functools.partial(self._parts, rows)
            self.network.settle(stack.parameters, stack.moments, make_parts, stack.seeds, stack.step)
        stack.loss += loss.double().cpu().numpy() * len(rows)

    def rate(self, step: int) -> tuple[float, float | None]:
        """Give the learning rate of a step, and the first momentum where the schedule moves it."""
        recipe = self.recipe
        return schedules.rate(recipe.schedule, step, self._n_steps, recipe.learning_rate, recipe.warm_up)

    def forward(self, stack: Stack, parts: Sequence[Part], noise: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Decode a batch, float32 (n_seeds, n_trials, n_features)."""
        with self._precision():
            predicted = self.network.forward(stack.parameters, parts, noise, self._spare)
        return predicted.float()

    def loss(self, stack: Stack, predicted: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Give the loss of a decoded batch, (n_seeds,)."""
        if SCALE in stack.parameters:
            scale = stack.parameters[SCALE].exp()
        else:
            scale = torch.full((len(stack.seeds),), self.recipe.contrast.scale, device=self.data.device)
        return losses.mixed_loss(predicted, targets, groups, scale, self.recipe.contrast)

    def _parts(self, rows: np.ndarray) -> list[Part]:
        return self.data.batch(rows)[0]

    def _precision(self) -> Any:
        is_bfloat16 = self.recipe.precision == "bfloat16"
        return torch.autocast(self.data.device.type, torch.bfloat16) if is_bfloat16 else contextlib.nullcontext()

    def _noise(self, stack: Stack, n_trials: int) -> list[torch.Tensor]:
        """Draw what a step needs at random, each seed's from seed and step alone, (n_seeds, n_trials, ...)."""
        seed_noise = []
        for seed in stack.seeds:
            generator_seed = np.random.SeedSequence([seed, stack.step]).generate_state(1, np.uint64)[0]
            generator = torch.Generator(self.data.device).manual_seed(int(generator_seed >> np.uint64(1)))
            seed_noise.append(self.network.noise(generator, n_trials))
        return [torch.stack(tensors) for tensors in zip(*seed_noise, strict=True)]

    def _gradients(self, stack: Stack, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        """Leave the gradients of a batch; where memory is short, in pieces of half the size from then on."""
        while True:
            self._spare.recycle(parameter.grad for parameter in stack.parameters.values())
            for parameter in stack.parameters.values():
                parameter.grad = None
            try:
                if self.micro_batch >= len(rows):
                    return self._whole(stack, rows, noise)
                return self._in_pieces(stack, rows, noise)
            except torch.OutOfMemoryError:
                if self.micro_batch <= 1 or isinstance(self.network, Autoencoder):  # its batch is not to be cut
                    raise
            self.micro_batch = max(1, min(self.micro_batch, len(rows)) // 2)
            if self.data.device.type == "cuda":
                torch.cuda.empty_cache()
            LOG.warning("out of memory: the batch stays, and goes on in pieces of %d trials", self.micro_batch)

    def _whole(self, stack: Stack, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        parts, targets, groups = self.data.batch(rows)
        if isinstance(self.network, Autoencoder):
            with self._precision():
                loss = self.network.loss(stack.parameters, parts, self._spare)
        else:
            loss = self.loss(stack, self.forward(stack, parts, noise), targets, groups)  # (n_seeds,)
        loss.sum().backward()
        return loss.detach()

    def _in_pieces(self, stack: Stack, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        """Do the same in pieces: predictions without memory of how they came, their gradients, then piece by piece."""
        pieces = [slice(k, k + self.micro_batch) for k in range(0, len(rows), self.micro_batch)]
        device_rows = torch.from_numpy(rows).to(self.data.device)
        with torch.no_grad():
            piece_predictions = [
                self.forward(stack, self._parts(rows[piece]), [mask[:, piece] for mask in noise]) for piece in pieces
            ]
        predicted = torch.cat(piece_predictions, dim=1).requires_grad_()  # (n_seeds, n_trials, n_features)
        loss = self.loss(stack, predicted, self.data.targets[device_rows], self.data.groups[device_rows])
        loss.sum().backward()
        grad_predicted = predicted.grad  # (n_seeds, n_trials, n_features)
        assert grad_predicted is not None
        for piece in pieces:
            parts = self._parts(rows[piece])
            self.forward(stack, parts, [mask[:, piece] for mask in noise]).backward(grad_predicted[:, piece])
        return loss.detach()

    def _clip(self, stack: Stack, max_length: float) -> None:
        """Shorten the gradient of each seed to this length, as torch's ``clip_grad_norm_``."""
        gradients = [parameter.grad for parameter in stack.parameters.values() if parameter.grad is not None]
        for number in range(len(stack.seeds)):
            seed_gradients = [gradient[number] for gradient in gradients]
            factor = (max_length / (torch.nn.utils.get_total_norm(seed_gradients) + 1e-6)).clamp(max=1)
            if self.data.device.type != "cpu" or factor < 1:
                for gradient in seed_gradients:
                    gradient.mul_(factor)

    @torch.no_grad()
    def _update(self, stack: Stack, rate: float, momentum: float) -> None:
        """Take a step of AdamW along the gradients; a temperature does not decay."""
        decaying = [name for name in stack.parameters if name != SCALE]
        for names, decay in ((decaying, self.recipe.weight_decay), ([SCALE], 0.0)):
            pairs = [(name, stack.parameters[name].grad) for name in names if name in stack.parameters]
            gradients = {name: gradient for name, gradient in pairs if gradient is not None}
            if not gradients:
                continue
            mean, square = ([stack.moments[kind][name] for name in gradients] for kind in MOMENTS)
            # the function behind torch.optim.AdamW: its class imports a compiler for seconds
            adamw(
                [stack.parameters[name] for name in gradients],
                list(gradients.values()),
                mean,
                square,
                [],
                [torch.tensor(float(stack.step), device=self.data.device) for _ in gradients],
                fused=True,
                amsgrad=False,
                beta1=momentum,
                beta2=BETAS[1],
                lr=rate,
                weight_decay=decay,
                eps=EPSILON,
                maximize=False,
            )
