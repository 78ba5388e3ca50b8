"""Where data sets come from, and what they cost before anything is downloaded."""

from dataclasses import dataclass
from typing import Literal


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
