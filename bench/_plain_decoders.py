"""The published decoders and their training as a plain PyTorch user would write them: a bench's peer."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn


class PlainMlp(nn.Module):
    """FmriMlp out of torch's own layers; input (n_trials, n_trs, n_vertices)."""

    def __init__(self, n_vertices: int, n_trs: int, n_features: int, width: int = 128, drop=(0.5, 0.15, 0.15)) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(n_vertices, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(drop[0]))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(one)) for one in drop[1:]
        )
        self.time = nn.Linear(n_trs, 1)
        self.output, self.head = nn.Linear(width, n_features), nn.Linear(n_features, n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.output(self.time(x.transpose(1, 2))[..., 0]))

    def take(self, values: dict[str, torch.Tensor]) -> "PlainMlp":
        """Copy the parameters of ours, by our names."""
        names = {"first.0": "input0", "time": "time", "output": "output", "head": "head"}
        names |= {f"blocks.{k}.0": f"block{k}" for k in range(len(self.blocks))}
        state = {}
        for theirs, ours in names.items():
            state |= {f"{theirs}.{part}": values[f"{ours}_{part}"] for part in ("weight", "bias")}
        norms = {"first.1": "norm"} | {f"blocks.{k}.1": f"block{k}" for k in range(len(self.blocks))}
        for theirs, ours in norms.items():
            state |= {f"{theirs}.weight": values[f"{ours}_gain"], f"{theirs}.bias": values[f"{ours}_shift"]}
        self.load_state_dict(state)
        return self


class PlainLinear(nn.Module):
    """FmriLinear out of torch's own layers: features of each TR, then over TRs."""

    def __init__(self, n_vertices: int, n_trs: int, n_features: int) -> None:
        super().__init__()
        self.map, self.time = nn.Linear(n_vertices, n_features), nn.Linear(n_trs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.time(self.map(x).transpose(1, 2))[..., 0]

    def take(self, values: dict[str, torch.Tensor]) -> "PlainLinear":
        names = {"map": "input0", "time": "time"}
        self.load_state_dict({f"{k}.{p}": values[f"{v}_{p}"] for k, v in names.items() for p in ("weight", "bias")})
        return self


def plain_clip_loss(predicted: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """From brain to picture, only the picture normalised."""
    logits = predicted @ (targets / (1e-15 + targets.norm(dim=1, keepdim=True))).T
    return nn.functional.cross_entropy(logits, torch.arange(len(logits)))


class InOrder(torch.utils.data.Sampler):
    """Trials in the order of ours: each epoch has a permutation of its own."""

    def __init__(self, n: int, order_seed: int) -> None:
        self.n, self.order_seed, self.epoch = n, order_seed, 0

    def __len__(self) -> int:
        return self.n

    def __iter__(self):
        order = np.random.default_rng([self.order_seed, self.epoch]).permutation(self.n)
        self.epoch += 1
        return iter(order.tolist())


def plain_loop(
    model: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    n_epochs: int,
    stop_after: int | None = None,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = plain_clip_loss,
    batch_size: int = 64,
    highest: float = 1e-4,
) -> Iterable[float]:
    """DataLoader, AdamW, OneCycleLR, clipped gradients; gives the loss of each step."""
    data = torch.utils.data.TensorDataset(inputs, targets)
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, sampler=InOrder(len(data), 33))
    optimiser = torch.optim.AdamW(model.parameters(), lr=highest, weight_decay=0.05)
    n_steps = n_epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=highest, total_steps=n_steps, pct_start=0.1)
    model.train()
    for _ in range(n_epochs if stop_after is None else stop_after):
        for x, y in loader:
            optimiser.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            yield loss.item()
