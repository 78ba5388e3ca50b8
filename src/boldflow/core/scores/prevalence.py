"""How many people would show an effect: Bayesian prevalence from the number of significant subjects."""

from dataclasses import dataclass

from scipy import special

LEVEL = 0.05  # of each subject's test


@dataclass(frozen=True)
class Prevalence:
    """Share of people in whom a test of these pictures has an effect to find.

    ``estimate``: most probable share; ``ci_low``, ``ci_high``: equal-tailed 95 % interval of the posterior.
    """

    n_significant: int
    n_subjects: int
    estimate: float
    ci_low: float
    ci_high: float


def prevalence(n_significant: int, n_subjects: int, level: float = LEVEL, mass: float = 0.95) -> Prevalence:
    """Infer a share of people from the subjects whose test is significant.

    A subject is significant with probability ``level`` + (1 - ``level``) share: the test finds each effect that is
    there (sensitivity 1), so that the share is that of people whose effect the test would find. The prior is flat.

    Parameters
    ----------
    n_significant, n_subjects : int
    level : float
        At which each subject was tested; p of a refit, which holds its level.
    mass : float
        Of the interval.

    Raises
    ------
    ValueError
        If there are no subjects, or more significant ones than subjects.

    Notes
    -----
    Ince, Paton, Kay & Schyns 2021, eLife 10:e62461.
    """
    if not 0 <= n_significant <= n_subjects or n_subjects < 1:
        raise ValueError(f"{n_significant} of {n_subjects} subjects cannot be significant")
    a, b = n_significant + 1, n_subjects - n_significant + 1
    below = special.betainc(a, b, level)  # a beta distribution, cut off below the level

    def quantile(share: float) -> float:
        theta = special.betaincinv(a, b, below + share * (1 - below))
        return float((theta - level) / (1 - level))

    estimate = max(0.0, (n_significant / n_subjects - level) / (1 - level))
    return Prevalence(n_significant, n_subjects, estimate, quantile((1 - mass) / 2), quantile((1 + mass) / 2))
