"""Surfaces that ship inside nilearn."""

import numpy as np
from nilearn import datasets, surface

SIDES = ("left", "right")


def fsaverage5() -> list[tuple[np.ndarray, np.ndarray]]:
    """Read pial and white coordinates of fsaverage5.

    Returns
    -------
    list of (pial, white), left hemisphere first
        Each array (10242, 3), mm; vertex i of one lies across the cortex from vertex i of the other.
    """
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    pial, white = (
        [surface.load_surf_mesh(files[f"{kind}_{side}"]).coordinates.astype(np.float64) for side in SIDES]
        for kind in ("pial", "white")
    )
    return list(zip(pial, white, strict=True))


def fsaverage5_spheres() -> list[np.ndarray]:
    """Read the spheres of fsaverage5, to which subjects' registered spheres are aligned.

    Returns
    -------
    list of array of shape (10242, 3), left hemisphere first
        mm, radius 100; the vertices are those of ``fsaverage5``.
    """
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    return [surface.load_surf_mesh(files[f"sphere_{side}"]).coordinates.astype(np.float64) for side in SIDES]
