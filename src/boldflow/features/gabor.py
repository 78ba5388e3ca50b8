"""Gabor energy at several scales and orientations, pooled on a grid: what early visual cortex sees; no weights."""

from typing import Any

import numpy as np

from boldflow.core import gabor

FACTS = {"reads": "images", "kind": "embedding", "device": "cpu", "threads": 1}
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


def extract(images: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Describe each picture by its pooled Gabor energy.

    Parameters
    ----------
    images : uint8 array of shape (n_images, height, width, 3)
    settings : dict
        As ``SETTINGS``.

    Returns
    -------
    float32 array of shape (n_images, n_scales * n_orientations * grid * grid)
        Scale varies slowest, then orientation, row and column of the grid.

    Raises
    ------
    ValueError
        If the pictures have another type or shape, or a scale does not fit the size.
    """
    rows = []
    for image in images:
        picture = gabor.resize(gabor.grey(image[None]), settings["size"])
        maps = gabor.energy(picture, settings["scales"], settings["orientations"])
        rows.append(gabor.pool(maps[0], settings["grid"]).ravel())
    if not rows:
        cells = settings["grid"] ** 2
        return np.empty((0, len(settings["scales"]) * settings["orientations"] * cells), dtype=np.float32)
    pooled = np.stack(rows)
    squeezed = np.sqrt(pooled) if settings["nonlinearity"] == "sqrt" else np.log1p(LOG_GAIN * pooled)
    return squeezed.astype(np.float32)
