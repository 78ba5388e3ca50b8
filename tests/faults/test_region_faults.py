"""Regions from files that are not as they should be: row 2."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.store import arrays, sidecars, tables
from tests.faults.conftest import STUDY
from tests.made.regions import write_label, write_overlay

pytestmark = pytest.mark.end_to_end
N = 10242
# a file each; what is wrong with it is told in the name
ENTRIES = {
    "absent": "{V7: ['regions/{subject}/{hemisphere}.absent.label']}",
    "empty": "{V7: ['regions/{hemisphere}.cap.mgz:9']}",
    "coarse": "{V7: ['regions/lh.coarse.mgz']}",
    "twice": "{V1: ['regions/{hemisphere}.cap.mgz']}",
    "cut": "{V7: ['regions/cut.nii.gz']}",
}


def folder(response):
    return f"results/sim-tiny/sub-01/{response}"


def test_regions_of_files_that_are_missing_empty_of_another_mesh_or_named_twice(study):
    """Each is refused before its BOLD is cleaned, with what is wrong; mended, the regions are those of the files."""
    regions = study.folder / "regions"
    cap = (np.arange(N) % 5 == 0).astype(float)
    for side in "lr":
        write_overlay(regions / f"{side}h.cap.mgz", cap)
    write_overlay(regions / "lh.coarse.mgz", np.ones(5000))
    affine = np.array([[4.0, 0, 0, -90], [0, 4, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]])  # holds the whole brain
    volume = nib.Nifti1Image(np.ones((46, 53, 44), "u1"), affine)
    (regions / "cut.nii.gz").write_bytes(b"<!DOCTYPE html><html>404</html>")
    entries = "".join(f"  {name}: {{region_files: {files}}}\n" for name, files in ENTRIES.items())
    study.edit("config/config.yaml", "responses:\n", f"responses:\n{entries}")
    study.fails(
        *(f"{folder(name)}/responses.npy" for name in ENTRIES),
        says=[
            "sub-01 lacks files of region_files (not there, or links without content): V7: "
            "regions/sub-01/lh.absent.label, regions/sub-01/rh.absent.label; regions that there are: V1, V2, V3, dead-",
            "ROI 'V7' of sub-01 is empty (lh.cap.mgz:9 holds 0, 1; rh.cap.mgz:9 holds 0, 1); there are: V1, V2, V3,",
            "regions/lh.coarse.mgz is of 5000 vertices; for a response in fsaverage5 a hemisphere must have 10242 or",
            "ROI 'V1' of sub-01 is given twice: by the data set, and by region_files (lh.cap.mgz, rh.cap.mgz); rename",
            "regions/cut.nii.gz (31 bytes) is no whole NIfTI",
        ],
    )
    for side in "lr":
        write_label(regions / f"sub-01/{side}h.absent.label", np.flatnonzero(cap))
        write_overlay(regions / f"{side}h.cap.mgz", 9 * cap)
    write_overlay(regions / "lh.coarse.mgz", np.resize(cap, 4 * N - 6))
    volume.to_filename(regions / "cut.nii.gz")
    study.edit("config/config.yaml", "twice: {region_files: {V1:", "twice: {rois: [V7], region_files: {V7:")
    targets = [f"{folder(name)}/responses.npy" for name in ENTRIES]
    study.snakemake(*targets, *STUDY)
    whole = study.folder / folder("bold-4to10s-fsaverage5")
    both = np.concatenate([cap, cap])[_columns(whole)] > 0
    left = _columns(whole) < N
    for name, wanted in (("absent", both), ("empty", both), ("coarse", both & left), ("cut", both | ~both)):
        found = tables.read(study.folder / folder(name) / "vertices.parquet")
        np.testing.assert_array_equal(found["roi_V7"], wanted)
        assert (study.folder / folder(name) / "responses.npy").read_bytes() == (whole / "responses.npy").read_bytes()
    kept = arrays.read(study.folder / folder("twice") / "responses.npy")
    np.testing.assert_array_equal(kept, arrays.read(whole / "responses.npy")[:, both])
    note = sidecars.read(study.folder / folder("absent") / "responses.json")
    assert note["settings"]["regions_of_files"] == ["V7"] and note["regions"]["V7"]["n_inside"] == 2 * int(cap.sum())
    # another file: only what it changes is made again, and nothing of the study
    assert study.planned(*targets, *STUDY) == {}
    write_label(regions / "sub-01/lh.absent.label", [3, 4, 5])
    assert study.planned(*targets, *STUDY) == {"project_responses": 1}
    shutil.rmtree(regions)
    assert study.planned(*STUDY) == {}


def _columns(whole):
    """Place of each column of a response among the vertices of both hemispheres."""
    rows = tables.read(whole / "vertices.parquet")
    return (rows["vertex"] + N * (rows["hemisphere"] == "right")).to_numpy()
