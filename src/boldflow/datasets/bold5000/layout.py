"""Names of files in the tree of BOLD5000 at the pinned commit, and of its pictures."""

from pathlib import Path

from boldflow.artifacts.formats import bids

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
    folders = [path for path in (Path(root), *sorted(Path(root).rglob(PRESENTED))) if path.name == PRESENTED]
    if len(folders) != 1:
        folder_names = [path.relative_to(root).as_posix() for path in folders]
        raise FileNotFoundError(
            f"{root} must hold one folder {PRESENTED} (of BOLD5000_Stimuli.zip), found {folder_names or 'none'}"
        )
    folder_below = folders[0].relative_to(root)
    return [(folder_below / path).as_posix() for path in bids.pictures(folders[0])]
