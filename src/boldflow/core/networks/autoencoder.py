"""Latents and reconstructions of trained autoencoders, and what all autoencoders share.

Arrays are torch tensors with an axis of seeds in front, as in ``core.networks.decoders``. An autoencoder sees responses
alone, (n_trials, n_inputs) of any unit; training hands them scaled. Beside parameters the state of a seed holds buffers
that no gradient reaches: masks of weights, running means of batch norm, counts of steps. They are kept and resumed
alike.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from boldflow.core.networks.decoders import Autoencoder, Parameters, Part
from boldflow.core.records.training import State, flat

BLOCK = 512  # trials at a time where codes are made


def latents(network: Autoencoder, state: State, inputs: np.ndarray) -> np.ndarray:
    """Encode trials with one seed's state, on the CPU: float32 (n_trials, n_latents)."""
    return _in_blocks(state, inputs, network.encode)


def reconstruct(network: Autoencoder, state: State, inputs: np.ndarray) -> np.ndarray:
    """Reconstruct trials with one seed's state, on the CPU: float32 (n_trials, n_inputs)."""
    return _in_blocks(
        state, inputs, lambda parameters, block: network.forward(parameters, [Part(0, block[:, None])], [])
    )


def inputs_of(parts: Sequence[Part]) -> torch.Tensor:
    """Give a batch of one subject, TRs side by side, (n_trials, n_inputs)."""
    return parts[0].inputs.flatten(1)


def squared_errors(reconstruction: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Mean squared error of a reconstruction (n_seeds, n_trials, n_inputs), (n_seeds,)."""
    return (reconstruction - inputs).square().mean(dim=(1, 2))


def _in_blocks(
    state: State, inputs: np.ndarray, describe: Callable[[Parameters, torch.Tensor], torch.Tensor]
) -> np.ndarray:
    parameters = {name: torch.from_numpy(value)[None] for name, value in state.items()}  # a stack of one seed
    flat_inputs = np.ascontiguousarray(flat(inputs), dtype=np.float32)
    with torch.inference_mode():
        blocks = [
            describe(parameters, torch.from_numpy(flat_inputs[start : start + BLOCK]))[0]
            for start in range(0, len(flat_inputs), BLOCK)
        ]
    return torch.cat(blocks).numpy() if blocks else np.empty((0, 0), dtype=np.float32)
