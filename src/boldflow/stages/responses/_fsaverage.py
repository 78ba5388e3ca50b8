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
    n_targets, method = N_VERTICES[entry["space"]], entry.get("resampling", HOW[0])
    n_vertices = _vertices_of(first, entry["space"])
    subset = spheres.subsampling_matrix(n_targets, n_vertices)  # (n_targets, n_vertices), one hemisphere
    side_matrices = [subset, subset]
    note: dict[str, Any] = {"resampling": method, "n_vertices_before": n_vertices}
    if method == "average" and n_vertices > n_targets:
        side_matrices = _averaging(n_vertices, n_targets, mesh_folder)
        note["ceilings"] = AVERAGED
    matrix, subsampling = (
        sparse.csr_array(sparse.block_diag(matrices)) for matrices in (side_matrices, [subset, subset])
    )
    places = {"hemisphere": np.repeat(HEMISPHERES, n_targets), "vertex": np.tile(np.arange(n_targets), 2)}
    subset_columns = subsampling.indices  # (2 * n_targets,) columns of the betas
    rois = {name: mask[subset_columns] for name, mask in first.rois.items()}
    ceilings = {} if "ceilings" in note else {name: ceiling[subset_columns] for name, ceiling in first.ceilings.items()}

    def brought(record: BetaRun) -> BetaRun:
        betas = _Resampled(record.betas, matrix)
        return dataclasses.replace(record, betas=betas, places=places, rois=rois, ceilings=ceilings)

    return brought(first), map(brought, records), note


def _vertices_of(first_record: BetaRun, space: str) -> int:
    """Count the vertices of a hemisphere of betas on fsaverage; others are refused."""
    n_columns = first_record.betas.shape[1]
    n_vertices = n_columns // 2
    vertex = first_record.places.get("vertex")
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
    side_matrices = []
    for side in mesh(space, mesh_folder):
        made_of = (side.sphere[:n_targets], side.sphere, side.faces, "average")
        side_matrices.append(
            kept("core.responses.spheres", made_of, functools.partial(spheres.resampling_matrix, *made_of))
        )
    return side_matrices


@dataclasses.dataclass(frozen=True)
class _Resampled:
    """Betas times a matrix (n_targets, n_columns), read in blocks."""

    betas: np.ndarray | LazyBetas
    matrix: sparse.csr_array

    @property
    def shape(self) -> tuple[int, int]:
        return self.betas.shape[0], self.matrix.shape[0]

    def blocks(self, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        chosen_rows = self.matrix[np.flatnonzero(chosen)]  # (n_chosen, n_columns)
        is_needed = np.zeros(self.matrix.shape[1], dtype=bool)  # (n_columns,)
        is_needed[chosen_rows.indices] = True
        needed_weights = sparse.csc_array(chosen_rows[:, np.flatnonzero(is_needed)], dtype=np.float32)
        if needed_weights.nnz == needed_weights.shape[0] and (needed_weights.data == 1).all():  # a choice of columns
            target_columns = needed_weights.indices
            for trials, columns, block in blocks_of(self.betas, is_needed):
                yield trials, target_columns[columns], block
            return
        products = np.zeros((self.shape[0], needed_weights.shape[0]), dtype=np.float32)  # (n_trials, n_chosen)
        for trials, columns, block in blocks_of(self.betas, is_needed):
            products[trials] += (needed_weights[:, columns] @ block.T).T
        yield slice(None), np.arange(needed_weights.shape[0]), products
