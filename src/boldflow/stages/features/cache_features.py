"""The feature cache: each picture described once, in this job, gathered from shards, or joined from other features."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from boldflow import registry
from boldflow.artifacts.store import arrays, receipts, sidecars, tables, weights
from boldflow.artifacts.store.described import Described
from boldflow.artifacts.store.partial import Rows
from boldflow.core.compute import fixed_threads
from boldflow.registry import plugin_of
from boldflow.runs.kept import rows_folder
from boldflow.runs.pictures import note_of_features
from boldflow.settings import Entry, read_entry
from boldflow.stages.features._extraction import (
    describe,
    row_ticket,
    share,
    ticket,
    versions,
)
from boldflow.vocabulary.devices import Device
from boldflow.vocabulary.facts import FeatureFacts


def run(
    pack: str,
    table: str,
    network: Sequence[str],
    parts: Sequence[str],
    features: str,
    index: str,
    sidecar: str,
    pictures: str,
    settings: str,
    code: str,
    device: Device,
    workers: int,
    members: Sequence[str] = (),
    member_indexes: Sequence[str] = (),
) -> None:
    """Write (n_images, n_features), the image_id of each row, the sidecar, and a checksum of each picture's row.

    Parameters
    ----------
    pack, table : paths of the stimulus pack and its table
    network : path of the receipt of the feature's checkpoint; none where it needs none
    parts : paths of the shards in their order; empty where this job describes all pictures
    features, index, sidecar, pictures : paths of the .npy, the Parquet and the two JSON to write
    settings : the feature's catalogue entry, JSON text
    code : digests of the modules of this stage and the feature's plug-in, JSON text
    device : "cpu" or "cuda", as the job (or, with shards, each of theirs) asked
    workers : threads that read and prepare pictures
    members, member_indexes : paths of the features that are joined and of their indexes, in the order of the entry's
        ``of``; empty where the feature describes the stimuli itself

    Raises
    ------
    ValueError
        If pictures are missing, the plug-in gives another number of rows, shards do not fit together, or features to be
        joined are of other pictures.
    """
    entry = read_entry(settings)
    facts = registry.facts(FeatureFacts, "features", entry.plugin)
    stimulus_rows = tables.read(table)
    partial_rows = earlier_rows = None
    extra_note: dict[str, Any] = {}
    if facts.reads == "labels":
        with fixed_threads(facts.threads):
            feature_rows = plugin_of("features", entry).extractor(entry, None, device)(stimulus_rows)
        extra_note = _names_of_columns(plugin_of("features", entry), entry, stimulus_rows)
    elif facts.reads == "features":
        member_features, extra_note = _members(entry["of"], members, member_indexes, table)
        feature_rows = plugin_of("features", entry).extractor(entry, None, device)(member_features)
    elif parts:
        feature_rows, extra_note, ticket_of_rows = _gather(parts, len(stimulus_rows))
        earlier_rows = Described(rows_folder(features), ticket_of_rows) if ticket_of_rows else None
    else:
        partial_path = Path(features).with_name(f".{Path(features).stem}.rows")
        partial_rows = Rows(partial_path, ticket(entry, code, table, network, device, ""), len(stimulus_rows))
        earlier_rows = Described(rows_folder(features), row_ticket(entry, code, network, device))
        feature_rows, extra_note = describe(
            pack, stimulus_rows, entry, network, device, workers, partial_rows, earlier_rows
        )
    if len(feature_rows) != len(stimulus_rows) or feature_rows.ndim != 2:
        raise ValueError(f"feature {entry.name} gave shape {feature_rows.shape} for {len(stimulus_rows)} pictures")
    feature_rows = np.ascontiguousarray(feature_rows, dtype=np.float32)
    arrays.write(features, feature_rows)
    note = _note(entry, facts.kind, feature_rows, device, code, table, network) | extra_note
    tables.write(index, stimulus_rows[["image_id"]], note)
    sidecars.write(sidecar, note)
    picture_rows = zip(stimulus_rows["image_id"], map(np.ndarray.tobytes, feature_rows), strict=True)
    sidecars.write(pictures, note_of_features(features, picture_rows, note))
    if earlier_rows:
        earlier_rows.keep(features, stimulus_rows["sha256"].tolist(), extra_note.get("batch"))
    if partial_rows:
        partial_rows.remove()


def _note(
    entry: Entry,
    kind: str,
    feature_rows: np.ndarray,
    device: Device,
    code: str,
    table: str,
    network: Sequence[str],
) -> dict[str, Any]:
    """Say what the rows are and what they were made of."""
    return {
        "kind": kind,
        "shape": list(feature_rows.shape),
        "settings": dict(entry),
        "device": device,
        "code": code,
        "data": tables.sidecar(table)["data"],
        "versions": versions(entry),
        **({"untrained": True} if entry.get("weights") == "untrained" else {}),
        **({"checkpoint": _origin(*network)} if network else {}),
    }


def _names_of_columns(plugin: ModuleType, entry: Entry, stimuli: pd.DataFrame) -> dict[str, Any]:
    """Note the class of each column, where columns are classes."""
    return {"columns": plugin.columns(entry, stimuli)} if hasattr(plugin, "columns") else {}


def _gather(shard_paths: Sequence[str], n_rows: int) -> tuple[np.ndarray, dict[str, Any], str | None]:
    """Join shards, each of which has to be the one of its place; the ticket of rows is theirs if they agree in it."""
    shard_rows = []
    devices, batches, row_tickets = set(), set(), set()
    for k, shard_path in enumerate(shard_paths):
        note, shard = weights.note(shard_path), f"{k}-of-{len(shard_paths)}"
        rows = weights.read(shard_path)["rows"]
        n_expected = len(range(*share(n_rows, shard).indices(n_rows)))
        if note.get("shard") != shard or len(rows) != n_expected:
            raise ValueError(
                f"{shard_path} holds {len(rows)} rows of shard {note.get('shard')!r}, expected {n_expected} of "
                f"{shard!r}; make it again with: snakemake --profile cpu -f {shard_path}"
            )
        shard_rows.append(rows)
        devices.add(note["device"])
        batches |= {int(note["batch"])} if "batch" in note else set()
        row_tickets.add(note.get("row_ticket"))
    filled_shards = [rows for rows in shard_rows if len(rows)]  # a shard without pictures knows no width
    joint_note = {"device": " and ".join(sorted(devices)), **({"batch": min(batches)} if batches else {})}
    return np.concatenate(filled_shards or shard_rows), joint_note, row_tickets.pop() if len(row_tickets) == 1 else None


def _members(
    member_names: Sequence[str], paths: Sequence[str], indexes: Sequence[str], table: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Map the features to be joined into memory, and note the columns and the making of each."""
    image_ids, data_digest = tables.read(table)["image_id"], tables.sidecar(table)["data"]
    member_features, bands, notes, first_column = {}, [], {}, 0
    for name, path, index in zip(member_names, paths, indexes, strict=True):
        features, note = arrays.read(path, ndim=2), tables.sidecar(index)
        if (
            note["data"] != data_digest
            or len(features) != len(image_ids)
            or not tables.read(index)["image_id"].equals(image_ids)
        ):
            raise ValueError(
                f"{path} does not describe the pictures of {table}, {len(image_ids)} in its order; make it again with: "
                f"snakemake --profile cpu -f {path}"
            )
        member_features[name] = features
        bands.append({"name": name, "start": first_column, "stop": first_column + features.shape[1]})
        notes[name] = note
        first_column += features.shape[1]
    untrained = any(note.get("untrained") for note in notes.values())
    return member_features, {"bands": bands, "members": notes} | ({"untrained": True} if untrained else {})


def _origin(receipt: str) -> dict[str, Any]:
    """Say which checkpoint a feature was made with."""
    note = receipts.read(receipt)
    return {key: note[key] for key in ("name", "origin", "commit")} | {"data": receipts.content_digest(receipt)}
