"""What an iterative fit hands its progress to, so that it can be stopped and go on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from boldflow.core.records.training import State


class Stopped(RuntimeError):
    """The process was asked to end; what had to be kept is kept."""


@dataclass(frozen=True)
class Progress:
    """An iterative fit after ``step`` steps.

    ``state`` holds all arrays that the next step needs; ``rows`` the history so far (numbers and words).
    """

    step: int
    state: State
    rows: list[dict[str, Any]]


class ProgressKeeper(Protocol):
    """Where a fit leaves its progress at the boundary of a step, and finds it again."""

    def part(self, name: str) -> "ProgressKeeper":
        """Give the place of one of several fits, such as a seed's."""

    def load(self) -> Progress | None:
        """Give the last progress left here, or None."""

    def boundary(self, step: int, total: int, progress: Callable[[], Progress]) -> None:
        """Take note that ``step`` of ``total`` steps are done; ``progress`` is called where it is to be kept.

        Raises
        ------
        Stopped
            If the process was asked to end; the progress is kept before.
        """


class Nowhere:
    """Keeps nothing: for fits that nobody will resume."""

    def part(self, name: str) -> "Nowhere":
        """Give itself."""
        return self

    def load(self) -> Progress | None:
        """Find nothing."""
        return None

    def boundary(self, step: int, total: int, progress: Callable[[], Progress]) -> None:
        """Do nothing."""
