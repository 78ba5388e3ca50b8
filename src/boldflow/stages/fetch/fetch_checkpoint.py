"""Get the checkpoint of a network: from a folder of the user's, the Hugging Face hub, or a fixed address."""

import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from boldflow.artifacts.arrival import annex, trust
from boldflow.artifacts.formats import networks
from boldflow.artifacts.store import receipts, sidecars
from boldflow.artifacts.store.atomic import atomic
from boldflow.core.pictures.pretrained import Checkpoint
from boldflow.registry import plugin_of
from boldflow.settings import Entry, read_entry
from boldflow.stages.fetch._arrival import WORKSPACE, relative

TIMEOUT_S = 60.0  # of silence, for a fixed address


def run(receipt: str, settings: str, places: str) -> None:
    """Bring the files that a feature's network needs into ``resources/checkpoints``, and write what arrived.

    They are looked into before anything opens them: pickles whose SHA-256 is not known beforehand and settings that
    name code are refused. Checksums that are known are compared; others are kept in ``resources/trusted`` when they are
    first seen, and other files later stop.

    Parameters
    ----------
    receipt : path of the JSON to write
    settings : the feature's catalogue entry, JSON text
    places : what the entry says of where this machine finds things (``checkpoint_root``), JSON text

    Raises
    ------
    FileNotFoundError
        If the user's folder is not there or lacks files.
    RuntimeError
        If nothing could be downloaded; says what and how to get it otherwise.
    ValueError
        If files are refused, or their checksums are others than known or first seen; shows both.
    """
    entry, machine_entry = read_entry(settings), read_entry(places)
    checkpoint: Checkpoint | None = plugin_of("features", entry).files_needed(entry)
    if checkpoint is None:
        raise ValueError(f"features.{entry.name} has random weights: it needs no checkpoint")
    checkpoints_folder = Path(WORKSPACE) / "checkpoints"
    folder, record_path = (
        checkpoints_folder / checkpoint.folder,
        Path(WORKSPACE) / "trusted" / f"checkpoint-{checkpoint.folder}.json",
    )
    checkpoints_folder.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(checkpoints_folder / f".{checkpoint.folder}.lock"),
        _source(entry.name, checkpoint, machine_entry, folder, record_path) as source,
    ):
        file_names = networks.chosen(source, checkpoint.files)
        networks.refuse_code(source, file_names, checkpoint.sha256)
        receipt_rows = annex.folder_receipt(source, file_names)
        checksums = {row["path"]: row["checksum"] for row in receipt_rows}
        _compare(checkpoint, source, checksums)
        trust.confirm(record_path, f"checkpoint {checkpoint.name}", checksums)
        for name in file_names if source != folder else []:
            with atomic(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)
    identity = {"name": checkpoint.name, "origin": checkpoint.address or f"huggingface.co/{checkpoint.repository}"}
    identity |= {"origin": "a copy of the user's"} if "checkpoint_root" in machine_entry else {}
    location = {"what": "checkpoint", "kind": "folder", "root": relative(folder)}
    receipts.write(receipt, {**identity, **location, "commit": checkpoint.revision, "files": receipt_rows})


@contextmanager
def _source(name: str, checkpoint: Checkpoint, machine_entry: Entry, folder: Path, record_path: Path) -> Iterator[Path]:
    """Give a folder that holds the files: the user's, the workspace's where they have arrived, or a download's."""
    if "checkpoint_root" in machine_entry:
        root = Path(machine_entry["checkpoint_root"]).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(
                f"features.{name}.checkpoint_root is {machine_entry['checkpoint_root']!r}, and there is no such folder"
            )
        yield root
        return
    recorded_checksums = sidecars.read(record_path)["files"] if record_path.is_file() else {}
    if recorded_checksums and all((folder / path).is_file() for path in recorded_checksums):
        receipt_rows = annex.folder_receipt(folder, recorded_checksums)
        if {row["path"]: row["checksum"] for row in receipt_rows} == recorded_checksums:
            yield folder
            return
        # damaged on this disk: it is fetched again
    incoming = folder.with_name(
        f".{checkpoint.folder}.incoming"
    )  # stays when a download is cut off: it goes on from there
    incoming.mkdir(exist_ok=True)
    is_complete = False
    try:
        try:
            _download(checkpoint, incoming)
        except Exception as error:
            raise RuntimeError(
                f"checkpoint {checkpoint.name} could not be downloaded: {type(error).__name__}: {error}\n"
                "where this machine has no network, run `snakemake prefetch --profile cpu` (with your --config) in "
                f"this folder on one that has, or name a folder that holds {', '.join(checkpoint.files)} in "
                f"features.{name}.checkpoint_root"
            ) from error
        is_complete = True
        yield incoming
    finally:
        if is_complete:  # copied, or refused
            shutil.rmtree(incoming, ignore_errors=True)


def _download(checkpoint: Checkpoint, folder: Path) -> None:
    if checkpoint.address is not None:
        with (
            urllib.request.urlopen(checkpoint.address, timeout=TIMEOUT_S) as answer,
            (folder / checkpoint.files[0]).open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
        return
    if checkpoint.repository is None or checkpoint.revision is None:
        raise ValueError("no revision of it is known, so only a folder of yours can give it")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import snapshot_download

    snapshot_download(
        checkpoint.repository, revision=checkpoint.revision, allow_patterns=list(checkpoint.files), local_dir=folder
    )


def _compare(checkpoint: Checkpoint, source: Path, checksums: dict[str, str]) -> None:
    """Refuse files that are not those whose checksums are known."""
    for name, pinned_sha256 in checkpoint.sha256.items():
        if name not in checksums:
            raise FileNotFoundError(f"{source} has no {name}, which checkpoint {checkpoint.name} needs")
        if checksums[name] != f"sha256:{pinned_sha256}":
            raise ValueError(
                f"{name} of checkpoint {checkpoint.name} is not the pinned one (revision {checkpoint.revision}): "
                f"expected sha256:{pinned_sha256}, found {checksums[name]} in {source}"
            )
