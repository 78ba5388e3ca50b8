"""Intervals of scores from their values with each unit left out in turn, on a scale on which these are near normal."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from boldflow.core.scores.statistics import jackknife_error, percentile_interval, student_half_width
from boldflow.vocabulary.metrics import Scale

FEWEST_UNITS = 4  # from which on a jackknife says something
MOST_UNDEFINED = 0.05  # share of units without which a score may be undefined, for the score to have an interval
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Ends of an interval, (nan, nan) where there is none; ``remark`` says why, or how many values were undefined."""

    low: float
    high: float
    remark: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


def jackknife(value: float, left_out: np.ndarray, scale: Scale, span: float = 1.0, level: float = LEVEL) -> Interval:
    """Give the interval of a score with Student's t, n - 1 degrees of freedom.

    Parameters
    ----------
    value : float
    left_out : array of shape (n_units,)
        The score without each of the units; NaN where it is undefined then.
    scale : Scale
        Of the metric. On a share, values go through the logit, on a correlation through Fisher's z, on a positive
        quantity through the logarithm. A count of hits has Wilson's interval, with as many hits and misses as have the
        jackknife's variance: units that come together count as fewer.
    span : float
        Largest value on the scale of shares.
    level : float

    Returns
    -------
    Interval

    Notes
    -----
    Tukey 1958, Ann. Math. Stat. 29, 614. Wilson 1927, J. Am. Stat. Assoc. 22, 209-212. A score at the end of its scale,
    such as 10 of 10, has Wilson's interval of as many units.
    """
    n_units = len(left_out)
    defined = left_out[np.isfinite(left_out)]
    n_undefined = n_units - len(defined)
    if n_units < FEWEST_UNITS:
        return _none(f"no interval: {n_units} units, from {FEWEST_UNITS} on")
    if not np.isfinite(value):
        return _none("no interval: the score is undefined")
    if n_undefined > MOST_UNDEFINED * n_units:
        return _none(f"no interval: undefined without {n_undefined} of {n_units} units")
    remark = f"undefined without {n_undefined} of {n_units} units, which are left out" if n_undefined else ""
    if scale in (Scale.SHARE, Scale.COUNT):
        low, high = _of_share(value / span, defined / span, scale, level)
        return Interval(span * low, span * high, remark)
    if scale is Scale.CORRELATION and max(abs(value), np.abs(defined).max()) < 1:
        low, high = _student(np.arctanh(value), np.arctanh(defined), level)
        return Interval(float(np.tanh(low)), float(np.tanh(high)), remark)
    if scale is Scale.POSITIVE and min(value, defined.min()) > 0:
        low, high = _student(np.log(value), np.log(defined), level)
        return Interval(float(np.exp(low)), float(np.exp(high)), remark)
    low, high = _student(value, defined, level)
    return Interval(low, high, remark) if high > low else _none("no interval: the same without any of the units")


def percentile(draws: np.ndarray, level: float = LEVEL) -> Interval:
    """Give the central interval of bootstrap draws, (n_draws,), for medians: a jackknife of these says little."""
    defined = draws[np.isfinite(draws)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(draws):
        return _none(f"no interval: undefined in {len(draws) - len(defined)} of {len(draws)} draws")
    low, high = percentile_interval(defined, level)
    return Interval(low, high) if high > low else _none("no interval: the same in all draws")


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Give Wilson's interval of a share of ``n`` trials."""
    z = float(special.ndtri((1 + level) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half_width)), min(1.0, float(centre + half_width))


def _of_share(share: float, left_out: np.ndarray, scale: Scale, level: float) -> tuple[float, float]:
    n_units = len(left_out)
    at_end = min(share, left_out.min()) <= 0 or max(share, left_out.max()) >= 1
    error = jackknife_error(left_out)
    if scale is Scale.COUNT or at_end:
        has_error = 0 < share < 1 and error > 0
        # of n hits and misses the jackknife's variance is share (1 - share) / (n - 1)
        n_trials = 1 + share * (1 - share) / error**2 if has_error else float(n_units)
        return wilson(share, n_trials, level)
    low, high = _student(special.logit(share), special.logit(left_out), level)
    return float(special.expit(low)), float(special.expit(high))


def _student(value: float, left_out: np.ndarray, level: float) -> tuple[float, float]:
    half_width = student_half_width(jackknife_error(left_out), len(left_out) - 1, level)
    return float(value - half_width), float(value + half_width)


def _none(remark: str) -> Interval:
    return Interval(float("nan"), float("nan"), remark)
