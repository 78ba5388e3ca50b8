"""Pictures of the simulated study: patches of sample photographs and textures that are computed.

Training and test pictures come from different photographs, and from different families of seeds.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from boldflow.core.simulation import images
from boldflow.datasets.sim.layout import PICTURES, Plan

PARTS = ("train", "test")
# photographs of each category and part, with the sides of patches as shares of the shorter side
PHOTOGRAPHS: dict[str, dict[str, tuple[tuple[str, ...], tuple[float, float]]]] = {
    "object": {
        "train": (("astronaut.png", "coffee.png", "flower.jpg"), (0.20, 0.40)),
        "test": (("coins.png", "chelsea.png"), (0.25, 0.40)),
    },
    "scene": {
        "train": (("china.jpg", "motorcycle_left.png"), (0.20, 0.40)),
        "test": (("camera.png", "rocket.jpg"), (0.20, 0.40)),
    },
    "texture": {
        "train": (("grass.png", "brick.png"), (0.12, 0.30)),
        "test": (("gravel.png", "ihc.png"), (0.12, 0.30)),
    },
}
FACES: dict[str, range] = {
    "train": range(70),
    "test": range(70, 100),
}  # rows of lfw_subset.npy, each another person's photograph
MADE = {"pink-noise": images.pink_noise, "dead-leaves": images.dead_leaves}
CATEGORIES = ("face", *PHOTOGRAPHS, *MADE)

Picture = tuple[str, np.ndarray]  # what it was made from, and its pixels


def draw(plan: Plan) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw all pictures of a study.

    Returns
    -------
    table : DataFrame
        file, category, source (the photograph), part ("train" or "test"); training pictures first.
    pictures : uint8 array of shape (n_images, size, size, 3)

    Raises
    ------
    FileNotFoundError
        If scikit-image and scikit-learn no longer ship a photograph.
    """
    rows, pictures = [], []
    for part, n_images in zip(PARTS, (plan.n_train_images, plan.n_test_images), strict=True):
        photographs = {name: _photographed(name, part, n_images, plan) for name in ("face", *PHOTOGRAPHS)}
        n_per_category = shares(n_images, [len(patches) for patches in photographs.values()], len(MADE))
        for category, n_pictures in zip(CATEGORIES, n_per_category, strict=True):
            category_pictures = (
                photographs[category][:n_pictures]
                if category in photographs
                else _made(category, part, n_pictures, plan)
            )
            for number, (origin, pixels) in enumerate(category_pictures, start=1):
                rows.append((f"{category}_{part}-{number:03d}.png", category, origin, part))
                pictures.append(pixels)
    return pd.DataFrame(rows, columns=["file", "category", "source", "part"]), np.stack(pictures)


def shares(total: int, available: list[int], n_made: int) -> list[int]:
    """Spread pictures evenly over categories.

    Parameters
    ----------
    total : int
    available : list of int
        How many the photographs of each category give, at most.
    n_made : int
        Categories that are computed: they give what photographs cannot.

    Returns
    -------
    list of int
        Of each category, those of photographs first.
    """
    limits = [*available, *[total] * n_made]
    n_per_category = [0] * len(limits)
    while sum(n_per_category) < total:
        unfilled = [k for k, limit in enumerate(limits) if n_per_category[k] < limit]
        n_per_category[min(unfilled, key=lambda k: n_per_category[k])] += 1
    return n_per_category


def _made(category: str, part: str, count: int, plan: Plan) -> list[Picture]:
    """Pictures that are computed, each from a generator of its own."""
    seeds = [(CATEGORIES.index(category), PARTS.index(part), k) for k in range(count)]
    textures = [MADE[category](plan.image_size, plan.rng(PICTURES, *seed)) for seed in seeds]
    return [(f"{category}, seed family {part}", texture) for texture in textures]


def _photographed(category: str, part: str, n_images: int, plan: Plan) -> list[Picture]:
    """Pictures from photographs, in random order, as many as might be needed or as there are."""
    rng = plan.rng(PICTURES, CATEGORIES.index(category), PARTS.index(part))
    cut = _faces(part, rng) if category == "face" else _patches(category, part, n_images, rng)
    return [(origin, _resized(patch, plan.image_size)) for origin, patch in cut]


def _faces(part: str, rng: np.random.Generator) -> list[Picture]:
    faces = np.load(str(_shipped("lfw_subset.npy")), allow_pickle=False)  # (n_faces, height, width), from 0 to 1
    rows = rng.permutation(list(FACES[part]))
    grey = [np.rint(255 * faces[row])[..., None] for row in rows]
    return [
        (f"lfw_subset.npy, {row}", np.repeat(pixels, 3, 2).astype(np.uint8))
        for row, pixels in zip(rows, grey, strict=True)
    ]


def _patches(category: str, part: str, n_images: int, rng: np.random.Generator) -> list[Picture]:
    names, sides = PHOTOGRAPHS[category][part]
    cut: list[Picture] = []
    for name in names:
        with Image.open(str(_shipped(name))) as opened:
            photograph = np.array(opened.convert("RGB"))
        cut += [(name, patch) for patch in images.cut_patches(photograph, -(-n_images // 2), sides, rng)]
    return [cut[k] for k in rng.permutation(len(cut))]


def _resized(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def _shipped(name: str) -> Path:
    """Path of a sample image inside scikit-image or scikit-learn."""
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        path = Path(str(files(package))) / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"neither scikit-image nor scikit-learn ships {name} any more: pin the versions of the lock file"
    )
