"""The sparse autoencoder published for body areas of NSD: dense layers with masked weights, one per subject."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks import autoencoder, fitting
from boldflow.core.networks.dense_autoencoder import DenseAutoencoder
from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {
    "device": "cuda",
    "threads": 1,
    "closed_form": False,
    "keeps": "weights",
    "training": True,
    "represents": True,
    "autoencoder": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "n_latents": {
        "description": "Units of the latent.",
        "type": "integer",
        "minimum": 1,
        "default": 32,
    },
    "sparsity": {
        "description": "Share of all weights that masks hold at 0, spread over layers by their sizes (ERK).",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.85,
    },
    "l1": {
        "description": "Weight of the latent's mean in the loss.",
        "type": "number",
        "minimum": 0,
        "default": 0.1,
    },
}
DEFAULTS: dict[str, Any] = {
    "n_epochs": 150,
    "batch_size": 256,
    "learning_rate": 0.0001,
    "weight_decay": 0.0001,
    "schedule": "constant",
    "warm_up": 0.0,
    "clip": 0.0,
    "patience": 0,
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train one autoencoder per seed, one after the other; see the package docstring for the contract."""

    def make(n_inputs: int) -> DenseAutoencoder:
        return DenseAutoencoder(n_inputs, settings["n_latents"], settings["sparsity"], settings["l1"])

    return fitting.fit_autoencoder(make, subjects, settings, seeds, device, keeper)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Reconstruct trials, float32 (n_trials, n_inputs)."""
    return autoencoder.reconstruct(_network(state), state, inputs)


def latents(state: State, inputs: np.ndarray) -> np.ndarray:
    """Encode trials, float32 (n_trials, n_latents)."""
    return autoencoder.latents(_network(state), state, inputs)


def _network(state: State) -> DenseAutoencoder:
    return DenseAutoencoder(len(state["layer5_bias"]), len(state["layer2_bias"]))
