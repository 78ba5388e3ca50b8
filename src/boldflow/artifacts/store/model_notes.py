"""What a trained model's ``config.json`` says of it, as a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boldflow.artifacts.store import sidecars
from boldflow.settings import Entry


@dataclass(frozen=True)
class Source:
    """Digests of the code and of the data that one input of a model was made with."""

    code: str
    data: str


@dataclass(frozen=True)
class ModelNotes:
    """How a model was trained.

    ``entry`` is its catalogue entry; ``code`` the digests of the code that trained it, JSON text; ``sources`` those of
    responses, features and split, ``configs`` what those were made by; ``feature_kind`` is that of the plug-in's facts
    ("none" without features); ``transductive`` tells over how much responses were scaled with test trials among them,
    None where there are none; ``space`` that of the responses, or "none"; ``remarks`` what scores have
    to tell of the fit.
    """

    entry: Entry
    device: str
    code: str
    versions: dict[str, str]
    sources: tuple[Source, ...]
    configs: tuple[Any, ...]
    feature_kind: str
    transductive: str | None
    space: str
    remarks: tuple[str, ...] = ()


def write(path: str | Path, notes: ModelNotes) -> None:
    """Write the notes as JSON."""
    content = {
        "settings": dict(notes.entry),
        "units": "predictions are in the units of the targets",
        "device": notes.device,
        "code": notes.code,
        "versions": notes.versions,
        "sources": [{"code": source.code, "data": source.data} for source in notes.sources],
        "configs": list(notes.configs),
        "feature_kind": notes.feature_kind,
        "transductive": notes.transductive,
        "space": notes.space,
        "remarks": list(notes.remarks),
    }
    sidecars.write(path, content)


def read(path: str | Path) -> ModelNotes:
    """Read the notes.

    Raises
    ------
    ValueError
        If the file is no whole JSON, or lacks a key; names both.
    """
    note = sidecars.read(path)
    try:
        return ModelNotes(
            entry=Entry(note["settings"]),
            device=note["device"],
            code=note["code"],
            versions=note["versions"],
            sources=tuple(source_of(source) for source in note["sources"]),
            configs=tuple(note["configs"]),
            feature_kind=note["feature_kind"],
            transductive=note["transductive"],
            space=note["space"],
            remarks=tuple(note["remarks"]),
        )
    except KeyError as error:
        raise ValueError(f"{path} lacks {error} of a model's notes; make it again by training the model") from None


def source_of(note: Mapping[str, Any]) -> Source:
    """Take the digests out of the sidecar of an artefact."""
    return Source(note["code"], note["data"])
