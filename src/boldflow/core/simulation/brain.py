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
    n_vertices = len(directions)
    area, falloff, strip_along, strip_across = _layout(directions, cortex, left, len(categories), rng)
    x, y, size, early_area = _receptive_fields(strip_along, strip_across, left)
    area = np.where(early_area >= 0, early_area, area).astype(np.int8)
    is_early, is_patch = early_area >= 0, area >= len(EARLY)
    smooth_fields = _smooth_fields(directions, 4 + len(categories), rng)
    frequency = 2 ** (3.3 - 0.5 * np.log2(np.hypot(x, y)) - 0.3 * early_area + 0.6 * smooth_fields[2])
    selectivity = np.clip(0.12 + 0.12 * smooth_fields[4:].T, 0, 0.5)
    selectivity[np.flatnonzero(is_patch), area[is_patch] - len(EARLY)] = 1.0
    gain = np.exp(rng.normal(0, 0.2, n_vertices)) * np.where(is_patch, PATCH_GAIN * falloff, 1.0)
    one_if_early = np.where(is_early, 1.0, np.nan)
    return Brain(
        areas=(*EARLY, *categories),
        area=area,
        x_deg=x * one_if_early,
        y_deg=y * one_if_early,
        size_deg=size * one_if_early,
        orientation=(np.arctan2(smooth_fields[0], smooth_fields[1]) / 2 % np.pi) * one_if_early,
        frequency=np.clip(frequency, SCALES[0], SCALES[-1]) * one_if_early,
        normalised=is_early & (smooth_fields[3] > 0.4),
        gain=np.where(area >= 0, gain, 0.0),
        selectivity=np.where(is_patch[:, None], selectivity, np.nan),
    )


def _layout(
    directions: np.ndarray, positions: np.ndarray, left: np.ndarray, n_categories: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lay patches and the strip of early areas out: area, height in a patch, place along and across, (n_vertices,)."""
    n_vertices = len(directions)
    area = np.full(n_vertices, -1, dtype=np.int8)
    strip_along, strip_across = np.zeros(n_vertices), np.zeros(n_vertices)
    falloff = np.zeros(n_vertices)
    stretch = rng.uniform(0.85, 1.15, 3)  # length of the strip, its width, size of patches
    for in_hemisphere in (left, ~left):
        side_sign = -1.0 if in_hemisphere is left else 1.0
        hemisphere_directions = directions[in_hemisphere]
        strip_along[in_hemisphere], strip_across[in_hemisphere] = _strip(
            hemisphere_directions, positions[in_hemisphere], side_sign, stretch, rng
        )
        patch, height = _patches(
            hemisphere_directions, positions[in_hemisphere], side_sign, n_categories, stretch[2], rng
        )
        area[in_hemisphere] = np.where(patch >= 0, patch + len(EARLY), -1)
        falloff[in_hemisphere] = height
    return area, falloff, strip_along, strip_across


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
    energies = np.empty(shape, dtype=np.float32)
    for picture_energy, picture in zip(energies, pictures, strict=True):
        maps = gabor.energy(gabor.resize(gabor.grey(picture[None]), RETINA), SCALES, N_ORIENTATIONS)
        picture_energy[:] = gabor.pool(maps[0], GRID)
    return energies


def channel_weights(brain: Brain) -> np.ndarray:
    """How much each early vertex takes from each channel.

    Returns
    -------
    float32 array of shape (n_early, n_channels)
        Von Mises in orientation, log-normal in frequency; rows sum to 1.
    """
    early = brain.early
    theta = gabor.orientations(N_ORIENTATIONS)
    angle_tuning = np.exp(1.5 * (np.cos(2 * (theta - brain.orientation[early, None])) - 1))
    octaves = np.log2(np.array(SCALES) / brain.frequency[early, None])
    scale_tuning = np.exp(-(octaves**2) / (2 * 0.6**2))
    weights = (scale_tuning[:, :, None] * angle_tuning[:, None, :]).reshape(int(early.sum()), -1)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def early_responses(brain: Brain, energies: np.ndarray) -> np.ndarray:
    """Responses of early vertices before they are scaled.

    The energy of a vertex's channels in its receptive field is compressed by a square root; in a vertex with
    divisive normalisation it is instead divided by that of all channels in a field of twice the size.

    Parameters
    ----------
    brain : Brain
    energies : array of shape (n_images, n_channels, GRID, GRID)
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
    centre_fields = _fields(brain, early, 1.0)
    surround_fields = _fields(brain, early, 2.0)
    flat_energy = energies.reshape(*energies.shape[:2], -1)
    drive = np.stack([np.einsum("vc,vc->v", centre_fields @ energy.T, weights) for energy in flat_energy])
    surround_energy = np.stack([surround_fields @ energy.mean(axis=0) for energy in flat_energy])
    normalised_drive = drive / (np.median(surround_energy, axis=0) + surround_energy)
    return np.where(brain.normalised[early], normalised_drive, np.sqrt(drive)).astype(np.float32)


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
    brain: Brain, energies: np.ndarray, category: np.ndarray, strength: np.ndarray, train: np.ndarray
) -> np.ndarray:
    """Response of each responsive vertex to each picture, scaled so that its s.d. over training pictures is its gain.

    Parameters
    ----------
    brain : Brain
    energies, category, strength : as for ``early_responses`` and ``category_responses``
    train : bool array of shape (n_images,)

    Returns
    -------
    float32 array of shape (n_images, n_responsive)
        Vertices in the order of the mesh; the mean over training pictures is twice the s.d.
    """
    responsive = brain.responsive
    drives = np.empty((len(energies), int(responsive.sum())), dtype=np.float32)
    early = brain.early[responsive]
    drives[:, early] = early_responses(brain, energies)
    drives[:, ~early] = category_responses(brain, category, strength)
    scaled = (drives - drives[train].mean(axis=0)) / drives[train].std(axis=0)
    return ((scaled + 2) * brain.gain[responsive]).astype(np.float32)


