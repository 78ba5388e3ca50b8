"""Ridge with a penalty for each band of inputs and each target, and what each band explains."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boldflow.core.linear.banded import BandedFit, fit_banded
from boldflow.core.linear.penalties import remarks_on_penalties
from boldflow.core.networks.progress import Nowhere, ProgressKeeper
from boldflow.core.records.training import Band, Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"device": "cpu", "threads": 2, "closed_form": False, "keeps": "weights"}
SETTINGS: dict[str, dict[str, Any]] = {
    "alphas": {
        "description": (
            "Penalties to choose from, on inputs scaled by their training spread and root of the band's weight. If "
            "left out: 1e-4 to 1e3 in decades, times the mean eigenvalue of the inputs' Gram matrix at equal weights."
        ),
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 1,
    },
    "alpha_per": {
        "description": "Whether each target has its own alpha or all share a draw's; weights of bands are per target.",
        "enum": ["target", "model"],
        "default": "target",
    },
    "n_iter": {
        "description": "Weights of bands that are tried: equal ones, then draws from the seed (one of a single band).",
        "type": "integer",
        "minimum": 1,
        "default": 30,
    },
    "n_folds": {
        "description": "Folds by which both are chosen; an image with its duplicates (or a run) stays whole.",
        "type": "integer",
        "minimum": 2,
        "default": 5,
    },
    "unique": {
        "description": (
            "Whether to fit without each band in turn, too (at the penalties chosen with it): what is lost is the "
            "band's unique variance. Each such fit takes the room of another."
        ),
        "type": "boolean",
        "default": False,
    },
    "dtype": {
        "description": "Precision of the search; float32 needs half the time and memory.",
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
    """Fit one banded ridge per seed on training and validation trials; see the package docstring for the contract.

    Inputs without bands are one band: an ordinary ridge.

    Raises
    ------
    ValueError
        If more than one subject comes: a ridge is one subject's. If a GPU is asked for.
    """
    if len(subjects) != 1:
        raise ValueError(f"banded_ridge is fitted to one subject, found {len(subjects)}")
    if device != "cpu":
        raise ValueError(f"banded_ridge computes on the CPU, not on {device!r}")
    training_data = subjects[0]
    bands = training_data.bands or (Band("all", 0, flat(training_data.inputs).shape[1]),)
    progress_keeper = keeper or Nowhere()
    states: list[State] = []
    rows: list[dict[str, float | int | str]] = []
    for seed in seeds:
        banded_fit = _fitted(training_data, bands, settings, seed, progress_keeper.part(f"seed{seed}"))
        states.append(_state(banded_fit, bands))
        for draw, errors in zip(banded_fit.draws, banded_fit.errors, strict=True):
            has_draw = (banded_fit.gammas == draw[:, None]).all(axis=0)  # (n_targets,)
            weights = {f"weight_{band.name}": float(weight) for band, weight in zip(bands, draw, strict=True)}
            rows.append({"seed": seed, **weights, "n_targets": int(has_draw.sum()), "cv_mse": float(errors.mean())})
    return Fitted(states, rows)


def _fitted(
    training_data: TrainingData, bands: Sequence[Band], settings: Entry, seed: int, keeper: ProgressKeeper
) -> BandedFit:
    return fit_banded(
        flat(training_data.inputs),
        training_data.targets,
        bands,
        settings.get("alphas"),
        training_data.groups,
        keeper,
        n_iter=settings["n_iter"],
        n_folds=settings["n_folds"],
        seed=seed,
        alpha_per=settings["alpha_per"],
        dtype=settings["dtype"],
        leave_out=settings["unique"],
    )


def _state(banded_fit: BandedFit, bands: Sequence[Band]) -> State:
    state = {
        "weights": banded_fit.weights,
        "intercept": banded_fit.intercept,
        "alphas": banded_fit.alphas,
        "grid": banded_fit.grid,
        "gammas": banded_fit.gammas,
        "bands": np.array([[band.start, band.stop] for band in bands]),
    }
    if banded_fit.without is not None and banded_fit.without_intercept is not None:
        state |= {"without_weights": banded_fit.without, "without_intercept": banded_fit.without_intercept}
    return state


def predict(state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict targets, float32 (n_trials, n_targets)."""
    return (flat(inputs) @ state["weights"] + state["intercept"]).astype(np.float32)


def remarks(states: Sequence[State]) -> list[str]:
    """Say where many targets have a penalty at an end of the grid, over the states of all folds."""
    return remarks_on_penalties(*([state[name] for state in states] for name in ("weights", "alphas", "grid")))


def parts(state: State, inputs: np.ndarray) -> np.ndarray:
    """Give what each band adds to the prediction, float32 (n_bands, n_trials, n_targets)."""
    by_band = [inputs[:, start:stop] @ state["weights"][start:stop] for start, stop in state["bands"]]
    return np.stack(by_band).astype(np.float32)


def without(state: State, inputs: np.ndarray) -> np.ndarray | None:
    """Predict without each band in turn, float32 (n_bands, n_trials, n_targets); None where no such fit was made."""
    if "without_weights" not in state:
        return None
    by_band = np.stack([inputs @ weights for weights in state["without_weights"]])
    return (by_band + state["without_intercept"][:, None]).astype(np.float32)
