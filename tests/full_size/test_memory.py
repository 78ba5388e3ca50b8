"""A run of full size through the workflow: real events of BOLD5000, made BOLD of 2 mm or of a subject's surface."""

import gzip
import json
import resource
import subprocess

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.arrival.annex_create import create_dataset
from boldflow.datasets import bold5000
from tests.conftest import copy_project, real_data
from tests.made.surfaces import icosphere, jittered, turned, write_sphere, write_time_series

DATA = real_data()
FOLDER = DATA / "openneuro" if DATA else None
pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(DATA is None, reason="real events: BOLDFLOW_REAL_DATA is unset and ../shared/data is not there"),
]
N_VOLUMES, TR_S = 194, 2.0
SHAPE, CORNER_MM = (99, 117, 95), (-98.0, -134.0, -72.0)  # MNI152NLin2009cAsym at 2 mm
LIMIT_KB = 3_000_000  # 3 GB, as getrusage counts
EVENTS = "{0}/ses-01/func/{0}_ses-01_task-5000scenes_run-01_events.tsv"
RESPONSE = "  full-size: {space: fsaverage5, start_s: 2.0, duration_s: 7.0, average: false}\n"
STUDY = """title: One run of full size
primary: {metric: top5, view: image}
runs:
  - {datasets: [DATASET], subjects: [sub-CSI1], responses: [full-size], features: [gabor], models: [ridge],
     splits: [tenth-of-runs]}
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Text of the first run's events of each subject, by path."""
    clone = tmp_path_factory.mktemp("events") / "ds001499"
    subprocess.run(["git", "clone", "-q", "-n", str(FOLDER / "ds001499.bundle"), str(clone)], check=True)
    show = ["git", "-C", str(clone), "show"]
    commit = bold5000.FACTS["source"]["commit"]
    paths = [EVENTS.format(subject) for subject in bold5000.FACTS["subjects"]]
    return {path: subprocess.run([*show, f"{commit}:{path}"], capture_output=True, check=True).stdout for path in paths}


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def projected(project, dataset):
    """Responses of the study's one run, the trial table, and the memory of the largest process, kB."""
    project.edit("config/config.yaml", "\nresponses:\n", f"\nresponses:\n{RESPONSE}")
    (project.folder / "config/studies/full.yaml").write_text(STUDY.replace("DATASET", dataset))
    project.snakemake("responses", "--config", "study=full")
    folder = project.folder / f"results/{dataset}/sub-CSI1"
    values = np.load(folder / "full-size/responses.npy", mmap_mode="r")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"largest process: {largest / 1e6:.2f} GB")
    return values, pd.read_parquet(folder / "trials.parquet"), largest


def cut(course, trials):
    """Windows of a course of one run, cleaned by polynomial fit: (n_trials, 4)."""
    time = np.arange(N_VOLUMES)
    left = course - np.polynomial.Polynomial.fit(time, course, 1)(time)
    left = left / left.std(ddof=1)
    first = np.rint((trials["onset_s"].to_numpy() + 2) / TR_S).astype(int)
    return left[first[:, None] + np.arange(4)]


def test_volumes_of_2_mm(events, tmp_path):
    """194 volumes of 1.1 million voxels; each voxel follows one course, scaled."""
    own = tmp_path / "own"
    write(own, {path: text for path, text in events.items() if "CSI1" in path})
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = CORNER_MM
    rng = np.random.default_rng(0)
    course = rng.normal(size=N_VOLUMES)
    gain = rng.uniform(1, 2, size=SHAPE).astype(np.float32)
    stem = own / "derivatives/fmriprep/sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-5000scenes_run-01"
    stem.parent.mkdir(parents=True)
    bold = nib.Nifti1Image(np.zeros((1, 1, 1, 1), np.int16), affine)
    bold.header.set_data_shape((*SHAPE, N_VOLUMES))
    bold.header["pixdim"][4], bold.header["scl_slope"], bold.header["scl_inter"] = TR_S, 0.5, 0
    bold.header.set_xyzt_units("mm", "sec")
    bold.header["vox_offset"] = 352
    with gzip.open(f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz", "wb", compresslevel=1) as file:
        bold.header["magic"] = b"n+1"
        file.write(bold.header.binaryblock + bytes(4))
        for value in course:
            file.write(np.rint(2 * (1000 + 100 * value * gain)).astype("<i2").tobytes(order="F"))
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), affine)
    mask.to_filename(f"{stem}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz")
    project = copy_project(tmp_path / "project")
    entry = f"  mine: {{plugin: bids, folder: {own}, subjects: [sub-CSI1], tr_s: 2.0, image_column: stim_file}}\n"
    project.edit("config/config.yaml", "  haxby: {}\n", f"  haxby: {{}}\n{entry}")
    values, trials, largest = projected(project, "mine")
    assert values.shape == (37, 4, 20484)
    wanted = cut(course, trials)
    np.testing.assert_allclose(values, np.broadcast_to(wanted[..., None], values.shape), atol=0.02)
    assert largest < LIMIT_KB, f"{largest} kB"


def test_a_whole_surface(events, tmp_path):
    """194 volumes of 327,684 vertices, the most that subjects have; BOLD is linear in the place on the sphere."""
    origin = tmp_path / "ds001499"
    write(origin, events | {"task-5000scenes_bold.json": json.dumps({"RepetitionTime": TR_S}).encode()})
    points, faces = icosphere(7)
    own = jittered(turned(points, 1), 1, 0.2)
    stem = "derivatives/fmriprep/sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-5000scenes_run-01_bold_"
    rng = np.random.default_rng(1)
    courses = {side: rng.normal(size=N_VOLUMES) for side in "LR"}
    for side, course in courses.items():
        write_sphere(origin / f"derivatives/freesurfer/sub-CSI1/surf/{side.lower()}h.sphere.reg", own, faces)
        bold = 1000 + np.outer(course, 2 + own[:, 0] / 100)
        write_time_series(origin / f"{stem}space-fsnative.{side}.func.gii", bold)
    table = "\t".join(f"X{n}" for n in range(2)) + "\n" + "0\t0\n" * N_VOLUMES
    write(origin, {f"{stem}confounds.tsv": table.encode()})
    project = copy_project(tmp_path / "project")
    commit = create_dataset(origin, "full", "(include=*.gii)or(include=*.reg)", "2024-01-01T00:00:00+00:00")
    project.edit("src/boldflow/datasets/bold5000/__init__.py", bold5000.FACTS["source"]["commit"], commit)
    project.edit("config/config.yaml", "  bold5000: {}\n", f"  bold5000: {{origin: {origin}}}\n")
    values, trials, largest = projected(project, "bold5000")
    assert values.shape == (37, 4, 20484)
    for side, start in zip("LR", (0, 10242), strict=True):
        wanted = cut(courses[side], trials)
        here = values[:, :, start : start + 10242]
        np.testing.assert_allclose(here, np.broadcast_to(wanted[..., None], here.shape), atol=2e-3)
    assert largest < LIMIT_KB, f"{largest} kB"
