"""Gabor energy at several scales and orientations, pooled on a grid: what early visual cortex sees; no weights."""

from collections.abc import Sequence

import numpy as np

from boldflow.core.pictures import gabor
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "images", "kind": "embedding", "device": "cpu", "threads": 1, "checkpoint": False}
SETTINGS = {
    "size": {
        "description": "Pixels per side to which each picture is resized.",
        "type": "integer",
        "minimum": 16,
        "default": 64,
    },
    "scales": {
        "description": "Spatial frequencies, cycles per picture, each at most a quarter of size.",
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 1,
        "default": [2, 4, 8, 16],
    },
    "orientations": {
        "description": "Number of evenly spaced orientations.",
        "type": "integer",
        "minimum": 1,
        "default": 4,
    },
    "grid": {
        "description": "Cells per side over which energy is averaged.",
        "type": "integer",
        "minimum": 1,
        "default": 5,
    },
    "nonlinearity": {
        "description": "Compression of the energy: its square root (contrast), or log(1 + 1000 energy).",
        "enum": ["sqrt", "log"],
        "default": "sqrt",
    },
}
LOG_GAIN = 1000.0  # energy of a grating at about 3 % contrast is 1 before the logarithm


def extractor(settings: Entry, folder: None, device: Device) -> "Extractor":
    """Describe each picture by its pooled Gabor energy; see the package docstring for the contract."""
    return Extractor(settings)


class Extractor:
    """float32 (n_images, n_scales * n_orientations * grid * grid); scale varies slowest, then orientation, row, column.

    Parameters
    ----------
    settings : Entry
        As ``SETTINGS``.
    """

    def __init__(self, settings: Entry) -> None:
        """Remember the settings."""
        self._settings = settings

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Pool the energy of one picture, uint8 (height, width, 3): nearly all of the work, done in any thread.

        Raises
        ------
        ValueError
            If the picture has another type or shape, or a scale does not fit the size.
        """
        settings = self._settings
        picture = gabor.resize(gabor.grey(image[None]), settings["size"])
        maps = gabor.energy(picture, settings["scales"], settings["orientations"])
        return gabor.pool(maps[0], settings["grid"]).ravel()

    def __call__(self, pooled: Sequence[np.ndarray]) -> np.ndarray:
        """Compress the energy of pictures that were prepared."""
        settings = self._settings
        if not len(pooled):
            n_features = len(settings["scales"]) * settings["orientations"] * settings["grid"] ** 2
            return np.empty((0, n_features), dtype=np.float32)
        energy = np.stack(pooled)
        compressed = np.sqrt(energy) if settings["nonlinearity"] == "sqrt" else np.log1p(LOG_GAIN * energy)
        return compressed.astype(np.float32)
