"""Responses of one subject from files in a data set's own layout, against values that are known."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue, registry
from boldflow.artifacts.arrival import annex
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.provenance import canonical
from boldflow.stages.responses import project_responses
from boldflow.stages.responses._meshes import mesh
from tests.made.regions import write_label, write_overlay
from tests.made.surfaces import icosphere, jittered, turned, write_sphere, write_time_series

TR_S, N_VOLUMES = 2.0, 40
ENTRY = {
    "name": "bold", "kind": "bold", "space": "fsaverage5", "start_s": 4.0, "duration_s": 6.0, "average": True,
    "rois": [], "max_masked": 0.5,
}  # fmt: skip
FUNC = "derivatives/fmriprep/sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-5000scenes_run-{}_"
FUNC += "bold_space-fsnative.{}.func.gii"


class Subject:
    """A tree of BOLD5000's layout with two runs on the subject's own surface, and what a rule hands to the stage."""

    def __init__(self, folder):
        self.root, self.out = folder / "tree", folder / "out"
        self.out.mkdir(parents=True)
        rng = np.random.default_rng(0)
        (self.root / "derivatives").mkdir(parents=True)
        (self.root / "task-5000scenes_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))
        self.onsets = [6.0, 16.0, 26.0, 36.0]
        numbered = [(run, k, onset) for run in ("01", "02") for k, onset in enumerate(self.onsets)]
        rows = [("01", run, k + 1, onset, 1.0, f"{run}{k}.jpg") for run, k, onset in numbered]
        names = ["session", "run", "trial", "onset_s", "duration_s", "image_id"]
        table = pd.DataFrame(rows, columns=names).assign(usable=True, subject="sub-CSI1")
        tables.write(self.out / "trials.parquet", table, {"data": "made"})
        # BOLD of a place x, y, z of the sphere: x a(t) + y b(t) + z c(t), which barycentric weights keep
        self.courses = {(s, r): rng.normal(size=(3, N_VOLUMES)) for s in "LR" for r in ("01", "02")}
        self.spheres = {}
        for side, order in (("L", 4), ("R", 3)):
            points, faces = icosphere(order)
            self.spheres[side] = jittered(turned(points, order), order, 0.2)
            folder = self.root / "derivatives/freesurfer/sub-CSI1/surf"
            write_sphere(folder / f"{side.lower()}h.sphere.reg", self.spheres[side], faces)
            for run in ("01", "02"):
                self.write(side, run, (self.spheres[side] / 100 @ self.courses[side, run]).T)

    def write(self, side, run, values, time_step="2000.000000"):
        write_time_series(self.root / FUNC.format(run, side), values, time_step)

    def made(self, split=(), region_files=None, dataset=None, **entry):
        paths = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]
        receipt = {"root": str(self.root), "what": "sub-CSI1", "files": annex.folder_receipt(self.root, paths)}
        for name in ("source", "receipt"):
            sidecars.write(self.out / f"{name}.json", receipt)
        paths = {name: str(self.out / name) for name in ("responses.npy", "responses.json", "vertices.parquet")}
        facts = registry.literal("datasets", "bold5000", "FACTS")
        project_responses.run(
            source=str(self.out / "source.json"),
            receipt=str(self.out / "receipt.json"),
            trials=str(self.out / "trials.parquet"),
            split=list(split),
            hrf=[],
            responses=paths["responses.npy"],
            sidecar=paths["responses.json"],
            vertices=paths["vertices.parquet"],
            subject="sub-CSI1",
            recording="bold-fsnative",
            settings=canonical({**ENTRY, **entry, **({"split": "mended"} if split else {})}),
            places="{}",
            regions=canonical(catalogue.region_files({"region_files": region_files or {}}, "sub-CSI1")),
            dataset=canonical({"name": "bold5000", "plugin": "bold5000", **(dataset or {})}),
            facts=canonical(facts),
            code="{}",
        )
        read = arrays.read(paths["responses.npy"]), tables.read(paths["vertices.parquet"])
        return (*read, sidecars.read(paths["responses.json"]))

    def wanted(self, first_after_onset=2):
        """Mean of three volumes from 4 s on of detrended z-scored planted courses at fsaverage5's own places."""
        time = np.arange(N_VOLUMES)
        found = []
        for run in ("01", "02"):
            sides = []
            for side, target in zip("LR", mesh("fsaverage5"), strict=True):
                course = (target.sphere @ self.courses[side, run]).T
                line = np.polynomial.polynomial.polyfit(time, course, 1)
                left = course - np.polynomial.polynomial.polyval(time, line).T
                sides.append(left / left.std(axis=0, ddof=1))
            both = np.hstack(sides)
            found += [both[int(onset / 2) + first_after_onset :][:3].mean(axis=0) for onset in self.onsets]
        return np.array(found)


