"""Pictures that a data set shows."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Stimulus:
    """A picture with its labels; ``pixels`` is uint8 (height, width, 3), or None where there is no picture."""

    image_id: str
    pixels: np.ndarray | None
    labels: dict[str, str] = field(default_factory=dict)
