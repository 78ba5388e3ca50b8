"""One column per category, from the stimulus table."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "labels", "kind": "classes", "device": "cpu", "threads": 1, "checkpoint": False}
SETTINGS = {
    "label": {
        "description": "Which label of the stimuli names the class (stimuli.parquet has a column label_NAME).",
        "type": "string",
        "default": "category",
    }
}


def extractor(settings: Entry, folder: None, device: Device) -> Callable[[pd.DataFrame], np.ndarray]:
    """Code each stimulus's class; see the package docstring for the contract."""
    return partial(classes_of, label=settings["label"])


def columns(settings: Entry, stimuli: pd.DataFrame) -> list[str]:
    """Name the class of each column."""
    return _classes(stimuli, settings["label"])[0].tolist()


def classes_of(stimuli: pd.DataFrame, label: str) -> np.ndarray:
    """Code each stimulus's class.

    Parameters
    ----------
    stimuli : DataFrame
        All stimuli, with a column ``label_NAME``.
    label : str
        NAME.

    Returns
    -------
    float32 array of shape (n_stimuli, n_classes)
        1 in the column of the class, classes in alphabetical order.

    Raises
    ------
    ValueError
        If there is no such label, a stimulus lacks it, or there are fewer than two classes.
    """
    classes, index = _classes(stimuli, label)
    return np.eye(len(classes), dtype=np.float32)[index]


def _classes(stimuli: pd.DataFrame, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the names of the classes, (n_classes,), and the class of each stimulus, (n_stimuli,)."""
    column = f"label_{label}"
    if column not in stimuli:
        available = sorted(name.removeprefix("label_") for name in stimuli if name.startswith("label_"))
        raise ValueError(f"stimuli have no label {label!r}; there are: {available}")
    unlabelled_ids = stimuli.loc[stimuli[column].isna() | (stimuli[column] == ""), "image_id"]
    if len(unlabelled_ids):
        raise ValueError(
            f"{len(unlabelled_ids)} stimuli lack the label {label!r}, the first is {unlabelled_ids.iloc[0]!r}"
        )
    classes, index = np.unique(stimuli[column].to_numpy(dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"label {label!r} has one class only: {classes.tolist()}")
    return classes, index
