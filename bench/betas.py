"""Single-trial betas of a session in NSD's layout: conversion to an array of a region, and random reads of trials.

Made numbers: 750 trials of 83 x 104 x 81 int16, contiguous as h5py shows them, in chunks of a volume each, and as
.nii.gz; the region has 13,520 voxels in a shell. A session is converted to a .npy of float32 by the stage's own
functions, which is held against reading the file's bytes. Then random trials are read from the mapped .npy as training
does, by h5py from the contiguous file (a trial's volume, then the mask), and by nibabel from the .nii.gz. Cold: the
kernel forgets the file's pages (fsync, then posix_fadvise DONTNEED); what the disk or its host keep is out of reach.
Large files are written into a temporary folder (TMPDIR) and removed.
"""

import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd

from bench.harness import Row
from boldflow.artifacts.releases import beta_files
from boldflow.artifacts.store import arrays
from boldflow.core.records.runs import BetaRun
from boldflow.stages.responses import _betas

SHAPE, N_ROI = (750, 83, 104, 81), 13_520
N_TRIALS, REPEATS = 60, 5
CONVERSION, COLD, WARM, PACKED = 1.5, 5.0, 12.0, 23.0
PERCENT = 300.0


def run(quick: bool = False) -> list[Row]:
    """Convert a session and read trials at random.

    Parameters
    ----------
    quick : bool
        60 trials of a small grid, measured twice.

    Returns
    -------
    list of Row
    """
    shape, n_roi, repeats = ((60, 20, 24, 20), 400, 2) if quick else (SHAPE, N_ROI, REPEATS)
    with tempfile.TemporaryDirectory(prefix="bench-betas-") as folder:
        return _Session(Path(folder), shape, n_roi).rows(repeats)


