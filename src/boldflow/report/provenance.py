"""Section of provenance, and what the page is told of where results come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from boldflow.report.cells import Table, dataset_name, linked, mark_of, text_of
from boldflow.report.scores import HEADINGS

NEEDS = ["leaderboard", "receipts", "splits", "responses"]
NAMES = ["model", "feature", "response", "dataset", "subject", "split"]
DIGESTS = ["code_digest", "config_digest", "data_digest"]


@dataclass(frozen=True)
class Source:
    """A data set: what it is, and which commit of it arrived from where."""

    name: str
    version: str | None
    licence: str
    citation: str
    origin: str
    commit: str
    simulated: bool


@dataclass(frozen=True)
class Split:
    """How trials of a data set were split.

    ``rule`` is the entry's; ``units`` counts units (images with their duplicates, or runs) by part, ``trials`` the
    trials of each subject by part, summed over folds. ``alike``: pairs of pictures that count as one though their
    pixels differ. ``dropped``: trials of each subject in no part, by reason, summed over folds.
    """

    name: str
    dataset: str
    rule: Mapping[str, object]
    unit: str
    n_folds: int
    units: Mapping[str, int]
    trials: Mapping[str, Mapping[str, int]]
    duplicate_groups: Sequence[Sequence[str]]
    grouped_by: Sequence[str]
    alike: Sequence[Sequence[str]] = ()
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where a study's results come from.

    Attributes
    ----------
    sources : its data sets
    splits : its splits
    software : versions, by the name of the package
    code : digests, by what they are of
    notes : sentences on what was done to the responses
    """

    sources: Sequence[Source] = ()
    splits: Sequence[Split] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Origins:
    """What the section shows."""

    notes: list[str]
    software: Table
    code: Table
    digests: Table


def origins_of(leaderboard: pd.DataFrame, provenance: Provenance) -> Origins:
    """Make the section."""
    return Origins(
        notes=[linked(note) for note in provenance.notes],
        software=_pairs("Versions of software", "Package", "Version", provenance.software),
        code=_pairs("Digests of code", "Part", "Digest", provenance.code),
        digests=_digests(leaderboard),
    )


def _digests(leaderboard: pd.DataFrame) -> Table:
    table = leaderboard[[*NAMES, *DIGESTS, "simulated"]].drop_duplicates()
    rows = [
        [dataset_name(row[n], row["simulated"]) if n == "dataset" else text_of(row[n]) for n in [*NAMES, *DIGESTS]]
        for row in table.to_dict("records")
    ]
    columns = [*(HEADINGS[name] for name in NAMES), "Code", "Settings", "Data"]
    return Table("What each result was made from (digests)", columns, rows, mark=mark_of(table["simulated"]))


def _pairs(caption: str, first: str, second: str, content: Mapping[str, str]) -> Table:
    return Table(caption, [first, second], [[str(key), text_of(value)] for key, value in sorted(content.items())])
