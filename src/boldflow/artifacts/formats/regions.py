"""Regions of interest in files: FreeSurfer's labels, annotations and overlays, GIFTI, and masks in volumes (NIfTI)."""

import hashlib
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHError

from boldflow.artifacts.formats import bids, surfaces

SHOWN = 20  # values or names of a file that an error lists
OWNER = re.compile(r"from subject[ \t]+(?!vox2ras)(\S+)")  # in the first line of a label; often nobody is named
BROKEN = (*surfaces.BROKEN, *bids.BROKEN, TypeError, MGHError)


@dataclass(frozen=True)
class RegionFile:
    """What a file says of a region.

    ``inside`` is bool: (n_vertices,) of a hemisphere, where ``kind`` is "overlay" (annotations too), or (x, y, z) of a
    "volume" with its ``affine`` (from voxel index to mm). Of a "label", which does not say how many vertices its
    surface has, it is (highest vertex + 1,), and ``owner`` is the subject that its first line names, if any.
    ``holds`` lists the values that there are, for errors; ``unplaced`` says why it is unknown where a volume lies.
    """

    kind: str
    inside: np.ndarray
    sha256: str
    holds: str
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    owner: str = ""
    unplaced: str = ""


def read(path: str | Path, kind: str, choice: str = "") -> RegionFile:
    """Read a region.

    Parameters
    ----------
    path : str or Path
    kind : {"label", "annotation", "overlay", "volume"}
    choice : str
        Name of a region of an annotation; or the value that is inside: without it, values above 0 are.

    Returns
    -------
    RegionFile
        Its region may be empty.

    Raises
    ------
    ValueError
        If the file is not whole (tells its bytes), holds more than one value per place, an annotation has no region of
        that name, or values are below 0 and none is chosen.
    FileNotFoundError
        If there is no such file, or its content is absent.
    """
    path = Path(path)
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    if kind == "label":
        inside, owner = _label(path)
        return RegionFile("label", inside, sha256, f"{inside.sum()} vertices", owner=owner)
    if kind == "annotation":
        inside, names_text = _annotation(path, choice)
        return RegionFile("overlay", inside, sha256, names_text)
    if kind == "volume":
        image, values = bids.volume(path)
        inside, holds = _chosen(path, bids.with_axes(path, values, 3, "one volume of voxels"), choice)
        unplaced = bids.unplaced(path, image)
        return RegionFile("volume", inside, sha256, holds, affine=np.asarray(image.affine), unplaced=unplaced)
    inside, holds = _chosen(path, _per_vertex(path, _overlay(path)), choice)
    return RegionFile("overlay", inside, sha256, holds)


def _label(path: Path) -> tuple[np.ndarray, str]:
    """Read the vertices of a label and the subject that it names: a line of words, their number, a line per vertex."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        n_stated = int(lines[1])
        vertices = np.array([int(row.split()[0]) for row in lines[2:] if row.strip()], dtype=np.int64)
    except (ValueError, IndexError) as error:
        raise _not_whole(path, "label of FreeSurfer", error) from None
    if len(vertices) != n_stated or vertices.min(initial=0) < 0:
        problem = f"its second line says {n_stated} vertices, it has {len(vertices)}, from {vertices.min(initial=0)} on"
        raise _not_whole(path, "label of FreeSurfer", problem)
    inside = np.zeros(vertices.max(initial=-1) + 1, dtype=bool)
    inside[vertices] = True
    owner = OWNER.search(lines[0])
    return inside, owner[1] if owner else ""


def _annotation(path: Path, choice: str) -> tuple[np.ndarray, str]:
    """Read the vertices of a region of an annotation: a colour for each vertex, and a table of colours and names.

    nibabel's reader numbers names as they come, which is not their place in a table that has gaps.
    """
    annotation_bytes = path.read_bytes()
    try:
        (n_vertices,) = struct.unpack_from(">i", annotation_bytes)
        vertices, colours = (
            np.frombuffer(annotation_bytes, dtype=">i4", count=2 * n_vertices, offset=4).reshape(-1, 2).T
        )
        colour_of_name = _colours(annotation_bytes, 4 + 8 * n_vertices)
        inside = np.zeros(n_vertices, dtype=bool)
        inside[vertices] = colours == colour_of_name.get(choice)
    except (struct.error, ValueError, IndexError) as error:
        raise _not_whole(path, "annotation", error) from None
    names_text = _listed(sorted(colour_of_name))
    same_colour_names = [
        name for name in colour_of_name if name != choice and colour_of_name[name] == colour_of_name.get(choice)
    ]
    if choice not in colour_of_name or same_colour_names:
        colour_text = f" of its own colour ({', '.join(same_colour_names)} has it too)" if same_colour_names else ""
        raise ValueError(f"{path} has no region {choice!r}{colour_text}; there are: {names_text}")
    return inside, names_text


class _Numbers:
    """Reads a table of an annotation from a byte on: whole numbers and texts, one after the other."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.place = data, start

    def number(self) -> int:
        """Read a whole number of four bytes."""
        self.place += 4
        return int(struct.unpack_from(">i", self.data, self.place - 4)[0])

    def text(self) -> str:
        """Read a text, whose length stands before it."""
        length = self.number()
        n_left = len(self.data) - self.place
        if not 0 <= length <= n_left:
            raise ValueError(f"a name has {length} bytes, {n_left} are left")
        self.place += length
        return self.data[self.place - length : self.place].split(b"\0")[0].decode("utf-8", errors="replace")


