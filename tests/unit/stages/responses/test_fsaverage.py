"""Betas on fsaverage come to fsaverage5 by its first vertices, or by the mean over each neighbourhood."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.releases import beta_files
from boldflow.core.records.runs import BetaRun
from boldflow.stages.responses import _betas, _columns, _fsaverage, _meshes
from boldflow.stages.responses.project_responses import BAD
from boldflow.vocabulary import meshes
from tests.made.surfaces import icosphere, jittered, write_sphere

N, COARSE, FINE = 9, 162, 2562


@pytest.fixture
def subjects(tmp_path, monkeypatch):
    """A small family of meshes, and a folder of FreeSurfer's subjects; each sphere begins with the coarser one."""
    monkeypatch.setattr(_columns, "FOLDER", tmp_path / "matrices")
    for space, n_vertices in {"fsaverage5": COARSE, "fsaverage6": -1, "fsaverage7": FINE}.items():
        monkeypatch.setitem(meshes.N_VERTICES, space, n_vertices)
    points, faces = icosphere(4)
    for k, side in enumerate("lr"):
        for kind in ("pial", "white", "sphere"):
            path = tmp_path / f"subjects/fsaverage/surf/{side}h.{kind}"
            write_sphere(path, jittered(points, k, 0.1), faces)
    return tmp_path / "subjects"


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(N, 2 * FINE)).astype(np.float32)


def record(tmp_path, values):
    """One session in two .mgh files, unread, with a region and a ceiling."""
    paths = [tmp_path / f"{side}h.betas_session01.mgh" for side in "lr"]
    for path, half in zip(paths, np.split(values, 2, axis=1), strict=True):
        nib.MGHImage(half.T.reshape(-1, 1, 1, len(half)), np.eye(4)).to_filename(path)
    half = values.shape[1] // 2
    places = {"hemisphere": np.repeat(["lh", "rh"], half), "vertex": np.tile(np.arange(half), 2)}
    betas = beta_files.masked(paths, [np.ones(half, bool)] * 2)
    rois = {"some": np.arange(2 * half) % 5 == 0}
    names = np.array([f"p{n}" for n in range(len(values))])
    return BetaRun("01", None, names, betas, "percent", places, rois, {"ncsnr": np.arange(2 * half) / half})


def read(betas, entry, folder, rois=()):
    first, records, note = _fsaverage.resampled(betas, iter([betas]), {"space": "fsaverage5", **entry}, folder)
    table = pd.DataFrame({"session": "01", "run": "01", "trial": np.arange(N), "image_id": betas.image_ids})
    inside = np.any([first.rois[name] for name in rois], axis=0) if rois else np.ones(2 * COARSE, bool)
    return _betas.read(records, table.assign(usable=True), "subj01", {}, None, BAD, inside), first, note


def test_subsetting_keeps_the_first_vertices_of_each_hemisphere(tmp_path, values, subjects):
    betas, first, note = read(record(tmp_path, values), {}, None)
    expected = np.hstack([values[:, :COARSE], values[:, FINE : FINE + COARSE]])
    np.testing.assert_array_equal(betas.values, expected)
    assert note == {"resampling": "subset", "n_vertices_before": FINE}
    assert betas.places["hemisphere"].tolist() == ["left"] * COARSE + ["right"] * COARSE
    assert betas.places["vertex"].tolist() == [*range(COARSE)] * 2
    np.testing.assert_array_equal(betas.ceilings["ncsnr"], np.r_[:COARSE, FINE : FINE + COARSE] / FINE)
    some, _, _ = read(record(tmp_path, values), {}, None, ["some"])
    np.testing.assert_array_equal(some.values, expected[:, first.rois["some"]])
    np.testing.assert_array_equal(first.rois["some"], np.r_[:COARSE, FINE : FINE + COARSE] % 5 == 0)


def test_the_mean_is_that_over_the_vertices_nearest_to_each(tmp_path, values, subjects):
    """Brute force: each fine vertex belongs to the coarse one at the least distance."""
    betas, first, note = read(record(tmp_path, values), {"resampling": "average"}, str(subjects))
    expected = np.empty((N, 2 * COARSE))
    for k, half in enumerate(np.split(values.astype(np.float64), 2, axis=1)):
        sphere = _meshes.mesh("fsaverage7", str(subjects))[k].sphere
        owner = np.linalg.norm(sphere[:, None] - sphere[None, :COARSE], axis=2).argmin(axis=1)
        for vertex in range(COARSE):
            expected[:, k * COARSE + vertex] = half[:, owner == vertex].mean(axis=1)
    np.testing.assert_allclose(betas.values, expected, atol=1e-6)
    assert betas.values.std() < 0.5 * values.std()  # sixteen independent vertices each
    assert note["resampling"] == "average" and not len(betas.ceilings.columns) and "do not hold" in note["ceilings"]
    some, _, _ = read(record(tmp_path, values), {"resampling": "average"}, str(subjects), ["some"])
    np.testing.assert_allclose(some.values, expected[:, first.rois["some"]], atol=1e-6)


@pytest.mark.parametrize("how", ["subset", "average"])
def test_betas_on_fsaverage5_stay_as_they_are(tmp_path, values, subjects, how):
    values = values[:, : 2 * COARSE]
    betas, _, _ = read(record(tmp_path, values), {"resampling": how}, None)
    np.testing.assert_array_equal(betas.values, values)


def test_columns_that_are_not_hemispheres_of_fsaverage_are_refused(tmp_path, values, subjects):
    with pytest.raises(ValueError, match="100 is no number of vertices of an fsaverage mesh"):
        read(record(tmp_path, values[:, :200]), {}, None)
    with pytest.raises(ValueError, match="a mesh of 42 vertices has no subset of 162"):
        read(record(tmp_path, values[:, :84]), {}, None)
    voxels = BetaRun("01", None, np.array(["a"]), values[:1], "percent", {"i": np.arange(2 * FINE)})
    with pytest.raises(ValueError, match="5124 columns of betas are not the left and then the right hemisphere"):
        read(voxels, {}, None)
    with pytest.raises(ValueError, match="mesh of fsaverage7 is not inside: set mesh_folder"):
        read(record(tmp_path, values), {"resampling": "average"}, None)
