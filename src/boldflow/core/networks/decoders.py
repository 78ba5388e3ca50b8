"""Networks from responses to features, for several seeds at once: every parameter has an axis of seeds in front.

Inputs are (n_trials, n_trs, n_vertices); a mean over time has one TR. A batch comes in parts, one per subject: where a
network has a layer per subject, each part goes through its own. Weights start as torch's ``nn.Linear`` does, uniform
within 1 / sqrt(n_inputs), from a generator on the CPU, so that a seed starts alike on any device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch.nn import functional

from boldflow.core.networks import layers
from boldflow.core.networks.layers import SpareMemory

Parameters = dict[str, torch.Tensor]
Sizes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Part:
    """Trials of one subject in a batch.

    ``subject`` numbers the input layer; ``inputs`` is (n_trials, n_trs, n_vertices); ``places`` (n_trials,) are their
    rows in the batch, None where the part is the whole batch.
    """

    subject: int
    inputs: torch.Tensor
    places: torch.Tensor | None = None


class Network(Protocol):
    """What the training loop asks of a network."""

    @property
    def n_trs(self) -> int:
        """TRs of a trial."""

    @property
    def n_features(self) -> int:
        """Features of a picture."""

    def sizes(self) -> Sizes:
        """Name the parameters of one seed with their shapes."""

    def noise(self, generator: torch.Generator, n_trials: int) -> list[torch.Tensor]:
        """Draw what one step of one seed needs at random, trials first; on the generator's device."""

    def forward(
        self,
        parameters: Parameters,
        parts: Sequence[Part],
        noise: Sequence[torch.Tensor],
        spare: SpareMemory | None = None,
    ) -> torch.Tensor:
        """Decode a batch, (n_seeds, n_trials, n_features); without noise as after training.

        Gradients of its weights lie in memory of ``spare``.
        """


