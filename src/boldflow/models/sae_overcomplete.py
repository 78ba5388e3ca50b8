"""An overcomplete sparse autoencoder: many latents, few of them active (top-k or JumpReLU), and a linear decoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks import autoencoder, fitting
from boldflow.core.networks.overcomplete_autoencoder import OvercompleteAutoencoder
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
        "description": "Units of the code; more than the responses have dimensions.",
        "type": "integer",
        "minimum": 1,
        "default": 256,
    },
    "code": {
        "description": "topk: the k largest are active. jumprelu: those above a threshold of their own, learned.",
        "enum": ["topk", "jumprelu"],
        "default": "topk",
    },
    "k": {
        "description": "Active units of a trial, for code topk.",
        "type": "integer",
        "minimum": 1,
        "default": 16,
    },
    "l0": {
        "description": "Weight of the share of active units in the loss, for code jumprelu.",
        "type": "number",
        "minimum": 0,
        "default": 0.1,
    },
    "threshold": {
        "description": "At the start, for code jumprelu; in the scale of the responses' training spread.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.1,
    },
    "bandwidth": {
        "description": "Around a threshold, within which values tell its gradient, for code jumprelu.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.5,
    },
    "revive_after": {
        "description": "Steps for which a unit is silent before it starts anew; 0: never.",
        "type": "integer",
        "minimum": 0,
        "default": 50,
    },
}
DEFAULTS: dict[str, Any] = {
    "n_epochs": 150,
    "batch_size": 256,
    "learning_rate": 0.001,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "warm_up": 0.05,
    "clip": 1.0,
    "patience": 0,
}
SHAPE = ("code", "k", "l0", "threshold", "bandwidth", "revive_after")


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train one autoencoder per seed, one after the other; see the package docstring for the contract."""

    def make(n_inputs: int) -> OvercompleteAutoencoder:
        shape = {name: settings[name] for name in SHAPE}
        return OvercompleteAutoencoder(n_inputs, settings["n_latents"], **shape)

    fitted = fitting.fit_autoencoder(make, subjects, settings, seeds, device, keeper)
    return Fitted([state | {"k": np.array([settings["k"]])} for state in fitted.states], fitted.history)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Reconstruct trials, float32 (n_trials, n_inputs)."""
    return autoencoder.reconstruct(_network(state), state, inputs)


def latents(state: State, inputs: np.ndarray) -> np.ndarray:
    """Encode trials, float32 (n_trials, n_latents)."""
    return autoencoder.latents(_network(state), state, inputs)


def _network(state: State) -> OvercompleteAutoencoder:
    n_latents, n_inputs = state["encoder_weight"].shape
    code = "jumprelu" if "log_threshold" in state else "topk"
    return OvercompleteAutoencoder(n_inputs, n_latents, code, min(int(state["k"][0]), n_latents))
