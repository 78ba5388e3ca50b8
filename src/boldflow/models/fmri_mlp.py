"""A multilayer perceptron from responses to features, trained contrastively: NeuralBench's FmriMlp, for any TRs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks import fitting
from boldflow.core.networks.decoders import FmriMlp
from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cuda", "threads": 2, "closed_form": False, "keeps": "weights", "training": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "width": {
        "description": "Units of the hidden layers.",
        "type": "integer",
        "minimum": 1,
        "default": 128,
    },
    "depth": {
        "description": "Residual blocks.",
        "type": "integer",
        "minimum": 0,
        "default": 2,
    },
    "dropout": {
        "description": "Share of units left out after the first layer.",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
    },
    "block_dropout": {
        "description": "Share of units left out in each residual block.",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.15,
    },
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train one network per seed, all seeds side by side; see the package docstring for the contract."""

    def make(vertices: tuple[int, ...], n_trs: int, n_features: int) -> FmriMlp:
        shape = {name: settings[name] for name in SETTINGS}
        return FmriMlp(vertices, n_trs, n_features, **shape)

    return fitting.fit_network(make, subjects, settings, seeds, device, keeper, stacked=True)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict features, float32 (n_trials, n_features)."""
    width, n_vertices = state["input0_weight"].shape
    n_features, n_trs = len(state["head_bias"]), state["time_weight"].shape[1]
    depth = sum(name.startswith("block") and name.endswith("_gain") for name in state)
    return fitting.decode(FmriMlp((n_vertices,), n_trs, n_features, width, depth), state, inputs)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects, by its place in the list that was fitted."""
    return fitting.of_subject(state, number)
