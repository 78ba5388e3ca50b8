"""Features: one file each, named by a catalogue entry under ``features:``.

``FACTS``
    ``reads`` ("images", "labels" or "features"), ``kind`` ("embedding": scored by retrieval; "classes": one column per
    class, scored by accuracy), ``device`` ("cpu" or "cuda": what an entry asks for that does not say), ``threads``
    (compute threads, fixed so that results do not depend on the machine), ``checkpoint`` (whether it opens a network
    that was trained elsewhere; its entries then have the keys of ``networks`` in the schema too).
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.
``READS``, optional
    ``{rule: [keys]}``: which keys of an entry a rule reads (cache_features, extract_shard, fetch_checkpoint), where
    that is not what ``catalogue.READS`` and ``NOT_READ`` say of the section.
``CHECKPOINTS``
    Where ``checkpoint``: what is known beforehand of networks, by name: ``revision`` (commit on the hub), ``sha256`` by
    file, ``n_bytes``.

``files_needed(settings) -> core.pictures.pretrained.Checkpoint | None``
    Where ``checkpoint``: which files an entry needs; None where its weights are random. They are fetched into
    ``resources/checkpoints`` by a rule of its own.
``extractor(settings, folder, device) -> callable``
    Called once per job. ``folder`` is the path of the checkpoint's files, or None; nothing is downloaded here.

The callable takes pictures, uint8 (height, width, 3) of any sizes, and gives float32 (n_images, n_features). Where it
has a method ``prepare(image)``, each picture goes through that first, in worker threads and ahead of time, and the call
takes what it gave. Where it has an attribute ``batch``, that is noted beside the features. For ``reads: labels`` the
callable instead takes the table of all stimuli (DataFrame: image_id and one column per label). For ``reads: features``
the entry names other entries under ``of``, and the callable takes what is cached of them: a mapping from names, in that
order, to arrays (n_images, n_features of that one). It gives their columns in that order; the sidecar keeps where
those of each begin and end (``bands``).

A row may not depend on other pictures: on a CPU it is the same to the last bit however pictures are spread over batches
and shards, on a GPU to 1e-3 of its length (in float32, 2 % in bfloat16 and float16).
When pictures are added, rows of the others are taken from the last job of the same settings, code, checkpoint and
device (``artifacts.store.described``), and only the new ones are described; all are in a run that asks for the feature
(``-R cache_features``).

``n_features(settings) -> int | None``
    Optional: columns, as far as they are known without opening anything; ``estimate`` asks.
``columns(settings, stimuli) -> list[str]``
    Of ``kind: classes``: the class of each column; the sidecar keeps it, and so does each model that decodes it.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from boldflow.core.pictures.pretrained import Checkpoint
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device


class Feature(Protocol):
    """The contract above, as mypy checks it of each plug-in; what the callable takes goes with the fact ``reads``."""

    FACTS: dict[str, Any]

    def extractor(self, settings: Entry, folder: Any, device: Device) -> Callable[[Any], np.ndarray]:
        """Make the callable that describes pictures, stimuli or features."""


class OpensCheckpoint(Feature, Protocol):
    """A feature with the fact ``checkpoint``."""

    def files_needed(self, settings: Entry) -> Checkpoint | None:
        """Name the files that an entry needs."""


class CountsColumns(Feature, Protocol):
    """A feature whose columns may be known beforehand."""

    def n_features(self, settings: Entry) -> int | None:
        """Count the columns, or None."""


class NamesColumns(Feature, Protocol):
    """A feature of kind classes."""

    def columns(self, settings: Entry, stimuli: pd.DataFrame) -> list[str]:
        """Name the class of each column."""


# by the name of the function that a plug-in of that contract has
FURTHER = {"columns": NamesColumns, "files_needed": OpensCheckpoint, "n_features": CountsColumns}
