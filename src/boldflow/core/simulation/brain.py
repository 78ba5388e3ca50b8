"""The simulated brain: which vertices respond, and to what.

Early visual cortex is a strip on the sphere around the calcarine sulcus: V1 in the middle, V2 and V3 as halves
above and below it. Along the strip eccentricity grows from the occipital pole forwards; across it the polar angle
runs through the opposite half of the visual field and turns back at each border (Wandell, Dumoulin and Brewer 2007,
Neuron 56, 366-383). Places in the visual field are degrees from the centre of the picture, x to the right, y down.
Coordinates of the cortex are mm (MNI); points of the sphere are unit vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boldflow.core.pictures import gabor

EARLY = ("V1", "V2", "V3")
PICTURE_DEG = 10.0  # side of the picture
SCALES = (2.0, 4.0, 8.0, 16.0)  # cycles per picture
N_ORIENTATIONS = 8
RETINA = 64  # pixels per side at which a picture is seen
GRID = 32  # cells per side on which receptive fields lie
# half widths of the strip at the outer borders of V1, V2 and V3, and its length (degrees on the sphere)
WIDTHS_DEG, LENGTH_DEG = (11.0, 17.0, 23.0), 34.0
ECCENTRICITY_DEG = (0.3, 6.5)  # at the two ends of the strip
# landmarks of the right hemisphere, mm: ends of the calcarine sulcus, and a point of the cuneus that says what is up
POLE, FRONT, ABOVE = (8.0, -99.0, -3.0), (14.0, -68.0, 7.0), (10.0, -90.0, 20.0)
# centres for category-selective patches, mm: about FFA, LO, PPA, V4, lateral occipital sulcus, MT
CENTRES = (
    (42.0, -52.0, -16.0),
    (44.0, -74.0, -4.0),
    (27.0, -45.0, -9.0),
    (30.0, -66.0, -12.0),
    (34.0, -84.0, 16.0),
    (50.0, -60.0, 8.0),
)
SPHERE_MM = 100.0  # radius of fsaverage's sphere
SMOOTH_MM = 15.0  # over which preferences vary
PATCH_MM = (9.0, 13.0)
PATCH_GAIN = 1.5  # patches are small beside a voxel, and early areas large


@dataclass(frozen=True)
class Brain:
    """Truth about each vertex; what a vertex does not have is NaN (or 0 for the gain).

    ``area`` (n_vertices,) is an index into ``areas``, -1 where nothing responds; ``x_deg``, ``y_deg``, ``size_deg``
    describe the receptive field (size: s.d.); ``orientation`` (radians, from 0 to pi) and ``frequency`` (cycles per
    picture) are preferences; ``normalised`` (bool) marks divisive normalisation; ``gain`` is the s.d. of the
    response over training pictures; ``selectivity`` (n_vertices, n_categories).
    """

    areas: tuple[str, ...]
    area: np.ndarray
    x_deg: np.ndarray
    y_deg: np.ndarray
    size_deg: np.ndarray
    orientation: np.ndarray
    frequency: np.ndarray
    normalised: np.ndarray
    gain: np.ndarray
    selectivity: np.ndarray

    @property
    def responsive(self) -> np.ndarray:
        """Bool (n_vertices,)."""
        return self.area >= 0

    @property
    def early(self) -> np.ndarray:
        """Bool (n_vertices,): V1, V2 or V3."""
        return (self.area >= 0) & (self.area < len(EARLY))


def draw_brain(
    sphere: np.ndarray, cortex: np.ndarray, left: np.ndarray, categories: Sequence[str], rng: np.random.Generator
) -> Brain:
    """Draw a subject: where its areas lie, how large they are and what each vertex prefers.

    Parameters
    ----------
    sphere : array of shape (n_vertices, 3)
        Registration sphere, any radius.
    cortex : array of shape (n_vertices, 3)
        Middle of the cortex, mm.
    left : bool array of shape (n_vertices,)
        Hemisphere.
    categories : sequence of str
        One patch per hemisphere for each.
    rng : Generator

    Returns
    -------
    Brain

    Raises
    ------
    ValueError
        If there are more categories than places for patches.
    """
    if len(categories) > len(CENTRES):
        raise ValueError(f"there are places for {len(CENTRES)} category-selective patches, not {len(categories)}")
    directions = sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    n = len(directions)
    area, falloff, along, across = _layout(directions, cortex, left, len(categories), rng)
    x, y, size, early = _receptive_fields(along, across, left)
    area = np.where(early >= 0, early, area).astype(np.int8)
    is_early, is_patch = early >= 0, area >= len(EARLY)
    smooth = _smooth_fields(directions, 4 + len(categories), rng)
    frequency = 2 ** (3.3 - 0.5 * np.log2(np.hypot(x, y)) - 0.3 * early + 0.6 * smooth[2])
    selectivity = np.clip(0.12 + 0.12 * smooth[4:].T, 0, 0.5)
    selectivity[np.flatnonzero(is_patch), area[is_patch] - len(EARLY)] = 1.0
    gain = np.exp(rng.normal(0, 0.2, n)) * np.where(is_patch, PATCH_GAIN * falloff, 1.0)
    seen = np.where(is_early, 1.0, np.nan)
    return Brain(
        areas=(*EARLY, *categories),
        area=area,
        x_deg=x * seen,
        y_deg=y * seen,
        size_deg=size * seen,
        orientation=(np.arctan2(smooth[0], smooth[1]) / 2 % np.pi) * seen,
        frequency=np.clip(frequency, SCALES[0], SCALES[-1]) * seen,
        normalised=is_early & (smooth[3] > 0.4),
        gain=np.where(area >= 0, gain, 0.0),
        selectivity=np.where(is_patch[:, None], selectivity, np.nan),
    )


def _layout(
    directions: np.ndarray, cortex: np.ndarray, left: np.ndarray, n_categories: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lay patches and the strip of early areas out: area, height in a patch, place along and across, (n_vertices,)."""
    n = len(directions)
    area = np.full(n, -1, dtype=np.int8)
    along, across = np.zeros(n), np.zeros(n)
    falloff = np.zeros(n)
    stretch = rng.uniform(0.85, 1.15, 3)  # length of the strip, its width, size of patches
    for here in (left, ~left):
        side = -1.0 if here is left else 1.0
        part = directions[here]
        along[here], across[here] = _strip(part, cortex[here], side, stretch, rng)
        patch, height = _patches(part, cortex[here], side, n_categories, stretch[2], rng)
        area[here] = np.where(patch >= 0, patch + len(EARLY), -1)
        falloff[here] = height
    return area, falloff, along, across


