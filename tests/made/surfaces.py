"""Made surfaces: subdivided icosahedra, turned and jittered; files as FreeSurfer and fMRIPrep write them."""

import nibabel as nib
import numpy as np
from nibabel.freesurfer import write_geometry

GOLDEN = (1 + 5**0.5) / 2


def icosphere(order, radius=100.0):
    """A subdivided icosahedron whose first vertices are those of the one before, as fsaverage's are."""
    corners = [(0, a, b) for a in (-1, 1) for b in (-GOLDEN, GOLDEN)]
    points = np.array([np.roll(p, shift) for shift in range(3) for p in corners])
    points /= np.linalg.norm(points[0])
    gap = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[0, 1] * 1.01
    near = np.linalg.norm(points[:, None] - points, axis=2) < gap
    triples = ((i, j, k) for i in range(12) for j in range(i) for k in range(j))
    faces = np.array([(i, j, k) for i, j, k in triples if near[i, j] & near[j, k] & near[i, k]])
    for _ in range(order):
        edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
        number = {tuple(edge): len(points) + n for n, edge in enumerate(edges)}
        middle = points[edges].mean(axis=1)
        split = []
        for a, b, c in faces:
            ab, bc, ca = (number[tuple(sorted(pair))] for pair in ((a, b), (b, c), (c, a)))
            split += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        points = np.vstack([points, middle / np.linalg.norm(middle, axis=1, keepdims=True)])
        faces = np.array(split)
    return radius * points, faces


def turned(points, seed):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return points @ rotation


def jittered(points, seed, by):
    """Moved along the sphere by up to a share ``by`` of the least distance between vertices."""
    rng = np.random.default_rng(seed)
    step = by * np.linalg.norm(points[12:] - points[0], axis=1).min()
    moved = points + step * rng.uniform(-1, 1, size=points.shape) / 3**0.5
    return moved * (np.linalg.norm(points[0]) / np.linalg.norm(moved, axis=1, keepdims=True))


def write_sphere(path, points, faces):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_geometry(str(path), points, faces, create_stamp="created by a test")


def write_time_series(path, values, time_step="2000.000000"):
    """Write values (n_volumes, n_vertices) as mri_vol2surf does: an array per volume, TimeStep in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = nib.gifti.GiftiMetaData({"TimeStep": time_step}) if time_step else None
    arrays = [
        nib.gifti.GiftiDataArray(
            np.asarray(one, dtype=np.float32), intent="NIFTI_INTENT_TIME_SERIES", encoding="B64GZ", meta=meta
        )
        for one in values
    ]
    nib.gifti.GiftiImage(darrays=arrays).to_filename(path)
