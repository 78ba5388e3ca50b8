"""The mean score of people, for people in general: an interval over subjects and test pictures together."""

import math

import numpy as np

from boldflow.core.scores.intervals import Interval
from boldflow.core.scores.statistics import student_half_width

FEWEST_PEOPLE = 8  # of fewer no interval holds its level, and none is given


def group_interval(values: np.ndarray, draws: np.ndarray, n_images: int, level: float = 0.95) -> Interval:
    """Give Student's interval of the mean over people, with a variance over people and pictures.

    Pictures that all people saw err alike in all of them; the spread over people does not know that. Resampling both
    counts the noise of a single person's single picture three times, hence the correction.

    Parameters
    ----------
    values : array of shape (n_people,)
        Scores.
    draws : array of shape (n_people, n_draws)
        Bootstrap draws of the scores; draw d holds the same pictures for all people.
    n_images : int
        Test pictures.
    level : float

    Returns
    -------
    Interval
        Without ends, and with a remark, of fewer than ``FEWEST_PEOPLE`` people or where a draw is undefined for
        someone in all of them.

    Notes
    -----
    Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566: 2 (variance over people + over pictures) less
    that over both, not below either and not above both together. Degrees of freedom as of Satterthwaite 1946,
    Biometrics Bull. 2, 110-114, at least those of people alone.
    """
    n_people = len(values)
    if n_people < FEWEST_PEOPLE:
        return Interval(math.nan, math.nan, f"no group interval: {n_people} people, {FEWEST_PEOPLE} are needed")
    defined_draws = draws[:, np.isfinite(draws).all(axis=0)]  # (n_people, n_defined)
    if defined_draws.shape[1] < 2 or n_images < 2 or not np.isfinite(values).all():
        return Interval(math.nan, math.nan, "no group interval: no draws of pictures are defined for all people")
    over_people = float(values.var(ddof=1)) / n_people
    bootstrap_shrinkage = n_images / (n_images - 1)
    over_pictures = float(defined_draws.mean(axis=0).var()) * bootstrap_shrinkage
    over_both = over_pictures + float(defined_draws.var(axis=0, ddof=1).mean()) / n_people * bootstrap_shrinkage
    corrected = 2 * (over_people + over_pictures) - over_both
    variance = min(max(corrected, over_people, over_pictures), over_both)
    degrees = variance**2 / (over_people**2 / (n_people - 1) + over_pictures**2 / (n_images - 1)) if variance > 0 else 1
    freedom = min(max(degrees, n_people - 1), n_people + n_images - 2)
    half_width = student_half_width(math.sqrt(variance), freedom, level)
    mean = float(values.mean())
    return Interval(mean - half_width, mean + half_width)
