"""The dense autoencoder of responses as published for NSD's body areas: sparse weights, batch norm, ReLU."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from boldflow.core.networks import layers
from boldflow.core.networks.autoencoder import inputs_of, squared_errors
from boldflow.core.networks.decoders import Parameters, Part, Sizes
from boldflow.core.networks.layers import SpareMemory

MOMENTUM, EPSILON = 0.9, 1e-5  # of batch norm, in Flax's sense: running = .9 * old + .1 * new
N_LAYERS = 6
LATENT = 2  # the layer that gives the latent


def erk_densities(shapes: Sequence[tuple[int, int]], sparsity: float) -> list[float]:
    """Spread a share of weights over layers: Erdos-Renyi densities, larger where layers are small.

    Parameters
    ----------
    shapes : sequence of (n_out, n_in)
    sparsity : float
        Share of all weights that are 0, from 0 to below 1.

    Returns
    -------
    list of float
        Share of each layer's weights that stay: min(1, e * (n_in + n_out) / (n_in * n_out)), with e such that 1 -
        ``sparsity`` of all weights stay; layers that reach 1 are fixed there, and e is found again for the others.

    Raises
    ------
    ValueError
        If the sparsity is out of range.

    Notes
    -----
    Evci et al. 2020, Rigging the lottery, ICML (ERK).
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be from 0 to below 1, not {sparsity}")
    n_weights = np.array([n * m for n, m in shapes], dtype=np.float64)
    n_kept = (1 - sparsity) * n_weights.sum()
    raw_density = np.array([(n + m) / (n * m) for n, m in shapes])  # (n_layers,)
    is_full = np.zeros(len(shapes), dtype=bool)
    while True:
        n_left = n_kept - n_weights[is_full].sum()
        scale = n_left / (raw_density * n_weights)[~is_full].sum() if (~is_full).any() else 0.0
        density = np.where(is_full, 1.0, scale * raw_density)
        is_over = ~is_full & (density >= 1)
        if not is_over.any():
            return [float(share) for share in density]
        is_full |= is_over


