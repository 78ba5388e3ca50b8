"""Pictures of the user's against what trials show, by name: before anything is trusted, hashed or packed."""

import difflib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType

from boldflow.artifacts.formats import pictures
from boldflow.core.records.stimuli import composed
from boldflow.provenance import EVERYTHING, reached
from boldflow.settings import Entry

FIRST = 5  # names that are shown of many
WAYS = ("path", "name", "stem")  # values of the key image_name
logger = logging.getLogger(__name__)


def check_names(entry: Entry, plugin: ModuleType, root: Path, shown_ids: Iterable[str]) -> None:
    """Refuse pictures that do not go by the names that trials show.

    Parameters
    ----------
    entry : the data set's
    plugin : its plug-in, which has ``named_pictures``
    root : folder of the pictures
    shown_ids : what usable trials show

    Raises
    ------
    ValueError
        If two pictures have one name, or trials show names that no picture has: each of the first with the nearest
        name there is, and the key that mends it.
    """
    path_of_id = _path_of_id(entry, plugin, root)
    names = {composed(name) for name in shown_ids}
    missing_ids = sorted(names - path_of_id.keys())
    if not missing_ids:
        return
    count_text = (
        f"holds {len(path_of_id)} pictures, and the trials of {entry.name} show {len(names)} different ones; complete "
        "the folder or the archive. "
        if len(path_of_id) < len(names)
        else f"holds {len(path_of_id)} pictures. "
    )
    lines = [f"  {_shown(name)}: {_nearest(name, path_of_id, root)}" for name in missing_ids[:FIRST]]
    more_text = [f"  and {len(missing_ids) - FIRST} more"] if len(missing_ids) > FIRST else []
    raise ValueError(
        "\n".join(
            [
                f"datasets.{entry.name}.stimuli_root: {root} {count_text}The trials show {len(missing_ids)} names that "
                "none of these has:",
                *lines,
                *more_text,
                *_remedies(entry, plugin, root, missing_ids),
            ]
        )
    )


def turned(root: Path, paths: Iterable[str], entry: Entry) -> list[str]:
    """List the pictures that are turned as their camera says, and say so in the log.

    Raises
    ------
    ValueError
        If the entry refuses such pictures (``turned_pictures``); names the first.
    """
    is_picture = (path for path in paths if PurePosixPath(path).suffix.lower() in pictures.SUFFIXES)
    turned_paths = sorted(path for path in is_picture if pictures.is_turned(root / path))
    if not turned_paths:
        return []
    count_text = f"{len(turned_paths)} pictures of {entry.name} carry a camera's orientation (EXIF)"
    if entry["turned_pictures"] == "refused":
        raise ValueError(
            f"{count_text}, and datasets.{entry.name}.turned_pictures is refused; the first are "
            f"{turned_paths[:FIRST]}: save them as they were shown, without EXIF"
        )
    logger.warning(
        "%s and are turned by it, the first are %s; a program that did not turn them showed others: then set "
        "datasets.%s.turned_pictures to refused", count_text, turned_paths[:FIRST], entry.name,
    )  # fmt: skip
    return turned_paths


def _path_of_id(entry: Entry, plugin: ModuleType, root: Path) -> dict[str, str]:
    """Give the file of each name of a picture."""
    path_of_id: dict[str, str] = {}
    for path, image_id, _ in plugin.named_pictures(root, entry):
        first_path = path_of_id.setdefault(composed(image_id), path)
        if first_path != path:
            mends = "image_name" in entry and entry["image_name"] != "path" and first_path != composed(path)
            key_text = f", or set datasets.{entry.name}.image_name to path" if mends else ""
            raise ValueError(
                f"{root} has two pictures {_shown(image_id)}: {_shown(first_path)} and {_shown(path)}; "
                f"keep one{key_text}"
            )
    return path_of_id


def _nearest(name: str, path_of_id: Mapping[str, str], root: Path) -> str:
    """Say which known name resembles one most, or which file of that name is not read."""
    stem = PurePosixPath(name).stem
    for path in reached(root, EVERYTHING):
        suffix = PurePosixPath(path).suffix
        if suffix.lower() not in pictures.SUFFIXES and composed(path) in (name, f"{name}{suffix}"):
            return f"{_shown(path)} is there, and {suffix or 'a name without suffix'} is not read"
    spelling = {other.casefold().replace("\\", "/"): other for other in path_of_id}
    exact = spelling.get(name.casefold().replace("\\", "/"))
    close = [exact] if exact else difflib.get_close_matches(name, path_of_id, n=1, cutoff=0.4)
    close = close or [other for other in path_of_id if PurePosixPath(other).stem == stem][:1]
    return f"the nearest is {_shown(close[0])}" if close else "no name resembles it"


def _remedies(entry: Entry, plugin: ModuleType, root: Path, missing_ids: list[str]) -> list[str]:
    """Say what would bring the names together, as far as that can be tried."""
    remedies = []
    for way in WAYS if "image_name" in entry else ():
        if way != entry["image_name"]:
            names = {composed(image_id) for _, image_id, _ in plugin.named_pictures(root, entry.but(image_name=way))}
            n_known = len(names.intersection(missing_ids))
            remedies += [f"datasets.{entry.name}.image_name: {way} would find {n_known} of them"] if n_known else []
    if all(name.startswith(f"{root.name}/") for name in missing_ids):
        remedies.append(f"they begin with {root.name}/: set stimuli_root to the folder above, {root.parent}")
    suffixes = ", ".join(sorted(pictures.SUFFIXES))
    way_text = f" (image_name is {entry['image_name']!r})" if "image_name" in entry else ""
    return [*remedies, f"names are compared as they stand below the folder{way_text}; read are {suffixes}"]


def _shown(name: str) -> str:
    """Quote a name; what is not ASCII is escaped, since unlike characters look alike."""
    return ascii(name)
