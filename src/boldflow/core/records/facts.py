"""What is known of a data set before any of it is read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Facts of a data set that stand beside its results.

    ``images``: whether there are pictures; ``simulated``: whether it was made up; ``version``: of the release.
    """

    images: bool
    simulated: bool
    version: str = ""
