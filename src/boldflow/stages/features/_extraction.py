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
from boldflow.artifacts.arrival import annex, annex_tree
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
    number_text, _, count_text = shard.partition("-of-")
    number, n_shards = int(number_text), int(count_text)
    if not 0 <= number < n_shards:
        raise ValueError(
            f"shard {shard!r} does not exist: they are numbered from 0-of-{n_shards} to {n_shards - 1}-of-{n_shards}"
        )
    return slice(number * n_rows // n_shards, (number + 1) * n_rows // n_shards)


def describe(
    pack: str,
    rows: pd.DataFrame,
    entry: Entry,
    network: Sequence[str],
    device: Device,
    workers: int,
    partial_rows: Rows,
    earlier_rows: Described,
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
    partial_rows : rows so far
    earlier_rows : rows of an earlier job

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
    image_ids = rows["image_id"].to_numpy()[partial_rows.n_done :]
    earlier_places = earlier_rows.places(rows["sha256"].tolist()[partial_rows.n_done :])
    is_new = earlier_places < 0  # (n_left,): of the rows that are still to come
    if not is_new.all():
        LOG.info("%d of %d pictures were described before; their rows are taken", (~is_new).sum(), len(image_ids))
    threads = registry.facts(FeatureFacts, "features", entry.plugin).threads
    with contextlib.ExitStack() as stack:
        stack.enter_context(fixed_threads(threads))
        extractor = _extractor(entry, network, device) if is_new.any() or not len(image_ids) else None
        stack.enter_context(fixed_threads(threads))  # again: the plug-in may just have loaded torch
        pictures = stack.enter_context(stimuli.Pack(pack, rows))
        bar = stack.enter_context(tqdm(total=len(rows), initial=partial_rows.n_done, desc=entry.name, unit="image"))
        stack.enter_context(_interruption.deferred())
        for values in _blocks(
            pictures, image_ids, earlier_places, extractor, earlier_rows, workers, BLOCK[device], entry.name
        ):
            if not partial_rows.n_done:
                _warn_of_size(len(rows), values.shape[1])
            partial_rows.append(values)
            bar.update(len(values))
            if _interruption.requested():
                partial_rows.keep()
                raise Stopped(
                    f"asked to end; {partial_rows.n_done} of {len(rows)} rows are kept, the next try goes on from them"
                )
        if not len(rows) and extractor is not None:
            return extractor([]), {}
    partial_rows.keep()
    possible_sizes = [getattr(extractor, "batch", None), None if is_new.all() else earlier_rows.batch]
    batch_sizes = [batch for batch in possible_sizes if batch is not None]
    return partial_rows.read(), {"batch": min(batch_sizes)} if batch_sizes else {}


def _blocks(
    pictures: stimuli.Pack,
    image_ids: np.ndarray,
    earlier_places: np.ndarray,
    extractor: Any,
    earlier_rows: Described,
    workers: int,
    block_size: int,
    feature: str,
) -> Iterator[np.ndarray]:
    """Yield rows (n_block, n_features) block by block: taken where a place is given, else described."""
    blocks = [slice(k, k + block_size) for k in range(0, len(image_ids), block_size)]
    new_ids = [image_ids[block][earlier_places[block] < 0].tolist() for block in blocks]
    prepared = _ahead(pictures, new_ids, getattr(extractor, "prepare", None), workers, 2 * block_size)
    for block, block_ids, images in zip(blocks, new_ids, prepared, strict=True):
        is_new = earlier_places[block] < 0
        if not block_ids:
            yield earlier_rows.rows(earlier_places[block])
            continue
        new_rows = extractor(images)
        _check(new_rows, block_ids, feature)
        if is_new.all():
            yield new_rows
            continue
        rows = earlier_rows.rows(earlier_places[block])  # those of new pictures are any, and replaced
        rows[is_new] = new_rows
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
        path = Path(note["root"]) / row["path"]
        annex.require_content(path, command)
        checksum = annex_tree.checksum(path)
        if checksum != row["checksum"]:
            receipt_checksum = row["checksum"]
            raise ValueError(
                f"{path} has changed since it arrived: was {receipt_checksum}, is {checksum}; run: {command}"
            )
    return Path(note["root"])


def ticket(entry: Entry, code: str, table: str, network: Sequence[str], device: Device, shard: str) -> str:
    """Digest all that rows depend on."""
    data_digest = tables.sidecar(table).get("data", "")
    network_digest = receipts.content_digest(*network)
    return digest(canonical([dict(entry), code, data_digest, network_digest, device, shard, versions(entry)]))


def versions(entry: Entry) -> dict[str, str]:
    """Give the versions of the packages that shape a feature."""
    has_checkpoint = registry.facts(FeatureFacts, "features", entry.plugin).checkpoint
    return sidecars.versions("numpy", "scipy", *(("pillow", "torch", "transformers") if has_checkpoint else ()))


def row_ticket(entry: Entry, code: str, network: Sequence[str], device: Device) -> str:
    """Digest all that a row depends on beside its picture."""
    return digest(canonical([dict(entry), code, receipts.content_digest(*network), device, versions(entry)]))


def _require_pictures(rows: pd.DataFrame, entry: Entry) -> None:
    pictureless_ids = rows.loc[rows["height"] == 0, "image_id"]
    if len(pictureless_ids):
        first_id = pictureless_ids.iloc[0]
        raise ValueError(f"feature {entry.name} reads pictures; {len(pictureless_ids)} have none, first {first_id!r}")


def _extractor(entry: Entry, network: Sequence[str], device: Device) -> Any:
    """Open a feature's plug-in, as its package's docstring says."""
    folder = open_network(network)
    try:
        return plugin_of("features", entry).extractor(entry, folder, device)
    except ValueError as error:
        raise ValueError(f"features.{entry.name}: {error}") from error


def _ahead(
    pack: stimuli.Pack,
    id_lists: Sequence[Sequence[str]],
    prepare: Callable[[np.ndarray], np.ndarray] | None,
    workers: int,
    n_ahead: int,
) -> Iterator[list[np.ndarray]]:
    """Yield the pictures of each part, each read (and prepared) by a worker while those before it are described."""

    def get(image_id: str) -> np.ndarray:
        try:
            image = pack.read(image_id)
            return prepare(image) if prepare else image
        except Exception as error:
            error.add_note(f"while image {image_id!r} was prepared")
            raise

    image_ids = itertools.chain.from_iterable(id_lists)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        futures: deque[Future[np.ndarray]] = deque(
            pool.submit(get, image_id) for image_id in itertools.islice(image_ids, n_ahead)
        )
        try:
            for ids in id_lists:
                images = [futures.popleft().result() for _ in ids]
                futures.extend(pool.submit(get, image_id) for image_id in itertools.islice(image_ids, len(ids)))
                yield images
        finally:
            pool.shutdown(cancel_futures=True)


def _check(rows: np.ndarray, image_ids: Sequence[str], feature: str) -> None:
    if rows.ndim != 2 or len(rows) != len(image_ids):
        raise ValueError(f"feature {feature} gave shape {rows.shape} for {len(image_ids)} pictures")
    not_finite = ~np.isfinite(rows).all(axis=1)
    if not_finite.any():
        raise ValueError(
            f"feature {feature} gave values that are not finite for {int(not_finite.sum())} of {len(image_ids)} "
            f"pictures, the first is {image_ids[int(not_finite.argmax())]!r}"
        )


def _warn_of_size(n_rows: int, n_features: int) -> None:
    gigabytes = 4 * n_rows * n_features / 1e9
    if gigabytes >= LARGE_GB:
        LOG.warning("these features take %.1f GB on disk: %d rows of %d numbers", gigabytes, n_rows, n_features)
