"""BOLD that is not as it should be: rows 2, 3, 7 and 12."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.store import arrays, sidecars, tables

pytestmark = pytest.mark.end_to_end
FOLDER = "results/sim-tiny/{}/bold-4to10s-fsaverage5"
SUBJECTS = ("sub-01", "sub-02", "sub-03")
RESPONSES = [f"{FOLDER.format(subject)}/responses.npy" for subject in SUBJECTS]


def bold(subject, run, suffix="nii.gz"):
    folder = f"resources/clones/sim-tiny/derivatives/preproc/{subject}/ses-01/func"
    return f"{folder}/{subject}_ses-01_task-images_run-{run:02d}_space-MNI152NLin2009cAsym_desc-preproc_bold.{suffix}"


def plant_tr(study, subject, run, tr_s):
    note = json.loads(study.read(bold(subject, run, "json")))
    study.plant(bold(subject, run, "json"), json.dumps(note | {"RepetitionTime": tr_s}).encode())


def plant_voxels(study, subject, run, change, tr_s=2.0):
    """Change the voxels of a run, (x, y, z, n_volumes), and the repetition time of its header."""
    image = nib.Nifti1Image.from_filename(study.folder / bold(subject, run))
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    change(voxels)
    other = nib.Nifti1Image(voxels, image.affine)
    other.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
    study.plant(bold(subject, run), gzip.compress(other.to_bytes(), 1))


def some_bad(voxels):
    """A slab that does not vary, and another with two values that are not finite."""
    voxels[:6] = 7
    voxels[-7:, ..., 3] = np.nan
    voxels[-7:, :9, :, 5] = np.inf


def all_constant(voxels):
    voxels[:] = voxels[..., :1]


def test_repetition_times_regions_and_voxels_without_signal(study):
    """What is refused is refused before training; what may be masked is masked, counted, and changes nothing else."""
    plant_tr(study, "sub-01", 2, 3.0)
    plant_voxels(study, "sub-02", 2, some_bad)
    plant_voxels(study, "sub-03", 3, all_constant)
    study.edit(
        "config/config.yaml", "responses:\n", "responses:\n  of-nowhere: {space: fsaverage5, rois: [V1, nope]}\n"
    )
    nowhere = "results/sim-tiny/sub-01/of-nowhere/responses.npy"
    study.fails(
        *RESPONSES,
        nowhere,
        says=[
            "sub-01, session 01, run 02: repetition times disagree (header: 2 s, sidecar: 3 s, facts: 2 s)",
            "sub-01 has no ROI ['nope']; there are: V1, V2, V3, dead-leaves, early, face, object,",
            "sub-03: 100% of 20484 vertices are without signal (0 not finite or outside the volume, 20484 constant), "
            "the limit (max_masked) is 50%",
        ],
    )
    whole, found = (place / FOLDER.format("sub-02") for place in (study.whole, study.folder))
    note = sidecars.read(found / "responses.json")
    assert note["n_masked"] == sum(note["masked"].values()) == 20484 - note["shape"][-1]
    assert all(count > 50 for count in note["masked"].values()) and note["n_masked"] < 0.5 * 20484
    places = [tables.read(folder / "vertices.parquet")[["hemisphere", "vertex"]] for folder in (whole, found)]
    column = places[0].reset_index().merge(places[1])["index"].to_numpy()
    assert len(column) == note["shape"][-1]
    was, now = arrays.read(whole / "responses.npy")[:, column], arrays.read(found / "responses.npy")
    changed = tables.read(whole.parent / "trials.parquet")["run"] == "02"
    np.testing.assert_array_equal(was[~changed], now[~changed])
    # vertices at the edge of what is constant keep their other voxels
    assert (was == now)[changed].all(axis=0).mean() > 0.8
    study.mend()
    study.completes(RESPONSES[0], RESPONSES[2])


def test_repetition_times_that_agree_with_each_other_but_not_with_the_facts_and_a_run_cut_short(study):
    plant_tr(study, "sub-01", 1, 2.5)
    plant_voxels(study, "sub-01", 1, lambda voxels: None, tr_s=2.5)
    half = study.read(bold("sub-02", 1))[:200_000]
    study.plant(bold("sub-02", 1), half)
    mask = next((study.folder / bold("sub-03", 1)).parent.glob("*_mask.nii.gz")).relative_to(study.folder)
    study.plant(str(mask), b"<!DOCTYPE html><html>404</html>")
    study.fails(
        *RESPONSES,
        says=[
            "sub-01, session 01, run 01: repetition times disagree (header: 2.5 s, sidecar: 2.5 s, facts: 2 s)",
            f"{bold('sub-02', 1)} (200000 bytes) is no whole NIfTI",
            f"{mask} (31 bytes) is no whole NIfTI",
        ],
    )
    study.mend()
    study.completes(RESPONSES[1])
