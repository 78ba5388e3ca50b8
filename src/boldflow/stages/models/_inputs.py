"""Inputs and targets of subjects' trials, scaled by training trials: what training and refitting share."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays
from boldflow.core.linear.scaling import fit_scaler, fit_whole_scaler, identity_scaler, scale
from boldflow.core.records.training import State, TrainingData
from boldflow.settings import Entry
from boldflow.stages._aligned import Aligned

Reader = Callable[[np.ndarray], np.ndarray]  # rows of trials -> their values


def inputs_and_targets(data: Aligned, direction: str, picture: np.ndarray | None = None) -> tuple[Reader, Reader]:
    """Give functions from rows of trials to inputs and to targets.

    Parameters
    ----------
    data : Aligned
    direction : {"decode", "encode", "represent"}
        The last: responses are inputs and targets.
    picture : int array of shape (n_trials,), optional
        Row of the features that belongs to each trial; by default the picture that was seen, in a permutation test
        another.

    Returns
    -------
    (inputs, targets)
    """
    feature_rows = data.trials["picture"].to_numpy() if picture is None else picture

    def responses(rows: np.ndarray) -> np.ndarray:
        return np.asarray(arrays.rows(data.responses, rows), dtype=np.float32)

    def features(rows: np.ndarray) -> np.ndarray:
        return np.asarray(data.features[feature_rows[rows]], dtype=np.float32)

    return {"decode": (responses, features), "encode": (features, responses)}.get(direction, (responses, responses))


def scaled(values: Reader, rows: np.ndarray, how: bool | str) -> tuple[np.ndarray, State]:
    """Read rows once and scale them by themselves unless ``how`` is False ("whole": all columns alike)."""
    training_values = values(rows)
    fit = fit_whole_scaler if how == "whole" else fit_scaler
    scaler = fit(training_values) if how else identity_scaler(training_values.shape[-1])
    return scale(training_values, scaler, out=training_values), scaler


def training_data(
    data: Aligned, fold: int, readers: tuple[Reader, Reader], settings: Entry
) -> tuple[TrainingData, State, State]:
    """Collect a fold's training and validation trials, scaled, with the scalers of inputs and targets."""
    training_rows = data.rows(fold, "train", "val")
    inputs_of, targets_of = readers
    inputs, input_scaler = scaled(inputs_of, training_rows, settings["scale_inputs"])
    if settings["direction"] == "represent":
        targets, target_scaler = inputs, input_scaler  # what is reconstructed is what came in
    else:
        targets, target_scaler = scaled(targets_of, training_rows, settings["scale_targets"])
    training = TrainingData(
        inputs=inputs,
        targets=targets,
        groups=np.asarray(pd.factorize(_units(data, fold))[0]),
        is_val=np.isin(training_rows, data.rows(fold, "val")),
        bands=data.bands if settings["direction"] == "encode" else (),
    )
    return training, input_scaler, target_scaler


def pooled_data(
    everyone: Sequence[Aligned], fold: int, settings: Entry
) -> tuple[list[TrainingData], list[State], State]:
    """Collect a fold's training and validation trials of one subject, or of several that share a model.

    Inputs are scaled subject by subject, targets of all together; groups number the same images alike.

    Returns
    -------
    (TrainingData of each subject, scaler of inputs of each subject, scaler of targets)
    """
    is_single = len(everyone) == 1
    subject_settings = settings if is_single else settings.but(scale_targets=False)
    readers = [inputs_and_targets(data, settings["direction"]) for data in everyone]
    subject_parts = [
        training_data(data, fold, reader, subject_settings) for data, reader in zip(everyone, readers, strict=True)
    ]
    training, input_scalers = (
        [subject_part[0] for subject_part in subject_parts],
        [subject_part[1] for subject_part in subject_parts],
    )
    if is_single:
        return training, input_scalers, subject_parts[0][2]
    ends = np.cumsum([len(data.targets) for data in training])[:-1]
    targets = np.concatenate([data.targets for data in training])  # (n_trials of all, n_targets)
    target_scaler = fit_scaler(targets) if settings["scale_targets"] else identity_scaler(targets.shape[1])
    targets = scale(targets, target_scaler, out=targets)
    groups = pd.factorize(np.concatenate([_units(data, fold) for data in everyone]))[0]
    subject_pieces = zip(training, np.split(targets, ends), np.split(groups, ends), strict=True)
    pooled = [
        replace(data, targets=subject_targets, groups=subject_groups)
        for data, subject_targets, subject_groups in subject_pieces
    ]
    return pooled, input_scalers, target_scaler


def _units(data: Aligned, fold: int) -> np.ndarray:
    """Units of the split of a fold's training and validation trials."""
    unit_of_row = data.split[data.split["fold"] == fold].set_index("row")["unit"]
    return unit_of_row.loc[data.rows(fold, "train", "val")].to_numpy()
