"""Principal components of responses: what a linear code of the same size can do, the control of autoencoders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg

from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 1, "closed_form": True, "keeps": "weights", "represents": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "n_latents": {
        "description": "Components; no more are kept than there are trials or vertices (history.csv tells).",
        "type": "integer",
        "minimum": 1,
        "default": 32,
    },
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Find the components of training and validation trials; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If more than one subject comes: components are one subject's.
    """
    if len(subjects) != 1:
        raise ValueError(f"components are found of one subject, found {len(subjects)}")
    inputs = flat(subjects[0].inputs).astype(np.float64)
    mean = inputs.mean(axis=0)
    n_kept = min(settings["n_latents"], *inputs.shape)
    _, singular_values, components = linalg.svd(inputs - mean, full_matrices=False)
    state = {"mean": mean.astype(np.float32), "components": components[:n_kept].astype(np.float32)}
    explained_share = float(
        (singular_values[:n_kept] ** 2).sum() / max((singular_values**2).sum(), np.finfo(float).tiny)
    )
    return Fitted([state] * len(seeds), [{"n_latents": n_kept, "explained": explained_share}])


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Reconstruct trials, float32 (n_trials, n_inputs)."""
    return (latents(state, inputs) @ state["components"] + state["mean"]).astype(np.float32)


def latents(state: State, inputs: np.ndarray) -> np.ndarray:
    """Encode trials, float32 (n_trials, n_latents)."""
    return ((flat(inputs) - state["mean"]) @ state["components"].T).astype(np.float32)
