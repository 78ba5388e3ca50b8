"""Pictures that a data set shows."""

import unicodedata
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Stimulus:
    """A picture with its labels; ``pixels`` is uint8 (height, width, 3), or None where there is no picture."""

    image_id: str
    pixels: np.ndarray | None
    labels: dict[str, str] = field(default_factory=dict)


def composed(name: str) -> str:
    """Bring a picture's name to the one form (NFC) in which names are compared: a Mac writes é as two characters."""
    return unicodedata.normalize("NFC", name)
