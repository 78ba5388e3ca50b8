"""Meshes of fsaverage: the coarse one that ships inside nilearn, finer ones from a folder of FreeSurfer's subjects."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nilearn import datasets, surface

from boldflow.artifacts.formats import surfaces
from boldflow.vocabulary.hemispheres import FREESURFER, HEMISPHERES
from boldflow.vocabulary.meshes import FOLDERS, FSAVERAGE5, N_VERTICES


@dataclass(frozen=True)
class Hemisphere:
    """Surfaces of a hemisphere with the same vertices.

    ``pial``, ``white``, ``sphere`` (n_vertices, 3), mm; ``faces`` (n_faces, 3) int.
    """

    pial: np.ndarray
    white: np.ndarray
    sphere: np.ndarray
    faces: np.ndarray


def mesh(space: str, folder: str | None = None) -> list[Hemisphere]:
    """Read a mesh of fsaverage.

    Parameters
    ----------
    space : {"fsaverage5", "fsaverage6", "fsaverage7"}
    folder : str, optional
        Folder of FreeSurfer's subjects ($SUBJECTS_DIR), with fsaverage6 or fsaverage in it; fsaverage5 needs none.

    Returns
    -------
    list of Hemisphere, left first

    Raises
    ------
    ValueError
        If a finer mesh than fsaverage5 is wanted and no folder is given, a file is not whole, or it has another number
        of vertices.
    FileNotFoundError
        If the folder lacks a file.
    """
    folder_name = FOLDERS[space]
    if folder is None:
        if space != FSAVERAGE5:
            raise ValueError(
                f"the mesh of {space} is not inside: set mesh_folder to a folder that holds {folder_name}/surf"
            )
        mesh_files = datasets.fetch_surf_fsaverage(FSAVERAGE5)
        return [_of_nilearn(mesh_files, side) for side in HEMISPHERES]
    surf_folder = Path(folder).expanduser() / folder_name / "surf"
    return [_of_freesurfer(surf_folder, prefix, N_VERTICES[space]) for prefix in FREESURFER]


def _of_nilearn(files: dict[str, str], side: str) -> Hemisphere:
    meshes = {kind: surface.load_surf_mesh(files[f"{kind}_{side}"]) for kind in ("pial", "white", "sphere")}
    coordinates = {kind: surface_mesh.coordinates.astype(np.float64) for kind, surface_mesh in meshes.items()}
    return Hemisphere(**coordinates, faces=np.asarray(meshes["pial"].faces, dtype=np.int64))


def _of_freesurfer(folder: Path, prefix: str, n_vertices: int) -> Hemisphere:
    coordinates = {}
    for kind in ("pial", "white", "sphere"):
        path = folder / f"{prefix}.{kind}"
        if not path.is_file():
            raise FileNotFoundError(f"mesh_folder lacks {path}")
        coordinates[kind], faces = surfaces.triangles(path)
        if len(coordinates[kind]) != n_vertices:
            raise ValueError(f"{path} has {len(coordinates[kind])} vertices, expected {n_vertices}")
    return Hemisphere(**coordinates, faces=faces)
