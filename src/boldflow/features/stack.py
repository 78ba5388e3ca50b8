"""Several features side by side: the columns of each are a band, in the order in which the entry names them."""

from collections.abc import Callable, Mapping

import numpy as np

from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "features", "kind": "embedding", "device": "cpu", "threads": 1, "checkpoint": False}
SETTINGS = {
    "of": {
        "description": "Features of the catalogue that are joined, none of them a stack; each is cached on its own.",
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "uniqueItems": True,
    },
}
REQUIRED = ["of"]


def extractor(settings: Entry, folder: None, device: Device) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Join cached features; see the package docstring for the contract."""
    return join


def join(members: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put features side by side, unscaled: what a model scales, it scales by its own training trials.

    Parameters
    ----------
    members : mapping from names to arrays of shape (n_images, n_features of that one)

    Returns
    -------
    float32 array of shape (n_images, n_features of all)

    Raises
    ------
    ValueError
        If they describe different numbers of pictures.
    """
    n_rows = {name: len(feature) for name, feature in members.items()}
    if len(set(n_rows.values())) > 1:
        raise ValueError(f"features that are joined describe different numbers of pictures: {n_rows}")
    return np.concatenate([np.asarray(feature, dtype=np.float32) for feature in members.values()], axis=1)
