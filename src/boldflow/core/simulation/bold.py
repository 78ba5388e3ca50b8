"""From responses of vertices to BOLD of voxels: haemodynamics, the way from surface to volume, noise, the schedule.

Time series are (n_volumes, n_voxels); BOLD is in units of which the baseline is ``BASELINE``.
"""

import numpy as np
from scipy import ndimage, sparse, special
from scipy.spatial import cKDTree

BASELINE = 1000.0
SIGNAL = 10.0  # peak of the response to one picture, per s.d. of the amplitude: 1 % of the baseline
AR = 0.3  # correlation of noise between volumes
SMOOTH_SHARE = 0.1  # of the noise variance, common to neighbouring voxels
SMOOTH_MM = 12.0
DRIFT = (1.0, 0.3, 0.2)  # s.d. of the linear, quadratic and cubic trend of a run, in s.d. of the noise
BOX_MM = np.array([[-74.0, 74.0], [-110.0, 74.0], [-54.0, 86.0]])  # holds the pial surface of fsaverage5
DEPTHS = np.linspace(0, 1, 7)


def haemodynamic_response(time_s: np.ndarray, duration_s: float) -> np.ndarray:
    """BOLD after a picture, relative to its peak.

    Parameters
    ----------
    time_s : array
        Seconds after the onset.
    duration_s : float
        Seconds for which the picture is shown.

    Returns
    -------
    array of the shape of ``time_s``

    Notes
    -----
    SPM's canonical response: gamma densities with peaks at 6 s and 16 s, dispersion 1 s, ratio 6 (spm_hrf.m; Friston
    et al. 1998, NeuroImage 7, 30-40), integrated over the presentation.
    """

    def integral(t: np.ndarray) -> np.ndarray:
        since_onset = np.maximum(t, 0)
        return special.gammainc(6, since_onset) - special.gammainc(16, since_onset) / 6

    def response(t: np.ndarray) -> np.ndarray:
        return integral(t) - integral(t - duration_s)

    return response(np.asarray(time_s, dtype=float)) / response(np.arange(0, 32, 0.01)).max()


def design(onsets_s: np.ndarray, n_volumes: int, tr_s: float, duration_s: float) -> np.ndarray:
    """Response of each volume to each trial of amplitude 1.

    Parameters
    ----------
    onsets_s : array of shape (n_trials,)
        Seconds; volume k is at k times ``tr_s``.
    n_volumes : int
    tr_s, duration_s : float
        Seconds.

    Returns
    -------
    array of shape (n_volumes, n_trials)
    """
    since_onset_s = np.arange(n_volumes)[:, None] * tr_s - np.asarray(onsets_s)[None, :]  # s, (n_volumes, n_trials)
    return haemodynamic_response(since_onset_s, duration_s)


def schedule(n_train: int, n_test: int, n_repeats: int, n_runs: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal pictures to runs: training pictures once, test pictures repeated and spread over the runs.

    Parameters
    ----------
    n_train, n_test, n_repeats, n_runs : int
    rng : Generator

    Returns
    -------
    list of int array, one per run
        Index of each trial's picture: training pictures first (from 0), then test pictures. Runs differ by one trial
        at most where the repeats allow it; no picture comes twice running.

    Raises
    ------
    ValueError
        If a run cannot be ordered so that no picture comes twice running.
    """
    # a test picture's presentations follow each other at this distance, so they fall into as many runs as possible
    order = rng.permutation(n_test)
    run_of_test = np.array(
        [(place + (repeat * n_runs) // n_repeats) % n_runs for repeat in range(n_repeats) for place in range(n_test)],
        dtype=int,
    )
    test_pictures = np.tile(n_train + order, n_repeats)  # (n_repeats * n_test,)
    n_of_run = np.full(n_runs, (n_train + n_test * n_repeats) // n_runs)
    n_of_run[: (n_train + n_test * n_repeats) % n_runs] += 1
    n_free = np.clip(n_of_run - np.bincount(run_of_test, minlength=n_runs), 0, None)
    run_of_train = np.repeat(np.arange(n_runs), n_free)[:n_train]  # run of each training picture
    run_of_train = np.concatenate(
        [run_of_train, np.arange(n_train - len(run_of_train)) % n_runs]
    )  # where test pictures fill runs
    train_pictures = rng.permutation(n_train)
    runs = []
    for run in range(n_runs):
        run_pictures = np.concatenate([test_pictures[run_of_test == run], train_pictures[run_of_train == run]])
        runs.append(_shuffled(run_pictures, rng))
    return runs


def _shuffled(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    for _ in range(1000):
        order = rng.permutation(pictures)
        if not np.any(order[1:] == order[:-1]):
            return order
    n_most = np.bincount(pictures).max()
    raise ValueError(
        f"a run of {len(pictures)} trials shows one picture {n_most} times and cannot be ordered so that it never "
        "comes twice running: take more runs or fewer repeats"
    )


def grid(voxel_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Affine (4, 4) and shape of the volume that holds both hemispheres."""
    n_voxels = np.ceil((BOX_MM[:, 1] - BOX_MM[:, 0]) / voxel_mm).astype(int)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = BOX_MM[:, 0] + voxel_mm / 2
    return affine, (int(n_voxels[0]), int(n_voxels[1]), int(n_voxels[2]))


def forward_map(
    white: np.ndarray, pial: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int]
) -> sparse.csr_array:
    """Matrix from vertices to voxels: a voxel is the mean of the vertices whose ribbon passes through it.

    Parameters
    ----------
    white, pial : array of shape (n_vertices, 3)
        mm.
    affine : array of shape (4, 4)
    shape : tuple of 3 int

    Returns
    -------
    sparse array of shape (n_voxels, n_vertices)
        Of all voxels of the volume (C order); rows sum to 1, or to 0 where there is no cortex.

    Raises
    ------
    ValueError
        If the surface leaves the volume.
    """
    points = white[:, None] + DEPTHS[None, :, None] * (pial - white)[:, None]  # (n_vertices, n_depths, 3)
    inverse = np.linalg.inv(affine)
    voxel_index = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    if (voxel_index < 0).any() or (voxel_index >= np.array(shape)).any():
        raise ValueError(f"the surface leaves the volume of shape {shape}")
    voxel = np.ravel_multi_index(tuple(np.moveaxis(voxel_index, -1, 0)), shape)
    vertex = np.broadcast_to(np.arange(len(white))[:, None], voxel.shape)
    pairs = np.unique(np.stack([voxel.ravel(), vertex.ravel()]), axis=1)
    share = 1.0 / np.bincount(pairs[0])[pairs[0]]
    return sparse.csr_array((share, (pairs[0], pairs[1])), shape=(int(np.prod(shape)), len(white)))


