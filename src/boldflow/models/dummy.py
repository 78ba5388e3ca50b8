"""The mean of the training targets, whatever the input: what a model that reads nothing can do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 1, "closed_form": True, "keeps": "means"}
SETTINGS: dict[str, Any] = {}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Average the targets over all training trials; see the package docstring for the contract."""
    targets = np.concatenate([training_data.targets for training_data in subjects])
    return Fitted([{"mean": targets.mean(axis=0, dtype=np.float64).astype(np.float32)}] * len(seeds), [])


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Repeat the mean, float32 (n_trials, n_targets)."""
    return np.repeat(state["mean"][None], len(inputs), axis=0)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects: the same for all."""
    return state