@pytest.fixture
def subject(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # below which matrices are kept
    return Subject(tmp_path)


@pytest.mark.parametrize(("stated", "ref"), [({"StartTime": 1.5}, None), ({"SliceTimingCorrected": True}, 0.75)])
def test_windows_go_by_the_times_of_volumes_that_sidecar_or_entry_state(subject, stated, ref):
    """Volume k lies at 2 k + 1.5 s: the windows of onsets at 6, 16, ... s, from 4 s on, begin a volume earlier."""
    (subject.root / "task-5000scenes_bold.json").write_text(json.dumps({"RepetitionTime": TR_S, **stated}))
    responses, _, note = subject.made(dataset={} if ref is None else {"slice_time_ref": ref})
    np.testing.assert_allclose(responses, subject.wanted(first_after_onset=1), atol=2e-5)
    by = "StartTime" if ref is None else "slice_time_ref"
    assert note["volume_times"] == [{"offset_s": 1.5, "by": by, "runs": ["01/01", "01/02"]}]


def test_a_sidecar_beside_a_file_of_bold_wins(subject):
    path = subject.root / FUNC.format("02", "L").replace(".L.func.gii", ".json")
    path.write_text(json.dumps({"StartTime": 1.0}))
    _, _, note = subject.made()
    assert [(row["offset_s"], row["runs"]) for row in note["volume_times"]] == [(0.0, ["01/01"]), (1.0, ["01/02"])]


def test_bold_on_a_subjects_surface_comes_to_fsaverage5_with_the_values_that_were_planted(subject):
    responses, vertices, note = subject.made()
    assert responses.shape == (8, 20484)
    np.testing.assert_allclose(responses, subject.wanted(), atol=2e-5)
    assert vertices["hemisphere"].tolist() == ["left"] * 10242 + ["right"] * 10242
    assert vertices["vertex"].tolist() == [*range(10242)] * 2
    assert note["resampling"] == "barycentric" and note["n_masked"] == 0


def test_time_is_kept_where_it_is_asked_for_and_other_resampling_is_near(subject):
    kept, _, _ = subject.made(average=False)
    assert kept.shape == (8, 3, 20484)
    np.testing.assert_allclose(kept.mean(axis=1), subject.wanted(), atol=2e-5)
    for how in ("nearest", "average"):
        found, _, note = subject.made(resampling=how)
        assert note["resampling"] == how
        agree = [np.corrcoef(a, b)[0, 1] for a, b in zip(found, subject.wanted(), strict=True)]
        assert 0.98 < min(agree) < 0.99999


def test_vertices_that_are_nan_in_one_run_are_masked_with_the_places_that_use_them(subject):
    values = (subject.spheres["R"] / 100 @ subject.courses["R", "02"]).T
    values[3, 17] = np.nan
    values[:, 18] = np.inf
    values[:, 400] = 7.0  # does not vary, but its neighbours do
    subject.write("R", "02", values)
    responses, vertices, note = subject.made()
    assert note["masked"]["constant"] == 0 and note["n_masked"] == 20484 - responses.shape[1] > 20
    assert (vertices["hemisphere"] == "left").sum() == 10242
    place = vertices["vertex"].to_numpy() + 10242 * (vertices["hemisphere"] == "right").to_numpy()
    lost = np.setdiff1d(np.arange(20484), place) - 10242
    aims = mesh("fsaverage5")[1].sphere[lost] / 100
    bad = subject.spheres["R"][[17, 18]] / 100
    nearest = (aims @ bad.T).max(axis=1)
    edge = np.sort(subject.spheres["R"] @ subject.spheres["R"][17] / 1e4)[-8]  # beyond its neighbours
    assert (nearest > edge).all()


def test_repetition_times_of_surface_files_are_compared_too(subject):
    subject.write("R", "01", (subject.spheres["R"] / 100 @ subject.courses["R", "01"]).T, "1500.0")
    words = r"session 01, run 01: repetition times disagree \(sidecar: 2 s, left header: 2 s, right header: 1.5 s"
    with pytest.raises(ValueError, match=words):
        subject.made()


def test_regions_of_files_become_columns_and_say_what_they_are_from(subject, tmp_path):
    """A cap on the subject's surface, and one on fsaverage: all distances between the spheres are the witness."""
    caps = [subject.spheres[side] @ [0, 0.6, 0.8] > 75 for side in "LR"]
    for side, cap in zip("lr", caps, strict=True):
        write_overlay(tmp_path / f"sub-CSI1/{side}h.cap.mgz", cap)
    write_label(tmp_path / "lh.some.label", [3, 200, 100_000])
    files = {"cap": [f"{tmp_path}/{{subject}}/{{hemisphere}}.cap.mgz"], "some": [f"{tmp_path}/lh.some.label"]}
    whole, vertices, note = subject.made(region_files=files)
    nearest = [
        (target.sphere @ subject.spheres[side].T).argmax(axis=1)
        for side, target in zip("LR", mesh("fsaverage5"), strict=True)
    ]
    cap = np.concatenate([one[near] for one, near in zip(caps, nearest, strict=True)])
    np.testing.assert_array_equal(vertices["roi_cap"], cap)
    assert np.flatnonzero(vertices["roi_some"]).tolist() == [3, 200]
    assert {name: one["n_inside"] for name, one in note["regions"].items()} == {"cap": cap.sum(), "some": 2}
    assert [one["file"] for one in note["regions"]["cap"]["files"]] == ["lh.cap.mgz", "rh.cap.mgz"]
    assert str(tmp_path) not in str({key: note[key] for key in ("regions", "settings")})
    some, vertices, note = subject.made(region_files=files, rois=["cap"])
    np.testing.assert_array_equal(some, whole[:, cap])
    assert vertices["roi_cap"].all() and note["shape"] == [8, cap.sum()]


def confounds_of(subject, run, table):
    path = subject.root / FUNC.format(run, "L").replace("_bold_space-fsnative.L.func.gii", "_bold_confounds.tsv")
    lines = ["\t".join(table), *("\t".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def with_confounds(subject, seed=5):
    """Add a slow wave and a confound to all vertices, and write the confounds of old fMRIPrep."""
    rng, time = np.random.default_rng(seed), np.arange(N_VOLUMES)
    for run in ("01", "02"):
        noise = rng.normal(size=N_VOLUMES)
        displacement = np.full(N_VOLUMES, 0.1)
        displacement[[6, 20]] = 2.0
        rows = {"CSF": noise, "WhiteMatter": noise**2, "FramewiseDisplacement": ["n/a", *displacement[1:]]}
        confounds_of(subject, run, rows)
        for side in "LR":
            clean = (subject.spheres[side] / 100 @ subject.courses[side, run]).T
            wave = np.cos(np.pi * (time + 0.5) / N_VOLUMES)
            subject.write(side, run, clean + 30 * noise[:, None] + 50 * wave[:, None])


def test_confounds_and_slow_waves_are_taken_out_of_every_run(subject):
    with_confounds(subject)
    dirty, _, _ = subject.made()
    clean, _, note = subject.made(confounds=["csf-wm"], high_pass_hz=0.0126)
    off = [np.abs(found - subject.wanted()).mean() for found in (dirty, clean)]
    assert off[0] > 0.5 and off[1] < 0.25
    assert note["units"].endswith("a straight line and regressors are taken out)") and note["transductive"] == "run"
    assert note["statistics"] == "all volumes"


def test_censored_volumes_leave_the_average_of_a_window(subject):
    with_confounds(subject)
    for side in "LR":
        for run in ("01", "02"):
            values = (subject.spheres[side] / 100 @ subject.courses[side, run]).T
            values[[6, 20]] += 1e4  # what moved
            subject.write(side, run, values)
    found, _, note = subject.made(censor_mm=0.5)
    assert note["censored"] == {"volumes": 4, "windows": {"touched": 4, "wholly": 0}}
    assert np.abs(found).max() < 5  # and not the thousands of the two volumes
    kept, _, note = subject.made(censor_mm=0.5, duration_s=2.0)
    assert note["censored"]["windows"] == {"touched": 2, "wholly": 2}
    assert np.abs(kept).max() > 100  # a window that has nothing else keeps it, and is counted


def test_statistics_of_training_trials_do_not_see_test_trials(subject):
    names = ["subject", "session", "run", "trial", "fold", "unit", "part"]
    parts = {"01": ["train", "test", "val", "train"], "02": ["test"] * 4}
    rows = [("sub-CSI1", "01", run, k + 1, 0, "u", part) for run in parts for k, part in enumerate(parts[run])]
    path = str(subject.out / "split.parquet")
    tables.write(path, pd.DataFrame(rows, columns=names))
    before, _, note = subject.made(split=[path])
    assert note["statistics"] == "volumes after training and validation trials"
    assert note["runs_without_training_trials"] == ["01/02"] and note["transductive"] == "run"
    for side in "LR":
        values = (subject.spheres[side] / 100 @ subject.courses[side, "01"]).T
        values[10:13] += 500  # the window of the test trial, 4 to 10 s after 16 s
        subject.write(side, "01", values)
    after, _, _ = subject.made(split=[path])
    np.testing.assert_array_equal(before[[0, 2, 3]], after[[0, 2, 3]])
    assert np.abs(after[1] - before[1]).min() > 50
    whole, _, _ = subject.made()
    assert np.abs(whole[0] - before[0]).max() > 0.1
    rows[0] = (*rows[0][:4], 1, *rows[0][5:])
    tables.write(path, pd.DataFrame(rows, columns=names))
    with pytest.raises(ValueError, match="split 'mended' has 2 folds: statistics of its training trials need one fold"):
        subject.made(split=[path])


def test_confounds_that_are_not_there_or_of_another_length_are_refused_with_the_run(subject):
    with pytest.raises(FileNotFoundError, match=r"run-01_bold_confounds.tsv"):
        subject.made(confounds=["csf-wm"])
    with_confounds(subject)
    with pytest.raises(ValueError, match=r"run 01: motion6 needs the confound trans_x, .* there are: csf, framewise"):
        subject.made(confounds=["motion6"])
    confounds_of(subject, "02", {"CSF": [1.0, 2.0], "WhiteMatter": [3.0, 4.0]})
    with pytest.raises(ValueError, match="run 02: its table of confounds has 2 rows, its BOLD 40 volumes"):
        subject.made(confounds=["csf-wm"])
    confounds_of(subject, "02", {"CSF": [1.0, "x"]})
    with pytest.raises(ValueError, match=r"confounds.tsv, line 3: CSF must be a number or n/a, not 'x'"):
        subject.made(confounds=["csf-wm"])