def see(pictures: np.ndarray) -> np.ndarray:
    """Gabor energy on the grid of receptive fields.

    Parameters
    ----------
    pictures : uint8 array of shape (n_images, height, width, 3)

    Returns
    -------
    float32 array of shape (n_images, n_channels, GRID, GRID)
        Channels: scales (slow) by orientations.
    """
    shape = (len(pictures), len(SCALES) * N_ORIENTATIONS, GRID, GRID)
    seen = np.empty(shape, dtype=np.float32)
    for row, picture in zip(seen, pictures, strict=True):
        maps = gabor.energy(gabor.resize(gabor.grey(picture[None]), RETINA), SCALES, N_ORIENTATIONS)
        row[:] = gabor.pool(maps[0], GRID)
    return seen


def channel_weights(brain: Brain) -> np.ndarray:
    """How much each early vertex takes from each channel.

    Returns
    -------
    float32 array of shape (n_early, n_channels)
        Von Mises in orientation, log-normal in frequency; rows sum to 1.
    """
    early = brain.early
    theta = gabor.orientations(N_ORIENTATIONS)
    by_angle = np.exp(1.5 * (np.cos(2 * (theta - brain.orientation[early, None])) - 1))
    octaves = np.log2(np.array(SCALES) / brain.frequency[early, None])
    by_scale = np.exp(-(octaves**2) / (2 * 0.6**2))
    weights = (by_scale[:, :, None] * by_angle[:, None, :]).reshape(int(early.sum()), -1)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def early_responses(brain: Brain, seen: np.ndarray) -> np.ndarray:
    """Responses of early vertices before they are scaled.

    The energy of a vertex's channels in its receptive field is compressed by a square root; in a vertex with
    divisive normalisation it is instead divided by that of all channels in a field of twice the size.

    Parameters
    ----------
    brain : Brain
    seen : array of shape (n_images, n_channels, GRID, GRID)
        Of ``see``.

    Returns
    -------
    float32 array of shape (n_images, n_early)

    Notes
    -----
    Heeger 1992, Vis. Neurosci. 9, 181-197; Kay et al. 2013, J. Neurophysiol. 110, 481-494 (compression).
    """
    early = brain.early
    weights = channel_weights(brain)
    centre = _fields(brain, early, 1.0)
    around = _fields(brain, early, 2.0)
    flat = seen.reshape(*seen.shape[:2], -1)
    drive = np.stack([np.einsum("vc,vc->v", centre @ luminance.T, weights) for luminance in flat])
    pool = np.stack([around @ luminance.mean(axis=0) for luminance in flat])
    divided = drive / (np.median(pool, axis=0) + pool)
    return np.where(brain.normalised[early], divided, np.sqrt(drive)).astype(np.float32)


