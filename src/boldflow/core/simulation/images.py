"""Pictures of the simulated study: patches of photographs, and pictures with the statistics of natural ones.

Pictures are uint8 (height, width, 3).
"""

import numpy as np

CONTRAST = 0.09  # least s.d. of a patch's luminance, of 1
OVERLAP = 0.35  # most that two patches of a photograph share, of the smaller one's area
ATTEMPTS = 60  # places tried per patch wanted, before a photograph counts as used up


def cut_patches(
    photograph: np.ndarray, n: int, sides: tuple[float, float], rng: np.random.Generator
) -> list[np.ndarray]:
    """Cut square patches at random places, none of them flat, no two nearly the same.

    Parameters
    ----------
    photograph : uint8 array of shape (height, width, 3)
    n : int
        Patches wanted.
    sides : (float, float)
        Smallest and largest side, as a share of the photograph's shorter side.
    rng : Generator

    Returns
    -------
    list of uint8 array of shape (side, side, 3)
        As many as the photograph gives, at most ``n``.
    """
    luminance = photograph.mean(axis=2) / 255
    short_side = min(luminance.shape)
    patches: list[tuple[int, int, int]] = []
    for _ in range(ATTEMPTS * n):
        if len(patches) == n:
            break
        side = round(float(rng.uniform(*sides)) * short_side)
        top, left = (int(rng.integers(0, extent - side + 1)) for extent in luminance.shape)
        if luminance[top : top + side, left : left + side].std() < CONTRAST:
            continue
        if all(_shared((top, left, side), patch) <= OVERLAP for patch in patches):
            patches.append((top, left, side))
    return [photograph[top : top + side, left : left + side] for top, left, side in patches]


def pink_noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls as one over frequency, in colour, with a preferred orientation and an envelope.

    Parameters
    ----------
    size : int
        Pixels per side.
    rng : Generator

    Returns
    -------
    uint8 array of shape (size, size, 3)

    Notes
    -----
    Field 1987, J. Opt. Soc. Am. A 4, 2379-2394: amplitude of natural pictures falls with an exponent near 1.
    """
    cycles = np.fft.fftfreq(size) * size
    y, x = np.meshgrid(cycles, cycles, indexing="ij")
    frequency = np.hypot(x, y)
    frequency[0, 0] = np.inf
    slope, tilt, theta = rng.uniform(0.5, 1.5), rng.uniform(0.3, 2.0), rng.uniform(0, np.pi)
    amplitude = frequency**-slope * np.exp(tilt * np.cos(2 * (np.arctan2(y, x) - theta)))
    waves = np.stack([_noise(amplitude, rng) for _ in range(3)])
    # luminance dominates, as in photographs; two weaker colour axes beside it
    colour = np.array([[1, 1, 1], [0.4, 0, -0.4], [0.15, -0.3, 0.15]])
    picture = np.einsum("kyx,kc->yxc", waves, colour)
    contrast = rng.uniform(0.12, 0.24) * (0.25 + _blob(size, rng))[..., None]
    return _to_uint8(rng.uniform(0.4, 0.6) + contrast * picture)


def dead_leaves(size: int, rng: np.random.Generator) -> np.ndarray:
    """Ellipses that hide one another, of all sizes: edges and occlusions of natural scenes.

    Parameters
    ----------
    size : int
        Pixels per side.
    rng : Generator

    Returns
    -------
    uint8 array of shape (size, size, 3)

    Notes
    -----
    Lee, Mumford and Huang 2001, Int. J. Comput. Vis. 41, 35-59: radii follow a power law with exponent -3.
    """
    pixel_centres = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(pixel_centres, pixel_centres, indexing="ij")
    picture = np.full((size, size, 3), rng.uniform(0.2, 0.8, 3))
    palette = rng.uniform(0, 1, (6, 1)) + rng.normal(0, 0.15, (6, 3))  # luminance dominates
    min_radius, theta, aspect = rng.uniform(0.02, 0.10), rng.uniform(0, np.pi), rng.uniform(1, 4)
    for _ in range(int(rng.integers(60, 250))):
        radius = min_radius / np.sqrt(1 - rng.uniform(0, 1 - (min_radius / 0.5) ** 2))  # power law up to half a picture
        cx, cy = rng.uniform(0, 1, 2)
        angle = theta + rng.normal(0, 0.4)
        leaf_x = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        leaf_y = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        leaf = leaf_x**2 / aspect + leaf_y**2 * aspect < radius**2
        picture[leaf] = np.clip(palette[rng.integers(len(palette))] + rng.normal(0, 0.08, 3), 0, 1)
    return _to_uint8(picture)


def _shared(square: tuple[int, int, int], other_square: tuple[int, int, int]) -> float:
    """Common area of two squares (top, left, side), as a share of the smaller one's."""
    overlaps = [
        min(square[k] + square[2], other_square[k] + other_square[2]) - max(square[k], other_square[k]) for k in (0, 1)
    ]
    return max(overlaps[0], 0) * max(overlaps[1], 0) / min(square[2], other_square[2]) ** 2


def _noise(amplitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Filter white noise by an amplitude spectrum; s.d. 1."""
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=amplitude.shape)) * amplitude).real
    return wave / wave.std()


def _blob(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a soft bright spot, at most 1."""
    pixel_positions = np.linspace(0, 1, size)
    cx, cy = rng.uniform(0.15, 0.85, 2)
    squared_distance = (pixel_positions[None, :] - cx) ** 2 + (pixel_positions[:, None] - cy) ** 2
    return np.exp(-squared_distance / (2 * rng.uniform(0.2, 0.5) ** 2))


def _to_uint8(picture: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
