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
    entry, here = read_entry(settings), read_entry(places)
    needed: Checkpoint | None = plugin_of("features", entry).files_needed(entry)
    if needed is None:
        raise ValueError(f"features.{entry.name} has random weights: it needs no checkpoint")
    base = Path(WORKSPACE) / "checkpoints"
    folder, record = base / needed.folder, Path(WORKSPACE) / "trusted" / f"checkpoint-{needed.folder}.json"
    base.mkdir(parents=True, exist_ok=True)
    with FileLock(base / f".{needed.folder}.lock"), _source(entry.name, needed, here, folder, record) as source:
        names = networks.chosen(source, needed.files)
        networks.refuse_code(source, names, needed.sha256)
        rows = annex.folder_receipt(source, names)
        checksums = {row["path"]: row["checksum"] for row in rows}
        _compare(needed, source, checksums)
        trust.confirm(record, f"checkpoint {needed.name}", checksums)
        for name in names if source != folder else []:
            with atomic(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)
    about = {"name": needed.name, "origin": needed.address or f"huggingface.co/{needed.repository}"}
    about |= {"origin": "a copy of the user's"} if "checkpoint_root" in here else {}
    what = {"what": "checkpoint", "kind": "folder", "root": relative(folder)}
    receipts.write(receipt, {**about, **what, "commit": needed.revision, "files": rows})


@contextmanager
def _source(name: str, needed: Checkpoint, here: Entry, folder: Path, record: Path) -> Iterator[Path]:
    """Give a folder that holds the files: the user's, the workspace's where they have arrived, or a download's."""
    if "checkpoint_root" in here:
        root = Path(here["checkpoint_root"]).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(
                f"features.{name}.checkpoint_root is {here['checkpoint_root']!r}, and there is no such folder"
            )
        yield root
        return
    arrived = sidecars.read(record)["files"] if record.is_file() else {}
    if arrived and all((folder / path).is_file() for path in arrived):
        rows = annex.folder_receipt(folder, arrived)
        if {row["path"]: row["checksum"] for row in rows} == arrived:
            yield folder
            return
        # damaged on this disk: it is fetched again
    incoming = folder.with_name(f".{needed.folder}.incoming")  # stays when a download is cut off: it goes on from there
    incoming.mkdir(exist_ok=True)
    whole = False
    try:
        try:
            _download(needed, incoming)
        except Exception as error:
            raise RuntimeError(
                f"checkpoint {needed.name} could not be downloaded: {type(error).__name__}: {error}\n"
                "where this machine has no network, run `snakemake prefetch --profile cpu` (with your --config) in "
                f"this folder on one that has, or name a folder that holds {', '.join(needed.files)} in "
                f"features.{name}.checkpoint_root"
            ) from error
        whole = True
        yield incoming
    finally:
        if whole:  # copied, or refused
            shutil.rmtree(incoming, ignore_errors=True)


def _download(needed: Checkpoint, folder: Path) -> None:
    if needed.address is not None:
        with (
            urllib.request.urlopen(needed.address, timeout=TIMEOUT_S) as answer,
            (folder / needed.files[0]).open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
        return
    if needed.repository is None or needed.revision is None:
        raise ValueError("no revision of it is known, so only a folder of yours can give it")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import snapshot_download

    snapshot_download(needed.repository, revision=needed.revision, allow_patterns=list(needed.files), local_dir=folder)


def _compare(needed: Checkpoint, source: Path, checksums: dict[str, str]) -> None:
    """Refuse files that are not those whose checksums are known."""
    for name, pinned in needed.sha256.items():
        if name not in checksums:
            raise FileNotFoundError(f"{source} has no {name}, which checkpoint {needed.name} needs")
        if checksums[name] != f"sha256:{pinned}":
            raise ValueError(
                f"{name} of checkpoint {needed.name} is not the pinned one (revision {needed.revision}): expected "
                f"sha256:{pinned}, found {checksums[name]} in {source}"
            )
