"""Surfaces on which figures show maps: fsaverage5 as nilearn ships it."""

import numpy as np

from boldflow.drawing.meshes import SIDES, SURFACE, Hemisphere, Surface


def read_hemispheres() -> dict[str, Hemisphere]:
    """Read both hemispheres of fsaverage5, inflated and flat, with their sulcal depth.

    Returns
    -------
    dict of "left" and "right" to Hemisphere
    """
    from nilearn import datasets, surface  # slow to import, and only maps need it

    files = datasets.fetch_surf_fsaverage(SURFACE)
    hemispheres = {}
    for side in SIDES:
        inflated, flat = (
            Surface(np.asarray(mesh.coordinates, dtype=np.float64), np.asarray(mesh.faces))
            for mesh in (surface.load_surf_mesh(files[f"{kind}_{side}"]) for kind in ("infl", "flat"))
        )
        hemispheres[side] = Hemisphere(inflated, flat, np.asarray(surface.load_surf_data(files[f"sulc_{side}"])))
    return hemispheres
