"""How a run becomes columns: voxels of a mask, or vertices of an fsaverage mesh; matrices are built once and kept."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from boldflow.artifacts.store import matrices
from boldflow.core.records.runs import BoldRun, Grid, SurfaceRun
from boldflow.core.responses import projection, spheres
from boldflow.provenance import canonical, digest
from boldflow.settings import Entry
from boldflow.stages.fetch._arrival import WORKSPACE
from boldflow.stages.responses._meshes import Hemisphere, mesh
from boldflow.symbols import code_digest
from boldflow.vocabulary.hemispheres import HEMISPHERES
from boldflow.vocabulary.meshes import NATIVE
from boldflow.vocabulary.responses import PROJECTING
from boldflow.vocabulary.spaces import MNI

Run = BoldRun | SurfaceRun
FOLDER = Path(WORKSPACE) / "matrices"


@dataclass(frozen=True)
class Columns:
    """``apply`` takes a run to (n_volumes, n_vertices), ``places`` has a row per column, the sidecar holds ``note``."""

    apply: Callable[[Any], np.ndarray]
    places: pd.DataFrame
    note: dict[str, Any]


def grid(run: Run) -> tuple[Any, ...]:
    """What the columns of a run depend on, to be compared with those of the run before."""
    if isinstance(run, SurfaceRun):
        return tuple(array.tobytes() for sphere in run.spheres for array in (sphere.vertices, sphere.faces))
    return run.bold.shape[:3], run.affine.tobytes(), b"" if run.mask is None else run.mask.tobytes(), run.unplaced


def columns_of(run: Run, entry: Entry, mesh_folder: str | None = None) -> Columns:
    """Say how the volumes of a run, and of all with its grid, become columns.

    Parameters
    ----------
    run : BoldRun or SurfaceRun
    entry : Entry
        The response's settings.
    mesh_folder : str, optional
        Folder of FreeSurfer's subjects that holds the mesh, where it is finer than fsaverage5.

    Returns
    -------
    Columns

    Raises
    ------
    ValueError
        If the run does not lie in a space from which the entry's can be reached, its header does not tell where it
        lies, or it has no mask where one is needed.
    """
    space = entry["space"]
    if isinstance(run, SurfaceRun):
        if space == NATIVE:
            raise ValueError(f"BOLD on a subject's surface has no voxels: space is {space!r}; choose fsaverage5")
        return _resampled(run, entry, mesh(space, mesh_folder))
    if space == NATIVE:
        return _voxels(run)
    if run.space != "MNI":
        raise ValueError(
            f"space {space} needs BOLD in MNI space, found {run.space!r}; choose space native, or volumes in one of "
            f"the spaces in which fsaverage lies: {', '.join(MNI)}"
        )
    if run.unplaced:
        raise ValueError(f"space {space} needs BOLD whose place is known: {run.unplaced}; or choose space native")
    return _projected(run, entry, mesh(space, mesh_folder))


def samples_of(side: Hemisphere, entry: Mapping[str, Any]) -> np.ndarray:
    """Place the points at which the vertices of a hemisphere sample a volume, (n_vertices, n_points, 3), mm."""
    if entry.get("sampling") == "line":
        return projection.line_samples(side.pial, side.faces, entry.get("radius_mm", 3.0))
    return projection.depth_samples(side.pial, side.white)


def _voxels(first_run: BoldRun) -> Columns:
    if first_run.mask is None:
        raise ValueError(f"space native needs a mask, and {first_run.session} {first_run.run} has none")
    mask = first_run.mask
    i, j, k = np.nonzero(mask)  # (n_voxels,) each
    note = {"grid": Grid(first_run.bold.shape[:3], first_run.affine).note()}
    return Columns(lambda run: run.bold[mask].T.astype(np.float64), pd.DataFrame({"i": i, "j": j, "k": k}), note)


def _projected(first_run: BoldRun, entry: Entry, sides: Sequence[Hemisphere]) -> Columns:
    shape, affine = first_run.bold.shape[:3], first_run.affine
    projecting: dict[str, Any] = {key: entry[key] for key in PROJECTING if key in entry}
    mask = first_run.mask if entry.get("mask_samples") else None
    if mask is None and entry.get("mask_samples"):
        raise ValueError(f"mask_samples needs a mask, and session {first_run.session}, run {first_run.run} has none")

    def build(side: Hemisphere) -> sparse.csr_array:
        interpolation = projecting.get("interpolation", "linear")
        return projection.interpolation_matrix(samples_of(side, projecting), affine, shape, mask, interpolation)

    made_of = [projecting, shape, affine, mask]
    side_matrices = [  # (n_vertices, n_voxels) of each hemisphere
        kept("core.responses.projection", [*made_of, side.pial, side.white, side.faces], functools.partial(build, side))
        for side in sides
    ]
    project = projection.Projector(sparse.csr_array(sparse.vstack(side_matrices)), shape)
    return Columns(lambda run: project(run.bold), _vertices(side_matrices), projecting)


def _resampled(first_run: SurfaceRun, entry: Entry, sides: Sequence[Hemisphere]) -> Columns:
    method = entry.get("resampling", spheres.HOW[0])
    side_matrices = []  # (n_vertices, n_own_vertices) of each hemisphere
    for side, sphere in zip(sides, first_run.spheres, strict=True):
        made_of = (side.sphere, sphere.vertices, sphere.faces, method)
        side_matrices.append(
            kept("core.responses.spheres", made_of, functools.partial(spheres.resampling_matrix, *made_of))
        )

    def apply(run: SurfaceRun) -> np.ndarray:
        return np.hstack([(matrix @ bold.T).T for matrix, bold in zip(side_matrices, run.bold, strict=True)])

    return Columns(apply, _vertices(side_matrices), {"resampling": method})


def kept(module: str, made_of: Sequence[Any], build: Callable[[], sparse.csr_array]) -> sparse.csr_array:
    """Keep a matrix under the digest of what it is made of and of the code that makes it.

    Parameters
    ----------
    module : str
        Whose code makes it.
    made_of : sequence
        Arrays, and what JSON can hold.
    build : callable without arguments

    Returns
    -------
    sparse array
    """
    ingredients = [
        digest(ingredient.tobytes()) + str(ingredient.shape)
        if isinstance(ingredient, np.ndarray)
        else canonical(ingredient)
        for ingredient in made_of
    ]
    return matrices.kept(FOLDER, digest("\n".join([code_digest(f"boldflow.{module}:*"), *ingredients])), build)


def _vertices(side_matrices: Sequence[sparse.csr_array]) -> pd.DataFrame:
    """Name each column of the two hemispheres."""
    n_vertices = [matrix.shape[0] for matrix in side_matrices]
    hemisphere, vertex = np.repeat(HEMISPHERES, n_vertices), np.concatenate([np.arange(n) for n in n_vertices])
    return pd.DataFrame({"hemisphere": hemisphere, "vertex": vertex})
