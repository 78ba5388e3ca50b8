"""What plug-ins say of themselves: the ``FACTS`` of each section as a record. A fact with a default may be left out.

A job's digest holds the records that its stage reads, so that a fact added to one section concerns no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of a data set; ``boldflow.datasets`` says what each means.

    In the literal a fact may be None that is the entry's key of that name (``catalogue.dataset_facts`` has filled it).
    """

    subjects: Sequence[str]
    tr_s: float
    spaces: Sequence[str]
    images: bool
    split_unit: str
    simulated: bool
    version: str
    source: Mapping[str, str | None]
    licence: str
    citation: str
    agreement: str | None
    recordings: Mapping[str, str]
    stimuli_inside: bool
    stimuli_from: str | None
    stimuli_password: str | None
    recording_spaces: Mapping[str, Sequence[str]] | None = None
    beta_recordings: Sequence[str] = ()
    recordings_outside: Sequence[str] = ()
    unread: Sequence[str] = ()
    rois: Sequence[str] = ()
    ceilings: str | None = None
    sessions: Mapping[str, int] | None = None


@dataclass(frozen=True)
class FeatureFacts:
    """Facts of a feature; ``boldflow.features`` says what each means."""

    reads: str
    kind: str
    device: str
    threads: int
    checkpoint: bool


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a model; ``boldflow.models`` says what each means."""

    device: str
    threads: int
    closed_form: bool
    keeps: str | None = None
    training: bool = False
    linear_start: bool = False
    represents: bool = False
    autoencoder: bool = False


@dataclass(frozen=True)
class FigureFacts:
    """Facts of a figure: what the report says of it, and whether its maps can have a threshold."""

    title: str
    caption: str
    thresholds: bool = False


RECORDS: dict[str, type[Any]] = {
    "datasets": DatasetFacts,
    "features": FeatureFacts,
    "models": ModelFacts,
    "figures": FigureFacts,
}


def names_of(section: str) -> list[str]:
    """Name the facts that a plug-in of a section may state."""
    return [field.name for field in fields(RECORDS[section])]


def needed_of(section: str) -> list[str]:
    """Name the facts that a plug-in of a section must state."""
    return [field.name for field in fields(RECORDS[section]) if field.default is MISSING]
