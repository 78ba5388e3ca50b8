"""Where things lie in the simulated data set, and what a study is made from.

Names are BIDS: raw events, derivatives with BOLD in MNI space, pictures and regions of interest.
"""

from dataclasses import asdict, dataclass

import numpy as np

from boldflow.provenance import canonical, digest

SESSION = "01"
TASK = "images"
SPACE = "MNI152NLin2009cAsym"
PREPROC, ROIS = "derivatives/preproc", "derivatives/rois"
BOLD_FOLDER = PREPROC + "/{subject}/ses-" + SESSION + "/func"
EVENTS = "{subject}/ses-" + SESSION + "/func/*_events.tsv"
LISTED = "stimuli/stimuli.tsv"  # the table of pictures
NOISE_FREE = "*_desc-noisefree_bold.nii.gz"
SILENT = "silent"  # region of vertices that certainly do not respond
LEAD_IN_S, TAIL_S = 6.0, 12.0  # before the first picture of a run, and after the last slot
# of a data set, which are no part of its name
FACTS_OF_STUDY = ("subjects", "tr_s", "licence")
# first number of every seed: what is drawn
PICTURES, STRENGTH, BRAIN, ORDER, NOISE = range(5)


@dataclass(frozen=True)
class Plan:
    """All that decides what is simulated: facts of the data set, and its entry's keys (``SETTINGS``)."""

    subjects: tuple[str, ...]
    tr_s: float
    licence: str
    seed: int
    n_runs: int
    n_train_images: int
    n_test_images: int
    n_test_repeats: int
    slot_s: float
    duration_s: float
    voxel_mm: float
    image_size: int
    noise_sd: float

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.slot_s % self.tr_s:
            raise ValueError(f"slot_s must be a multiple of the TR ({self.tr_s:g} s), not {self.slot_s:g}")
        if self.duration_s > self.slot_s:
            raise ValueError(f"duration_s must fit into slot_s ({self.slot_s:g} s), not {self.duration_s:g}")

    @property
    def settings(self) -> dict[str, float]:
        """The entry's keys."""
        return {key: value for key, value in asdict(self).items() if key not in FACTS_OF_STUDY}

    @property
    def name(self) -> str:
        """Name of the folders of the data set and of its truth: equal settings have equal ones."""
        return f"sim-{digest(canonical(self.settings))[:8]}"

    def n_volumes(self, n_trials: int) -> int:
        """Volumes of a run of so many trials."""
        return round((LEAD_IN_S + self.slot_s * n_trials + TAIL_S) / self.tr_s)

    def rng(self, *purpose: int) -> np.random.Generator:
        """Generator of one purpose (``PICTURES`` and so on, then numbers of what is drawn)."""
        return np.random.default_rng([self.seed, *purpose])
