"""Networks that were trained elsewhere: which files of theirs an entry needs, and what is known of them beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boldflow.settings import Entry


@dataclass(frozen=True)
class Checkpoint:
    """Files of a network that was trained elsewhere.

    ``folder`` is their place below the workspace's ``checkpoints``. They come from ``repository`` of the Hugging Face
    hub at the commit ``revision`` (None where only a folder of the user's has them), or from ``address`` where that is
    not None. ``files`` are patterns of names: what else lies there is not taken. ``sha256`` by name, as far as it is
    known beforehand; ``n_bytes`` about, 0 where unknown.
    """

    name: str
    folder: str
    repository: str | None
    revision: str | None
    address: str | None
    files: tuple[str, ...]
    sha256: dict[str, str]
    n_bytes: int = 0


def on_hub(settings: Entry, published: Mapping[str, Mapping[str, Any]], files: Sequence[str]) -> Checkpoint | None:
    """Say which files of the Hugging Face hub an entry needs; None where its weights are random.

    Parameters
    ----------
    settings : Entry
        The entry: ``weights``, ``checkpoint``, perhaps ``revision`` and ``sha256``.
    published : mapping
        What the plug-in knows of checkpoints, by name: ``revision``, ``sha256`` by file, ``n_bytes``.
    files : sequence of str
        Patterns of names.

    Returns
    -------
    Checkpoint or None
    """
    if settings["weights"] == "untrained":
        return None
    name = settings["checkpoint"]
    facts = published.get(name, {})
    revision = settings.get("revision", facts.get("revision"))
    published_sha256 = facts.get("sha256", {}) if revision == facts.get("revision") else {}
    folder = f"{name.replace('/', '--')}@{revision[:12] if revision else 'local'}"
    sha256 = {**published_sha256, **settings.get("sha256", {})}
    return Checkpoint(name, folder, name, revision, None, tuple(files), sha256, facts.get("n_bytes", 0))
