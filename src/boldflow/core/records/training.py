"""What models are fitted to, and what a fit gives."""

from dataclasses import dataclass

import numpy as np

State = dict[str, np.ndarray]


def flat(inputs: np.ndarray) -> np.ndarray:
    """Put the TRs of a trial side by side: (n_trials, n_trs, n_vertices) -> (n_trials, n_trs * n_vertices)."""
    return inputs.reshape(len(inputs), -1)


@dataclass(frozen=True)
class Band:
    """Columns ``start`` to ``stop`` (exclusive) that belong together, such as those of one feature of several."""

    name: str
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class TrainingData:
    """Training and validation trials of one subject.

    ``inputs`` (n_trials, n_inputs), ``targets`` (n_trials, n_targets), ``groups`` (n_trials,) int: trials of one
    group (an image with its duplicates, or a run) never part ways in an inner cross-validation; ``is_val``
    (n_trials,) bool: trials meant for early stopping. ``bands``: columns of the inputs that belong together, one after
    the other and all columns among them; empty where nothing is known of any.
    """

    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    is_val: np.ndarray
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """What ``fit`` gives back: one state per seed, and rows of a history table."""

    states: list[State]
    history: list[dict[str, float | int | str]]