@runtime_checkable
class Autoencoder(Network, Protocol):
    """What the training loop asks of a network that reconstructs its inputs: it brings its own start and loss."""

    def start(self, seed: int) -> Parameters:
        """Draw parameters and buffers of one seed; no gradient ever reaches a buffer."""

    def encode(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Give the latents of (n_trials, n_inputs), (n_seeds, n_trials, n_latents)."""

    def loss(self, parameters: Parameters, parts: Sequence[Part], spare: SpareMemory | None = None) -> torch.Tensor:
        """Give the loss of a training batch, (n_seeds,); buffers that follow the batches move."""

    def measure(self, parameters: Parameters, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        """Measure validation trials by name, means over trials, each (n_seeds,); "loss" among them."""

    def settle(
        self,
        parameters: Parameters,
        moments: dict[str, Parameters],
        parts: Callable[[], Sequence[Part]],
        seeds: Sequence[int],
        step: int,
    ) -> None:
        """After a step: change parameters and their moments in place, as a function of seed and step alone."""


def start(network: Network, seed: int) -> Parameters:
    """Draw the parameters of one seed at the start, float32 on the CPU.

    Weights and biases of a layer are uniform within 1 / sqrt(n_inputs); gains are 1, shifts 0.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = network.sizes()
    parameters: Parameters = {}
    for name, shape in sizes.items():
        kind = name.rpartition("_")[2]
        if kind in ("gain", "shift"):
            parameters[name] = torch.full(shape, 1.0 if kind == "gain" else 0.0)
        else:
            bound = 1 / math.sqrt(sizes[name.rpartition("_")[0] + "_weight"][-1])
            parameters[name] = torch.empty(shape).uniform_(-bound, bound, generator=generator)
    return parameters


@dataclass(frozen=True)
class FmriMlp:
    """The multilayer perceptron of NeuralBench's task of pictures from fMRI, for any number of TRs.

    A layer from vertices to ``width``, shared by all TRs, with layer norm, GELU and dropout; ``depth`` residual blocks
    of the same; a linear map over TRs; a layer to the features; a last one among features. 5,214,853 parameters at
    20,484 vertices, 4 TRs, 1,536 features.

    ``vertices``: of each subject that has an input layer of its own (one: shared by all).
    """

    vertices: tuple[int, ...]
    n_trs: int
    n_features: int
    width: int = 128
    depth: int = 2
    dropout: float = 0.5
    block_dropout: float = 0.15

    def sizes(self) -> Sizes:
        """Name the parameters."""
        w, f = self.width, self.n_features
        sizes: Sizes = {}
        for subject, n_vertices in enumerate(self.vertices):
            sizes |= {f"input{subject}_weight": (w, n_vertices), f"input{subject}_bias": (w,)}
        sizes |= {"norm_gain": (w,), "norm_shift": (w,)}
        for k in range(self.depth):
            sizes |= {f"block{k}_weight": (w, w), f"block{k}_bias": (w,)}
            sizes |= {f"block{k}_gain": (w,), f"block{k}_shift": (w,)}
        sizes |= {"time_weight": (1, self.n_trs), "time_bias": (1,)}
        return sizes | {"output_weight": (f, w), "output_bias": (f,), "head_weight": (f, f), "head_bias": (f,)}

    def noise(self, generator: torch.Generator, n_trials: int) -> list[torch.Tensor]:
        """Draw the masks of dropout, each (n_trials, n_trs, width): 0, or what keeps the mean."""
        rates = [self.dropout, *[self.block_dropout] * self.depth]
        shape = (n_trials, self.n_trs, self.width)
        uniforms = (torch.rand(shape, generator=generator, device=generator.device) for _ in rates)
        return [(uniform >= rate) / (1 - rate) for uniform, rate in zip(uniforms, rates, strict=True)]

    def forward(
        self,
        parameters: Parameters,
        parts: Sequence[Part],
        noise: Sequence[torch.Tensor],
        spare: SpareMemory | None = None,
    ) -> torch.Tensor:
        """Decode a batch, (n_seeds, n_trials, n_features)."""
        hidden = _first(parameters, parts, spare)  # (n_seeds, n_trials, n_trs, width)
        hidden = _drop(functional.gelu(_norm(hidden, parameters, "norm")), noise, 0)
        for k in range(self.depth):
            block_hidden = _norm(_linear(hidden, parameters, f"block{k}", spare), parameters, f"block{k}")
            hidden = hidden + _drop(functional.gelu(block_hidden), noise, k + 1)
        time_weight = parameters["time_weight"][:, 0, None, :, None]  # (n_seeds, 1, n_trs, 1)
        tr_sum = (hidden * time_weight).sum(dim=2) + parameters["time_bias"][:, None]  # (n_seeds, n_trials, width)
        return _linear(_linear(tr_sum, parameters, "output", spare), parameters, "head", spare)


@dataclass(frozen=True)
class FmriLinear:
    """The linear decoder of the same task: a map from vertices to features for each TR, and one over TRs.

    31,464,965 parameters at 20,484 vertices, 4 TRs, 1,536 features. Both maps are linear, so TRs are mixed first: the
    same sum with a quarter of the products.
    """

    vertices: tuple[int, ...]
    n_trs: int
    n_features: int

    def sizes(self) -> Sizes:
        """Name the parameters."""
        sizes: Sizes = {}
        for subject, n_vertices in enumerate(self.vertices):
            sizes |= {
                f"input{subject}_weight": (self.n_features, n_vertices),
                f"input{subject}_bias": (self.n_features,),
            }
        return sizes | {"time_weight": (1, self.n_trs), "time_bias": (1,)}

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
        """Decode a batch, (n_seeds, n_trials, n_features)."""
        time_weight = parameters["time_weight"][:, 0]  # (n_seeds, n_trs)
        part_outputs = []
        for part in parts:
            mixed_inputs = torch.matmul(time_weight, part.inputs).transpose(0, 1)  # (n_seeds, n_trials, n_vertices)
            weight, bias = parameters[f"input{part.subject}_weight"], parameters[f"input{part.subject}_bias"]
            part_outputs.append(layers.linear(mixed_inputs, weight, bias * time_weight.sum(dim=1, keepdim=True), spare))
        return _in_order(part_outputs, parts) + parameters["time_bias"][:, None]


@dataclass(frozen=True)
class LinearMap:
    """One linear map from all inputs of a trial, TRs side by side, to features."""

    vertices: tuple[int, ...]
    n_trs: int
    n_features: int

    def sizes(self) -> Sizes:
        """Name the parameters."""
        sizes: Sizes = {}
        for subject, n_vertices in enumerate(self.vertices):
            sizes[f"input{subject}_weight"] = (self.n_features, n_vertices * self.n_trs)
            sizes[f"input{subject}_bias"] = (self.n_features,)
        return sizes

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
        """Decode a batch, (n_seeds, n_trials, n_features)."""
        flat_parts = [Part(part.subject, part.inputs.flatten(1)[:, None], part.places) for part in parts]
        return _first(parameters, flat_parts, spare)[:, :, 0]


def _first(parameters: Parameters, parts: Sequence[Part], spare: SpareMemory | None) -> torch.Tensor:
    """Take each TR through the input layers of all seeds as one product, (n_seeds, n_trials, n_trs, width)."""
    part_outputs = []
    for part in parts:
        weight, bias = parameters[f"input{part.subject}_weight"], parameters[f"input{part.subject}_bias"]
        row_outputs = layers.shared_linear(part.inputs.flatten(0, 1), weight, bias, spare)  # (n_rows, n_seeds, width)
        part_outputs.append(row_outputs.unflatten(0, part.inputs.shape[:2]).permute(2, 0, 1, 3))
    return _in_order(part_outputs, parts).contiguous()


def _in_order(part_outputs: Sequence[torch.Tensor], parts: Sequence[Part]) -> torch.Tensor:
    """Put what parts gave, trials on the second axis, into the order of the batch."""
    if parts[0].places is None:
        return part_outputs[0]
    places = torch.cat([part.places for part in parts if part.places is not None])  # (n_trials,)
    return torch.cat(list(part_outputs), dim=1)[:, torch.argsort(places)]


def _linear(x: torch.Tensor, parameters: Parameters, name: str, spare: SpareMemory | None) -> torch.Tensor:
    """Take (n_seeds, ..., n) through a layer of each seed."""
    rows = x.reshape(len(x), -1, x.shape[-1])  # (n_seeds, n_rows, n)
    row_outputs = layers.linear(rows, parameters[f"{name}_weight"], parameters[f"{name}_bias"], spare)
    return row_outputs.view(*x.shape[:-1], -1)


def _norm(x: torch.Tensor, parameters: Parameters, name: str) -> torch.Tensor:
    """Layer norm of (n_seeds, n_trials, n_trs, width)."""
    gain, shift = parameters[f"{name}_gain"], parameters[f"{name}_shift"]  # (n_seeds, width)
    return functional.layer_norm(x, x.shape[-1:]) * gain[:, None, None] + shift[:, None, None]


def _drop(x: torch.Tensor, noise: Sequence[torch.Tensor], layer: int) -> torch.Tensor:
    return x * noise[layer] if noise else x