@dataclass(frozen=True)
class DenseAutoencoder:
    """The published autoencoder of body areas: V -> V/3 -> V/6 -> L and back, batch norm and ReLU between.

    The latent passes a ReLU too, the output is linear. ``sparsity`` of the weights are held at 0 by masks, drawn once
    per seed (``erk_densities``); biases and batch norm are not masked. The loss is the mean squared error plus
    ``l1`` times the mean of the latent.

    Notes
    -----
    bragg13/aigs-nsd-reconstruction, ``simple_autoencoder``: Flax and jaxpruner's ``static_sparse``.
    """

    n_inputs: int
    n_latents: int
    sparsity: float = 0.85
    l1: float = 0.1
    n_trs: int = 1

    def __post_init__(self) -> None:
        """Refuse what has no layers."""
        if self.n_inputs < N_LAYERS:
            raise ValueError(f"a dense autoencoder needs {N_LAYERS} inputs or more, found {self.n_inputs}")

    @property
    def n_features(self) -> int:
        """Numbers that it reconstructs."""
        return self.n_inputs

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of each layer."""
        widths = [self.n_inputs, self.n_inputs // 3, self.n_inputs // 6, self.n_latents]
        widths += widths[-2::-1]
        return [(n_out, n_in) for n_in, n_out in itertools.pairwise(widths)]

    def sizes(self) -> Sizes:
        """Name the parameters."""
        sizes: Sizes = {}
        for k, (n_out, n_in) in enumerate(self.shapes):
            sizes |= {f"layer{k}_weight": (n_out, n_in), f"layer{k}_bias": (n_out,)}
            if _is_normed(k):
                sizes |= {f"layer{k}_gain": (n_out,), f"layer{k}_shift": (n_out,)}
        return sizes

    def start(self, seed: int) -> Parameters:
        """Draw weights (Flax's lecun_normal: truncated at two s.d., variance 1 / n_in) and masks; biases are 0."""
        generator = torch.Generator().manual_seed(seed)
        parameters: Parameters = {}
        for k, ((n_out, n_in), density) in enumerate(
            zip(self.shapes, erk_densities(self.shapes, self.sparsity), strict=True)
        ):
            spread = math.sqrt(1 / n_in) / 0.87962566103423978  # s.d. of a normal truncated at 2
            weight = torch.empty(n_out, n_in)
            torch.nn.init.trunc_normal_(weight, 0.0, spread, -2 * spread, 2 * spread, generator=generator)
            weight_indices = torch.randperm(n_out * n_in, generator=generator)[: round(density * n_out * n_in)]
            mask = torch.zeros(n_out * n_in, dtype=torch.bool)
            mask[weight_indices] = True
            mask = mask.view(n_out, n_in)
            parameters |= {
                f"layer{k}_weight": weight * mask,
                f"layer{k}_mask": mask,
                f"layer{k}_bias": torch.zeros(n_out),
            }
            if _is_normed(k):
                parameters |= {f"layer{k}_gain": torch.ones(n_out), f"layer{k}_shift": torch.zeros(n_out)}
                parameters |= {f"layer{k}_mean": torch.zeros(n_out), f"layer{k}_var": torch.ones(n_out)}
        return parameters

    def noise(self, generator: torch.Generator, n_trials: int) -> list[torch.Tensor]:
        """Draw nothing."""
        return []

    def forward(
        self,
        parameters: Parameters,
        parts: Sequence[Part],
        noise: Sequence[torch.Tensor],
        spare: SpareMemory | None = None,
    ) -> torch.Tensor:
        """Reconstruct a batch as after training, (n_seeds, n_trials, n_inputs)."""
        return self._through(parameters, inputs_of(parts), training=False)[1]

    def encode(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give the latents of (n_trials, n_inputs) as after training, (n_seeds, n_trials, n_latents)."""
        return self._through(parameters, inputs, training=False)[0]

    def loss(self, parameters: Parameters, parts: Sequence[Part], spare: SpareMemory | None = None) -> torch.Tensor:
        """Give the loss of a training batch, (n_seeds,), and move batch norm's running means."""
        inputs = inputs_of(parts)
        latent, reconstruction = self._through(parameters, inputs, training=True, spare=spare)
        return squared_errors(reconstruction, inputs) + self.l1 * latent.abs().mean(dim=(1, 2))

    def measure(self, parameters: Parameters, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        """Measure validation trials, each (n_seeds,): ``loss``, ``mse``, and ``zeros``, the share of latents at 0."""
        inputs = inputs_of(parts)
        latent, reconstruction = self._through(parameters, inputs, training=False)
        error = squared_errors(reconstruction, inputs)
        loss = error + self.l1 * latent.abs().mean(dim=(1, 2))
        return {"loss": loss, "mse": error, "zeros": (latent == 0).float().mean(dim=(1, 2))}

    @torch.no_grad()
    def settle(
        self,
        parameters: Parameters,
        moments: dict[str, Parameters],
        parts: Callable[[], Sequence[Part]],
        seeds: Sequence[int],
        step: int,
    ) -> None:
        """After a step: put masked weights back to 0."""
        for k in range(N_LAYERS):
            parameters[f"layer{k}_weight"].mul_(parameters[f"layer{k}_mask"])

    def _through(
        self, parameters: Parameters, inputs: torch.Tensor, training: bool, spare: SpareMemory | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the latents and the reconstruction."""
        hidden = inputs.expand(len(parameters["layer0_bias"]), *inputs.shape)  # (n_seeds, n_trials, n_inputs)
        latent = hidden
        for k in range(N_LAYERS):
            hidden = layers.linear(hidden, parameters[f"layer{k}_weight"], parameters[f"layer{k}_bias"], spare)
            if _is_normed(k):
                hidden = functional.relu(_batch_norm(hidden, parameters, f"layer{k}", training))
            elif k == LATENT:
                latent = hidden = functional.relu(hidden)
        return latent, hidden


def _is_normed(layer: int) -> bool:
    return layer not in (LATENT, N_LAYERS - 1)


def _batch_norm(x: torch.Tensor, parameters: Parameters, name: str, training: bool) -> torch.Tensor:
    """Batch norm of (n_seeds, n_trials, n): by the batch in training, where the running means follow it."""
    mean, var = parameters[f"{name}_mean"], parameters[f"{name}_var"]
    if training:
        batch_mean, batch_var = x.mean(dim=1), x.var(dim=1, correction=0)  # each (n_seeds, n)
        with torch.no_grad():
            for running_stat, batch_stat in ((mean, batch_mean), (var, batch_var)):
                running_stat.mul_(MOMENTUM).add_(batch_stat, alpha=1 - MOMENTUM)
        mean, var = batch_mean, batch_var
    factor = parameters[f"{name}_gain"] * torch.rsqrt(var + EPSILON)  # (n_seeds, n)
    return (x - mean[:, None]) * factor[:, None] + parameters[f"{name}_shift"][:, None]