def _nearest(directions: np.ndarray, positions: np.ndarray, point: tuple[float, ...], side_sign: float) -> np.ndarray:
    """Direction on the sphere of the vertex nearest to a landmark given for the right hemisphere."""
    landmark = np.array(point) * (side_sign, 1.0, 1.0)
    return directions[np.argmin(((positions - landmark) ** 2).sum(axis=1))]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _strip(
    directions: np.ndarray, positions: np.ndarray, side_sign: float, stretch: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Place along the strip (0 to 1 inside it) and across it (in widths of V1's half, positive above)."""
    pole, front = (
        _unit(_nearest(directions, positions, landmark, side_sign) + rng.normal(0, 0.025, 3))
        for landmark in (POLE, FRONT)
    )
    normal = _unit(np.cross(pole, front))
    if normal @ _nearest(directions, positions, ABOVE, side_sign) < 0:
        normal = -normal
    forward_axis = front - (front @ pole) * pole
    forward_axis = _unit(forward_axis - (forward_axis @ normal) * normal)
    longitude = np.degrees(np.arctan2(directions @ forward_axis, directions @ pole))
    latitude = np.degrees(np.arcsin(np.clip(directions @ normal, -1, 1)))
    return longitude / (LENGTH_DEG * stretch[0]), latitude / (WIDTHS_DEG[0] * stretch[1])


def _receptive_fields(
    strip_along: np.ndarray, strip_across: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centre (x, y) and size in degrees, and the early area (-1 where there is none)."""
    borders = np.array(WIDTHS_DEG) / WIDTHS_DEG[0]
    distance = np.abs(strip_across)
    area = np.searchsorted(borders, distance)
    # share of a quarter field, 0 at the horizontal and 1 at the vertical meridian: it turns back at each border
    knots = np.concatenate([[0.0], borders])
    quarter_share = np.interp(distance, knots, [0.0, 1.0, 0.0, 1.0])
    angle = np.sign(strip_across) * quarter_share * np.pi / 2  # the upper bank sees the lower field
    low_deg, high_deg = ECCENTRICITY_DEG
    eccentricity = low_deg * (high_deg / low_deg) ** np.clip(strip_along, 0, 1)
    x = eccentricity * np.cos(angle) * np.where(left, 1.0, -1.0)
    y = eccentricity * np.sin(angle)
    size = (0.3 + 0.08 * eccentricity) * 1.5 ** np.minimum(area, 2)
    half_side = PICTURE_DEG / 2
    in_strip = (
        (strip_along > 0) & (strip_along < 1) & (area < len(EARLY)) & (np.abs(x) < half_side) & (np.abs(y) < half_side)
    )
    return x, y, size, np.where(in_strip, area, -1)


def _patches(
    directions: np.ndarray,
    positions: np.ndarray,
    side_sign: float,
    n_patches: int,
    stretch: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Patch of each vertex (-1 where there is none) and its height, from 1 in the middle to 0.5 at the rim."""
    centres = [_nearest(directions, positions, point, side_sign) for point in CENTRES[:n_patches]]
    centres = [_unit(centre + rng.normal(0, 0.03, 3)) for centre in centres]
    radius = rng.uniform(*PATCH_MM, n_patches) * stretch
    distances = SPHERE_MM * np.arccos(np.clip(directions @ np.array(centres).T, -1, 1)) / radius
    nearest = distances.argmin(axis=1)
    distance = distances.min(axis=1)
    height = 0.75 + 0.25 * np.cos(np.pi * np.clip(distance, 0, 1))
    return np.where(distance < 1, nearest, -1), height


def _smooth_fields(directions: np.ndarray, n_fields: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian random fields on the sphere (n, n_vertices), s.d. 1, by random Fourier features."""
    waves = rng.normal(0, SPHERE_MM / SMOOTH_MM, (n_fields, 3, 64))
    phases = rng.uniform(0, 2 * np.pi, (n_fields, 1, 64))
    return np.stack(
        [
            np.cos(directions @ wave + phase).sum(axis=1) * np.sqrt(2 / 64)
            for wave, phase in zip(waves, phases, strict=True)
        ]
    )


def _fields(brain: Brain, vertices: np.ndarray, widen: float) -> np.ndarray:
    """Gaussian receptive fields on the grid, float32 (n_chosen, GRID * GRID), each summing to 1."""
    grid_deg = ((np.arange(GRID) + 0.5) / GRID - 0.5) * PICTURE_DEG
    double_variance = 2 * (widen * brain.size_deg[vertices, None]) ** 2
    x_profile = np.exp(-((grid_deg - brain.x_deg[vertices, None]) ** 2) / double_variance)
    y_profile = np.exp(-((grid_deg - brain.y_deg[vertices, None]) ** 2) / double_variance)
    field = (y_profile[:, :, None] * x_profile[:, None, :]).reshape(len(x_profile), -1)
    return (field / field.sum(axis=1, keepdims=True)).astype(np.float32)
