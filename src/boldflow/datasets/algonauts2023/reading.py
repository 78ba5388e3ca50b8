"""Reading of the challenge's betas, which stay on disk until columns are asked for, and of maps of both hemispheres."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.formats import mappings
from boldflow.artifacts.releases import nsd_tables
from boldflow.artifacts.store import arrays
from boldflow.core.records.runs import BetaRun
from boldflow.datasets.algonauts2023 import layout
from boldflow.datasets.algonauts2023.layout import SIDES
from boldflow.vocabulary.hemispheres import HEMISPHERES

BLOCK_BYTES = 64 << 20  # of stored rows that are looked at at once
# Vertices of the left and the right hemisphere, as published.
N_VERTICES = {
    "subj01": (19004, 20544), "subj02": (19004, 20544), "subj03": (19004, 20544), "subj04": (19004, 20544),
    "subj05": (19004, 20544), "subj06": (18978, 20220), "subj07": (19004, 20544), "subj08": (18981, 20530),
}  # fmt: skip


@dataclass(frozen=True)
class _Betas:
    """Both hemispheres side by side, (n_images, n_vertices) each, on disk until columns are asked for."""

    parts: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.parts[0]), sum(part.shape[1] for part in self.parts)

    def blocks(self, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Read the chosen columns, some rows at a time; see ``records.LazyBetas``."""
        n_before, n_given = 0, 0
        for part in self.parts:
            columns = np.flatnonzero(chosen[n_before : n_before + part.shape[1]])
            n_before += part.shape[1]
            step = max(1, BLOCK_BYTES // max(1, part[:1].nbytes))
            for start in range(0, len(part) if len(columns) else 0, step):
                betas = part[start : start + step, columns].astype(np.float32)
                yield slice(start, start + len(betas)), n_given + np.arange(len(columns)), betas
            n_given += len(columns)


def betas_of(root: Path, subject: str, names: Sequence[str], regions: Sequence[str], simulated: bool) -> BetaRun:
    """Open the betas of all pictures; see ``betas`` of the plug-in.

    ``names`` are the pictures in the order of rows; of ``simulated`` files the published numbers are not asked for.
    """
    parts = tuple(_values(root / path, len(names)) for path in layout.betas_of(subject))
    n_per_side = tuple(part.shape[1] for part in parts)
    if n_per_side != N_VERTICES[subject] and not simulated:
        raise ValueError(
            f"{subject} has {n_per_side[0]} vertices on the left and {n_per_side[1]} on the right, published are "
            f"{N_VERTICES[subject]}: are they another subject's, or hemispheres exchanged? Made files need "
            "simulated: true"
        )
    places = {
        "hemisphere": np.repeat(HEMISPHERES, n_per_side),
        "vertex": np.concatenate([np.arange(n) for n in n_per_side]),
        "fsaverage_vertex": _both_sides(root, subject, layout.FSAVERAGE, n_per_side, np.flatnonzero),
    }
    masks = _regions(root, subject, regions, n_per_side)
    return BetaRun(None, None, np.array(names, dtype=object), _Betas(parts), "z", places, masks)


def _regions(
    root: Path, subject: str, region_sets: Sequence[str], n_per_side: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Regions of both hemispheres and of each, (n_vertices,) bool; those without vertices are left out."""
    side_of = np.repeat(SIDES, n_per_side)
    masks: dict[str, np.ndarray] = {}
    for name in region_sets:
        region_numbers = _both_sides(root, subject, layout.set_of(name), n_per_side)
        names_by_number = mappings.read(root / layout.mapping_of(subject, name))
        for region, mask in nsd_tables.named_regions(
            name, region_numbers, {n: names_by_number[n] for n in names_by_number if n > 0}
        ).items():
            masks |= {f"{side}.{region}": mask & (side_of == side) for side in SIDES}
            masks[region] = mask
    return {name: mask for name, mask in masks.items() if mask.any()}


def _values(path: Path, n_images: int) -> np.ndarray:
    values = arrays.read(path, ndim=2)
    if values.dtype.kind != "f" or len(values) != n_images:
        raise ValueError(
            f"{path} is {values.dtype} of shape {values.shape}, expected floating-point numbers with a row for each of "
            f"{n_images} pictures"
        )
    return values


def _both_sides(
    root: Path,
    subject: str,
    name: str,
    n_per_side: tuple[int, ...],
    transform: Callable[[Any], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Read a map of both hemispheres, left then right, (n_vertices,), and hold it against the numbers of vertices."""
    side_maps = []
    for side, n_vertices in zip(SIDES, n_per_side, strict=True):
        path = root / layout.mask_of(subject, side, name)
        stored_map = arrays.read(path, ndim=1)
        if stored_map.dtype.kind not in "biuf" or (np.asarray(stored_map) % 1).any():
            raise ValueError(f"{path} is {stored_map.dtype}, expected whole numbers")
        side_map = transform(np.asarray(stored_map))
        if len(side_map) != n_vertices:
            raise ValueError(f"{path} is of {len(side_map)} vertices, the betas of {subject} ({side}) of {n_vertices}")
        side_maps.append(side_map)
    return np.concatenate(side_maps)
