"""A linear map from responses to features and one over TRs, trained contrastively: NeuralBench's FmriLinear."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks import fitting
from boldflow.core.networks.decoders import FmriLinear
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
SETTINGS: dict[str, dict[str, Any]] = {}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train one map per seed, one after the other; see the package docstring for the contract."""
    return fitting.fit_network(FmriLinear, subjects, settings, seeds, device, keeper, stacked=False)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict features, float32 (n_trials, n_features)."""
    n_features, n_vertices = state["input0_weight"].shape
    return fitting.decode(FmriLinear((n_vertices,), state["time_weight"].shape[1], n_features), state, inputs)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects, by its place in the list that was fitted."""
    return fitting.of_subject(state, number)
