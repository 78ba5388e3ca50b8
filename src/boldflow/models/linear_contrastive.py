"""One linear map trained contrastively from a ridge: the strongest simple decoder, to be beaten by any network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks import fitting
from boldflow.core.networks.decoders import LinearMap
from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {
    "device": "cuda",
    "threads": 2,
    "closed_form": False,
    "keeps": "weights",
    "training": True,
    "linear_start": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "refit": {
        "description": "Train anew on training and validation trials, for as many epochs as were best before.",
        "type": "boolean",
        "default": True,
    },
}
# the rate is small, since the start is a ridge
DEFAULTS: dict[str, Any] = {
    "start": "ridge",
    "symmetric": True,
    "duplicates": "masked",
    "temperature": "learned",
    "monitor": "loss",
    "learning_rate": 0.00003,
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train one map per seed, one after the other; see the package docstring for the contract."""
    return fitting.fit_network(LinearMap, subjects, settings, seeds, device, keeper, stacked=False)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict features, float32 (n_trials, n_features)."""
    n_features, n_inputs = state["input0_weight"].shape
    n_trs = inputs.shape[1] if inputs.ndim == 3 else 1
    return fitting.decode(LinearMap((n_inputs // n_trs,), n_trs, n_features), state, inputs)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects, by its place in the list that was fitted."""
    return fitting.of_subject(state, number)
