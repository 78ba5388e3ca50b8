"""Random predictions: what guessing gives in the same pipeline."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 1, "closed_form": False, "keeps": "means"}
SETTINGS: dict[str, Any] = {}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Keep only the seed and the number of targets; see the package docstring for the contract."""
    n_targets = subjects[0].targets.shape[1]
    return Fitted([{"seed": np.array([seed]), "n_targets": np.array([n_targets])} for seed in seeds], [])


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Draw standard normal predictions, one per trial and target, float32 (n_trials, n_targets)."""
    rng = np.random.default_rng(int(state["seed"][0]))
    return rng.standard_normal((len(inputs), int(state["n_targets"][0])), dtype=np.float32)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects: the same for all."""
    return state
