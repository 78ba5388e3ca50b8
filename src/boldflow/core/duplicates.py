"""Finding pictures that are the same under another encoding, a slight crop, or without colour.

A perceptual hash proposes pairs, aligned correlation decides: on real photographs a hash alone either misses crops or
joins strangers.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

HASH_DISTANCE = 10  # bits of 64 within which a pair is looked at
CORRELATION = 0.95  # of aligned crops, from which on a pair is the same picture
CROPS = (1.0, 0.98, 0.96, 0.94, 0.92)  # sides of the crop, as a share of the picture's
STEPS = 5  # places of a crop along each axis
SIZE = 32  # px to which both are brought
WORK = 96  # px at which crops are cut


def close_hashes(hashes: np.ndarray, others: np.ndarray | None = None, distance: int = HASH_DISTANCE) -> np.ndarray:
    """List pairs of 64-bit hashes that differ in few bits.

    Parameters
    ----------
    hashes : uint64 array of shape (n,)
    others : uint64 array of shape (m,), optional
        Pairs across two sets; without it, pairs within ``hashes``.
    distance : int
        Largest Hamming distance.

    Returns
    -------
    int array of shape (n_pairs, 2)
        Rows of ``hashes`` and of ``others``; within one set the first is the smaller.
    """
    against = hashes if others is None else others
    found = []
    block = max(1, 2**24 // max(1, len(against)))
    for start in range(0, len(hashes), block):
        bits = np.bitwise_count(hashes[start : start + block, None] ^ against[None])
        one, other = np.nonzero(bits <= distance)
        pairs = np.stack([one + start, other], axis=1)
        found.append(pairs if others is not None else pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found) if found else np.empty((0, 2), int)


def parse_hashes(texts: list[str]) -> np.ndarray:
    """Read hexadecimal 64-bit hashes, uint64 (n,)."""
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def grey(image: np.ndarray) -> np.ndarray:
    """Reduce a picture to luminance at ``WORK`` x ``WORK``.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)

    Returns
    -------
    float array of shape (WORK, WORK)
        Rec. 601 luminance, 0 to 255, averaged over areas where it shrinks.
    """
    luminance = image.astype(np.float64) @ [0.299, 0.587, 0.114]
    return _resize(luminance, WORK)


def aligned_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlate two pictures, the better of all slight crops of either.

    Parameters
    ----------
    one, other : arrays of shape (WORK, WORK)
        From ``grey``.

    Returns
    -------
    float
        Largest Pearson correlation; 0 where a picture does not vary.
    """
    return max(_best_crop(one, other), _best_crop(other, one))


def confirmed_pairs(
    pairs: np.ndarray, read: Callable[[int], np.ndarray], read_other: Callable[[int], np.ndarray] | None = None
) -> np.ndarray:
    """Keep the pairs whose aligned correlation says that they are one picture.

    Parameters
    ----------
    pairs : int array of shape (n_pairs, 2)
    read, read_other : functions from a row to its picture as ``grey`` gives it

    Returns
    -------
    int array of shape (n_confirmed, 2)
    """
    second = read_other or read
    keep = [aligned_correlation(read(int(a)), second(int(b))) >= CORRELATION for a, b in pairs]
    return pairs[np.array(keep, dtype=bool)] if len(pairs) else pairs


def _best_crop(one: np.ndarray, other: np.ndarray) -> float:
    """Largest correlation of crops of ``one`` with the whole of ``other``."""
    whole = _unit(_resize(other, SIZE)[None])
    best = 0.0
    for share in CROPS:
        side = round(share * len(one))
        places = np.unique(np.linspace(0, len(one) - side, STEPS).round().astype(int))
        crops = [one[i : i + side, j : j + side] for i in places for j in places]
        best = max(best, float((_unit(np.stack([_resize(c, SIZE) for c in crops])) * whole).sum(axis=(1, 2)).max()))
    return best


def _unit(images: np.ndarray) -> np.ndarray:
    """Centre pictures and bring them to length 1."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resample by area: blur to the new pixel, then interpolate at its centre."""
    factors = np.array(image.shape) / size
    blurred = ndimage.uniform_filter(image, size=np.maximum(1, factors.round().astype(int)), mode="nearest")
    places = [(np.arange(size) + 0.5) * f - 0.5 for f in factors]
    return ndimage.map_coordinates(blurred, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
