"""What a figure draws from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from boldflow.drawing.meshes import Hemisphere


@dataclass(frozen=True)
class Tables:
    """The tables that a figure's ``NEEDS`` names (``vocabulary.tables`` says what they hold).

    Attributes
    ----------
    frames : mapping of str to DataFrame
        By the table's name; ``tables["maps"]`` is short for ``tables.frames["maps"]``.
    images : mapping of (dataset, image_id) to uint8 array (height, width, 3)
        Pictures, where ``NEEDS`` names images.
    meshes : mapping of hemisphere to Hemisphere
        Surfaces of fsaverage5, where ``NEEDS`` names meshes.
    """

    frames: Mapping[str, pd.DataFrame]
    images: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)
    meshes: Mapping[str, Hemisphere] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Give a table by its name."""
        return self.frames[name]
