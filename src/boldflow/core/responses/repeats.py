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
    unit_trials = np.array(values, dtype=np.float32)
    for number in np.unique(session):
        in_session = session == number
        centred = unit_trials[in_session] - unit_trials[in_session].mean(axis=0)  # (n_here, n_columns)
        spread = centred.std(axis=0)
        unit_trials[in_session] = centred / np.where(spread > 0, spread, np.inf)
    length = np.linalg.norm(unit_trials, axis=1, keepdims=True)  # (n_trials, 1)
    unit_trials /= np.where(length > 0, length, 1)
    return unit_trials


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
    in_session = session == number
    shared_pictures = np.intersect1d(image[in_session], image[~in_session])
    picture_place = np.searchsorted(shared_pictures, image[in_session])
    shown_elsewhere = np.isin(image[in_session], shared_pictures)
    if shown_elsewhere.sum() < LEAST:
        return None
    other_rows = np.flatnonzero(~in_session & np.isin(image, shared_pictures))
    cells = (
        np.ones(len(other_rows), dtype=np.float32),
        (np.searchsorted(shared_pictures, image[other_rows]), np.arange(len(other_rows))),
    )
    means = sparse.csr_array(cells, shape=(len(shared_pictures), len(other_rows))) @ trials[other_rows]
    length = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.where(length > 0, length, 1)
    r = trials[in_session][shown_elsewhere] @ means.T  # (n_known, n_shared)
    pictures, rows = picture_place[shown_elsewhere], np.arange(int(shown_elsewhere.sum()))
    shifts = np.unique(np.linspace(1, len(rows) - 1, SHIFTS).astype(int))
    chance_r = np.array([r[rows, np.roll(pictures, shift)].mean(dtype=np.float64) for shift in shifts])
    r_above_chance = float(r[rows, pictures].mean(dtype=np.float64) - chance_r.mean())
    spread = float(chance_r.std(ddof=1))
    return Agreement(r_above_chance, r_above_chance / spread if spread > 0 else 0.0)
