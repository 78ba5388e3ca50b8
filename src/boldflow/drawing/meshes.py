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
    nearness = surface.points @ towards
    used_vertices = np.unique(surface.faces)  # a flat mesh leaves out the medial wall
    pixel_mm = FLAT_PIXEL_MM if view == FLAT else PIXEL_MM
    column, row = (x - x[used_vertices].min()) / pixel_mm + 1, (y - y[used_vertices].min()) / pixel_mm + 1
    vertex = _nearest_vertex(column, row, nearness, surface.faces)  # (height, width)
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


def _nearest_vertex(column: np.ndarray, row: np.ndarray, nearness: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Fill triangles back to front; each pixel keeps the corner that it is closest to."""
    used_vertices = np.unique(faces)
    shape = (int(np.ceil(row[used_vertices].max())) + 2, int(np.ceil(column[used_vertices].max())) + 2)
    shown = np.full(shape, -1, dtype=np.int64)
    order = np.argsort(nearness[faces].mean(axis=1), kind="stable")
    corner_x, corner_y = column[faces[order]], row[faces[order]]  # (n_faces, 3)
    corners = faces[order]
    area = (corner_x[:, 1] - corner_x[:, 0]) * (corner_y[:, 2] - corner_y[:, 0]) - (corner_x[:, 2] - corner_x[:, 0]) * (
        corner_y[:, 1] - corner_y[:, 0]
    )
    left, top = np.floor(corner_x.min(axis=1)).astype(int), np.floor(corner_y.min(axis=1)).astype(int)
    face_width, face_height = (
        int(np.ceil(np.ptp(corner_x, axis=1).max())) + 1,
        int(np.ceil(np.ptp(corner_y, axis=1).max())) + 1,
    )
    rank = np.full(shape, -1, dtype=np.int64)  # place in the order of the face that a pixel shows
    solid = area != 0
    safe_area = np.where(solid, area, 1)
    for dx in range(face_width):
        for dy in range(face_height):
            x, y = left + dx, top + dy
            weight_0 = (
                (corner_x[:, 1] - x) * (corner_y[:, 2] - y) - (corner_x[:, 2] - x) * (corner_y[:, 1] - y)
            ) / safe_area
            weight_1 = (
                (corner_x[:, 2] - x) * (corner_y[:, 0] - y) - (corner_x[:, 0] - x) * (corner_y[:, 2] - y)
            ) / safe_area
            weight = np.stack([weight_0, weight_1, 1 - weight_0 - weight_1])  # (3, n_faces), of the corners
            covering = np.flatnonzero(solid & (weight >= -1e-9).all(axis=0))
            # faces come back to front: the last is the nearest
            np.maximum.at(rank, (y[covering], x[covering]), covering)
            nearest = covering[rank[y[covering], x[covering]] == covering]
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
    vertices = np.asarray(vertex, dtype=int)
    if len(vertices) and (vertices.min() < 0 or vertices.max() >= N_VERTICES):
        raise ValueError(
            f"vertices must lie in 0..{N_VERTICES - 1} ({SURFACE}), found {vertices.min()}..{vertices.max()}"
        )
    if len(np.unique(vertices)) != len(vertices):
        raise ValueError(f"{len(vertices) - len(np.unique(vertices))} vertices are given more than once")
    mesh_values = np.full(N_VERTICES, np.nan)
    mesh_values[vertices] = np.asarray(values, dtype=np.float64)
    return mesh_values


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
    side_values = {}
    for side in SIDES:
        side_rows = part[part["hemisphere"] == side]
        if column == "roi":
            roi_names = np.full(N_VERTICES, "", dtype=object)
            roi_names[side_rows["vertex"].to_numpy(dtype=int)] = side_rows["roi"].fillna("").to_numpy(dtype=str)
            side_values[side] = roi_names
        else:
            side_values[side] = vertex_array(side_rows["vertex"].to_numpy(), side_rows[column].to_numpy(dtype=float))
    return side_values
