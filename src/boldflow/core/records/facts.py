"""What is known of a data set before any of it is read."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Facts of a data set that stand beside its results.

    ``images``: whether there are pictures; ``simulated``: whether it was made up; ``version``: of the release.
    """

    images: bool
    simulated: bool
    version: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> "DataFacts":
        """Take them from the facts of a data set's plug-in."""
        return cls(bool(facts["images"]), bool(facts["simulated"]), str(facts.get("version", "")))
