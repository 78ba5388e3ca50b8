"""Describing pictures by a feature, row by row, in a way that can be killed and goes on: what two stages share."""

import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts.arrival import annex
from boldflow.artifacts.store import receipts, sidecars, stimuli, tables
from boldflow.artifacts.store.described import Described
from boldflow.artifacts.store.partial import Rows
from boldflow.core.compute import fixed_threads
from boldflow.core.networks.progress import Stopped
from boldflow.provenance import canonical, digest
from boldflow.registry import plugin_of
from boldflow.settings import Entry
from boldflow.stages import _interruption
from boldflow.vocabulary.devices import Device
from boldflow.vocabulary.facts import FeatureFacts

LOG = logging.getLogger(__name__)
BLOCK = {"cpu": 32, "cuda": 256}  # pictures that are described, and may be kept, in one go
LARGE_GB = 2.0  # from here on the log warns of the size


def share(n_rows: int, shard: str) -> slice:
    """Give the rows of one shard, such as "0-of-3": blocks that follow each other and differ by one row at most."""
    part, _, n_parts = shard.partition("-of-")
    k, n = int(part), int(n_parts)
    if not 0 <= k < n:
        raise ValueError(f"shard {shard!r} does not exist: they are numbered from 0-of-{n} to {n - 1}-of-{n}")
    return slice(k * n_rows // n, (k + 1) * n_rows // n)


def describe(
    pack: str,
    rows: pd.DataFrame,
    entry: Entry,
    network: Sequence[str],
    device: Device,
    workers: int,
    kept: Rows,
    described: Described,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Describe the pictures of some rows of a pack; what an earlier try or an earlier job has done is not done again.

    On a CPU a row is the same whatever stands beside it, so that rows taken from an earlier job are the bits of a run
    from nothing. On a GPU, and where an entry names a ``batch``, they are those of the earlier job, and the others are
    what they are in batches of new pictures alone.

    Parameters
    ----------
    pack : path of the HDF5
    rows : rows of its table, in the order of the result
    entry : the feature's catalogue entry
    network : path of the receipt of its checkpoint; none where it needs none
    device : "cpu" or "cuda"
    workers : threads that read and prepare pictures; the result does not depend on them
    kept : rows so far
    described : rows of an earlier job

    Returns
    -------
    rows : float32 (n_images, n_features)
    note : what the sidecar says of the way there

    Raises
    ------
    ValueError
        If there are stimuli without a picture, or rows that are not finite; names the first.
    Stopped
        If the process was asked to end; the rows so far are kept.
    """
    _require_pictures(rows, entry)
    names = rows["image_id"].to_numpy()[kept.done :]
    places = described.places(rows["sha256"].tolist()[kept.done :])
    new = places < 0  # (n_left,): of the rows that are still to come
    if not new.all():
        LOG.info("%d of %d pictures were described before; their rows are taken", (~new).sum(), len(names))
    threads = registry.facts(FeatureFacts, "features", entry.plugin).threads
    with contextlib.ExitStack() as stack:
        stack.enter_context(fixed_threads(threads))
        extractor = _extractor(entry, network, device) if new.any() or not len(names) else None
        stack.enter_context(fixed_threads(threads))  # again: the plug-in may just have loaded torch
        pictures = stack.enter_context(stimuli.Pack(pack, rows))
        bar = stack.enter_context(tqdm(total=len(rows), initial=kept.done, desc=entry.name, unit="image"))
        stack.enter_context(_interruption.deferred())
        for values in _blocks(pictures, names, places, extractor, described, workers, BLOCK[device], entry.name):
            if not kept.done:
                _warn_of_size(len(rows), values.shape[1])
            kept.append(values)
            bar.update(len(values))
            if _interruption.requested():
                kept.keep()
                raise Stopped(f"asked to end; {kept.done} of {len(rows)} rows are kept, the next try goes on from them")
        if not len(rows) and extractor is not None:
            return extractor([]), {}
    kept.keep()
    batches = [getattr(extractor, "batch", None), None if new.all() else described.batch]
    sizes = [batch for batch in batches if batch is not None]
    return kept.read(), {"batch": min(sizes)} if sizes else {}


def _blocks(
    pictures: stimuli.Pack,
    names: np.ndarray,
    places: np.ndarray,
    extractor: Any,
    described: Described,
    workers: int,
    size: int,
    feature: str,
) -> Iterator[np.ndarray]:
    """Yield rows (n_block, n_features) block by block: taken where a place is given, else described."""
    blocks = [slice(k, k + size) for k in range(0, len(names), size)]
    parts = [names[block][places[block] < 0].tolist() for block in blocks]
    ahead = _ahead(pictures, parts, getattr(extractor, "prepare", None), workers, 2 * size)
    for block, part, images in zip(blocks, parts, ahead, strict=True):
        new = places[block] < 0
        if not part:
            yield described.rows(places[block])
            continue
        values = extractor(images)
        _check(values, part, feature)
        if new.all():
            yield values
            continue
        rows = described.rows(places[block])  # those of new pictures are any, and replaced
        rows[new] = values
        yield rows


def open_network(network: Sequence[str]) -> Path | None:
    """Give the folder of a checkpoint that has arrived; None where a feature needs none.

    Raises
    ------
    FileNotFoundError
        If files have gone missing since; names the command that brings them back.
    ValueError
        If a file is not the one that arrived; shows both checksums and the command.
    """
    if not network:
        return None
    (receipt,) = network
    note = receipts.read(receipt)
    command = receipts.command(receipt, note)
    for row in note["files"]:
        place = Path(note["root"]) / row["path"]
        annex.require_content(place, command)
        checksum = annex.checksum(place)
        if checksum != row["checksum"]:
            was = row["checksum"]
            raise ValueError(f"{place} has changed since it arrived: was {was}, is {checksum}; run: {command}")
    return Path(note["root"])


def ticket(entry: Entry, code: str, table: str, network: Sequence[str], device: Device, shard: str) -> str:
    """Digest all that rows depend on."""
    data = tables.sidecar(table).get("data", "")
    origin = receipts.content_digest(*network)
    return digest(canonical([dict(entry), code, data, origin, device, shard, versions(entry)]))


def versions(entry: Entry) -> dict[str, str]:
    """Give the versions of the packages that shape a feature."""
    opens = registry.facts(FeatureFacts, "features", entry.plugin).checkpoint
    return sidecars.versions("numpy", "scipy", *(("pillow", "torch", "transformers") if opens else ()))


def row_ticket(entry: Entry, code: str, network: Sequence[str], device: Device) -> str:
    """Digest all that a row depends on beside its picture."""
    return digest(canonical([dict(entry), code, receipts.content_digest(*network), device, versions(entry)]))


def _require_pictures(rows: pd.DataFrame, entry: Entry) -> None:
    without = rows.loc[rows["height"] == 0, "image_id"]
    if len(without):
        first = without.iloc[0]
        raise ValueError(f"feature {entry.name} reads pictures; {len(without)} have none, first {first!r}")


def _extractor(entry: Entry, network: Sequence[str], device: Device) -> Any:
    """Open a feature's plug-in, as its package's docstring says."""
    folder = open_network(network)
    try:
        return plugin_of("features", entry).extractor(entry, folder, device)
    except ValueError as error:
        raise ValueError(f"features.{entry.name}: {error}") from error


def _ahead(
    pack: stimuli.Pack,
    parts: Sequence[Sequence[str]],
    prepare: Callable[[np.ndarray], np.ndarray] | None,
    workers: int,
    n_ahead: int,
) -> Iterator[list[np.ndarray]]:
    """Yield the pictures of each part, each read (and prepared) by a worker while those before it are described."""

    def get(name: str) -> np.ndarray:
        try:
            image = pack.read(name)
            return prepare(image) if prepare else image
        except Exception as error:
            error.add_note(f"while image {name!r} was prepared")
            raise

    names = itertools.chain.from_iterable(parts)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        waiting: deque[Future[np.ndarray]] = deque(pool.submit(get, name) for name in itertools.islice(names, n_ahead))
        try:
            for part in parts:
                images = [waiting.popleft().result() for _ in part]
                waiting.extend(pool.submit(get, name) for name in itertools.islice(names, len(part)))
                yield images
        finally:
            pool.shutdown(cancel_futures=True)


def _check(values: np.ndarray, names: Sequence[str], feature: str) -> None:
    if values.ndim != 2 or len(values) != len(names):
        raise ValueError(f"feature {feature} gave shape {values.shape} for {len(names)} pictures")
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise ValueError(
            f"feature {feature} gave values that are not finite for {int(bad.sum())} of {len(names)} pictures, the "
            f"first is {names[int(bad.argmax())]!r}"
        )


def _warn_of_size(n_rows: int, n_features: int) -> None:
    gigabytes = 4 * n_rows * n_features / 1e9
    if gigabytes >= LARGE_GB:
        LOG.warning("these features take %.1f GB on disk: %d rows of %d numbers", gigabytes, n_rows, n_features)
