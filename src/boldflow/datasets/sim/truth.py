"""The truth about a simulated subject: written beside the data set, never into it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from boldflow.artifacts.formats import bids, bids_create
from boldflow.core.records.runs import BoldRun
from boldflow.core.simulation import brain
from boldflow.datasets.sim.layout import NOISE_FREE, SESSION
from boldflow.vocabulary.hemispheres import HEMISPHERES

VERTICES, NOISE_VARIANCE, TUNING = "vertices.parquet", "noise_variance.nii.gz", "brain.npz"


@dataclass(frozen=True)
class Oracle:
    """The truth about one subject.

    ``vertices`` is a table with a row per vertex of fsaverage5 (left, then right): hemisphere, vertex, area (empty
    where nothing responds), responsive, silent, x_deg, y_deg, size_deg, orientation (radians), frequency (cycles
    per picture), normalised, gain, selectivity_CATEGORY. ``image_ids`` (n_images,) and ``amplitudes`` (n_images,
    n_responsive): response of each responsive vertex to each picture; ``channel_weights`` (n_early, n_channels):
    tuning of the vertices of V1 to V3. ``noise_variance`` (x, y, z), in squared units of the BOLD, rounding
    included; ``mask`` and ``affine`` as of the BOLD. ``runs`` are the paths of the noise-free BOLD, in the order of
    acquisition.
    """

    vertices: pd.DataFrame
    image_ids: np.ndarray
    amplitudes: np.ndarray
    channel_weights: np.ndarray
    noise_variance: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    runs: list[Path]

    def noise_free(self) -> Iterator[BoldRun]:
        """Yield each run without noise and drift, as ``runs`` of the data set yields the data."""
        for path in self.runs:
            image = nib.Nifti1Image.from_filename(path)
            clean = np.asarray(image.dataobj, dtype=np.float32)  # (x, y, z, n_volumes)
            tr_s = {"header": float(image.header.get_zooms()[3])}
            yield BoldRun(SESSION, bids.entity(path, "run"), clean, self.affine, self.mask, tr_s, "MNI")


def write(
    folder: Path,
    vertices: pd.DataFrame,
    image_ids: np.ndarray,
    amplitudes: np.ndarray,
    channel_weights: np.ndarray,
    noise_variance: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
) -> None:
    """Write what ``read`` reads; parameters as in ``Oracle``."""
    vertices.to_parquet(folder / VERTICES, index=False)
    bids_create.write_nifti(folder / NOISE_VARIANCE, noise_variance, affine)
    np.savez(folder / TUNING, image_ids=image_ids, amplitudes=amplitudes, channel_weights=channel_weights, mask=mask)


def read(folder: Path) -> Oracle:
    """Read the truth about a subject.

    Raises
    ------
    FileNotFoundError
        If it has not been written; names the folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no such folder: {folder}; it is written together with the data set (rule fetch_dataset)"
        )
    variance_image = nib.Nifti1Image.from_filename(folder / NOISE_VARIANCE)
    noise_variance = np.asarray(variance_image.dataobj, dtype=np.float32)  # (x, y, z)
    with np.load(folder / TUNING, allow_pickle=False) as tuning:
        return Oracle(
            vertices=pd.read_parquet(folder / VERTICES),
            image_ids=tuning["image_ids"],
            amplitudes=tuning["amplitudes"],
            channel_weights=tuning["channel_weights"],
            noise_variance=noise_variance,
            mask=tuning["mask"],
            affine=np.asarray(variance_image.affine),
            runs=[folder / path for path in bids.found(folder, NOISE_FREE)],
        )


def table_of_vertices(subject_brain: brain.Brain, silent: np.ndarray, categories: tuple[str, ...]) -> pd.DataFrame:
    """Bring a drawn brain to the table of ``Oracle``; ``silent`` is bool (n_vertices,)."""
    n_vertices = len(subject_brain.area)
    return pd.DataFrame(
        {
            "hemisphere": np.repeat(HEMISPHERES, n_vertices // 2),
            "vertex": np.tile(np.arange(n_vertices // 2), 2),
            "area": np.array([*subject_brain.areas, ""])[subject_brain.area],
            "responsive": subject_brain.responsive,
            "silent": silent,
            "x_deg": subject_brain.x_deg,
            "y_deg": subject_brain.y_deg,
            "size_deg": subject_brain.size_deg,
            "orientation": subject_brain.orientation,
            "frequency": subject_brain.frequency,
            "normalised": subject_brain.normalised,
            "gain": subject_brain.gain,
            **{f"selectivity_{name}": subject_brain.selectivity[:, k] for k, name in enumerate(categories)},
        }
    )
