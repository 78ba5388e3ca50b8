"""Predictions of test trials and whose they are: written by training, and joined by key by all who read them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.artifacts.store import keyed
from boldflow.stages._aligned import Aligned

KEYS = ["subject", "session", "run", "trial", "image_id", "fold"]
AXIS = 1  # of predictions (n_seeds, n_test_trials, n_targets): along which trials lie


@dataclass(frozen=True)
class Predictions:
    """Predictions of each of some subjects' test trials.

    ``values`` (n_seeds, n_rows, n_targets) as the file holds them; ``places``: of each subject the rows of its test
    trials, (n_test_trials,), in the order of fold, then acquisition.
    """

    values: np.ndarray
    places: tuple[np.ndarray, ...]

    def of(self, seed: int, subject: int = 0) -> np.ndarray:
        """Predictions of one subject's test trials by the model of one seed, (n_test_trials, n_targets).

        Parameters
        ----------
        seed, subject : int
            Places in the lists of seeds and subjects.
        """
        rows = self.places[subject]
        if len(rows) and (np.diff(rows) == 1).all():  # a view: nothing is copied
            return np.asarray(self.values[seed, rows[0] : rows[-1] + 1])
        return np.asarray(self.values[seed][rows])


def test_keys(data: Aligned) -> pd.DataFrame:
    """Give the keys (``KEYS``) of one subject's test trials, in the order of fold, then acquisition."""
    fold_rows = [data.rows(fold, "test") for fold in range(data.n_folds)]
    keys = data.trials.iloc[np.concatenate(fold_rows)][["session", "run", "trial", "image_id"]]
    fold = np.repeat(np.arange(data.n_folds), [len(rows) for rows in fold_rows])
    return keys.assign(subject=data.split["subject"].iloc[0], fold=fold)[KEYS].reset_index(drop=True)


test_keys.__test__ = False  # type: ignore[attr-defined]  # pytest: a name, not a test


def write(path: str, index: str, values: np.ndarray, everyone: Sequence[Aligned]) -> None:
    """Write predictions of all subjects' test trials, (n_seeds, n_rows, n_targets), one subject's after the other's."""
    keyed.write(path, values, index, pd.concat([test_keys(data) for data in everyone], ignore_index=True), AXIS)


def read(path: str, index: str, everyone: Sequence[Aligned]) -> Predictions:
    """Read predictions and find the rows of each subject's test trials by their keys.

    Raises
    ------
    ValueError
        If the two files do not belong together, or their trials are not those that the split tests; names what differs.
    """
    values, keys = keyed.read(path, index, ndim=3, axis=AXIS)
    subject_keys = [test_keys(data) for data in everyone]
    places = keyed.places_of(pd.concat(subject_keys, ignore_index=True), keys, index)
    if len(places) != len(keys):
        raise ValueError(f"{index} has keys of {len(keys)} test trials, the split tests {len(places)}; train again")
    return Predictions(values, tuple(np.split(places, np.cumsum([len(frame) for frame in subject_keys])[:-1])))
