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
        volumes = [np.asarray(part.data, dtype=np.float32).ravel() for part in image.darrays]
    except BROKEN as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole GIFTI: {error}; remove it and get it again") from None
    lengths = [len(part) for part in volumes]
    if not lengths or not lengths[0]:
        raise ValueError(f"{path} has no values; expected an array per volume")
    other = next((n for n, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        raise ValueError(
            f"{path}: volume {other + 1} of {len(lengths)} has {lengths[other]} vertices, the first {lengths[0]}"
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
        start = handle.read(3)
        if start != MAGIC:
            raise ValueError(
                f"{path} ({size} bytes) is no surface of FreeSurfer: it begins with {start!r}, not {MAGIC!r}"
            )
        for _ in range(2):  # who made it, and an empty line
            handle.readline()
        counts = handle.read(8)
        n_vertices, n_faces = (int.from_bytes(counts[k : k + 4], "big", signed=True) for k in (0, 4))
        needed = handle.tell() + 12 * (n_vertices + n_faces)  # three numbers of four bytes each
    if len(counts) < 8 or min(n_vertices, n_faces) < 1 or size < needed:
        raise ValueError(
            f"{path} ({size} bytes) is no whole surface: {n_vertices} vertices and {n_faces} triangles need "
            f"{needed} bytes; remove it and get it again"
        )


def _time_step(path: Path, image: Any) -> float | None:
    """Read the repetition time of the first array, or else of the file."""
    stated = dict(image.darrays[0].meta).get("TimeStep") or dict(image.meta).get("TimeStep")
    if stated is None:
        return None
    try:
        value = float(stated)
    except ValueError:
        raise ValueError(f"{path} states TimeStep {stated!r}, expected a number") from None
    if value <= 0:  # FreeSurfer's way to say that it was not told
        return None
    return value / 1000 if value >= MILLISECONDS_FROM else value
