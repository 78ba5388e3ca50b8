"""Sparse autoencoders of responses: a dense one as published for NSD, and overcomplete ones with sparse codes.

Arrays are torch tensors with an axis of seeds in front, as in ``core.decoders``. An autoencoder sees responses alone,
(n_trials, n_inputs) of any unit; training hands them scaled. Beside parameters the state of a seed holds buffers that
no gradient reaches: masks of weights, running means of batch norm, counts of steps. They are kept and resumed alike.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from boldflow.core.networks import layers
from boldflow.core.networks.decoders import Autoencoder, Parameters, Part, Sizes
from boldflow.core.records.training import State, flat

MOMENTUM, EPSILON = 0.9, 1e-5  # of batch norm, in Flax's sense: running = .9 * old + .1 * new
N_LAYERS = 6  # of the dense autoencoder
LATENT = 2  # the layer that gives the latent
BLOCK = 512  # trials at a time where codes are made


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
    sizes = np.array([n * m for n, m in shapes], dtype=np.float64)
    wanted = (1 - sparsity) * sizes.sum()
    raw = np.array([(n + m) / (n * m) for n, m in shapes])
    full = np.zeros(len(shapes), dtype=bool)
    while True:
        left = wanted - sizes[full].sum()
        scale = left / (raw * sizes)[~full].sum() if (~full).any() else 0.0
        density = np.where(full, 1.0, scale * raw)
        over = ~full & (density >= 1)
        if not over.any():
            return [float(value) for value in density]
        full |= over


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
        width = [self.n_inputs, self.n_inputs // 3, self.n_inputs // 6, self.n_latents]
        width += width[-2::-1]
        return [(after, before) for before, after in itertools.pairwise(width)]

    def sizes(self) -> Sizes:
        """Name the parameters."""
        found: Sizes = {}
        for k, (n_out, n_in) in enumerate(self.shapes):
            found |= {f"layer{k}_weight": (n_out, n_in), f"layer{k}_bias": (n_out,)}
            if _is_normed(k):
                found |= {f"layer{k}_gain": (n_out,), f"layer{k}_shift": (n_out,)}
        return found

    def start(self, seed: int) -> Parameters:
        """Draw weights (Flax's lecun_normal: truncated at two s.d., variance 1 / n_in) and masks; biases are 0."""
        generator = torch.Generator().manual_seed(seed)
        found: Parameters = {}
        for k, ((n_out, n_in), density) in enumerate(
            zip(self.shapes, erk_densities(self.shapes, self.sparsity), strict=True)
        ):
            spread = math.sqrt(1 / n_in) / 0.87962566103423978  # s.d. of a normal truncated at 2
            weight = torch.empty(n_out, n_in)
            torch.nn.init.trunc_normal_(weight, 0.0, spread, -2 * spread, 2 * spread, generator=generator)
            kept = torch.randperm(n_out * n_in, generator=generator)[: round(density * n_out * n_in)]
            mask = torch.zeros(n_out * n_in, dtype=torch.bool)
            mask[kept] = True
            mask = mask.view(n_out, n_in)
            found |= {f"layer{k}_weight": weight * mask, f"layer{k}_mask": mask, f"layer{k}_bias": torch.zeros(n_out)}
            if _is_normed(k):
                found |= {f"layer{k}_gain": torch.ones(n_out), f"layer{k}_shift": torch.zeros(n_out)}
                found |= {f"layer{k}_mean": torch.zeros(n_out), f"layer{k}_var": torch.ones(n_out)}
        return found

    def noise(self, generator: torch.Generator, n_trials: int) -> list[torch.Tensor]:
        """Draw nothing."""
        return []

    def forward(self, own: Parameters, parts: Sequence[Part], noise: Sequence[torch.Tensor]) -> torch.Tensor:
        """Reconstruct a batch as after training, (n_seeds, n_trials, n_inputs)."""
        return self._through(own, _inputs(parts), training=False)[1]

    def encode(self, own: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give the latents of (n_trials, n_inputs) as after training, (n_seeds, n_trials, n_latents)."""
        return self._through(own, inputs, training=False)[0]

    def loss(self, own: Parameters, parts: Sequence[Part]) -> torch.Tensor:
        """Give the loss of a training batch, (n_seeds,), and move batch norm's running means."""
        inputs = _inputs(parts)
        latent, found = self._through(own, inputs, training=True)
        return _squares(found, inputs) + self.l1 * latent.abs().mean(dim=(1, 2))

    def measure(self, own: Parameters, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        """Measure validation trials, each (n_seeds,): ``loss``, ``mse``, and ``zeros``, the share of latents at 0."""
        inputs = _inputs(parts)
        latent, found = self._through(own, inputs, training=False)
        error = _squares(found, inputs)
        loss = error + self.l1 * latent.abs().mean(dim=(1, 2))
        return {"loss": loss, "mse": error, "zeros": (latent == 0).float().mean(dim=(1, 2))}

    @torch.no_grad()
    def settle(
        self,
        own: Parameters,
        moments: dict[str, Parameters],
        parts: Callable[[], Sequence[Part]],
        seeds: Sequence[int],
        step: int,
    ) -> None:
        """After a step: put masked weights back to 0."""
        for k in range(N_LAYERS):
            own[f"layer{k}_weight"].mul_(own[f"layer{k}_mask"])

    def _through(self, own: Parameters, inputs: torch.Tensor, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the latents and the reconstruction."""
        hidden = inputs.expand(len(own["layer0_bias"]), *inputs.shape)
        latent = hidden
        for k in range(N_LAYERS):
            hidden = layers.linear(hidden, own[f"layer{k}_weight"], own[f"layer{k}_bias"])
            if _is_normed(k):
                hidden = functional.relu(_batch_norm(hidden, own, f"layer{k}", training))
            elif k == LATENT:
                latent = hidden = functional.relu(hidden)
        return latent, hidden


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
        wide = (self.n_latents, self.n_inputs)
        found: Sizes = {"encoder_weight": wide, "encoder_bias": wide[:1], "decoder_weight": wide}
        found["decoder_bias"] = wide[1:]
        return found | ({"log_threshold": wide[:1]} if self.code == "jumprelu" else {})

    def start(self, seed: int) -> Parameters:
        """Draw unit directions at random; the encoder starts with the same."""
        generator = torch.Generator().manual_seed(seed)
        drawn = functional.normalize(torch.randn(self.n_latents, self.n_inputs, generator=generator), dim=1)
        found = {name: torch.zeros(size) for name, size in self.sizes().items()}
        found |= {"encoder_weight": drawn.clone(), "decoder_weight": drawn, "silent": torch.zeros(self.n_latents)}
        if self.code == "jumprelu":
            found["log_threshold"].fill_(math.log(self.threshold))
        return found

    def noise(self, generator: torch.Generator, n_trials: int) -> list[torch.Tensor]:
        """Draw nothing."""
        return []

    def forward(self, own: Parameters, parts: Sequence[Part], noise: Sequence[torch.Tensor]) -> torch.Tensor:
        """Reconstruct a batch, (n_seeds, n_trials, n_inputs)."""
        return self._through(own, _inputs(parts))[0]

    def encode(self, own: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give the latents of (n_trials, n_inputs), (n_seeds, n_trials, n_latents), most of them 0."""
        before = self._before(own, inputs)
        if self.code == "jumprelu":
            return before * (before > own["log_threshold"].exp()[:, None])
        value, index = top_code(before, self.k)
        return torch.zeros_like(before).scatter(2, index, value)

    def loss(self, own: Parameters, parts: Sequence[Part]) -> torch.Tensor:
        """Give the loss of a training batch, (n_seeds,), and count the steps for which each unit was silent."""
        inputs = _inputs(parts)
        found, share, active = self._through(own, inputs)
        with torch.no_grad():
            own["silent"].add_(1).mul_(~active)
        return _squares(found, inputs) + self.l0 * share if self.code == "jumprelu" else _squares(found, inputs)

    def measure(self, own: Parameters, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        """Measure validation trials, each (n_seeds,): ``loss``, ``mse``, and ``zeros``, the share of latents at 0."""
        inputs = _inputs(parts)
        found, share, _ = self._through(own, inputs)
        error = _squares(found, inputs)
        loss = error + self.l0 * share if self.code == "jumprelu" else error
        return {"loss": loss, "mse": error, "zeros": 1 - share}

    @torch.no_grad()
    def settle(
        self,
        own: Parameters,
        moments: dict[str, Parameters],
        parts: Callable[[], Sequence[Part]],
        seeds: Sequence[int],
        step: int,
    ) -> None:
        """After a step: rows of the decoder get their length back, and when it is time silent units are revived."""
        decoder = own["decoder_weight"]
        decoder.div_(decoder.norm(dim=2, keepdim=True).clamp(min=1e-12))
        if not self.revive_after or (step + 1) % self.revive_after:
            return
        dead = own["silent"] >= self.revive_after
        if not dead.any():
            return
        inputs = _inputs(parts())
        missed = inputs - self._through(own, inputs)[0]
        for number, seed in enumerate(seeds):
            units = torch.nonzero(dead[number])[:, 0]
            size = missed[number].norm(dim=1)
            chosen = int(min(len(units), int((size > 0).sum())))
            if not chosen:
                continue
            draw = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step, 1]).generate_state(1)[0]))
            trial = torch.multinomial(size.square().cpu(), chosen, generator=draw).to(size.device)
            units, alive = units[:chosen], ~dead[number]
            direction = functional.normalize(missed[number, trial], dim=1)
            length = own["encoder_weight"][number, alive].norm(dim=1).mean() if alive.any() else 1.0
            decoder[number, units] = direction
            own["encoder_weight"][number, units] = direction * length
            own["encoder_bias"][number, units] = 0
            own["silent"][number, units] = 0
            if self.code == "jumprelu":
                own["log_threshold"][number, units] = math.log(self.threshold)
            for kind in moments.values():
                for name in ("encoder_weight", "encoder_bias", "decoder_weight", "log_threshold"):
                    if name in kind:
                        kind[name][number, units] = 0

    def _before(self, own: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give (n_seeds, n_trials, n_latents) before the code."""
        centred = inputs - own["decoder_bias"][:, None]
        return layers.linear(centred, own["encoder_weight"], own["encoder_bias"])

    def _through(self, own: Parameters, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give the reconstruction, the share of active latents (n_seeds,) and which units were active."""
        before = self._before(own, inputs)
        if self.code == "topk":
            value, index = top_code(before, self.k)
            found = decode_sparse(value, index, own["decoder_weight"])
            active = torch.zeros(len(before), self.n_latents, device=before.device)
            active.scatter_add_(1, index.flatten(1), (value > 0).flatten(1).float())
            share = (value > 0).float().sum(dim=(1, 2)) / before[0].numel()
        else:
            threshold = own["log_threshold"].exp()[:, None]
            latent, on = JumpReLU.apply(before, threshold, self.bandwidth)
            found = torch.bmm(latent, own["decoder_weight"])
            share, active = on.mean(dim=(1, 2)), on.detach().sum(dim=1)
        return found + own["decoder_bias"][:, None], share, active > 0


def top_code(before: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep the k largest of the last axis: values (negative ones become 0) and indices, each (..., k)."""
    value, index = before.topk(k, dim=-1, sorted=False)
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
    rows = index + n_latents * torch.arange(n_seeds, device=index.device)[:, None, None]
    found = functional.embedding_bag(
        rows.flatten(0, 1), decoder.reshape(-1, n_inputs), per_sample_weights=value.flatten(0, 1), mode="sum"
    )
    return found.view(n_seeds, -1, n_inputs)


class JumpReLU(torch.autograd.Function):
    """x where x is above a threshold, else 0; and whether it is (1.0 or 0.0).

    Neither changes smoothly with the threshold: its gradient is estimated from values within half a bandwidth of it
    (a rectangle), -threshold / bandwidth for the first output and -1 / bandwidth for the second.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> tuple[torch.Tensor, ...]:
        """Give x * (x > threshold) and (x > threshold)."""
        on = (x > threshold).to(x.dtype)
        ctx.save_for_backward(x, threshold, on)
        ctx.bandwidth = bandwidth
        return x * on, on

    @staticmethod
    def backward(ctx: Any, of_value: torch.Tensor, of_on: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Give the gradients of x and of the threshold."""
        x, threshold, on = ctx.saved_tensors
        near = ((x - threshold).abs() < ctx.bandwidth / 2).to(x.dtype) / ctx.bandwidth
        of_threshold = -near * (threshold * of_value + of_on)
        return of_value * on, of_threshold.sum_to_size(threshold.shape), None


def latents(network: Autoencoder, state: State, inputs: np.ndarray) -> np.ndarray:
    """Encode trials with one seed's state, on the CPU: float32 (n_trials, n_latents)."""
    return _in_blocks(state, inputs, network.encode)


def reconstruct(network: Autoencoder, state: State, inputs: np.ndarray) -> np.ndarray:
    """Reconstruct trials with one seed's state, on the CPU: float32 (n_trials, n_inputs)."""
    return _in_blocks(state, inputs, lambda own, values: network.forward(own, [Part(0, values[:, None])], []))


def _in_blocks(state: State, inputs: np.ndarray, of: Callable[[Parameters, torch.Tensor], torch.Tensor]) -> np.ndarray:
    own = {name: torch.from_numpy(value)[None] for name, value in state.items()}
    values = np.ascontiguousarray(flat(inputs), dtype=np.float32)
    with torch.inference_mode():
        found = [of(own, torch.from_numpy(values[n : n + BLOCK]))[0] for n in range(0, len(values), BLOCK)]
    return torch.cat(found).numpy() if found else np.empty((0, 0), dtype=np.float32)


def _inputs(parts: Sequence[Part]) -> torch.Tensor:
    """Give a batch of one subject, TRs side by side, (n_trials, n_inputs)."""
    return parts[0].inputs.flatten(1)


def _is_normed(layer: int) -> bool:
    return layer not in (LATENT, N_LAYERS - 1)


def _squares(found: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    return (found - inputs).square().mean(dim=(1, 2))


def _batch_norm(x: torch.Tensor, own: Parameters, name: str, training: bool) -> torch.Tensor:
    """Batch norm of (n_seeds, n_trials, n): by the batch in training, where the running means follow it."""
    mean, var = own[f"{name}_mean"], own[f"{name}_var"]
    if training:
        batch_mean, batch_var = x.mean(dim=1), x.var(dim=1, correction=0)
        with torch.no_grad():
            for running, new in ((mean, batch_mean), (var, batch_var)):
                running.mul_(MOMENTUM).add_(new, alpha=1 - MOMENTUM)
        mean, var = batch_mean, batch_var
    factor = own[f"{name}_gain"] * torch.rsqrt(var + EPSILON)
    return (x - mean[:, None]) * factor[:, None] + own[f"{name}_shift"][:, None]
