"""How a network is trained, as a model's entry says, and what training gives of a seed."""

from dataclasses import dataclass
from typing import Any

from boldflow.core.networks import losses
from boldflow.core.networks.decoders import Parameters
from boldflow.settings import Entry

MONITORS = {"batch_top5": "val_top5", "inv_norm_rank": "val_inv_norm_rank", "loss": "val_loss"}
Rows = list[dict[str, Any]]  # of a history: numbers and words


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; fields as the keys of a model's entry (schema: ``training``).

    ``try_start``: the parameters at the start count as epoch 0 when the best epoch is chosen.
    """

    n_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str
    warm_up: float
    clip: float
    patience: int
    monitor: str
    precision: str
    order_seed: tuple[int, ...]
    contrast: losses.Contrast
    micro_batch: int | None = None
    try_start: bool = False


@dataclass
class Trained:
    """One seed's parameters and the epoch they come from (from 1; 0: the start)."""

    values: Parameters
    epoch: int


def recipe_of(settings: Entry, try_start: bool = False) -> Recipe:
    """Read a model's entry."""
    return Recipe(
        n_epochs=settings["n_epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        schedule=settings["schedule"],
        warm_up=settings["warm_up"],
        clip=settings["clip"],
        patience=settings["patience"],
        monitor=settings["monitor"],
        precision=settings["precision"],
        order_seed=(settings["order_seed"],),
        contrast=losses.contrast_of(settings),
        micro_batch=settings.get("micro_batch"),
        try_start=try_start,
    )
