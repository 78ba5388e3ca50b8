"""What a job of one subject reads of features: the rows of the pictures that this subject's trials show.

A subject who is added to a data set brings pictures, and so features grow by rows that nobody else's jobs read. The
note of features (``NAME.pictures.json`` beside ``NAME.npy``) has a checksum of each picture's row; the note of a split
(``NAME.json`` beside ``NAME.parquet``) has the pictures of each subject's trials.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boldflow.runs.checksums import of_subject, read_json, sha256

ENDING = ".pictures.json"
FILES = (".npy", ".parquet", ".json")  # of features; what a job reads of them is covered by the note
OF_ALL_PICTURES = ("shape", "data")  # what a sidecar says of all pictures together


def note_of_features(
    features: str | Path, rows: Iterable[tuple[str, bytes]], sidecar: Mapping[str, Any]
) -> dict[str, Any]:
    """Say what each picture's row of features is, for the note beside them.

    Parameters
    ----------
    features : path of the .npy, whose index and sidecar are written
    rows : image_id and the bytes of its row, of each picture
    sidecar : what the sidecar of the features says
    """
    return {
        "files": {suffix: sha256(Path(features).with_suffix(suffix)) for suffix in FILES},
        "beside": _digest(_of_each_picture(sidecar)),
        "rows": {name: hashlib.blake2b(row, digest_size=8).hexdigest() for name, row in rows},
    }


def checksums(paths: Sequence[str], subject: str, reads_own: bool = True) -> list[tuple[str, str]]:
    """Give the checksum of what a job of one subject reads of each of its input files.

    Parameters
    ----------
    paths : the input files, a split among them where pictures are known
    subject : the subject; "" for a job of none, which reads files whole
    reads_own : whether the job reads rows of features of its subject's pictures alone, not of a gallery of all

    Returns
    -------
    list of (path, checksum)
        In the order of ``paths``. Of features the checksum covers the subject's pictures, where notes tell these.
    """
    shown = _shown(paths, subject) if subject and reads_own else None
    by_stem = {stem: _of_pictures(stem, shown) for stem in {_stem(path) for path in paths}} if shown else {}
    return [(path, by_stem.get(_stem(path)) or of_subject(path, subject)) for path in paths]


def _stem(path: str) -> Path:
    return Path(path).with_suffix("")


def _shown(paths: Iterable[str], subject: str) -> list[str] | None:
    """List the pictures of a subject's trials; None where no split among the files tells."""
    for path in (Path(path) for path in paths):
        note = read_json(path.with_suffix(".json")) if path.parent.name == "splits" else None
        pictures = (note or {}).get("pictures_by_subject", {}).get(subject)
        if note and pictures is not None and note.get("table_sha256") == sha256(path):
            return list(pictures)
    return None


def _of_pictures(stem: Path, pictures: Sequence[str]) -> str | None:
    """Digest the rows of some pictures; None for what are no features, or not those that the note is of."""
    note = read_json(stem.with_name(stem.name + ENDING))
    if note is None or any(note["files"].get(suffix) != _sum(stem.with_suffix(suffix)) for suffix in FILES):
        return None
    rows = note["rows"]
    if not all(name in rows for name in pictures):
        return None
    return _digest([note["beside"], [[name, rows[name]] for name in pictures]])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sum(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _of_each_picture(note: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a sidecar, or that of a joined feature, says of all pictures together."""
    kept = {key: value for key, value in note.items() if key not in OF_ALL_PICTURES}
    if "members" in kept:
        kept["members"] = {name: _of_each_picture(member) for name, member in kept["members"].items()}
    return kept
