"""The target of the most similar training input: what copying the nearest training picture (or response) gives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 1, "closed_form": True, "keeps": "data"}
SETTINGS: dict[str, Any] = {}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Keep all training trials; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If more than one subject comes: their inputs cannot be compared.
    """
    if len(subjects) != 1:
        raise ValueError(f"nearest compares trials of one subject, found {len(subjects)}")
    training_data = subjects[0]
    state = {
        "inputs": flat(training_data.inputs).astype(np.float32),
        "targets": training_data.targets.astype(np.float32),
    }
    return Fitted([state] * len(seeds), [])


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Copy the target of the training trial whose input correlates most, float32 (n_trials, n_targets)."""
    return state["targets"][_closest(state["inputs"], flat(inputs))]


def refit(
    inputs: np.ndarray, groups: np.ndarray, test_inputs: np.ndarray, settings: Entry, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare fits of the same inputs to other targets: a function from targets to test predictions."""
    closest = _closest(flat(inputs), flat(test_inputs))
    return lambda targets: targets[closest].astype(np.float32)


def _closest(training: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Row of the training input with the highest Pearson correlation over columns, the first of equals."""
    unit_rows = []
    for rows in (training, inputs):
        centred = rows - rows.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        unit_rows.append(np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0))
    closest: np.ndarray = np.argmax(unit_rows[1] @ unit_rows[0].T, axis=1)
    return closest