class _Session:
    """Made files of a session in a folder."""

    def __init__(self, folder: Path, shape: tuple[int, ...], n_roi: int) -> None:
        self.shape, self.hdf5, self.nifti = shape, folder / "betas.hdf5", folder / "betas.nii.gz"
        self.chunked = folder / "betas_chunks.hdf5"
        self.array = folder / "roi.npy"
        self.inside = _shell(shape[:0:-1], n_roi)
        rng = np.random.default_rng(0)
        with h5py.File(self.hdf5, "w") as handle:
            stored = handle.create_dataset(beta_files.KEY, shape, np.int16)
            for trial in range(shape[0]):
                stored[trial] = rng.normal(0, 300, size=shape[1:]).astype(np.int16)
            volumes = np.asarray(stored[:])
        with h5py.File(self.chunked, "w") as handle:
            handle.create_dataset(beta_files.KEY, data=volumes, chunks=(1, *shape[1:]))
        image = nib.Nifti1Image(volumes.transpose(), np.eye(4))
        image.to_filename(self.nifti)
        self.trials = rng.permutation(shape[0])[:N_TRIALS]
        names = [f"picture-{k}" for k in range(shape[0])]
        self.table = pd.DataFrame({"session": "01", "run": "01", "image_id": names, "usable": True})

    def convert(self, path: Path) -> None:
        """As the stage does: the columns of the region, divided, their scale checked, written whole."""
        betas = beta_files.masked([path], [self.inside], PERCENT)
        every, names = np.ones(betas.shape[1], dtype=bool), self.table["image_id"].to_numpy()
        records = iter([BetaRun("01", None, names, betas, "percent", {})])
        made = _betas.read(records, self.table, "made", {}, None, ("not finite", "constant"), every)
        arrays.write(self.array, made.values)

    def raw(self, path: Path) -> None:
        buffer = bytearray(beta_files.BLOCK_BYTES)
        with path.open("rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass

    def mapped(self) -> list[np.ndarray]:
        """As training reads the trials of its part of a split."""
        return list(arrays.rows(arrays.read(self.array), self.trials))

    def by_h5py(self) -> list[np.ndarray]:
        inside = self.inside.transpose()
        with h5py.File(self.hdf5, "r", locking=False) as handle:
            stored = handle[beta_files.KEY]
            return [stored[trial][inside] / np.float32(PERCENT) for trial in self.trials]

    def by_nibabel(self) -> np.ndarray:
        (trial,) = self.trials[:1]
        image = nib.Nifti1Image.from_filename(self.nifti)
        found: np.ndarray = np.asarray(image.dataobj[..., int(trial)], dtype=np.float32)[self.inside] / np.float32(
            PERCENT
        )
        return found

    def rows(self, repeats: int) -> list[Row]:
        conversions = []
        for path in (self.chunked, self.hdf5):
            both = [functools.partial(self.raw, path), functools.partial(self.convert, path)]
            raw_s, convert_s = _timed(both, repeats, path)
            conversions.append(convert_s / raw_s)
        # voxels of the mapped array are in the mask's order, those of h5py in that of its transpose
        order = np.argsort(np.ravel_multi_index(np.nonzero(self.inside.transpose())[::-1], self.inside.shape))
        ours, peers = self.mapped(), [one[order] for one in self.by_h5py()]
        same = all(np.array_equal(a, b) for a, b in zip(ours, peers, strict=True))
        packed_same = bool(np.array_equal(self.by_nibabel(), ours[0]))
        size = f"{'x'.join(map(str, self.shape))} int16, ROI of {int(self.inside.sum())}"
        (warm, h5py_warm), (cold, h5py_cold) = (
            _timed([self.mapped, self.by_h5py], repeats, *some) for some in ([], [self.array, self.hdf5])
        )
        (packed,) = _timed([self.by_nibabel], 1, self.nifti)
        one_cold = cold / len(self.trials)
        version, told = h5py.__version__, f"{len(self.trials)} trials, equal numbers: {same}"
        bench = "betas"
        return [
            Row(bench, "raw read of the file, cold", "", f"{size}: conversion", conversions[1], "<=", CONVERSION,
                told, same, repeats),
            Row(bench, "raw read of the file, cold", "", f"{size}, chunks of a volume: conversion", conversions[0],
                "<=", CONVERSION, told, same, repeats),
            Row(bench, "h5py per trial, cold", version, f"{size}: random trials", h5py_cold / cold, ">=", COLD,
                told, same, repeats),
            Row(bench, "h5py per trial, warm", version, f"{size}: random trials", h5py_warm / warm, ">=", WARM,
                told, same, repeats),
            Row(bench, "nibabel on .nii.gz, cold", nib.__version__, f"{size}: a random trial", packed / one_cold, ">=",
                PACKED, f"equal numbers: {packed_same}", packed_same, 1),
        ]  # fmt: skip


def _shell(grid: tuple[int, ...], n_inside: int) -> np.ndarray:
    """Voxels nearest to an ellipsoid's surface in the lower back of a grid, as visual cortex lies."""
    x, y, z = (np.arange(n)[:, None, None].transpose(np.roll(range(3), k)) / n for k, n in enumerate(grid))
    radius = np.hypot(np.hypot((x - 0.5) / 0.35, (y - 0.25) / 0.2), (z - 0.45) / 0.3)
    inside = np.zeros(grid, dtype=bool)
    inside.reshape(-1)[np.argsort(np.abs(radius - 1), axis=None)[:n_inside]] = True
    return inside


def _timed(calls: list[Callable[[], object]], repeats: int, *forgotten: Path) -> list[float]:
    """Median seconds of calls made in turn, the pages of some files forgotten before each."""
    seconds: list[list[float]] = [[] for _ in calls]
    for call in calls:  # once for nothing
        if not forgotten:
            call()
    for _ in range(repeats):
        for kept, call in zip(seconds, calls, strict=True):
            for path in forgotten:
                _forget(path)
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in seconds]


def _forget(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
