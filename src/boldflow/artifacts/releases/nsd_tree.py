"""The tree of the Natural Scenes Dataset: the keys of its bucket, written from the known layout, and nobody is asked.

Paths of the data set are the bucket's keys. Their annex keys hold neither size nor checksum, since none is published.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock

from boldflow.artifacts.arrival.annex_create import create_from_keys
from boldflow.artifacts.store.atomic import write_text
from boldflow.provenance import digest

BUCKET = "natural-scenes-dataset"
PUBLIC_URL = f"https://{BUCKET}.s3.amazonaws.com/{{path}}"
DATE = "2022-01-01T00:00:00+00:00"  # of the commit: that of the publication
N_SESSIONS = {
    "subj01": 40, "subj02": 40, "subj03": 32, "subj04": 30, "subj05": 40, "subj06": 32, "subj07": 40, "subj08": 30,
}  # fmt: skip
PREPARATION = "betas_fithrf_GLMdenoise_RR"  # of single-trial betas, the third published
SETS = (
    *("nsdgeneral", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams"),
    *("Kastner2015", "HCP_MMP1"),
)
FSAVERAGE_SETS = (
    "nsdgeneral",
    "streams",
    "Kastner2015",
    "HCP_MMP1",
)  # the others are drawn in each subject's own space
UNNAMED = ("nsdgeneral",)  # sets of one region: no table of names
SIDES = ("lh", "rh")
VOLUMES = ("hdf5", "nii.gz")

DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
PICTURES = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
BRICK = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"


def responses(subject: str) -> str:
    """Path of a subject's behaviour."""
    return f"nsddata/ppdata/{subject}/behav/responses.tsv"


def volume_betas(subject: str, session: int, ending: str) -> str:
    """Path of a session's betas in volumes of 1.8 mm; ``ending`` is one of ``VOLUMES``."""
    return f"nsddata_betas/ppdata/{subject}/func1pt8mm/{PREPARATION}/betas_session{session:02d}.{ending}"


def surface_betas(subject: str, session: int) -> list[str]:
    """Paths of a session's betas on fsaverage, left and right."""
    folder = f"nsddata_betas/ppdata/{subject}/fsaverage/{PREPARATION}"
    return [f"{folder}/{side}.betas_session{session:02d}.mgh" for side in SIDES]


def volume_ncsnr(subject: str) -> str:
    """Path of the noise ceiling's signal-to-noise ratio in volumes."""
    return f"nsddata_betas/ppdata/{subject}/func1pt8mm/{PREPARATION}/ncsnr.nii.gz"


def surface_ncsnr(subject: str) -> list[str]:
    """Paths of the noise ceiling's signal-to-noise ratio on fsaverage, left and right."""
    return [f"nsddata_betas/ppdata/{subject}/fsaverage/{PREPARATION}/{side}.ncsnr.mgh" for side in SIDES]


def volume_regions(subject: str, name: str) -> str:
    """Path of a set of regions in volumes of 1.8 mm."""
    return f"nsddata/ppdata/{subject}/func1pt8mm/roi/{name}.nii.gz"


def surface_regions(name: str) -> list[str]:
    """Paths of a set of regions on fsaverage, left and right."""
    return [f"nsddata/freesurfer/fsaverage/label/{side}.{name}.mgz" for side in SIDES]


def region_names(owner: str, name: str) -> str:
    """Path of the table of a set's names; ``owner`` is a subject, or fsaverage."""
    return f"nsddata/freesurfer/{owner}/label/{name}.mgz.ctab"


def paths() -> list[str]:
    """List all files that this version knows of, sorted."""
    return sorted(_paths())


def create(workspace: str | Path, name: str) -> tuple[str, str]:
    """Write the data set on this machine, unless it is there.

    Parameters
    ----------
    workspace : str or Path
        It goes to ``origins/NAME-DIGEST``: another tree is another folder.
    name : str

    Returns
    -------
    (folder, commit)
    """
    keys = {path: f"URL--s3://{BUCKET}/{path}" for path in paths()}
    label = f"{name}-{digest(repr(sorted(keys.items())))[:12]}"
    folder = (Path(workspace) / "origins" / label).resolve()
    commit_file = folder.with_name(f"{label}.commit")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{label}.lock")):
        if not (commit_file.is_file() and folder.is_dir()):
            unfinished_folder = folder.with_name(f".{label}.part")
            _remove(unfinished_folder)
            _remove(folder)
            commit = create_from_keys(unfinished_folder, name, keys, DATE)
            unfinished_folder.rename(folder)
            write_text(commit_file, commit + "\n")
        return str(folder), commit_file.read_text(encoding="utf-8").strip()


def _paths() -> Iterator[str]:
    yield from (DESIGN, PICTURES, BRICK)
    for name in FSAVERAGE_SETS:
        yield from surface_regions(name)
        yield from _names("fsaverage", [name])
    for subject, n_sessions in N_SESSIONS.items():
        yield responses(subject)
        yield from (volume_regions(subject, name) for name in SETS)
        yield from _names(subject, SETS)
        yield volume_ncsnr(subject)
        yield from surface_ncsnr(subject)
        for session in range(1, n_sessions + 1):
            yield from (volume_betas(subject, session, ending) for ending in VOLUMES)
            yield from surface_betas(subject, session)


def _names(owner: str, sets: Iterable[str]) -> Iterator[str]:
    yield from (region_names(owner, name) for name in sets if name not in UNNAMED)


def _remove(folder: Path) -> None:
    """Remove what a build that was interrupted has left; it holds no annexed content."""
    if folder.is_dir():
        shutil.rmtree(folder)
