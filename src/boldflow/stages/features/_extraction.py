"""Describing pictures by a feature, row by row, in a way that can be killed and goes on: what two stages share."""

import contextlib
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
from boldflow.artifacts.store import sidecars, stimuli, tables
from boldflow.artifacts.store.partial import Rows
from boldflow.core.compute import fixed_threads
from boldflow.core.networks.progress import Stopped
from boldflow.provenance import canonical, digest
from boldflow.registry import plugin_of
from boldflow.stages import _interruption

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
    entry: dict[str, Any],
    network: Sequence[str],
    device: str,
    workers: int,
    kept: Rows,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Describe the pictures of some rows of a pack; what an earlier try has kept is not done again.

    Parameters
    ----------
    pack : path of the HDF5
    rows : rows of its table, in the order of the result
    entry : the feature's catalogue entry
    network : path of the receipt of its checkpoint; none where it needs none
    device : "cpu" or "cuda"
    workers : threads that read and prepare pictures; the result does not depend on them
    kept : rows so far

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
    without = rows.loc[rows["height"] == 0, "image_id"]
    if len(without):
        first = without.iloc[0]
        raise ValueError(f"feature {entry['name']} reads pictures; {len(without)} have none, first {first!r}")
    plugin = plugin_of("features", entry)
    facts = registry.literal("features", entry["plugin"], "FACTS")
    names = rows["image_id"].tolist()[kept.done :]
    with contextlib.ExitStack() as stack:
        stack.enter_context(fixed_threads(facts["threads"]))
        folder = open_network(network)
        try:
            extractor = plugin.extractor(entry, folder, device)
        except ValueError as error:
            raise ValueError(f"features.{entry['name']}: {error}") from error
        stack.enter_context(fixed_threads(facts["threads"]))  # again: the plug-in may just have loaded torch
        pictures = stack.enter_context(stimuli.Pack(pack, rows))
        bar = stack.enter_context(tqdm(total=len(rows), initial=kept.done, desc=entry["name"], unit="image"))
        stack.enter_context(_interruption.deferred())
        for part, images in _ahead(pictures, names, getattr(extractor, "prepare", None), workers, BLOCK[device]):
            found = extractor(images)
            _check(found, part, entry["name"])
            if not kept.done:
                _warn_of_size(len(rows), found.shape[1])
            kept.append(found)
            bar.update(len(part))
            if _interruption.requested():
                kept.keep()
                raise Stopped(f"asked to end; {kept.done} of {len(rows)} rows are kept, the next try goes on from them")
        if not len(rows):
            return extractor([]), {}
    kept.keep()
    batch = getattr(extractor, "batch", None)
    return kept.read(), {} if batch is None else {"batch": batch}


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
    note = sidecars.read(receipt)
    command = f"snakemake {receipt} -R fetch_checkpoint --profile cpu"
    for row in note["files"]:
        place = Path(note["root"]) / row["path"]
        annex.require_content(place, command)
        found = annex.checksum(place)
        if found != row["checksum"]:
            raise ValueError(f"{place} has changed since it arrived: was {row['checksum']}, is {found}; run: {command}")
    return Path(note["root"])


def ticket(entry: dict[str, Any], code: str, table: str, network: Sequence[str], device: str, shard: str) -> str:
    """Digest all that rows depend on."""
    data = tables.sidecar(table).get("data", "")
    origin = sidecars.content_digest(*network)
    return digest(canonical([entry, code, data, origin, device, shard, versions(entry)]))


def versions(entry: dict[str, Any]) -> dict[str, str]:
    """Give the versions of the packages that shape a feature."""
    opens = registry.literal("features", entry["plugin"], "FACTS")["checkpoint"]
    return sidecars.versions("numpy", "scipy", *(("pillow", "torch", "transformers") if opens else ()))


def _ahead(
    pack: stimuli.Pack,
    names: Sequence[str],
    prepare: Callable[[np.ndarray], np.ndarray] | None,
    workers: int,
    size: int,
) -> Iterator[tuple[Sequence[str], list[np.ndarray]]]:
    """Yield blocks of pictures, each read (and prepared) by a worker while those before it are described."""

    def get(name: str) -> np.ndarray:
        try:
            image = pack.read(name)
            return prepare(image) if prepare else image
        except Exception as error:
            error.add_note(f"while image {name!r} was prepared")
            raise

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        waiting: deque[Future[np.ndarray]] = deque(pool.submit(get, name) for name in names[: 2 * size])
        try:
            for start in range(0, len(names), size):
                part = names[start : start + size]
                images = [waiting.popleft().result() for _ in part]
                after = start + 2 * size
                waiting.extend(pool.submit(get, name) for name in names[after : after + size])
                yield part, images
        finally:
            pool.shutdown(cancel_futures=True)


def _check(found: np.ndarray, names: Sequence[str], feature: str) -> None:
    if found.ndim != 2 or len(found) != len(names):
        raise ValueError(f"feature {feature} gave shape {found.shape} for {len(names)} pictures")
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise ValueError(
            f"feature {feature} gave values that are not finite for {int(bad.sum())} of {len(names)} pictures, the "
            f"first is {names[int(bad.argmax())]!r}"
        )


def _warn_of_size(n_rows: int, n_features: int) -> None:
    gigabytes = 4 * n_rows * n_features / 1e9
    if gigabytes >= LARGE_GB:
        LOG.warning("these features take %.1f GB on disk: %d rows of %d numbers", gigabytes, n_rows, n_features)