def _colours(annotation_bytes: bytes, start: int) -> dict[str, int]:
    """Read the table of an annotation that begins at a byte: the colour of each name, red + 256 green + 65536 blue."""
    reader = _Numbers(annotation_bytes, start)
    if reader.number() != 1:
        raise ValueError("it has no table of names")
    n_names = reader.number()  # older tables have it here, newer ones their version, below 0
    if n_names not in (-2, *range(1, len(annotation_bytes))):
        raise ValueError(f"its table of names is of version {-n_names}, expected 2")
    is_newer = n_names < 0
    if is_newer:
        reader.number()  # places in the table, some of which may be empty
    reader.text()  # file that the table comes from
    colour_of_name = {}
    for _ in range(reader.number() if is_newer else n_names):
        if is_newer:
            reader.number()
        name = reader.text()
        red, green, blue, _ = (reader.number() for _ in range(4))
        colour_of_name[name] = red + 256 * green + 65536 * blue
    return colour_of_name


def _overlay(path: Path) -> np.ndarray:
    """Read the values of an overlay, of GIFTI or FreeSurfer's format."""
    format_name = "GIFTI" if path.suffix == ".gii" else "overlay of FreeSurfer"
    try:
        if format_name == "GIFTI":
            data_arrays = nib.gifti.GiftiImage.from_filename(path).darrays
            value_arrays = [np.asarray(array.data) for array in data_arrays]
        else:
            image: Any = nib.MGHImage.from_filename(path)
            value_arrays = [np.asarray(image.dataobj)]
    except BROKEN as error:
        raise _not_whole(path, format_name, error) from None
    if len(value_arrays) != 1:
        raise ValueError(f"{path} has {len(value_arrays)} arrays, expected one with a value per vertex")
    return value_arrays[0]


def _per_vertex(path: Path, values: np.ndarray) -> np.ndarray:
    """Drop axes of length 1, (n_vertices,)."""
    if values.size != max(values.shape, default=0):
        raise ValueError(f"{path} holds values of shape {values.shape}, expected a value per vertex of one hemisphere")
    return values.reshape(-1)


def _chosen(path: Path, values: np.ndarray, choice: str) -> tuple[np.ndarray, str]:
    """Tell what is inside; values that are not finite never are."""
    distinct_values = np.unique(values[np.isfinite(values)])
    holds = _listed([f"{value:g}" for value in distinct_values])
    if choice:
        return values == int(choice), holds
    if distinct_values.size and distinct_values[0] < 0:
        raise ValueError(
            f"{path} has values below 0, which may mean anything ({holds}): choose the region's value after a colon, "
            f"as in {path.name}:1"
        )
    return np.isfinite(values) & (values > 0), holds


def _listed(values: list[str]) -> str:
    ending = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return (", ".join(values[:SHOWN]) or "none") + ending


def _not_whole(path: Path, what: str, why: object) -> ValueError:
    return ValueError(f"{path} ({path.stat().st_size} bytes) is no whole {what}: {why}; mend it, or get it again")
