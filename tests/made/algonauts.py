"""Files in the exact layout of Algonauts 2023, made of random numbers: few vertices, few pictures.

No number in them comes from the data set. What is planted is in ``Made``.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

SETS = {
    "prf-visualrois": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"],
    "floc-bodies": ["EBA", "FBA-1", "FBA-2", "mTL-bodies"],
    "floc-faces": ["OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"],
    "floc-places": ["OPA", "PPA", "RSC"],
    "floc-words": ["OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"],
    "streams": ["early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"],
}
N_VERTICES = {"subj01": (40, 30), "subj02": (25, 35)}  # left, right
N_SHARED, N_OWN = 8, 16  # pictures of each subject
N_FSAVERAGE = 64  # vertices of a hemisphere of the mesh that the challenge's are chosen from
SIDE = 12  # px


@dataclass
class Made:
    """What was planted.

    By subject ``names`` of pictures by row and ``shared`` (bool); ``fmri`` and ``masks`` by (subject, side[, set]);
    ``places`` numbers of fsaverage's vertices by (subject, side); ``pictures`` by name; ``coco`` ids and ``categories``
    by the row of NSD's brick.
    """

    root: Path
    names: dict = field(default_factory=dict)
    shared: dict = field(default_factory=dict)
    fmri: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)
    places: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)
    coco: dict = field(default_factory=dict)
    categories: dict = field(default_factory=dict)


def make(root, seed=0):
    """Write two subjects, NSD's table of pictures (stim_info.csv) and one of categories (categories.csv)."""
    rng, made = np.random.default_rng(seed), Made(Path(root))
    rows = rng.permutation(300)[: N_SHARED + 2 * N_OWN]
    shared, own = rows[:N_SHARED], rows[N_SHARED:].reshape(2, N_OWN)
    for number in sorted(rows.tolist()):
        made.coco[number] = 1000 + number
        made.categories[number] = [[], ["person"], ["dining table", "person"], ["dog"]][number % 4]
        made.pictures[f"nsd-{number:05d}"] = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for (subject, counts), mine in zip(N_VERTICES.items(), own, strict=True):
        numbers = sorted([*shared.tolist(), *mine.tolist()])
        made.names[subject] = [f"nsd-{number:05d}" for number in numbers]
        made.shared[subject] = [number in shared for number in numbers]
        images = made.root / subject / "training_split/training_images"
        images.mkdir(parents=True)
        for row, name in enumerate(made.names[subject], 1):
            Image.fromarray(made.pictures[name]).save(images / f"train-{row:04d}_{name}.png")
        (images.parent / "training_fmri").mkdir()
        (made.root / subject / "roi_masks").mkdir()
        for side, n_vertices in zip(("lh", "rh"), counts, strict=True):
            _hemisphere(made, rng, subject, side, n_vertices)
        for name, regions in SETS.items():  # as the publisher: a dict, which numpy pickles
            path = made.root / subject / f"roi_masks/mapping_{name}.npy"
            np.save(path, dict(enumerate(["Unknown", *regions])))
    lines = [f"{n},{n},{made.coco[n]},train2017,{n in shared}" for n in sorted(made.coco)]
    (made.root / "stim_info.csv").write_text("\n".join([",nsdId,cocoId,cocoSplit,shared1000", *lines]) + "\n")
    lines = [f"{n},{'+'.join(found)}" for n, found in made.categories.items()]
    (made.root / "categories.csv").write_text("\n".join(["nsdId,categories", *lines]) + "\n")
    return made


def _hemisphere(made, rng, subject, side, n_vertices):
    folder = made.root / subject
    fmri = rng.normal(scale=0.7, size=(N_SHARED + N_OWN, n_vertices)).astype(np.float32)
    np.save(folder / f"training_split/training_fmri/{side}_training_fmri.npy", fmri)
    made.fmri[subject, side] = fmri
    chosen = np.sort(rng.permutation(N_FSAVERAGE)[:n_vertices])
    made.places[subject, side] = chosen
    whole = np.zeros(N_FSAVERAGE, dtype=np.int64)
    whole[chosen] = 1
    np.save(folder / f"roi_masks/{side}.all-vertices_fsaverage_space.npy", whole)
    for name, regions in SETS.items():
        mask = rng.integers(0, len(regions) + 1, n_vertices)
        if name == "floc-faces":
            mask[mask == len(regions)] = 0  # aTL-faces: in no subject of these
        made.masks[subject, side, name] = mask
        np.save(folder / f"roi_masks/{side}.{name}_challenge_space.npy", mask)
