import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow.datasets import haxby

PROJECT = Path(__file__).resolve().parents[3]
STATED = os.environ.get(haxby.VARIABLE)
REAL = Path(STATED) if STATED else PROJECT.parent / "shared" / "data"
real = pytest.mark.skipif(
    not STATED and not REAL.is_dir(),
    reason="no real data: BOLDFLOW_REAL_DATA is unset, ../shared/data not there",
)
COLUMNS = ["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]


@pytest.fixture
def root(monkeypatch):
    monkeypatch.setenv(haxby.VARIABLE, str(REAL))
    found = haxby.source({}, "unused")
    assert found.kind == "folder"
    return Path(found.url)


@real
def test_trials_are_the_blocks_of_the_attributes_file(root):
    """attributes_literal.txt labels each volume and is no source of the plug-in."""
    volumes = pd.read_csv(root / "attributes_literal.txt", sep=" ", names=["label", "chunk"])
    volumes["block"] = (volumes["label"] != volumes["label"].shift()).cumsum()
    volumes["place"] = volumes.groupby("chunk").cumcount()
    blocks = volumes[volumes["label"] != "rest"].groupby(["chunk", "block"], as_index=False)
    expected = blocks.agg(label=("label", "first"), first=("place", "min"), count=("place", "size"))
    found = haxby.trials(root, "sub001", {})
    assert list(found.columns) == COLUMNS
    assert len(found) == len(expected) == 96
    assert found["run"].tolist() == [f"run{chunk + 1:03d}" for chunk in expected["chunk"]]
    np.testing.assert_allclose(found["onset_s"], expected["first"] * 2.5)
    np.testing.assert_allclose(found["duration_s"], expected["count"] * 2.5)
    assert set(found["duration_s"]) == {22.5}
    assert found["image_id"].iloc[[0, 95]].tolist() == ["sub001_run001_block01", "sub001_run012_block08"]
    labels = {stimulus.image_id: stimulus.labels["category"] for stimulus in haxby.stimuli(root, {})}
    assert [labels[name] for name in found["image_id"]] == expected["label"].tolist()
    assert found["image_id"].is_unique and found["usable"].all()


@real
def test_runs_are_the_parts_of_the_whole_series(root):
    """bold.nii.gz holds all runs in one file and is no source of the plug-in."""
    whole = np.asarray(nib.load(root / "bold.nii.gz").dataobj)
    number = 0
    for number, run in enumerate(haxby.runs(root, "sub001", {}, "bold"), start=1):
        np.testing.assert_array_equal(run.bold, whole[..., 121 * (number - 1) : 121 * number])
        assert (run.session, run.run, run.space) == ("01", f"run{number:03d}", "native")
        assert run.tr_s == {"header": 2.5, "scan_key": 2.5}
        assert run.mask.sum() == 530
        assert run.affine.shape == (4, 4)
    assert number == 12


@real
def test_files_needed_are_there_and_enough(root, tmp_path):
    needed = {what: haxby.files_needed(root, what, {}) for what in ("dataset", "stimuli", "sub001")}
    for path in {path for paths in needed.values() for path in paths}:
        assert (root / path).is_file()
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(root / path)
    assert len(haxby.trials(tmp_path, "sub001", {})) == 96
    assert sum(1 for _ in haxby.runs(tmp_path, "sub001", {}, "bold")) == 12


@real
def test_a_missing_file_is_named(root, tmp_path, monkeypatch):
    (tmp_path / "haxby2001" / "haxby2001").mkdir(parents=True)
    for path in haxby._files_of_tree():
        link = tmp_path / "haxby2001" / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(root / path)
    (tmp_path / "haxby2001/haxby2001/sub001/BOLD/task001_run007/bold_events.tsv").unlink()
    monkeypatch.setenv(haxby.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"task001_run007/bold_events\.tsv is missing: \$BOLDFLOW"):
        haxby.source({}, tmp_path)


def test_the_shared_folder_stands_in_for_the_variable(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    for path in haxby._files_of_tree():
        (tmp_path / "shared/data/haxby2001" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shared/data/haxby2001" / path).touch()
    monkeypatch.delenv(haxby.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path / "project")
    assert haxby.source({}, "unused").url == str(tmp_path / "shared/data/haxby2001")


@pytest.fixture
def nilearn_layout(tmp_path):
    """As fetch_haxby leaves it; runs of different lengths, two blocks with no rest between."""
    rng = np.random.default_rng(0)
    labels, chunks = [], []
    for chunk in range(12):
        part = ["rest"] * 3 + ["face"] * 4 + ["rest"] * 2 + ["shoe"] * 5 + ["cat"] * 4 + ["rest"] * (1 + chunk % 2)
        labels += part
        chunks += [chunk] * len(part)
    root = tmp_path / "data" / "haxby2001"
    (root / "subj1").mkdir(parents=True)
    text = "labels chunks\n" + "".join(f"{label} {chunk}\n" for label, chunk in zip(labels, chunks, strict=True))
    (root / "subj1/labels.txt").write_text(text)
    bold = rng.integers(0, 2000, (5, 4, 3, len(labels))).astype(np.int16)
    affine = np.diag([-3.5, 3.75, 3.75, 1])
    image = nib.Nifti1Image(bold, affine)
    image.header.set_zooms((3.5, 3.75, 3.75, 2500.0))
    image.header.set_xyzt_units("mm", "msec")
    nib.save(image, root / "subj1/bold.nii.gz")
    nib.save(nib.Nifti1Image((bold[..., 0] > 900).astype(np.uint8), affine), root / "subj1/mask4_vt.nii.gz")
    return root, bold


def test_without_real_data_nilearn_is_asked(nilearn_layout, tmp_path, monkeypatch):
    root, _ = nilearn_layout
    asked = {}

    def fetch_haxby(**arguments):
        from sklearn.utils import Bunch

        asked.update(arguments)
        return Bunch(func=[str(root / "subj1/bold.nii.gz")])

    monkeypatch.setattr("nilearn.datasets.fetch_haxby", fetch_haxby)
    monkeypatch.delenv(haxby.VARIABLE, raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = haxby.source({}, tmp_path / "data")
    assert (found.kind, found.url, found.commit) == ("folder", str(root), None)
    assert asked == {"data_dir": str(tmp_path / "data"), "subjects": [1], "verbose": 0}


def test_nilearn_layout_gives_the_same_kind_of_trials_and_runs(nilearn_layout):
    root, bold = nilearn_layout
    table = haxby.trials(root, "sub001", {})
    assert list(table.columns) == COLUMNS
    first = table[table["run"] == "run001"]
    assert first["onset_s"].tolist() == [7.5, 22.5, 35.0]
    assert first["duration_s"].tolist() == [10.0, 12.5, 10.0]
    assert first["trial"].tolist() == [1, 2, 3]
    assert len(table) == 36 and table["run"].nunique() == 12
    assert [stimulus.labels["category"] for stimulus in haxby.stimuli(root, {})] == [
        "face",
        "shoe",
        "cat",
    ] * 12
    runs = list(haxby.runs(root, "sub001", {}, "bold"))
    np.testing.assert_array_equal(np.concatenate([run.bold for run in runs], axis=3), bold)
    assert [run.bold.shape[3] for run in runs] == [19, 20] * 6
    assert runs[0].tr_s == {"header": 2.5}
    assert runs[0].mask.sum() == (bold[..., 0] > 900).sum()
    needed = {path for what in ("dataset", "stimuli", "sub001") for path in haxby.files_needed(root, what, {})}
    assert needed == {"subj1/bold.nii.gz", "subj1/labels.txt", "subj1/mask4_vt.nii.gz"}


def test_defects_are_named(nilearn_layout):
    root, _ = nilearn_layout
    labels = root / "subj1/labels.txt"
    text = labels.read_text()
    labels.write_text(text.replace("shoe", "shoo"))
    with pytest.raises(ValueError, match=r"labels\.txt: unknown categories \['shoo'\]; there are: \['bottle'"):
        haxby.trials(root, "sub001", {})
    labels.write_text(text.replace("cat 3", "cat three", 1))
    with pytest.raises(ValueError, match=r"labels\.txt, line \d+: chunks must be a number, not 'three'"):
        haxby.trials(root, "sub001", {})
    labels.write_text(text.replace(" 11\n", " 12\n"))
    with pytest.raises(ValueError, match=r"count the runs from 0 to 11 in order, not \[.*10, 12\]"):
        haxby.trials(root, "sub001", {})
    labels.write_text(text + "rest 11\n")
    with pytest.raises(ValueError, match=r"has 234 volumes, .*labels\.txt labels 235"):
        next(haxby.runs(root, "sub001", {}, "bold"))
    labels.write_text("\ufeff" + text.replace("\n", "\r\n"))
    assert len(haxby.trials(root, "sub001", {})) == 36
    moved = nib.load(root / "subj1/mask4_vt.nii.gz")
    moved = nib.Nifti1Image(np.asarray(moved.dataobj), moved.affine + np.eye(4, k=3))
    nib.save(moved, root / "subj1/mask4_vt.nii.gz")
    with pytest.raises(ValueError, match="lie differently"):
        next(haxby.runs(root, "sub001", {}, "bold"))
    with pytest.raises(ValueError, match="no subject 'sub002'; there are: sub001"):
        haxby.trials(root, "sub002", {})
