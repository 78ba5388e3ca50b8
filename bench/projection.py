"""Projection of MNI volumes to fsaverage5 against nilearn's vol_to_surf, depth sampling of both hemispheres.

Two rows: a block of volumes whose voxels have been gathered, and whole volumes with the gathering included. nilearn is
called once with all volumes, which is its best case. Both work in double precision: values must be the same.
"""

import importlib.metadata

import nibabel as nib
import numpy as np
from nilearn import surface
from nilearn.surface import InMemoryMesh
from scipy import sparse

from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.responses import projection
from boldflow.stages.responses._meshes import mesh

SHAPE, VOXEL_MM, CORNER_MM = (99, 117, 95), 2.0, (-98.0, -134.0, -72.0)
N_MAPS, N_PEER, REPEATS = 500, 4, 5
TOLERANCE = 1e-12


def run(quick: bool = False) -> list[Row]:
    """Project random volumes of 2 mm.

    Parameters
    ----------
    quick : bool
        32 volumes instead of 500, measured twice.

    Returns
    -------
    list of Row
        Both give the speed-up per volume; nilearn's time per volume is measured on four volumes of the same block.
    """
    n_maps, repeats = (32, 2) if quick else (N_MAPS, REPEATS)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = CORNER_MM
    rng = np.random.default_rng(0)
    volumes = np.empty((*SHAPE, n_maps), dtype=np.float32, order="F")  # as NIfTI files are read
    for one in range(n_maps):
        volumes[..., one] = rng.standard_normal(SHAPE, dtype=np.float32)
    few = np.asfortranarray(volumes[..., :N_PEER].astype(np.float64))
    sides = mesh("fsaverage5")
    matrices = [
        projection.interpolation_matrix(projection.depth_samples(side.pial, side.white), affine, SHAPE)
        for side in sides
    ]
    project = projection.Projector(sparse.csr_array(sparse.vstack(matrices)), SHAPE)
    gathered, lazy = project.gather(volumes)
    blocks = list(lazy)
    found: dict[str, np.ndarray] = {}

    def ours_block() -> None:
        found["block"] = projection.apply(gathered, blocks, n_maps)

    def ours_whole() -> None:
        found["whole"] = project(volumes)

    def peer() -> None:
        image = nib.Nifti1Image(few, affine)
        meshes = [[InMemoryMesh(points, side.faces) for points in (side.pial, side.white)] for side in sides]
        found["peer"] = np.vstack([surface.vol_to_surf(image, pial, inner_mesh=white) for pial, white in meshes]).T

    def floor() -> None:
        for values in blocks:
            values.sum()  # reads what the product has to read, once

    with fixed_threads(1):
        block_s, whole_s, peer_s, floor_s = alternate([ours_block, ours_whole, peer, floor], repeats)
    rows = []
    for name, seconds, bound in (("block", block_s, 150.0), ("whole", whole_s, 40.0)):
        apart = np.abs(found[name][:N_PEER] - found["peer"])
        same_nan = bool((np.isnan(found[name][:N_PEER]) == np.isnan(found["peer"])).all())
        worst = float(np.nanmax(apart) / np.nanmax(np.abs(found["peer"])))
        rows.append(
            Row(
                bench="projection",
                peer="nilearn vol_to_surf",
                peer_version=importlib.metadata.version("nilearn"),
                shape=f"{n_maps} maps of {'x'.join(map(str, SHAPE))} to {found['peer'].shape[1]} vertices, {name}",
                ratio=(peer_s / N_PEER) / (seconds / n_maps),
                sense=">=",
                bound=bound,
                agreement=f"largest difference {worst:.1e} of the largest value, the same NaN: {same_nan}",
                agrees=worst <= TOLERANCE and same_nan,
                repeats=repeats,
                floor_ratio=seconds / floor_s if name == "block" else None,
            )
        )
    return rows
