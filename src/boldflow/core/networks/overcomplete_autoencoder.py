"""Overcomplete autoencoders of responses: one layer to many latents, few of them active, and a linear decoder."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from boldflow.core.networks import layers
from boldflow.core.networks.autoencoder import inputs_of, squared_errors
from boldflow.core.networks.decoders import Parameters, Part, Sizes
from boldflow.core.networks.layers import SpareMemory


@dataclass(frozen=True)
class OvercompleteAutoencoder:
    """One layer to more latents than there are dimensions, few of them active, and a linear decoder of unit rows.

    z = act(W (x - c) + b), reconstruction c + sum_j z_j d_j with |d_j| = 1. ``code`` is "topk" (the ``k`` largest, as
    far as they are positive) or "jumprelu" (those above a threshold of their own, which is learned: ``l0`` times the
    share of active latents is added to the mean squared error). Units that were silent for ``revive_after`` steps start
    anew in the direction of what a badly reconstructed trial lacks; 0: never.

    Notes
    -----
    Gao et al. 2024, arXiv:2406.04093 (top-k; encoder starts as the decoder's transpose); Rajamanoharan et al. 2024,
    arXiv:2407.14435 (JumpReLU and its straight-through gradient); Bricken et al. 2023, Towards monosemanticity
    (resampling).
    """

    n_inputs: int
    n_latents: int
    code: str = "topk"
    k: int = 16
    l0: float = 0.1
    threshold: float = 0.1
    bandwidth: float = 0.5
    revive_after: int = 50
    n_trs: int = 1

    def __post_init__(self) -> None:
        """Refuse a code of more units than there are."""
        if self.code == "topk" and self.k > self.n_latents:
            raise ValueError(f"k is {self.k}, and there are {self.n_latents} latents")

    @property
    def n_features(self) -> int:
        """Numbers that it reconstructs."""
        return self.n_inputs

    def sizes(self) -> Sizes:
        """Name the parameters."""
        weight_shape = (self.n_latents, self.n_inputs)
        sizes: Sizes = {
            "encoder_weight": weight_shape,
            "encoder_bias": weight_shape[:1],
            "decoder_weight": weight_shape,
        }
        sizes["decoder_bias"] = weight_shape[1:]
        return sizes | ({"log_threshold": weight_shape[:1]} if self.code == "jumprelu" else {})

    def start(self, seed: int) -> Parameters:
        """Draw unit directions at random; the encoder starts with the same."""
        generator = torch.Generator().manual_seed(seed)
        directions = functional.normalize(torch.randn(self.n_latents, self.n_inputs, generator=generator), dim=1)
        parameters = {name: torch.zeros(size) for name, size in self.sizes().items()}
        parameters |= {
            "encoder_weight": directions.clone(),
            "decoder_weight": directions,
            "silent": torch.zeros(self.n_latents),
        }
        if self.code == "jumprelu":
            parameters["log_threshold"].fill_(math.log(self.threshold))
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
        """Reconstruct a batch, (n_seeds, n_trials, n_inputs)."""
        return self._through(parameters, inputs_of(parts))[0]

    def encode(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give the latents of (n_trials, n_inputs), (n_seeds, n_trials, n_latents), most of them 0."""
        preactivation = self._preactivation(parameters, inputs)
        if self.code == "jumprelu":
            return preactivation * (preactivation > parameters["log_threshold"].exp()[:, None])
        value, index = top_code(preactivation, self.k)
        return torch.zeros_like(preactivation).scatter(2, index, value)

    def loss(self, parameters: Parameters, parts: Sequence[Part], spare: SpareMemory | None = None) -> torch.Tensor:
        """Give the loss of a training batch, (n_seeds,), and count the steps for which each unit was silent."""
        inputs = inputs_of(parts)
        reconstruction, active_share, is_active = self._through(parameters, inputs, spare)
        with torch.no_grad():
            parameters["silent"].add_(1).mul_(~is_active)
        error = squared_errors(reconstruction, inputs)
        return error + self.l0 * active_share if self.code == "jumprelu" else error

    def measure(self, parameters: Parameters, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        """Measure validation trials, each (n_seeds,): ``loss``, ``mse``, and ``zeros``, the share of latents at 0."""
        inputs = inputs_of(parts)
        reconstruction, active_share, _ = self._through(parameters, inputs)
        error = squared_errors(reconstruction, inputs)
        loss = error + self.l0 * active_share if self.code == "jumprelu" else error
        return {"loss": loss, "mse": error, "zeros": 1 - active_share}

    @torch.no_grad()
    def settle(
        self,
        parameters: Parameters,
        moments: dict[str, Parameters],
        parts: Callable[[], Sequence[Part]],
        seeds: Sequence[int],
        step: int,
    ) -> None:
        """After a step: rows of the decoder get their length back, and when it is time silent units are revived."""
        decoder = parameters["decoder_weight"]
        decoder.div_(decoder.norm(dim=2, keepdim=True).clamp(min=1e-12))
        if not self.revive_after or (step + 1) % self.revive_after:
            return
        dead = parameters["silent"] >= self.revive_after  # (n_seeds, n_latents)
        if not dead.any():
            return
        inputs = inputs_of(parts())
        residual = inputs - self._through(parameters, inputs)[0]  # (n_seeds, n_trials, n_inputs)
        for number, seed in enumerate(seeds):
            self._revive(parameters, moments, number, seed, step, dead[number], residual[number])

    def _revive(
        self,
        parameters: Parameters,
        moments: dict[str, Parameters],
        number: int,
        seed: int,
        step: int,
        dead: torch.Tensor,
        residual: torch.Tensor,
    ) -> None:
        """Start dead units (n_latents,) of a seed anew, in the directions of trials' errors (n_trials, n_inputs)."""
        units = torch.nonzero(dead)[:, 0]
        residual_norm = residual.norm(dim=1)  # (n_trials,)
        n_revived = int(min(len(units), int((residual_norm > 0).sum())))
        if not n_revived:
            return
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step, 1]).generate_state(1)[0]))
        trial = torch.multinomial(residual_norm.square().cpu(), n_revived, generator=generator).to(residual_norm.device)
        units, alive = units[:n_revived], ~dead
        direction = functional.normalize(residual[trial], dim=1)  # (n_revived, n_inputs)
        length = parameters["encoder_weight"][number, alive].norm(dim=1).mean() if alive.any() else 1.0
        parameters["decoder_weight"][number, units] = direction
        parameters["encoder_weight"][number, units] = direction * length
        parameters["encoder_bias"][number, units] = 0
        parameters["silent"][number, units] = 0
        if self.code == "jumprelu":
            parameters["log_threshold"][number, units] = math.log(self.threshold)
        for moment in moments.values():
            for name in ("encoder_weight", "encoder_bias", "decoder_weight", "log_threshold"):
                if name in moment:
                    moment[name][number, units] = 0

    def _preactivation(
        self, parameters: Parameters, inputs: torch.Tensor, spare: SpareMemory | None = None
    ) -> torch.Tensor:
        """Give (n_seeds, n_trials, n_latents) before the code."""
        centred = inputs - parameters["decoder_bias"][:, None]
        return layers.linear(centred, parameters["encoder_weight"], parameters["encoder_bias"], spare)

    def _through(
        self, parameters: Parameters, inputs: torch.Tensor, spare: SpareMemory | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the reconstruction, the share of active latents (n_seeds,) and which units were active."""
        preactivation = self._preactivation(parameters, inputs, spare)  # (n_seeds, n_trials, n_latents)
        if self.code == "topk":
            value, index = top_code(preactivation, self.k)  # each (n_seeds, n_trials, k)
            reconstruction = decode_sparse(value, index, parameters["decoder_weight"])
            n_active = torch.zeros(len(preactivation), self.n_latents, device=preactivation.device)
            n_active.scatter_add_(1, index.flatten(1), (value > 0).flatten(1).float())
            active_share = (value > 0).float().sum(dim=(1, 2)) / preactivation[0].numel()
        else:
            threshold = parameters["log_threshold"].exp()[:, None]
            latent, gate = JumpReLU.apply(preactivation, threshold, self.bandwidth)
            reconstruction = torch.bmm(latent, parameters["decoder_weight"])
            active_share, n_active = gate.mean(dim=(1, 2)), gate.detach().sum(dim=1)
        return reconstruction + parameters["decoder_bias"][:, None], active_share, n_active > 0


def top_code(preactivation: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep the k largest of the last axis: values (negative ones become 0) and indices, each (..., k)."""
    value, index = preactivation.topk(k, dim=-1, sorted=False)
    return functional.relu(value), index


def decode_sparse(value: torch.Tensor, index: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
    """Add up the rows of a decoder that a sparse code names; no code of all latents is made.

    Parameters
    ----------
    value, index : tensors of shape (n_seeds, n_trials, k)
    decoder : tensor of shape (n_seeds, n_latents, n_inputs)

    Returns
    -------
    tensor of shape (n_seeds, n_trials, n_inputs)
    """
    n_seeds, n_latents, n_inputs = decoder.shape
    value = value.to(decoder.dtype)  # embedding_bag takes one precision, and autocast leaves it alone
    rows = index + n_latents * torch.arange(n_seeds, device=index.device)[:, None, None]  # of all seeds' decoders
    reconstruction = functional.embedding_bag(
        rows.flatten(0, 1), decoder.reshape(-1, n_inputs), per_sample_weights=value.flatten(0, 1), mode="sum"
    )
    return reconstruction.view(n_seeds, -1, n_inputs)


class JumpReLU(torch.autograd.Function):
    """x where x is above a threshold, else 0; and whether it is (1.0 or 0.0).

    Neither changes smoothly with the threshold: its gradient is estimated from values within half a bandwidth of it
    (a rectangle), -threshold / bandwidth for the first output and -1 / bandwidth for the second.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> tuple[torch.Tensor, ...]:
        """Give x * (x > threshold) and (x > threshold)."""
        gate = (x > threshold).to(x.dtype)
        ctx.save_for_backward(x, threshold, gate)
        ctx.bandwidth = bandwidth
        return x * gate, gate

    @staticmethod
    def backward(
        ctx: Any, grad_value: torch.Tensor, grad_gate: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Give the gradients of x and of the threshold."""
        x, threshold, gate = ctx.saved_tensors
        window = ((x - threshold).abs() < ctx.bandwidth / 2).to(x.dtype) / ctx.bandwidth
        grad_threshold = -window * (threshold * grad_value + grad_gate)
        return grad_value * gate, grad_threshold.sum_to_size(threshold.shape), None
