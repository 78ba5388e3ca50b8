"""Responses as data sets hand them over: BOLD in volumes or on a surface, and published betas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

Confounds = Callable[[], dict[str, np.ndarray]]  # reads a run's table: column -> (n_volumes,)


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: ``shape`` (n_i, n_j, n_k) of the volume, ``affine`` (4, 4) from voxel index to mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def note(self) -> dict[str, object]:
        """Give what JSON can hold, for sidecars."""
        return {"shape": [int(n) for n in self.shape], "affine": np.asarray(self.affine, dtype=np.float64).tolist()}


@dataclass(frozen=True)
class SliceTiming:
    """To which time within the TR the slices of a run's volumes were moved, as far as it is stated.

    ``start_time_s`` is what a sidecar of the BOLD states (StartTime, seconds after the start of each volume), None for
    nothing; ``corrected`` is whether it says that slice timing was corrected. ``ref`` is what the catalogue's entry
    says (``slice_time_ref``, a share of the TR), None for nothing.
    """

    start_time_s: float | None = None
    corrected: bool = False
    ref: float | None = None


@dataclass(frozen=True)
class BoldRun:
    """BOLD of one run.

    ``bold`` is (x, y, z, n_volumes), ``affine`` (4, 4) from voxel index to mm, ``mask`` (x, y, z) bool or None.
    ``tr_s`` holds every statement of the repetition time there is, by where it stands ("header", "sidecar"), in
    seconds: the stage refuses them when they differ; there may be none. ``space`` is "MNI" (one of
    ``vocabulary.spaces.MNI``, in which the fsaverage surfaces lie), "native", or the name of another template.
    ``confounds`` reads the run's table of confounds, None where there is none. ``slice_timing`` says where within the
    TR volumes lie. ``unplaced`` says why it is unknown where the voxels lie (file and cure), nothing where it is known:
    voxels then have no place on a surface.
    """

    session: str
    run: str
    bold: np.ndarray
    affine: np.ndarray
    mask: np.ndarray | None
    tr_s: dict[str, float]
    space: str
    confounds: Confounds | None = None
    slice_timing: SliceTiming = SliceTiming()
    unplaced: str = ""


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles: ``vertices`` (n_vertices, 3), mm; ``faces`` (n_faces, 3) int, rows of ``vertices``."""

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class SurfaceRun:
    """BOLD of one run on a subject's own surface.

    ``bold`` has the left and the right hemisphere, each (n_volumes, n_vertices); ``spheres`` are the spheres by which
    they are registered to fsaverage, with the same vertices. ``tr_s``, ``confounds`` and ``slice_timing`` are as in
    ``BoldRun``.
    """

    session: str
    run: str
    bold: tuple[np.ndarray, np.ndarray]
    spheres: tuple[Mesh, Mesh]
    tr_s: dict[str, float]
    confounds: Confounds | None = None
    slice_timing: SliceTiming = SliceTiming()


class LazyBetas(Protocol):
    """Betas that stay on disk until the stage knows which columns it takes; ``artifacts.beta_files.masked`` gives some.

    ``blocks`` takes a bool array (n_columns,) of the chosen columns. A block is of bounded memory: which trials, which
    of the chosen columns (int array (n_some,)), and their betas, float32 (n_rows, n_some). Each beta comes once.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and columns."""

    def blocks(self, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Read the chosen columns."""


@dataclass(frozen=True)
class BetaRun:
    """Published single-trial responses of some trials: of a run, of a session, or of all, as their files hold them.

    ``betas`` is float32 (n_trials, n_columns), or not read yet (``LazyBetas``), in ``unit``: "percent" (signal
    change), "z", or "arbitrary".
    ``image_ids`` (n_trials,) names the picture of each row in the words of the trial table; rows are in the order of
    the trial table's usable trials of ``session`` and ``run``, where None stands for all. ``places`` has one array
    (n_columns,) per coordinate of a column (i, j, k of a voxel), ``rois`` a bool array (n_columns,) per region; both
    are the same in all records of a subject. ``ceilings`` holds published noise ceilings (n_columns,) by
    their published names: shares from 0 to 1, but ``ncsnr``, standard deviation of the signal over that of the noise of
    single trials, which the scorer computes ceilings from. ``grid`` says where voxels (i, j, k) lie, None on a surface
    and where the release does not tell. ``transductive`` tells over how much the values were
    scaled, or their model was fitted, test trials among them: models of single trials choose responses, noise and ridge
    of a session by all of its trials.
    """

    session: str | None
    run: str | None
    image_ids: np.ndarray
    betas: np.ndarray | LazyBetas
    unit: Literal["percent", "z", "arbitrary"]
    places: dict[str, np.ndarray]
    rois: dict[str, np.ndarray] = field(default_factory=dict)
    ceilings: dict[str, np.ndarray] = field(default_factory=dict)
    transductive: Literal["run", "session"] = "session"
    grid: Grid | None = None
