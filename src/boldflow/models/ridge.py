"""Ridge regression, either direction: the plain model that others must beat."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boldflow.core.linear.penalties import remarks_on_penalties
from boldflow.core.linear.ridge import fit_ridge, refit_ridge
from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 2, "closed_form": True, "keeps": "weights"}
SETTINGS = {
    "alphas": {
        "description": (
            "Penalties to choose from, on inputs scaled by their training spread (as scikit-learn's). If left out: "
            "1e-4 to 1e3 in decades, times the mean eigenvalue of the inputs' Gram matrix."
        ),
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 1,
    },
    "alpha_per": {
        "description": "Whether each target has its own alpha or all targets share one.",
        "enum": ["target", "model"],
        "default": "target",
    },
    "selection": {
        "description": (
            "How alphas are chosen: loo (each image with its duplicates, or each run, left out in turn), kfold (by "
            "folds, whose deal moves the scores a little), or gcv (an estimate of leaving out single trials: quickest, "
            "but repeats of an image stay in)."
        ),
        "enum": ["loo", "kfold", "gcv"],
        "default": "loo",
    },
    "n_folds": {
        "description": "Folds of kfold; an image with its duplicates (or a run) stays whole.",
        "type": "integer",
        "minimum": 2,
        "default": 5,
    },
    "dtype": {
        "description": "Precision of the products with targets; float32 needs half the time and memory for them.",
        "enum": ["float64", "float32"],
        "default": "float64",
    },
}


def fit(
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Fit one ridge on training and validation trials; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If more than one subject comes: a ridge is one subject's.
    """
    if len(subjects) != 1:
        raise ValueError(f"ridge is fitted to one subject, found {len(subjects)}")
    training_data = subjects[0]
    inputs, choice = flat(training_data.inputs), _choice(settings)
    ridge = fit_ridge(
        inputs, training_data.targets, groups=training_data.groups, seed=seeds[0], device=device, **choice
    )
    state = {name: getattr(ridge, name) for name in ("weights", "intercept", "alphas", "grid")}
    errors = ridge.errors.mean(axis=1)
    history: list[dict[str, float | int | str]] = [
        {"alpha": float(alpha), "n_targets": int((ridge.alphas == alpha).sum()), "cv_mse": float(error)}
        for alpha, error in zip(ridge.grid, errors, strict=True)
    ]
    return Fitted([state] * len(seeds), history)


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict targets, float32 (n_trials, n_targets)."""
    return (flat(inputs) @ state["weights"] + state["intercept"]).astype(np.float32)


def remarks(states: Sequence[State]) -> list[str]:
    """Say where many targets have a penalty at an end of the grid, over the states of all folds."""
    return remarks_on_penalties(*([state[name] for state in states] for name in ("weights", "alphas", "grid")))


def refit(
    inputs: np.ndarray, groups: np.ndarray, test_inputs: np.ndarray, settings: Entry, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare fits of the same inputs to other targets: a function from targets to test predictions."""
    return refit_ridge(flat(inputs), flat(test_inputs), groups=groups, seed=seed, **_choice(settings))


def _choice(settings: Entry) -> dict[str, Any]:
    choice = {key: settings[key] for key in ("n_folds", "alpha_per", "selection", "dtype")}
    return {**choice, "alphas": settings.get("alphas")}
