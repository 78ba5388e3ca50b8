"""Records that plug-ins and stages hand to each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

State = dict[str, np.ndarray]
Confounds = Callable[[], dict[str, np.ndarray]]  # reads a run's table: column -> (n_volumes,)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    ``kind`` is "datalad" (``url`` is cloned at ``commit``) or "folder" (``url`` is a folder on this machine that
    is read in place). ``origin`` is a short public name of the source for receipts and pages: it holds no path.
    ``public_url`` is where anyone may read the content of a path, such as
    ``https://s3.amazonaws.com/openneuro.org/ds001499/{path}``: git-annex is told of it for keys whose remote has no
    version recorded, and verifies what comes from there; None where there is no such place.
    """

    kind: Literal["datalad", "folder"]
    url: str
    commit: str | None
    origin: str
    public_url: str | None = None


@dataclass(frozen=True)
class SubjectSizes:
    """What a recording of one subject costs, as far as it is known before anything is downloaded.

    ``fetch`` is in bytes; ``n_trials`` counts the rows of the trial table; ``n_volumes`` is that of the longest run;
    ``n_voxels`` is the most that the mask of a volume can hold.
    """

    fetch: int
    n_trials: int
    n_runs: int
    n_volumes: int
    n_voxels: int


@dataclass(frozen=True)
class Sizes:
    """What a recording of a data set costs, as far as it is known before anything is downloaded.

    ``clone`` (bytes on disk without any annexed content) and ``stimuli`` (bytes to fetch; 0 where the user brings them)
    are shared by all subjects, as are the ``n_images`` pictures of about ``image_bytes`` each once decoded (0 where
    there are no pictures). ``verified`` tells whether the numbers were counted in the tree at the pinned commit.
    """

    clone: int
    stimuli: int
    n_images: int
    image_bytes: int
    subjects: dict[str, SubjectSizes]
    verified: bool


@dataclass(frozen=True)
class Stimulus:
    """A picture with its labels; ``pixels`` is uint8 (height, width, 3), or None where there is no picture."""

    image_id: str
    pixels: np.ndarray | None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BoldRun:
    """BOLD of one run.

    ``bold`` is (x, y, z, n_volumes), ``affine`` (4, 4) from voxel index to mm, ``mask`` (x, y, z) bool or None.
    ``tr_s`` holds every statement of the repetition time there is, by where it stands ("header", "sidecar"), in
    seconds: the stage refuses them when they differ. ``space`` is "MNI" (any MNI-like space that the fsaverage
    surfaces lie in) or "native". ``confounds`` reads the run's table of confounds, None where there is none.
    """

    session: str
    run: str
    bold: np.ndarray
    affine: np.ndarray
    mask: np.ndarray | None
    tr_s: dict[str, float]
    space: str
    confounds: Confounds | None = None


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles: ``vertices`` (n_vertices, 3), mm; ``faces`` (n_faces, 3) int, rows of ``vertices``."""

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class SurfaceRun:
    """BOLD of one run on a subject's own surface.

    ``bold`` has the left and the right hemisphere, each (n_volumes, n_vertices); ``spheres`` are the spheres by which
    they are registered to fsaverage, with the same vertices. ``tr_s`` and ``confounds`` are as in
    ``BoldRun``.
    """

    session: str
    run: str
    bold: tuple[np.ndarray, np.ndarray]
    spheres: tuple[Mesh, Mesh]
    tr_s: dict[str, float]
    confounds: Confounds | None = None


class LazyBetas(Protocol):
    """Betas that stay on disk until the stage knows which columns it takes; ``artifacts.beta_files.masked`` gives some.

    ``blocks`` takes a bool array (n_columns,) of the wanted columns. A block is of bounded memory: which trials, which
    of the wanted columns (int array (n_some,)), and their betas, float32 (n_rows, n_some). Each beta comes once.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and columns."""

    def blocks(self, wanted: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Read the wanted columns."""


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
    single trials, which the scorer computes ceilings from. ``transductive`` tells over how much the values were
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


def flat(inputs: np.ndarray) -> np.ndarray:
    """Put the TRs of a trial side by side: (n_trials, n_trs, n_vertices) -> (n_trials, n_trs * n_vertices)."""
    return inputs.reshape(len(inputs), -1)


@dataclass(frozen=True)
class Band:
    """Columns ``start`` to ``stop`` (exclusive) that belong together, such as those of one feature of several."""

    name: str
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class TrainingData:
    """Training and validation trials of one subject.

    ``inputs`` (n_trials, n_inputs), ``targets`` (n_trials, n_targets), ``groups`` (n_trials,) int: trials of one
    group (an image with its duplicates, or a run) never part ways in an inner cross-validation; ``is_val``
    (n_trials,) bool: trials meant for early stopping. ``bands``: columns of the inputs that belong together, one after
    the other and all columns among them; empty where nothing is known of any.
    """

    inputs: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    is_val: np.ndarray
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """What ``fit`` gives back: one state per seed, and rows of a history table."""

    states: list[State]
    history: list[dict[str, float | int | str]]
