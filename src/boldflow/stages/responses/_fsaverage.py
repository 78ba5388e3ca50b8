"""Betas on fsaverage to a coarser mesh of its family: by subsetting, or by neighbourhood average."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from boldflow.core.records.runs import BetaRun, LazyBetas
from boldflow.core.responses import spheres
from boldflow.settings import Entry
from boldflow.stages.responses._betas import blocks_of
from boldflow.stages.responses._columns import kept
from boldflow.stages.responses._meshes import mesh
from boldflow.vocabulary.hemispheres import HEMISPHERES
from boldflow.vocabulary.meshes import N_VERTICES

HOW = ("subset", "average")
AVERAGED = "published ceilings are of single vertices and do not hold for averages: left out"


def resampled(
    first: BetaRun, records: Iterator[BetaRun], entry: Entry, mesh_folder: str | None
) -> tuple[BetaRun, Iterator[BetaRun], dict[str, Any]]:
    """Bring the columns of betas to the mesh of a response; nothing is read yet.

    Parameters
    ----------
    first : BetaRun
        The first of the records; its places have ``vertex``, the left hemisphere before the right one.
    records : iterator of BetaRun
    entry : Entry
        The response's settings.
    mesh_folder : str, optional
        Folder of FreeSurfer's subjects with the mesh of the betas, for ``resampling: average``.

    Returns
    -------
    (BetaRun, iterator of BetaRun, dict)
        As given, on the mesh of ``entry["space"]``, and what the sidecar is to say. A region holds those vertices that
        lie in it on the finer mesh too. Ceilings come along with subsetting alone.

    Raises
    ------
    ValueError
        If the columns are not two hemispheres of a mesh of the fsaverage family, the betas' mesh is the coarser one,
        or the spheres of an average are not there.
    """
    n_targets, how = N_VERTICES[entry["space"]], entry.get("resampling", HOW[0])
    n_vertices = _vertices_of(first, entry["space"])
    subset = spheres.subsampling_matrix(n_targets, n_vertices)  # (n_targets, n_vertices), one hemisphere
    halves = [subset, subset]
    note: dict[str, Any] = {"resampling": how, "n_vertices_before": n_vertices}
    if how == "average" and n_vertices > n_targets:
        halves = _averaging(n_vertices, n_targets, mesh_folder)
        note["ceilings"] = AVERAGED
    matrix, chosen = (sparse.csr_array(sparse.block_diag(two)) for two in (halves, [subset, subset]))
    places = {"hemisphere": np.repeat(HEMISPHERES, n_targets), "vertex": np.tile(np.arange(n_targets), 2)}
    taken = chosen.indices  # (2 * n_targets,) columns of the betas
    rois = {name: inside[taken] for name, inside in first.rois.items()}
    ceilings = {} if "ceilings" in note else {name: values[taken] for name, values in first.ceilings.items()}

    def brought(record: BetaRun) -> BetaRun:
        betas = _Resampled(record.betas, matrix)
        return dataclasses.replace(record, betas=betas, places=places, rois=rois, ceilings=ceilings)

    return brought(first), map(brought, records), note


def _vertices_of(first: BetaRun, space: str) -> int:
    """Count the vertices of a hemisphere of betas on fsaverage; others are refused."""
    n_columns = first.betas.shape[1]
    n_vertices = n_columns // 2
    vertex = first.places.get("vertex")
    if vertex is None or n_columns % 2 or not np.array_equal(vertex, np.tile(np.arange(n_vertices), 2)):
        raise ValueError(
            f"{n_columns} columns of betas are not the left and then the right hemisphere of fsaverage, whose response "
            f"is to be in space {space!r}; choose native"
        )
    return n_vertices


def _averaging(n_vertices: int, n_targets: int, mesh_folder: str | None) -> list[sparse.csr_array]:
    """Average over the vertices that lie nearest to each of the first ones, which are those of the coarser mesh.

    A matrix (n_targets, n_vertices) per hemisphere.
    """
    space = next((space for space, n in N_VERTICES.items() if n == n_vertices), None)
    if space is None:
        raise ValueError(f"betas have {n_vertices} vertices a hemisphere, which no mesh has that could be averaged")
    halves = []
    for side in mesh(space, mesh_folder):
        made_of = (side.sphere[:n_targets], side.sphere, side.faces, "average")
        halves.append(kept("core.responses.spheres", made_of, functools.partial(spheres.resampling_matrix, *made_of)))
    return halves


@dataclasses.dataclass(frozen=True)
class _Resampled:
    """Betas times a matrix (n_targets, n_columns), read in blocks."""

    betas: np.ndarray | LazyBetas
    matrix: sparse.csr_array

    @property
    def shape(self) -> tuple[int, int]:
        return self.betas.shape[0], self.matrix.shape[0]

    def blocks(self, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        rows = self.matrix[np.flatnonzero(chosen)]  # (n_chosen, n_columns)
        needed = np.zeros(self.matrix.shape[1], dtype=bool)  # (n_columns,)
        needed[rows.indices] = True
        small = sparse.csc_array(rows[:, np.flatnonzero(needed)], dtype=np.float32)
        if small.nnz == small.shape[0] and (small.data == 1).all():  # a choice of columns
            target = small.indices
            for trials, columns, values in blocks_of(self.betas, needed):
                yield trials, target[columns], values
            return
        products = np.zeros((self.shape[0], small.shape[0]), dtype=np.float32)  # (n_trials, n_chosen)
        for trials, columns, values in blocks_of(self.betas, needed):
            products[trials] += (small[:, columns] @ values.T).T
        yield slice(None), np.arange(small.shape[0]), products
