import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from nilearn import datasets as shipped
from nilearn import surface
from nilearn.image import new_img_like
from nilearn.signal import clean
from sklearn.linear_model import Ridge

from boldflow.artifacts.arrival import annex
from boldflow.datasets import sim
from boldflow.datasets.sim import drawn_pictures
from tests.made.features import described

SETTINGS = {"n_runs": 4, "n_train_images": 48, "n_test_images": 12, "voxel_mm": 6.0, "image_size": 64}
SMALL = {"n_runs": 2, "n_train_images": 12, "n_test_images": 6, "n_test_repeats": 2, "voxel_mm": 8.0, "image_size": 32}
SUBJECTS = sim.FACTS["subjects"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def made(workspace):
    return sim.source(SETTINGS, workspace)


@pytest.fixture(scope="module")
def clone(made, tmp_path_factory):
    """A clone with the content of the first subject and the pictures alone."""
    folder = tmp_path_factory.mktemp("clones") / "sim"
    annex.clone(made.url, folder, made.commit)
    for what in ("dataset", "stimuli", "sub-01"):
        annex.get(folder, sim.files_needed(folder, what, SETTINGS))
    return folder


def test_everything_a_subject_needs_is_in_files_needed(clone, made):
    assert [run.bold.shape[:3] for run in sim.runs(clone, "sub-01", SETTINGS, "bold")] == [(25, 31, 24)] * 4
    assert len(list(sim.stimuli(clone, SETTINGS))) == 60
    assert set(sim.rois(clone, "sub-01", "fsaverage5", SETTINGS)) >= {"V1", "V2", "V3", "early", "silent", "face"}
    with pytest.raises(FileNotFoundError):
        list(sim.runs(clone, "sub-02", SETTINGS, "bold"))
    assert len(sim.trials(clone, "sub-02", SETTINGS)) == 96
    needed = sim.files_needed(clone, "sub-02", SETTINGS)
    assert sum(path.endswith(".nii.gz") for path in needed) == 5
    assert made.kind == "datalad" and len(made.commit) == 40 and "/" not in made.origin


def test_a_second_call_builds_nothing(made, workspace, monkeypatch):
    monkeypatch.setattr(sim.building, "build", lambda *_: pytest.fail("built again"))
    assert sim.source(SETTINGS, workspace) == made


def test_equal_settings_give_equal_commits_and_other_seeds_others(tmp_path):
    first = sim.source(SMALL, tmp_path / "one")
    second = sim.source({**SMALL, "name": "sim-x", "plugin": "sim"}, tmp_path / "two")
    assert first.commit == second.commit
    other = sim.source({**SMALL, "seed": 1}, tmp_path / "one")
    assert other.commit != first.commit and other.url != first.url


def test_changed_code_or_an_interrupted_build_builds_anew(tmp_path, monkeypatch):
    calls = []

    def build(folder, oracle, plan):
        calls.append(1)
        (folder / "picture.png").write_bytes(b"pixels")
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(sim.building, "build", build)
    first = sim.source(SMALL, tmp_path)
    monkeypatch.setattr(sim, "code_digest", lambda name: "other")
    with pytest.raises(KeyboardInterrupt):
        sim.source(SMALL, tmp_path)
    assert sim.source(SMALL, tmp_path) == first
    assert sim.source(SMALL, tmp_path) == first
    assert len(calls) == 3
    assert not list((tmp_path / "origins").glob(".*.part"))


def test_trials_repeat_test_pictures_and_show_training_pictures_once(clone):
    orders = []
    table = pd.read_csv(clone / "stimuli" / "stimuli.tsv", sep="\t")
    for subject in SUBJECTS:
        trials = sim.trials(clone, subject, SETTINGS)
        counts = trials["image_id"].value_counts()
        parts = table.set_index("file")["part"]
        assert (counts[parts[parts == "train"].index] == 1).all()
        assert (counts[parts[parts == "test"].index] == 4).all()
        assert list(trials.columns) == ["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]
        for _, run in trials.groupby("run"):
            assert (run["onset_s"].diff().dropna() == 10).all()
            assert run["trial"].tolist() == list(range(1, len(run) + 1))
            assert run["image_id"].ne(run["image_id"].shift()).all()
        orders.append(tuple(trials["image_id"]))
    assert len(set(orders)) == 3


@pytest.mark.parametrize(
    ("total", "available", "n_made", "expected"),
    [(12, [9, 9], 1, [4, 4, 4]), (12, [1, 9], 1, [1, 6, 5]), (13, [2, 3], 2, [2, 3, 4, 4]), (6, [0, 0], 1, [0, 0, 6])],
)
def test_categories_share_pictures_evenly_as_far_as_photographs_go(total, available, n_made, expected):
    assert drawn_pictures.shares(total, available, n_made) == expected


def test_training_and_test_pictures_come_from_different_photographs(clone):
    table = pd.read_csv(clone / "stimuli" / "stimuli.tsv", sep="\t")
    sources = table.groupby("part")["source"].agg(set)
    assert not sources["train"] & sources["test"]
    assert table["category"].nunique() == 6
    assert table.groupby(["part", "category"]).size().groupby("part").nunique().eq(1).all()
    pictures = list(sim.stimuli(clone, SETTINGS))
    assert [picture.image_id for picture in pictures] == table["file"].tolist()
    assert [picture.labels["category"] for picture in pictures] == table["category"].tolist()
    flat = np.stack([picture.pixels.mean(axis=2).ravel() for picture in pictures])
    assert np.abs(np.corrcoef(flat) - np.eye(60)).max() < 0.95


def test_repetition_time_is_stated_alike(clone):
    for run in sim.runs(clone, "sub-01", SETTINGS, "bold"):
        assert run.tr_s == {"header": 2.0, "sidecar": 2.0}
        assert run.bold.dtype == np.float32 and run.space == "MNI"
        assert (run.bold[~run.mask] == 0).all()
        assert 900 < run.bold[run.mask].mean() < 1100


def test_data_are_truth_plus_noise_of_the_stated_variance(made, workspace):
    """Second differences remove drift; those of AR(1) noise have a variance known in closed form."""
    truth = sim.oracle(workspace, SETTINGS, "sub-01")
    ratios = []
    for run, free in zip(sim.runs(made.url, "sub-01", SETTINGS, "bold"), truth.noise_free(), strict=True):
        assert run.run == free.run
        noise = (run.bold - free.bold)[run.mask].astype(float)
        second = np.diff(noise, n=2, axis=1)
        a = sim.bold.AR
        ratios.append((second**2).mean(axis=1) / (6 - 8 * a + 2 * a**2) / truth.noise_variance[run.mask])
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
    clean_run = next(truth.noise_free())
    assert clean_run.bold[clean_run.mask].min() > 0


def test_oracle_and_regions_tell_the_same(made, workspace):
    responsive = []
    for subject in SUBJECTS:
        truth = sim.oracle(workspace, SETTINGS, subject)
        regions = sim.rois(made.url, subject, "fsaverage5", SETTINGS)
        vertices = truth.vertices
        assert len(vertices) == 20484
        for name in ("V1", "V2", "V3", *drawn_pictures.CATEGORIES):
            np.testing.assert_array_equal(regions[name], vertices["area"] == name)
        np.testing.assert_array_equal(regions["silent"], vertices["silent"])
        assert (sum(mask.astype(int) for name, mask in regions.items() if name != "early") <= 1).all()
        assert truth.amplitudes.shape == (60, vertices["responsive"].sum())
        assert truth.channel_weights.shape[0] == regions["early"].sum()
        responsive.append(int(vertices["responsive"].sum()))
    assert len(set(responsive)) == 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("subject", SUBJECTS)
def test_pictures_are_decoded_and_vertices_predicted(made, subject):
    """The whole way with nilearn and scikit-learn instead of the package's projection, cleaning and ridge."""
    import nibabel as nib

    files = shipped.fetch_surf_fsaverage("fsaverage5")
    trials = sim.trials(made.url, subject, SETTINGS)
    regions = sim.rois(made.url, subject, "fsaverage5", SETTINGS)
    some = np.zeros(20484, dtype=bool)
    some[np.flatnonzero(regions["silent"])[::20]] = True
    chosen = regions["early"] | some
    responses = []
    for run in sim.runs(made.url, subject, SETTINGS, "bold"):
        image = nib.Nifti1Image(run.bold, run.affine)
        mask = new_img_like(image, run.mask.astype(np.uint8))
        halves = [
            surface.vol_to_surf(
                image, files[f"pial_{side}"], inner_mesh=files[f"white_{side}"], mask_img=mask, n_samples=3
            )
            for side in ("left", "right")
        ]
        series = clean(np.concatenate(halves)[chosen].T, detrend=True, standardize="zscore_sample")
        first = np.rint(trials.loc[trials["run"] == run.run, "onset_s"] / 2).astype(int).to_numpy()
        responses.append(series[first[:, None] + [2, 3, 4]].mean(axis=1))
    values = np.concatenate(responses)
    assert np.isfinite(values).all()
    pictures = list(sim.stimuli(made.url, SETTINGS))
    features = described("gabor", [picture.pixels for picture in pictures])
    features = pd.DataFrame(features, index=[picture.image_id for picture in pictures])
    test = trials["image_id"].str.contains("_test").to_numpy()
    seen = features.loc[trials["image_id"][~test]]
    scaled = (features - seen.mean()) / seen.std()
    averaged = pd.DataFrame(values[test]).groupby(trials["image_id"][test].to_numpy()).mean()
    early = regions["early"][chosen]
    inputs, targets = values[~test][:, early], scaled.loc[trials["image_id"][~test]].to_numpy()
    predicted = Ridge(alpha=3000).fit(inputs, targets).predict(averaged.to_numpy()[:, early])
    true = scaled.loc[averaged.index].to_numpy()
    cosine = np.einsum("if,jf->ij", predicted, true)
    cosine /= np.linalg.norm(predicted, axis=1)[:, None] * np.linalg.norm(true, axis=1)
    rank = (cosine > np.diag(cosine)[:, None]).sum(axis=1)
    assert (1 - rank / 11).mean() > 0.65  # chance 0.5, standard error 0.09
    assert (rank < 5).mean() > 0.6  # chance 0.42
    forecast = Ridge(alpha=3000).fit(targets, values[~test]).predict(true)
    r = [np.corrcoef(forecast[:, k], averaged.to_numpy()[:, k])[0, 1] for k in range(len(early))]
    assert np.mean(np.array(r)[early]) > 0.35
    assert abs(np.mean(np.array(r)[~early])) < 0.06


def test_tree_is_bids_and_its_files_are_in_the_commit(made):
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=made.url, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "participants.tsv" in tracked
    events = [path for path in tracked if path.endswith("_events.tsv")]
    assert len(events) == 12 and events[0] == "sub-01/ses-01/func/sub-01_ses-01_task-images_run-01_events.tsv"
    assert sum(path.endswith("_bold.nii.gz") for path in tracked) == 12
    for place in ("", "derivatives/preproc/", "derivatives/rois/"):
        path = f"{made.url}/{place}dataset_description.json"
        with open(path) as handle:
            assert {"Name", "BIDSVersion", "DatasetType"} <= set(json.load(handle))


def test_wrong_input_is_named(made, workspace, tmp_path):
    with pytest.raises(ValueError, match="no subject 'sub-04'; there are: sub-01, sub-02, sub-03"):
        sim.trials(made.url, "sub-04", SETTINGS)
    with pytest.raises(ValueError, match="fsaverage5, not 'native'"):
        sim.rois(made.url, "sub-01", "native", SETTINGS)
    with pytest.raises(ValueError, match=r"multiple of the TR \(2 s\), not 9"):
        sim.source({"slot_s": 9.0}, tmp_path)
    with pytest.raises(ValueError, match=r"fit into slot_s \(10 s\), not 11"):
        sim.source({"duration_s": 11.0}, tmp_path)
    with pytest.raises(FileNotFoundError, match="written together with the data set"):
        sim.oracle(tmp_path, SETTINGS, "sub-01")
    with pytest.raises(FileNotFoundError, match=r"has no stimuli/\*\.png"):
        (tmp_path / "stimuli").mkdir()
        (tmp_path / "stimuli" / "stimuli.tsv").touch()
        sim.files_needed(tmp_path, "stimuli", SETTINGS)