def category_responses(brain: Brain, category: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Responses of category-selective vertices before they are scaled.

    Parameters
    ----------
    brain : Brain
    category : int array of shape (n_images,)
    strength : array of shape (n_images,)
        How strongly each picture drives the patches (about 1).

    Returns
    -------
    float32 array of shape (n_images, n_selective)
        Vertices of all patches, in the order of the mesh.
    """
    selective = brain.selectivity[brain.responsive & ~brain.early]
    return (selective[:, category].T * strength[:, None]).astype(np.float32)


def amplitudes(
    brain: Brain, seen: np.ndarray, category: np.ndarray, strength: np.ndarray, train: np.ndarray
) -> np.ndarray:
    """Response of each responsive vertex to each picture, scaled so that its s.d. over training pictures is its gain.

    Parameters
    ----------
    brain : Brain
    seen, category, strength : as for ``early_responses`` and ``category_responses``
    train : bool array of shape (n_images,)

    Returns
    -------
    float32 array of shape (n_images, n_responsive)
        Vertices in the order of the mesh; the mean over training pictures is twice the s.d.
    """
    responsive = brain.responsive
    drives = np.empty((len(seen), int(responsive.sum())), dtype=np.float32)
    early = brain.early[responsive]
    drives[:, early] = early_responses(brain, seen)
    drives[:, ~early] = category_responses(brain, category, strength)
    scaled = (drives - drives[train].mean(axis=0)) / drives[train].std(axis=0)
    return ((scaled + 2) * brain.gain[responsive]).astype(np.float32)


def _nearest(directions: np.ndarray, cortex: np.ndarray, point: tuple[float, ...], side: float) -> np.ndarray:
    """Direction on the sphere of the vertex nearest to a landmark given for the right hemisphere."""
    there = np.array(point) * (side, 1.0, 1.0)
    return directions[np.argmin(((cortex - there) ** 2).sum(axis=1))]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _strip(
    directions: np.ndarray, cortex: np.ndarray, side: float, stretch: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Place along the strip (0 to 1 inside it) and across it (in widths of V1's half, positive above)."""
    pole, front = (_unit(_nearest(directions, cortex, p, side) + rng.normal(0, 0.025, 3)) for p in (POLE, FRONT))
    normal = _unit(np.cross(pole, front))
    if normal @ _nearest(directions, cortex, ABOVE, side) < 0:
        normal = -normal
    forwards = front - (front @ pole) * pole
    forwards = _unit(forwards - (forwards @ normal) * normal)
    longitude = np.degrees(np.arctan2(directions @ forwards, directions @ pole))
    latitude = np.degrees(np.arcsin(np.clip(directions @ normal, -1, 1)))
    return longitude / (LENGTH_DEG * stretch[0]), latitude / (WIDTHS_DEG[0] * stretch[1])


def _receptive_fields(
    along: np.ndarray, across: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centre (x, y) and size in degrees, and the early area (-1 where there is none)."""
    borders = np.array(WIDTHS_DEG) / WIDTHS_DEG[0]
    distance = np.abs(across)
    area = np.searchsorted(borders, distance)
    # share of a quarter field, 0 at the horizontal and 1 at the vertical meridian: it turns back at each border
    knots = np.concatenate([[0.0], borders])
    quarter = np.interp(distance, knots, [0.0, 1.0, 0.0, 1.0])
    angle = np.sign(across) * quarter * np.pi / 2  # the upper bank sees the lower field
    low, high = ECCENTRICITY_DEG
    eccentricity = low * (high / low) ** np.clip(along, 0, 1)
    x = eccentricity * np.cos(angle) * np.where(left, 1.0, -1.0)
    y = eccentricity * np.sin(angle)
    size = (0.3 + 0.08 * eccentricity) * 1.5 ** np.minimum(area, 2)
    half = PICTURE_DEG / 2
    inside = (along > 0) & (along < 1) & (area < len(EARLY)) & (np.abs(x) < half) & (np.abs(y) < half)
    return x, y, size, np.where(inside, area, -1)


def _patches(
    directions: np.ndarray, cortex: np.ndarray, side: float, n: int, stretch: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Patch of each vertex (-1 where there is none) and its height, from 1 in the middle to 0.5 at the rim."""
    centres = [_nearest(directions, cortex, point, side) for point in CENTRES[:n]]
    centres = [_unit(centre + rng.normal(0, 0.03, 3)) for centre in centres]
    radius = rng.uniform(*PATCH_MM, n) * stretch
    away = SPHERE_MM * np.arccos(np.clip(directions @ np.array(centres).T, -1, 1)) / radius
    nearest = away.argmin(axis=1)
    distance = away.min(axis=1)
    height = 0.75 + 0.25 * np.cos(np.pi * np.clip(distance, 0, 1))
    return np.where(distance < 1, nearest, -1), height


def _smooth_fields(directions: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random fields on the sphere (n, n_vertices), s.d. 1, by random Fourier features."""
    waves = rng.normal(0, SPHERE_MM / SMOOTH_MM, (n, 3, 64))
    phases = rng.uniform(0, 2 * np.pi, (n, 1, 64))
    return np.stack(
        [
            np.cos(directions @ wave + phase).sum(axis=1) * np.sqrt(2 / 64)
            for wave, phase in zip(waves, phases, strict=True)
        ]
    )


def _fields(brain: Brain, chosen: np.ndarray, widen: float) -> np.ndarray:
    """Gaussian receptive fields on the grid, float32 (n_chosen, GRID * GRID), each summing to 1."""
    place = ((np.arange(GRID) + 0.5) / GRID - 0.5) * PICTURE_DEG
    spread = 2 * (widen * brain.size_deg[chosen, None]) ** 2
    across = np.exp(-((place - brain.x_deg[chosen, None]) ** 2) / spread)
    down = np.exp(-((place - brain.y_deg[chosen, None]) ** 2) / spread)
    field = (down[:, :, None] * across[:, None, :]).reshape(len(across), -1)
    return (field / field.sum(axis=1, keepdims=True)).astype(np.float32)
