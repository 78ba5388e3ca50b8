"""Codes of one subject's trials by a trained model: what scores and the analysis of latents share."""

import numpy as np

from boldflow.artifacts.store import model_weights
from boldflow.core.linear.scaling import scale
from boldflow.models import Represents
from boldflow.stages._aligned import Aligned
from boldflow.stages.models._inputs import inputs_and_targets


def codes_of(
    plugin: Represents, data: Aligned, weights: str, fold: int, seed: int | str, *parts: str
) -> tuple[np.ndarray, np.ndarray]:
    """Encode trials of a fold.

    Parameters
    ----------
    plugin : of a model of direction represent
    data : Aligned
    weights : path of the model's safetensors
    fold, seed : which of its states
    parts : of the split, such as "test"

    Returns
    -------
    (rows of the trials in ``data.trials``, float32 array of shape (n_trials, n_latents))
    """
    rows = data.rows(fold, *parts)
    inputs_of, _ = inputs_and_targets(data, "represent")
    inputs = scale(inputs_of(rows), model_weights.inputs_scaler(weights, fold))
    return rows, encoded(plugin, weights, fold, seed, inputs)


def encoded(plugin: Represents, weights: str, fold: int, seed: int | str, inputs: np.ndarray) -> np.ndarray:
    """Encode inputs that are scaled already, (n_trials, n_inputs), by one of a model's states."""
    return np.asarray(plugin.latents(model_weights.state(weights, fold, seed), inputs))


def in_training_scale(values: np.ndarray, fold: np.ndarray, weights: str, of: str = "targets") -> np.ndarray:
    """Bring values (n_trials, n_columns) to the scale of their fold's training inputs or targets."""
    scaler_of = model_weights.inputs_scaler if of == "inputs" else model_weights.targets_scaler
    scaled = np.empty_like(values)
    for fold_number in np.unique(fold):
        scaled[fold == fold_number] = scale(values[fold == fold_number], scaler_of(weights, fold_number))
    return scaled
