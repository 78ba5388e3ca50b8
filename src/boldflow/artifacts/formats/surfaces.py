"""Surfaces: time series on vertices (GIFTI), and FreeSurfer's own files of triangles."""

import zlib
from pathlib import Path
from typing import Any
from xml.parsers import expat

import nibabel as nib
import numpy as np
from nibabel.freesurfer import read_geometry

MAGIC = b"\xff\xff\xfe"  # with which FreeSurfer's triangle files begin
MILLISECONDS_FROM = 100  # a TimeStep this long is one of FreeSurfer's, which writes milliseconds; others write seconds
# nibabel makes None of an empty GIFTI, which has no attributes
BROKEN = (OSError, EOFError, ValueError, KeyError, IndexError, AttributeError, zlib.error, expat.ExpatError)


def time_series(path: str | Path) -> tuple[np.ndarray, float | None]:
    """Read the volumes of a run on the vertices of a hemisphere, of a GIFTI with an array per volume.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (array of shape (n_volumes, n_vertices), float or None)
        float32, and the repetition time (s) that the file states with ``TimeStep``, None where it states none.

    Raises
    ------
    ValueError
        If the file is no whole GIFTI (tells its bytes), or its arrays are not of one length; names the first other.
    FileNotFoundError
        If there is no such file, or its content is absent.
    """
    path = Path(path)
    try:
        image: Any = nib.gifti.GiftiImage.from_filename(path)
        volumes = [np.asarray(array.data, dtype=np.float32).ravel() for array in image.darrays]
    except BROKEN as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole GIFTI: {error}; remove it and get it again") from None
    n_vertices = [len(volume) for volume in volumes]
    if not n_vertices or not n_vertices[0]:
        raise ValueError(f"{path} has no values; expected an array per volume")
    first_other = next((number for number, n in enumerate(n_vertices) if n != n_vertices[0]), None)
    if first_other is not None:
        raise ValueError(
            f"{path}: volume {first_other + 1} of {len(n_vertices)} has {n_vertices[first_other]} vertices, the first "
            f"{n_vertices[0]}"
        )
    return np.stack(volumes), _time_step(path, image)


def triangles(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read FreeSurfer's file of a surface, such as lh.sphere.reg.

    Returns
    -------
    (array of shape (n_vertices, 3), int array of shape (n_faces, 3))
        Coordinates, mm, float64; triangles as rows of it.

    Raises
    ------
    ValueError
        If the file is no whole surface; tells its bytes and how many there should be.
    FileNotFoundError
        If there is no such file, or its content is absent.
    """
    check_triangles(path)
    vertices, faces = read_geometry(str(path))
    return np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64)


def check_triangles(path: str | Path) -> None:
    """Look whether a file of FreeSurfer's is a surface of triangles and holds as many as it says.

    Raises
    ------
    ValueError
        If it is none; tells its bytes.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as handle:
        first_bytes = handle.read(3)
        if first_bytes != MAGIC:
            raise ValueError(
                f"{path} ({size} bytes) is no surface of FreeSurfer: it begins with {first_bytes!r}, not {MAGIC!r}"
            )
        for _ in range(2):  # who made it, and an empty line
            handle.readline()
        count_bytes = handle.read(8)
        n_vertices, n_faces = (int.from_bytes(count_bytes[k : k + 4], "big", signed=True) for k in (0, 4))
        n_needed = handle.tell() + 12 * (n_vertices + n_faces)  # three numbers of four bytes each
    if len(count_bytes) < 8 or min(n_vertices, n_faces) < 1 or size < n_needed:
        raise ValueError(
            f"{path} ({size} bytes) is no whole surface: {n_vertices} vertices and {n_faces} triangles need "
            f"{n_needed} bytes; remove it and get it again"
        )


def _time_step(path: Path, image: Any) -> float | None:
    """Read the repetition time of the first array, or else of the file."""
    time_step = dict(image.darrays[0].meta).get("TimeStep") or dict(image.meta).get("TimeStep")
    if time_step is None:
        return None
    try:
        value = float(time_step)
    except ValueError:
        raise ValueError(f"{path} states TimeStep {time_step!r}, expected a number") from None
    if value <= 0:  # FreeSurfer's way to say that it was not told
        return None
    return value / 1000 if value >= MILLISECONDS_FROM else value
