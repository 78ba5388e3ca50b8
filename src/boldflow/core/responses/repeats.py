"""Whether responses to the same picture agree across sessions: where not, their names may be those of others."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

LEAST = 20  # trials whose picture other sessions show too, below which nothing is said
SHIFTS = 50  # by which names are moved along the trials of a session, to see what chance gives


@dataclass(frozen=True)
class Agreement:
    """How far trials of a session agree with other sessions' trials of the same pictures.

    ``r`` is the mean correlation of a trial with the mean of the others, minus what it is where the session's names are
    moved along its trials; ``z`` the same in standard deviations over such moves.
    """

    r: float
    z: float


def patterns(values: np.ndarray, session: np.ndarray) -> np.ndarray:
    """Standardise each column within each session, and bring each trial to length 1 (0 where it has no pattern).

    Parameters
    ----------
    values : array of shape (n_trials, n_columns)
    session : int array of shape (n_trials,)

    Returns
    -------
    float32 array of shape (n_trials, n_columns)
    """
    unit = np.array(values, dtype=np.float32)
    for number in np.unique(session):
        here = session == number
        some = unit[here] - unit[here].mean(axis=0)  # (n_here, n_columns)
        spread = some.std(axis=0)
        unit[here] = some / np.where(spread > 0, spread, np.inf)
    length = np.linalg.norm(unit, axis=1, keepdims=True)  # (n_trials, 1)
    unit /= np.where(length > 0, length, 1)
    return unit


def agreement(trials: np.ndarray, image: np.ndarray, session: np.ndarray, number: int) -> Agreement | None:
    """Compare a session's trials with the mean of all other sessions' trials of the same picture.

    Parameters
    ----------
    trials : array of shape (n_trials, n_columns)
        From ``patterns``.
    image : int array of shape (n_trials,)
        Numbers of pictures.
    session : int array of shape (n_trials,)
    number : int
        The session.

    Returns
    -------
    Agreement, or None where too few of its pictures are shown in other sessions.
    """
    mine = session == number
    shared = np.intersect1d(image[mine], image[~mine])
    place = np.searchsorted(shared, image[mine])
    shown_elsewhere = np.isin(image[mine], shared)
    if shown_elsewhere.sum() < LEAST:
        return None
    others = np.flatnonzero(~mine & np.isin(image, shared))
    cells = (np.ones(len(others), dtype=np.float32), (np.searchsorted(shared, image[others]), np.arange(len(others))))
    means = sparse.csr_array(cells, shape=(len(shared), len(others))) @ trials[others]
    length = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.where(length > 0, length, 1)
    r = trials[mine][shown_elsewhere] @ means.T  # (n_known, n_shared)
    names, rows = place[shown_elsewhere], np.arange(int(shown_elsewhere.sum()))
    moves = np.unique(np.linspace(1, len(rows) - 1, SHIFTS).astype(int))
    chance = np.array([r[rows, np.roll(names, move)].mean(dtype=np.float64) for move in moves])
    above = float(r[rows, names].mean(dtype=np.float64) - chance.mean())
    spread = float(chance.std(ddof=1))
    return Agreement(above, above / spread if spread > 0 else 0.0)
