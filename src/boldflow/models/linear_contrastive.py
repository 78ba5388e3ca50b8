"""One linear map trained contrastively from a ridge: the strongest simple decoder, to be beaten by any network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core import fitting
from boldflow.core.checkpoint import Checkpoint
from boldflow.core.decoders import LinearMap
from boldflow.core.records import Fitted, State, TrainingData

FACTS = {"device": "cuda", "threads": 2, "closed_form": False, "keeps": "weights", "training": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "start": {
        "description": "random weights, or those of a ridge (which counts as epoch 0).",
        "enum": ["random", "ridge"],
        "default": "ridge",
    },
    "refit": {
        "description": "Train anew on training and validation trials, for as many epochs as were best before.",
        "type": "boolean",
        "default": True,
    },
    "symmetric": {
        "description": "true: from brain to picture and from picture to brain, averaged. false: the first alone.",
        "type": "boolean",
        "default": True,
    },
    "duplicates": {
        "description": "Other trials of the same picture in a batch: counted as wrong candidates, or left out.",
        "enum": ["negatives", "masked"],
        "default": "masked",
    },
    "temperature": {
        "description": "Whether the factor of the scores is a parameter.",
        "enum": ["fixed", "learned"],
        "default": "learned",
    },
    "monitor": {
        "description": "What tells the best epoch, on validation trials; as for every model that trains a network.",
        "enum": ["batch_top5", "inv_norm_rank", "loss"],
        "default": "loss",
    },
    "learning_rate": {
        "description": "The highest, of AdamW; small, since the start is a ridge.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.00003,
    },
}


def fit(
    subjects: Sequence[TrainingData],
    settings: dict[str, Any],
    seeds: Sequence[int],
    device: str,
    checkpoint: Checkpoint | None,
) -> Fitted:
    """Train one map per seed, one after the other; see the package docstring for the contract."""
    return fitting.fit_network(LinearMap, subjects, settings, seeds, device, checkpoint, stacked=False)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict features, float32 (n_trials, n_features)."""
    n_features, n_inputs = state["input0_weight"].shape
    n_trs = inputs.shape[1] if inputs.ndim == 3 else 1
    return fitting.decode(LinearMap((n_inputs // n_trs,), n_trs, n_features), state, inputs)


def of_subject(state: State, number: int) -> State:
    """Give the state that decodes one of several pooled subjects, by its place in the list that was fitted."""
    return fitting.of_subject(state, number)
