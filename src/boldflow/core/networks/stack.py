"""Seeds that train side by side: parameters and moments with an axis of seeds in front, and where each seed stands.

As arrays (progress that is kept) names have a prefix: ``own/`` parameters, ``mean/`` and ``square/`` moments, ``best/``
parameters of the best epoch, ``at/`` where each seed stands. No array is without axes: files give it one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from boldflow.core.networks.decoders import Parameters
from boldflow.core.records.training import State

MOMENTS = ("mean", "square")
STANDING = ("loss", "best", "epoch", "waited")


@dataclass
class Stack:
    """Seeds that still train, after ``step`` steps.

    Of each seed, all (n_seeds,): ``loss`` the sum over the trials of this epoch so far; ``best`` the best value of what
    is monitored, at ``epoch``; ``waited`` epochs since. ``best_parameters`` are those of ``epoch``, none where no epoch
    is chosen.
    """

    seeds: list[int]
    step: int
    loss: np.ndarray
    best: np.ndarray
    epoch: np.ndarray
    waited: np.ndarray
    parameters: Parameters = field(default_factory=dict)
    moments: dict[str, Parameters] = field(default_factory=dict)
    best_parameters: Parameters = field(default_factory=dict)

    def hold(self, values: Parameters, moments: dict[str, Parameters] | None = None) -> None:
        """Take parameters of the seeds that still train, with their moments (at the start 0)."""
        # in one order always: the length of a gradient is a sum, and its last bits depend on it
        self.parameters = {
            name: values[name].requires_grad_(values[name].is_floating_point()) for name in sorted(values)
        }
        zeros = {kind: {name: torch.zeros_like(value) for name, value in values.items()} for kind in MOMENTS}
        self.moments = moments or zeros

    def stay(self, numbers: np.ndarray, device: torch.device) -> None:
        """Go on with the seeds at these places alone."""
        self.seeds = [self.seeds[number] for number in numbers]
        for name in STANDING:
            setattr(self, name, getattr(self, name)[numbers])
        if not len(numbers):
            return
        rows = torch.from_numpy(numbers).to(device)
        moments = {kind: {name: value[rows] for name, value in moment.items()} for kind, moment in self.moments.items()}
        self.hold({name: value.detach()[rows] for name, value in self.parameters.items()}, moments)
        self.best_parameters = {name: value[rows] for name, value in self.best_parameters.items()}

    def arrays(self) -> State:
        """Give all that the next step needs, as arrays."""
        state: State = {"seeds": np.array(self.seeds, dtype=np.int64)}
        state |= {f"at/{name}": getattr(self, name) for name in STANDING}
        if self.seeds:
            state |= {f"own/{name}": value.detach().cpu().numpy() for name, value in self.parameters.items()}
            for kind, moment in self.moments.items():
                state |= {f"{kind}/{name}": value.cpu().numpy() for name, value in moment.items()}
            state |= {f"best/{name}": value.cpu().numpy() for name, value in self.best_parameters.items()}
        return state


def begin(seeds: Sequence[int], values: Parameters, choose: bool) -> Stack:
    """Start seeds at the parameters ``values``, which have an axis of seeds; ``choose``: the best epoch is kept."""
    n_seeds = len(seeds)
    stack = Stack(
        list(seeds), 0, np.zeros(n_seeds), np.full(n_seeds, -np.inf), np.zeros(n_seeds, int), np.zeros(n_seeds, int)
    )
    stack.hold(values)
    if choose:
        stack.best_parameters = {name: value.detach().clone() for name, value in values.items()}
    return stack


def from_arrays(state: State, step: int, device: torch.device) -> Stack:
    """Give the stack of which ``arrays`` gave the state."""
    seeds = [int(seed) for seed in state["seeds"]]
    loss, best, epoch, waited = (state[f"at/{name}"] for name in STANDING)
    stack = Stack(seeds, step, loss, best, epoch, waited)
    if seeds:
        moments = {kind: tensors_under(state, f"{kind}/", device) for kind in MOMENTS}
        stack.hold(tensors_under(state, "own/", device), moments)
        stack.best_parameters = tensors_under(state, "best/", device)
    return stack


def tensors_under(state: State, prefix: str, device: torch.device) -> Parameters:
    """Give the arrays whose names begin so, without the prefix."""
    # copied into memory of torch's own: the same alignment, and so the same last bits
    names = [name for name in state if name.startswith(prefix)]
    return {name.removeprefix(prefix): torch.from_numpy(state[name]).clone().to(device) for name in names}
