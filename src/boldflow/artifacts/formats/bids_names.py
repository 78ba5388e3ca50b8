"""Names of BIDS files: their entities, which of them name one scan, and which tables and sidecars apply to a file.

Entities are those of the file's name; what folders are called is no statement. An index such as the run is a number:
``run-1`` is ``run-01``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from boldflow.provenance import reached

INDICES = ("run", "echo", "flip", "inv", "split", "chunk")
# What tells the scans of a subject apart; other entities name a part of a scan, or what was made of it.
OF_SCAN = ("sub", "ses", "task", "acq", "ce", "trc", "rec", "dir", "run")
# What entries may choose by.
CHOSEN = (*OF_SCAN[1:], "echo", "part", "res", "den")

Entities = dict[str, str]


def entities(path: str | Path) -> Entities:
    """Give the entities of a file's name, indices without leading zeros.

    Examples
    --------
    >>> entities("prep_space-T1w/sub-1_run-01_desc-preproc_bold.nii.gz")
    {'sub': '1', 'run': '1', 'desc': 'preproc'}
    """
    pairs = (part.partition("-") for part in _stem(path).split("_"))
    return {name: normal(name, value) for name, dash, value in pairs if dash}


def normal(name: str, value: str) -> str:
    """Write the value of an entity in one way: an index without leading zeros."""
    return str(int(value)) if name in INDICES and value.isdigit() else value


def label(path: str | Path, name: str) -> str:
    """Give the value of an entity of a file's name as it stands there; empty where it has none."""
    prefix = f"{name}-"
    return next((part.removeprefix(prefix) for part in _stem(path).split("_") if part.startswith(prefix)), "")


def suffix(path: str | Path) -> str:
    """Give the last word of a file's name, such as ``bold``."""
    return _stem(path).rpartition("_")[2]


def extension(path: str | Path) -> str:
    """Give all that follows the first dot of a file's name, such as ``.nii.gz``."""
    return Path(path).name.removeprefix(_stem(path))


def applies(general: Mapping[str, str], specific: Mapping[str, str], beside: Iterable[str] = ()) -> bool:
    """Tell whether what one name says, but for the entities ``beside``, the other says too (BIDS inheritance)."""
    return all(specific.get(name) == value for name, value in general.items() if name not in beside)


def scan(of: Mapping[str, str]) -> Entities:
    """Keep the entities that tell scans apart."""
    return {name: value for name, value in of.items() if name in OF_SCAN}


def is_chosen(of: Mapping[str, str], choice: Mapping[str, Sequence[str]], optional: bool = False) -> bool:
    """Tell whether entities are among those that an entry chooses; "" stands for a name without the entity.

    Parameters
    ----------
    of : mapping of str to str
        Of a file's name.
    choice : mapping of str to sequence of str
    optional : bool
        Whether a name without an entity is of all its values, as tables of events have no ``echo``.
    """
    return all(
        of.get(name, "") in [normal(name, value) for value in values] or (optional and name not in of)
        for name, values in choice.items()
    )


def in_order(path: str | Path) -> tuple[str, str]:
    """Give what files are sorted by: session, and name with runs as numbers."""
    return label(path, "ses"), re.sub(r"(?<=_run-)\d+", lambda digits: digits[0].zfill(9), Path(path).name)


def inherited(
    root: str | Path, prefix: str, below: str, last_word: str, ending: str, beside: Sequence[str] = ()
) -> list[str]:
    """List the files that apply to one, in its folder and those above it, the most general first.

    Parameters
    ----------
    root : str or Path
    prefix : str
        What leads from there to the folder in which the search ends: nothing, or a path that ends with ``/``.
    below : str
        The file, relative to that folder.
    last_word, ending : str
        Suffix and extension of what is looked for, such as ``bold`` and ``.json``.
    beside : sequence of str
        Entities in which they may differ.

    Returns
    -------
    list of str
        Relative to ``root`` (``provenance.reached``).
    """
    of_file = entities(below)
    applying = []
    for folder in reversed(Path(below).parents):
        folder_path = prefix if folder == Path() else f"{prefix}{folder.as_posix()}/"
        there = [
            path
            for path in reached(root, f"{folder_path}*{last_word}{ending}")
            if suffix(path) == last_word and applies(entities(path), of_file, beside)
        ]
        applying += sorted(there, key=lambda path: (len(entities(path)), path))
    return applying


def _stem(path: str | Path) -> str:
    return Path(path).name.split(".")[0]
