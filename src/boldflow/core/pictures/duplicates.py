"""Finding pictures that are the same under another encoding, a slight crop, or without colour.

A perceptual hash proposes pairs, aligned correlation decides: on real photographs a hash alone either misses crops or
joins strangers.
"""

import re
from collections.abc import Callable

import imagehash
import numpy as np
from PIL import Image
from scipy import ndimage

HASH_DISTANCE = 10  # bits of 64 within which a pair is looked at
# Crops whose hashes stand for a picture: share of its sides, place from the top and from the left. On 720 photographs a
# hash of the whole alone meets 85 % of copies cropped by 4 % within 10 bits; these six meet all, and 5 strangers.
PROBES = ((1.0, 0, 0), (0.96, 0, 0), (0.96, 0, 1), (0.96, 1, 0), (0.96, 1, 1), (0.94, 0.5, 0.5))
CORRELATION = 0.95  # of aligned crops, from which on a pair is the same picture
CROPS = (1.0, 0.98, 0.96, 0.94, 0.92)  # sides of the crop, as a share of the picture's
STEPS = 5  # places of a crop along each axis
SIZE = 32  # px to which both are brought
WORK = 96  # px at which crops are cut
# how names carry a picture's number in COCO: COCO_train2014_000000420713.jpg, coco/000000420713.jpg
COCO = re.compile(r"(?:COCO_(?:train|val|test)20\d\d_|(?:^|/)coco/)(\d{12})\.\w+$")


def coco_id(image_id: str) -> int | None:
    """Read the number of a picture of COCO from its name, by which it is known in every data set.

    Parameters
    ----------
    image_id : str

    Returns
    -------
    int or None
        None where the name carries none.
    """
    match = COCO.search(image_id)
    return int(match[1]) if match else None


def perceptual_hash(image: np.ndarray) -> str:
    """Hash a picture by the signs of its lowest cosine frequencies (ImageHash's phash), 16 hexadecimal digits."""
    return str(imagehash.phash(Image.fromarray(image)))


def probe_hashes(image: np.ndarray) -> list[int]:
    """Hash a picture and slight crops of it, so that a cropped copy meets a hash close to its own.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)

    Returns
    -------
    list of int, one per entry of ``PROBES``
        64-bit hashes; the first is the whole picture's.
    """
    hashes = []
    for side_share, down_share, right_share in PROBES:
        height, width = (max(1, round(side * side_share)) for side in image.shape[:2])
        i, j = round((image.shape[0] - height) * down_share), round((image.shape[1] - width) * right_share)
        hashes.append(int(perceptual_hash(np.ascontiguousarray(image[i : i + height, j : j + width])), 16))
    return hashes


def near_pairs(
    hashes: np.ndarray,
    probes: np.ndarray,
    other_hashes: np.ndarray | None = None,
    other_probes: np.ndarray | None = None,
) -> np.ndarray:
    """List pairs of pictures of which one looks like a slight crop of the other.

    Parameters
    ----------
    hashes : uint64 array of shape (n,)
    probes : uint64 array of shape (n, n_probes)
    other_hashes, other_probes : likewise for a second set; without it, pairs within the first

    Returns
    -------
    int array of shape (n_pairs, 2)
        Sorted, each pair once; within one set the first is the smaller.
    """
    one_set = other_hashes is None or other_probes is None
    second_hashes, second_probes = hashes, probes
    if other_hashes is not None and other_probes is not None:
        second_hashes, second_probes = other_hashes, other_probes
    pairs = set()
    for number in range(probes.shape[1]):
        for a, b in _close(hashes, second_probes[:, number]):
            pairs.add((int(a), int(b)))
        for b, a in _close(second_hashes, probes[:, number]):
            pairs.add((int(a), int(b)))
    if one_set:
        pairs = {(min(p), max(p)) for p in pairs if p[0] != p[1]}
    return np.array(sorted(pairs), dtype=int).reshape(-1, 2)


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


def aligned_correlation(picture: np.ndarray, other: np.ndarray) -> float:
    """Correlate two pictures, the better of all slight crops of either.

    Parameters
    ----------
    picture, other : arrays of shape (WORK, WORK)
        From ``grey``.

    Returns
    -------
    float
        Largest Pearson correlation; 0 where a picture does not vary.
    """
    return max(_best_crop(picture, other), _best_crop(other, picture))


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
    read_second = read_other or read
    is_confirmed = [aligned_correlation(read(int(a)), read_second(int(b))) >= CORRELATION for a, b in pairs]
    return pairs[np.array(is_confirmed, dtype=bool)] if len(pairs) else pairs


def _close(hashes: np.ndarray, other_hashes: np.ndarray) -> np.ndarray:
    """Pairs of rows whose 64-bit hashes differ in at most ``HASH_DISTANCE`` bits, (n_pairs, 2)."""
    n_block = max(1, 2**24 // max(1, len(other_hashes)))
    pairs = []
    for start in range(0, len(hashes), n_block):
        rows, other_rows = np.nonzero(
            np.bitwise_count(hashes[start : start + n_block, None] ^ other_hashes[None]) <= HASH_DISTANCE
        )
        pairs.append(np.stack([rows + start, other_rows], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), int)


def _best_crop(picture: np.ndarray, other: np.ndarray) -> float:
    """Largest correlation of crops of ``picture`` with the whole of ``other``."""
    other_unit = _unit(_resize(other, SIZE)[None])
    best_correlation = 0.0
    for side_share in CROPS:
        side = round(side_share * len(picture))
        offsets = np.unique(np.linspace(0, len(picture) - side, STEPS).round().astype(int))
        crops = [picture[i : i + side, j : j + side] for i in offsets for j in offsets]
        best_correlation = max(
            best_correlation,
            float((_unit(np.stack([_resize(crop, SIZE) for crop in crops])) * other_unit).sum(axis=(1, 2)).max()),
        )
    return best_correlation


def _unit(images: np.ndarray) -> np.ndarray:
    """Centre pictures and bring them to length 1."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resample by area: blur to the new pixel, then interpolate at its centre."""
    factors = np.array(image.shape) / size
    blurred = ndimage.uniform_filter(image, size=np.maximum(1, factors.round().astype(int)), mode="nearest")
    coordinates = [(np.arange(size) + 0.5) * factor - 0.5 for factor in factors]
    return ndimage.map_coordinates(blurred, np.meshgrid(*coordinates, indexing="ij"), order=1, mode="nearest")
