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
        return tuple(part.tobytes() for sphere in run.spheres for part in (sphere.vertices, sphere.faces))
    return run.bold.shape[:3], run.affine.tobytes(), b"" if run.mask is None else run.mask.tobytes()


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
        If the run does not lie in a space from which the entry's can be reached, or has no mask where one is needed.
    """
    space = entry["space"]
    if isinstance(run, SurfaceRun):
        if space == NATIVE:
            raise ValueError(f"BOLD on a subject's surface has no voxels: space is {space!r}; choose fsaverage5")
        return _resampled(run, entry, mesh(space, mesh_folder))
    if space == NATIVE:
        return _voxels(run)
    if run.space != "MNI":
        raise ValueError(f"space {space} needs BOLD in MNI space, found {run.space!r}; choose space native")
    return _projected(run, entry, mesh(space, mesh_folder))


def samples_of(side: Hemisphere, entry: Mapping[str, Any]) -> np.ndarray:
    """Place the points at which the vertices of a hemisphere sample a volume, (n_vertices, n_points, 3), mm."""
    if entry.get("sampling") == "line":
        return projection.line_samples(side.pial, side.faces, entry.get("radius_mm", 3.0))
    return projection.depth_samples(side.pial, side.white)


def _voxels(first: BoldRun) -> Columns:
    if first.mask is None:
        raise ValueError(f"space native needs a mask, and {first.session} {first.run} has none")
    mask = first.mask
    i, j, k = np.nonzero(mask)  # (n_voxels,) each
    note = {"grid": Grid(first.bold.shape[:3], first.affine).note()}
    return Columns(lambda run: run.bold[mask].T.astype(np.float64), pd.DataFrame({"i": i, "j": j, "k": k}), note)


def _projected(first: BoldRun, entry: Entry, sides: Sequence[Hemisphere]) -> Columns:
    shape, affine = first.bold.shape[:3], first.affine
    how: dict[str, Any] = {key: entry[key] for key in PROJECTING if key in entry}
    mask = first.mask if entry.get("mask_samples") else None
    if mask is None and entry.get("mask_samples"):
        raise ValueError(f"mask_samples needs a mask, and session {first.session}, run {first.run} has none")

    def build(side: Hemisphere) -> sparse.csr_array:
        kind = how.get("interpolation", "linear")
        return projection.interpolation_matrix(samples_of(side, how), affine, shape, mask, kind)

    made_of = [how, shape, affine, mask]
    halves = [  # (n_vertices, n_voxels) of each hemisphere
        kept("core.responses.projection", [*made_of, side.pial, side.white, side.faces], functools.partial(build, side))
        for side in sides
    ]
    project = projection.Projector(sparse.csr_array(sparse.vstack(halves)), shape)
    return Columns(lambda run: project(run.bold), _vertices(halves), how)


def _resampled(first: SurfaceRun, entry: Entry, sides: Sequence[Hemisphere]) -> Columns:
    how = entry.get("resampling", spheres.HOW[0])
    halves = []  # (n_vertices, n_own_vertices) of each hemisphere
    for side, sphere in zip(sides, first.spheres, strict=True):
        made_of = (side.sphere, sphere.vertices, sphere.faces, how)
        halves.append(kept("core.responses.spheres", made_of, functools.partial(spheres.resampling_matrix, *made_of)))

    def apply(run: SurfaceRun) -> np.ndarray:
        return np.hstack([(matrix @ bold.T).T for matrix, bold in zip(halves, run.bold, strict=True)])

    return Columns(apply, _vertices(halves), {"resampling": how})


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
    parts = [digest(p.tobytes()) + str(p.shape) if isinstance(p, np.ndarray) else canonical(p) for p in made_of]
    return matrices.kept(FOLDER, digest("\n".join([code_digest(f"boldflow.{module}:*"), *parts])), build)


def _vertices(halves: Sequence[sparse.csr_array]) -> pd.DataFrame:
    """Name each column of the two hemispheres."""
    sizes = [matrix.shape[0] for matrix in halves]
    hemisphere, vertex = np.repeat(HEMISPHERES, sizes), np.concatenate([np.arange(size) for size in sizes])
    return pd.DataFrame({"hemisphere": hemisphere, "vertex": vertex})
