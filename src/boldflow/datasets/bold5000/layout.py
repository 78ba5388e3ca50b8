"""Names of files in the tree of BOLD5000 at the pinned commit, and of its pictures."""

from pathlib import Path, PurePosixPath

from boldflow.artifacts.formats import bids
from boldflow.provenance import EVERYTHING, reached

RAW = "{subject}/ses-*/func/{subject}_ses-*_task-5000scenes_run-*_{suffix}"
PREP = "derivatives/fmriprep/{subject}/ses-*/func/{subject}_ses-*_task-5000scenes_run-*_bold_{suffix}"
SIDECAR = "task-5000scenes_bold.json"
SPHERES = "derivatives/freesurfer/{subject}/surf/{side}h.sphere.reg"
MASKS = "derivatives/spm/{subject}/{subject}_mask-*.nii.gz"
REGIONS = {"LO": "LOC", "RRSC": "RSC"}  # as two subjects' files, and one file, call what the others call LOC and RSC
PRESENTED = "Presented_Stimuli"
KINDS = {"COCO": "coco", "ImageNet": "imagenet", "Scene": "scenes"}  # folders of Presented_Stimuli


def region_name(name: str) -> str:
    """Call a region as most files do."""
    return REGIONS.get(name, name)


def sidecar_beside(path: str) -> str:
    """Name the JSON that may lie beside a file of BOLD: one for both hemispheres."""
    for ending in (".nii.gz", ".L.func.gii"):
        path = path.removesuffix(ending)
    return f"{path}.json"


def presented(root: str | Path) -> list[str]:
    """List the presented pictures below a folder, relative to it.

    Raises
    ------
    FileNotFoundError
        If there is not one folder ``Presented_Stimuli``; names those there are.
    """
    is_folder_itself = Path(root).name == PRESENTED
    paths_below = [PurePosixPath(path).parts for path in reached(root, EVERYTHING)]
    folder_names = {parts[: parts.index(PRESENTED) + 1] for parts in paths_below if PRESENTED in parts[:-1]}
    folders = sorted("/".join(parts) for parts in folder_names | ({()} if is_folder_itself else set()))
    if len(folders) != 1:
        raise FileNotFoundError(
            f"{root} must hold one folder {PRESENTED} (of BOLD5000_Stimuli.zip), found {folders or 'none'}"
        )
    return [(PurePosixPath(folders[0]) / path).as_posix() for path in bids.pictures(Path(root) / folders[0])]
