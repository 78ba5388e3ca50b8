"""A linear map fitted by stochastic gradient descent: the plainest model that learns in steps, either direction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from boldflow.core.linear.sgd import fit_sgd
from boldflow.core.networks.progress import Nowhere, ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 1, "closed_form": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "alpha": {
        "description": "Penalty on the sum of squared weights, as scikit-learn's Ridge.",
        "type": "number",
        "minimum": 0,
        "default": 100.0,
    },
    "n_epochs": {
        "description": "How often each training trial is shown.",
        "type": "integer",
        "minimum": 1,
        "default": 200,
    },
    "batch_size": {
        "description": "Trials per step.",
        "type": "integer",
        "minimum": 1,
        "default": 32,
    },
    "learning_rate": {
        "description": "Of the first step, as a share of the largest stable one; it falls to 0 along half a cosine.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.5,
    },
    "momentum": {
        "description": "Share of the last step that is taken again.",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.9,
    },
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Fit one map per seed on training and validation trials; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If more than one subject comes: the map is one subject's.
    """
    if len(subjects) != 1:
        raise ValueError(f"linear_sgd is fitted to one subject, found {len(subjects)}")
    place = keeper or Nowhere()
    states: list[State] = []
    rows: list[dict[str, float | int | str]] = []
    for seed in tqdm(seeds, desc="linear_sgd", unit="seed"):
        progress = fit_sgd(
            flat(subjects[0].inputs),
            subjects[0].targets,
            **{key: settings[key] for key in SETTINGS},
            seed=seed,
            keeper=place.part(f"seed{seed}"),
        )
        states.append({name: progress.state[name].astype(np.float32) for name in ("weights", "intercept")})
        rows += [{"seed": seed, **row} for row in progress.rows]
    return Fitted(states, rows)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict targets, float32 (n_trials, n_targets)."""
    return (flat(inputs) @ state["weights"] + state["intercept"]).astype(np.float32)