def mask_of(forward: sparse.csr_array, shape: tuple[int, int, int]) -> np.ndarray:
    """Voxels with cortex and all their neighbours, bool of shape ``shape``."""
    has_cortex = (np.diff(forward.indptr) > 0).reshape(shape)
    return ndimage.binary_dilation(has_cortex, structure=np.ones((3, 3, 3), dtype=bool))


def silent_vertices(
    responsive: np.ndarray, white: np.ndarray, pial: np.ndarray, voxel_mm: float, least_mm: float = 15.0
) -> np.ndarray:
    """Vertices that no response can reach, however the volume is sampled.

    Parameters
    ----------
    responsive : bool array of shape (n_vertices,)
    white, pial : array of shape (n_vertices, 3)
        mm.
    voxel_mm : float
        A response spreads over its voxel and, by linear interpolation, one further: 1.5 voxels per axis.
    least_mm : float

    Returns
    -------
    bool array of shape (n_vertices,)
        True where both ends of the ribbon are further than ``least_mm``, and than that spread, from those of any
        responsive vertex.
    """
    tree = cKDTree(np.concatenate([white[responsive], pial[responsive]]))
    reach = max(least_mm, 1.5 * np.sqrt(3) * voxel_mm)
    return (tree.query(white)[0] > reach) & (tree.query(pial)[0] > reach)


def smooth_map(mask: np.ndarray, affine: np.ndarray) -> sparse.csr_array:
    """Matrix from sources on a coarse grid to the voxels of a mask; independent sources give variance 1 everywhere.

    Parameters
    ----------
    mask : bool array of shape (x, y, z)
    affine : array of shape (4, 4)

    Returns
    -------
    float32 sparse array of shape (n_masked, n_sources)
    """
    step = SMOOTH_MM / affine[0, 0]
    position = np.stack(np.nonzero(mask), axis=1) / step  # (n_voxels, 3), in steps of the sources
    low_corner = np.floor(position).astype(int)
    shape = tuple(low_corner.max(axis=0) + 2)
    rows, columns, weights = [], [], []
    for corner in np.ndindex(2, 2, 2):
        weights.append(np.prod(1 - np.abs(position - low_corner - np.array(corner)), axis=1))
        columns.append(np.ravel_multi_index(tuple((low_corner + np.array(corner)).T), shape))
        rows.append(np.arange(len(position)))
    entries = np.concatenate(weights)
    matrix = sparse.csr_array(
        (entries, (np.concatenate(rows), np.concatenate(columns))), shape=(len(position), int(np.prod(shape)))
    )
    length = np.sqrt((matrix**2).sum(axis=1))
    return (sparse.diags_array(1 / length) @ matrix).astype(np.float32).tocsr()


def noise(n_volumes: int, scale: np.ndarray, smooth: sparse.csr_array, rng: np.random.Generator) -> np.ndarray:
    """Autocorrelated noise, partly common to neighbouring voxels.

    Parameters
    ----------
    n_volumes : int
    scale : array of shape (n_voxels,)
        S.d. of each voxel.
    smooth : sparse array of shape (n_voxels, n_sources)
        Of ``smooth_map``.
    rng : Generator

    Returns
    -------
    float32 array of shape (n_volumes, n_voxels)
        First-order autoregressive with coefficient ``AR``, stationary from the first volume.
    """
    n_voxels, n_sources = smooth.shape
    samples = rng.standard_normal((n_volumes, n_voxels), dtype=np.float32)
    sources = rng.standard_normal((n_sources, n_volumes), dtype=np.float32)
    samples *= np.float32(np.sqrt(1 - SMOOTH_SHARE))
    samples += np.float32(np.sqrt(SMOOTH_SHARE)) * (smooth @ sources).T
    for k in range(1, n_volumes):
        samples[k] = np.float32(AR) * samples[k - 1] + np.float32(np.sqrt(1 - AR**2)) * samples[k]
    samples *= scale.astype(np.float32)
    return samples


def drift(n_volumes: int, scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slow drift of a run: straight line, parabola and cubic, drawn for each voxel.

    Parameters
    ----------
    n_volumes : int
    scale : array of shape (n_voxels,)
        S.d. of the noise.
    rng : Generator

    Returns
    -------
    float32 array of shape (n_volumes, n_voxels)
    """
    trend = np.polynomial.legendre.legvander(np.linspace(-1, 1, n_volumes), len(DRIFT))[:, 1:]
    weights = rng.normal(size=(len(DRIFT), len(scale))) * np.array(DRIFT)[:, None] * scale  # (3, n_voxels)
    return (trend @ weights).astype(np.float32)
