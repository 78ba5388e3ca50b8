"""Hemispheres of fsaverage5 as figures show them, and which vertex each pixel of a view shows.

Meshes come as arrays: nothing here reads a file.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SURFACE = "fsaverage5"
SIDES = ("left", "right")
N_VERTICES = 10_242  # per hemisphere
PIXEL_MM = 0.5
FLAT, FLAT_PIXEL_MM = "flat", 1.0  # the flat mesh is larger than any view of the inflated one
# from the mesh's centre towards the eye, and what is up; x is mirrored for the right hemisphere (x towards the midline)
VIEWS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "lateral": ((-1, 0, 0), (0, 0, 1)),
    "medial": ((1, 0, 0), (0, 0, 1)),
    "ventral": ((0, 0, -1), (0, 1, 0)),
    "dorsal": ((0, 0, 1), (0, 1, 0)),
    "posterior": ((0, -1, 0), (0, 0, 1)),
    "occipital": ((0.62, -0.72, -0.3), (0, 0, 1)),
    FLAT: ((0, 0, 1), (0, 1, 0)),  # of the mesh that is cut open and laid out
}


@dataclass(frozen=True, eq=False)
class Surface:
    """Points (n_vertices, 3) in mm, and triangles (n_faces, 3) of their numbers."""

    points: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True, eq=False)
class Hemisphere:
    """A hemisphere inflated, and cut open and laid out; ``depth`` (n_vertices,): above 0 in sulci."""

    inflated: Surface
    flat: Surface
    depth: np.ndarray


@dataclass(frozen=True)
class Projection:
    """A hemisphere seen from one side: which vertex each pixel shows.

    ``vertex`` is int (height, width), -1 outside the brain; ``background`` is float32 (height, width, 4), light gyri
    and darker sulci, transparent outside.
    """

    vertex: np.ndarray
    background: np.ndarray


@functools.cache
def project_surface(hemisphere: Hemisphere, side: str, view: str) -> Projection:
    """See a hemisphere of fsaverage5 from one side.

    Parameters
    ----------
    hemisphere : Hemisphere
    side : "left" or "right"
        Which one it is: views of the right are mirrored.
    view : str
        A key of ``VIEWS``.

    Returns
    -------
    Projection
        Pixels of ``PIXEL_MM`` (flat: ``FLAT_PIXEL_MM``); row 0 is the top.

    Raises
    ------
    ValueError
        If side or view is unknown.
    """
    if side not in SIDES or view not in VIEWS:
        raise ValueError(f"no view {view!r} of side {side!r}; views: {', '.join(VIEWS)}; sides: {', '.join(SIDES)}")
    surface = hemisphere.flat if view == FLAT else hemisphere.inflated
    towards, up = _axes(side, view)
    x, y = surface.points @ np.cross(up, towards), -(surface.points @ up)  # (n_vertices,)
    near = surface.points @ towards
    used = np.unique(surface.faces)  # a flat mesh leaves out the medial wall
    pixel = FLAT_PIXEL_MM if view == FLAT else PIXEL_MM
    column, row = (x - x[used].min()) / pixel + 1, (y - y[used].min()) / pixel + 1
    vertex = _nearest_vertex(column, row, near, surface.faces)  # (height, width)
    grey = np.where(hemisphere.depth > 0, 0.78, 0.88)[vertex]
    background = np.dstack([grey, grey, grey, vertex >= 0]).astype(np.float32)
    return Projection(vertex, background)


def _axes(side: str, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors towards the eye and up, at right angles."""
    towards, up = (np.array(axis, dtype=np.float64) for axis in VIEWS[view])
    if side == "right":
        towards[0] *= -1
    towards /= np.linalg.norm(towards)
    up -= (up @ towards) * towards
    up /= np.linalg.norm(up)
    return towards, up


def _nearest_vertex(column: np.ndarray, row: np.ndarray, near: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Fill triangles back to front; each pixel keeps the corner that it is closest to."""
    used = np.unique(faces)
    shape = (int(np.ceil(row[used].max())) + 2, int(np.ceil(column[used].max())) + 2)
    shown = np.full(shape, -1, dtype=np.int64)
    order = np.argsort(near[faces].mean(axis=1), kind="stable")
    px, py = column[faces[order]], row[faces[order]]  # (n_faces, 3)
    corners = faces[order]
    area = (px[:, 1] - px[:, 0]) * (py[:, 2] - py[:, 0]) - (px[:, 2] - px[:, 0]) * (py[:, 1] - py[:, 0])
    left, top = np.floor(px.min(axis=1)).astype(int), np.floor(py.min(axis=1)).astype(int)
    wide, tall = int(np.ceil(np.ptp(px, axis=1).max())) + 1, int(np.ceil(np.ptp(py, axis=1).max())) + 1
    rank = np.full(shape, -1, dtype=np.int64)  # place in the order of the face that a pixel shows
    solid = area != 0
    scale = np.where(solid, area, 1)
    for dx in range(wide):
        for dy in range(tall):
            x, y = left + dx, top + dy
            first = ((px[:, 1] - x) * (py[:, 2] - y) - (px[:, 2] - x) * (py[:, 1] - y)) / scale
            second = ((px[:, 2] - x) * (py[:, 0] - y) - (px[:, 0] - x) * (py[:, 2] - y)) / scale
            weight = np.stack([first, second, 1 - first - second])  # (3, n_faces), of the corners
            inside = np.flatnonzero(solid & (weight >= -1e-9).all(axis=0))
            np.maximum.at(rank, (y[inside], x[inside]), inside)  # faces come back to front: the last is the nearest
            nearest = inside[rank[y[inside], x[inside]] == inside]
            shown[y[nearest], x[nearest]] = corners[nearest, weight[:, nearest].argmax(axis=0)]
    return shown


def vertex_array(vertex: Sequence[int] | np.ndarray, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Spread values of some vertices over a hemisphere of fsaverage5.

    Parameters
    ----------
    vertex : int array of shape (n,)
    values : array of shape (n,)

    Returns
    -------
    array of shape (10242,)
        NaN where no value was given.

    Raises
    ------
    ValueError
        If a vertex is not on the mesh, or is given twice.
    """
    where = np.asarray(vertex, dtype=int)
    if len(where) and (where.min() < 0 or where.max() >= N_VERTICES):
        raise ValueError(f"vertices must lie in 0..{N_VERTICES - 1} ({SURFACE}), found {where.min()}..{where.max()}")
    if len(np.unique(where)) != len(where):
        raise ValueError(f"{len(where) - len(np.unique(where))} vertices are given more than once")
    full = np.full(N_VERTICES, np.nan)
    full[where] = np.asarray(values, dtype=np.float64)
    return full


def hemispheres(part: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    """Spread a column of one subject's map over both hemispheres.

    Parameters
    ----------
    part : DataFrame
        Columns hemisphere, vertex and ``column``, a row per vertex.
    column : str
        ``roi`` for names, else numbers.

    Returns
    -------
    dict of "left" and "right" to array of shape (10242,)
        NaN, or for ``roi`` the empty name, where a vertex has no row.

    Raises
    ------
    ValueError
        If a vertex is not on the mesh, or is given twice.
    """
    full = {}
    for side in SIDES:
        here = part[part["hemisphere"] == side]
        if column == "roi":
            names = np.full(N_VERTICES, "", dtype=object)
            names[here["vertex"].to_numpy(dtype=int)] = here["roi"].fillna("").to_numpy(dtype=str)
            full[side] = names
        else:
            full[side] = vertex_array(here["vertex"].to_numpy(), here[column].to_numpy(dtype=float))
    return full
