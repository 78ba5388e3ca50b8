"""Readers of published betas on small files in their layouts: planted numbers come back under the right pictures.

Every file is written here, by h5py, nibabel and numpy alone, as the publications lay them out.
"""

import pickle

import h5py
import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.formats import frames, volumes
from boldflow.datasets import bold5000, god, things_fmri

GRID = (3, 4, 5)
STEM = "GLMbetas-TYPED-FITHRF-GLMDENOISE-RR"


def image(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(np.asarray(values, dtype=np.float32), np.eye(4)).to_filename(path)


class Dangerous:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def cut(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


# BOLD5000: volumes


class Five:
    """Three sessions of 4, 3 and 4 trials in folders of their own; a mask of 17 voxels of 60."""

    counts = (4, 3, 4)

    def __init__(self, root):
        self.root, rng = root, np.random.default_rng(0)
        self.inside = rng.permutation(60).reshape(GRID) < 17
        self.values = [rng.normal(size=(*GRID, n)).astype(np.float32) for n in self.counts]
        self.names = [f"picture{n}.jpg" for n in range(11)]
        image(root / "masks/CSI1_brainmask.nii.gz", self.inside)
        (root / "CSI1_imgnames.txt").write_bytes(("\r\n".join(self.names) + "\r\n").encode())
        (root / "CSI2_imgnames.txt").write_text("of another subject\n")
        for number, values in enumerate(self.values, start=1):
            image(self.session(number), values)

    def session(self, number, subject="CSI1"):
        return self.root / f"part{number % 2}" / f"{subject}_{STEM}_ses-{number:02}.nii.gz"

    def read(self):
        return list(bold5000.betas(self.root, "sub-CSI1", {}, "betas"))

    def fails(self, words, error=ValueError):
        with pytest.raises(error, match=words):
            self.read()


@pytest.fixture
def five(tmp_path):
    return Five(tmp_path)


@pytest.mark.parametrize("block_bytes", [volumes.BLOCK_BYTES, 2 * 4 * 60, 1])
def test_the_betas_of_a_session_are_the_masks_voxels_under_the_sessions_names(five, monkeypatch, block_bytes):
    monkeypatch.setattr(volumes, "BLOCK_BYTES", block_bytes)
    found = five.read()
    assert [(one.session, one.run, one.unit) for one in found] == [(s, None, "percent") for s in ("01", "02", "03")]
    assert [list(one.image_ids) for one in found] == [five.names[:4], five.names[4:7], five.names[7:]]
    for one, values in zip(found, five.values, strict=True):
        i, j, k = (one.places[axis] for axis in "ijk")
        assert one.betas.dtype == np.float32 and one.betas.shape == (values.shape[3], 17)
        for trial in range(values.shape[3]):
            np.testing.assert_array_equal(one.betas[trial], values[i, j, k, trial])
        assert five.inside[i, j, k].all() and len({*zip(i, j, k, strict=True)}) == 17
        assert (one.rois, one.ceilings) == ({}, {})


def test_values_that_are_not_finite_are_handed_on(five):
    five.values[1][five.inside] = np.nan
    image(five.session(2), five.values[1])
    first, second, _ = five.read()
    assert np.isfinite(first.betas).all() and np.isnan(second.betas).all()


def test_the_files_of_a_subjects_betas_are_found_wherever_they_lie(five):
    needed = bold5000.files_needed(five.root, "sub-CSI1", {}, "betas")
    assert needed == [
        "masks/CSI1_brainmask.nii.gz",
        "CSI1_imgnames.txt",
        *(five.session(n).relative_to(five.root).as_posix() for n in (1, 2, 3)),
    ]
    image(five.root / f"CSI1_{STEM}_ses-04 (1).nii.gz", five.values[0])  # of a browser
    assert len(bold5000.files_needed(five.root, "sub-CSI1", {}, "betas")) == 5


@pytest.mark.parametrize("name", ["CSI1_brainmask.nii.gz", "CSI1_imgnames.txt"])
def test_a_file_that_is_missing_or_there_twice_is_named_with_the_folder(five, name):
    path = next(five.root.rglob(name))
    again = five.root / "copy" / name
    again.parent.mkdir()
    again.write_bytes(path.read_bytes())
    five.fails(rf"{five.root} has two files {name}: .*copy/{name}.*; keep one")
    again.unlink()
    path.unlink()
    five.fails(rf"{five.root} has no {name}.*betas_root", FileNotFoundError)


def test_two_files_of_a_session_and_a_session_left_out_are_named(five):
    image(five.root / five.session(2).name, five.values[1])
    five.fails(r"has two files .*ses-02.nii.gz")
    (five.root / five.session(2).name).unlink()
    five.session(2).unlink()
    five.fails("betas of sessions 01, 03 of sub-CSI1, expected 01, 02")
    for number in (1, 3):
        five.session(number).unlink()
    five.fails("has no CSI1_GLMbetas", FileNotFoundError)


def test_names_that_are_not_as_many_as_the_betas_are_refused(five):
    (five.root / "CSI1_imgnames.txt").write_text("\n".join(five.names[:-1]))
    five.fails(r"CSI1_imgnames.txt names 10 trials, and the 3 sessions \(01, 02, 03\) of .* have 11 betas")
    (five.root / "CSI1_imgnames.txt").write_text("\n".join([*five.names, "", ""]))
    assert len(five.read()) == 3
    (five.root / "CSI1_imgnames.txt").write_text("\n".join([*five.names[:5], "", *five.names[5:]]))
    five.fails(r"CSI1_imgnames.txt, line 6 is blank")
    (five.root / "CSI1_imgnames.txt").write_bytes(b"a.jpg\n\xff\n")
    five.fails(r"CSI1_imgnames.txt, line 2: byte 0xff is no UTF-8 text")
    (five.root / "CSI1_imgnames.txt").write_text("\n".join(five.names))
    five.session(3).unlink()  # the last one: its number cannot be told from the others
    five.fails(r"names 11 trials, and the 2 sessions \(01, 02\) of .* have 7 betas")


def test_volumes_on_another_grid_than_the_mask_and_files_cut_short_are_refused(five):
    image(five.session(3), np.zeros((3, 4, 6, 4)))
    five.fails(r"ses-03.nii.gz has shape \(3, 4, 6, 4\), and .*brainmask.nii.gz \(3, 4, 5\)")
    image(five.session(3), np.zeros(GRID))
    five.fails(r"ses-03.nii.gz has shape \(3, 4, 5\), and")
    image(five.session(3), five.values[2])
    cut(five.session(3))
    five.fails(r"ses-03.nii.gz \(\d+ bytes\) is no whole NIfTI: .*; remove it and get it again")
    five.session(3).write_bytes(b"<html>")
    five.fails(r"ses-03.nii.gz \(6 bytes\) is no whole NIfTI")
    image(five.root / "masks/CSI1_brainmask.nii.gz", np.zeros(GRID))
    five.fails("brainmask.nii.gz has no voxel above 0")


# BOLD5000: regions


@pytest.fixture
def regions(tmp_path):
    """Five trials of three regions; one has the name that two subjects' files have."""
    rng = np.random.default_rng(1)
    planted = {
        name: rng.normal(size=(5, n)).astype(np.float32) for name, n in (("RHPPA", 3), ("LHLO", 2), ("LHPPA", 4))
    }
    (tmp_path / "py").mkdir()
    for name, values in planted.items():
        np.save(tmp_path / f"py/CSI1_{STEM}_allses_{name}.npy", values)
    (tmp_path / "CSI1_imgnames.txt").write_text("a\nb\nc\nd\ne\n")
    return tmp_path, planted


def of_regions(root):
    return list(bold5000.betas(root, "sub-CSI1", {}, "betas-rois"))


def test_regions_stand_side_by_side_under_the_names_that_most_files_use(regions):
    root, planted = regions
    (found,) = of_regions(root)
    assert (found.session, found.run, found.unit, list(found.image_ids)) == (None, None, "percent", list("abcde"))
    for name, key in (("LHLO", "LH-LOC"), ("LHPPA", "LH-PPA"), ("RHPPA", "RH-PPA")):
        np.testing.assert_array_equal(found.betas[:, found.rois[key]], planted[name])
    assert set(found.rois) == {"LH-LOC", "LOC", "LH-PPA", "RH-PPA", "PPA"}
    np.testing.assert_array_equal(found.rois["PPA"], found.rois["LH-PPA"] | found.rois["RH-PPA"])
    assert found.places["column"].tolist() == list(range(9)) and found.betas.dtype == np.float32
    assert len(bold5000.files_needed(root, "sub-CSI1", {}, "betas-rois")) == 4


def test_arrays_of_regions_that_do_not_fit_each_other_or_the_names_are_refused(regions, tmp_path):
    root, planted = regions

    def fails(words, name="LHPPA", values=None):
        path = root / f"py/CSI1_{STEM}_allses_{name}.npy"
        before = path.read_bytes() if path.exists() else None
        if values is not None:
            np.save(path, values, allow_pickle=True)
        with pytest.raises(ValueError, match=words):
            of_regions(root)
        path.unlink() if before is None else path.write_bytes(before)

    fails(
        r"allses_RHPPA.npy is float32 of shape \(4, 3\), and .*allses_LHLO.npy of \(5, 2\)",
        "RHPPA",
        np.ones((4, 3), "f"),
    )
    fails(r"allses_RHPPA.npy is int64", "RHPPA", np.ones((5, 3), int))
    fails(r"two files of LH-LOC of sub-CSI1: .*LHLO.npy and .*LHLOC.npy", "LHLOC", planted["LHLO"])
    fails("names no side and region", "PPA", planted["LHLO"])
    (root / "CSI1_imgnames.txt").write_text("a\nb\nc\nd\n")
    fails("CSI1_imgnames.txt names 4 trials, and .*allses_LHLO.npy have 5 betas")
    (root / "CSI1_imgnames.txt").write_text("a\nb\nc\nd\ne\n")
    fails("LHPPA.npy", values=np.array([[Dangerous(tmp_path / "loaded")]], dtype=object))
    assert not (tmp_path / "loaded").exists()
    cut(root / f"py/CSI1_{STEM}_allses_LHPPA.npy")
    fails(r"LHPPA.npy \(\d+ bytes\)")


# THINGS-fMRI

SHOWN = [  # trial_type, session, run, stimulus, image_id of the events
    ("train", 1, 1, "dog_12s.jpg", "dog/dog_12s.jpg"),
    ("test", 1, 1, "coat_rack_13s.jpg", "coat/coat_rack_13s.jpg"),
    ("train", 1, 2, "coffee_pot_12s.jpg", "coffee_pot/coffee_pot_12s.jpg"),
    ("train", 1, 10, "mosquito_net_11s.jpg", "mosquito_net/mosquito_net_11s.jpg"),
    ("test", 2, 1, "mosquito_net_13s.jpg", "mosquito/mosquito_net_13s.jpg"),
    ("test", 2, 2, "chest1_14s.jpg", "chest1/chest1_14s.jpg"),
    ("train", 2, 2, "t-shirt_01b.jpg", "t-shirt/t-shirt_01b.jpg"),
    ("train", 12, 1, "mango_03s.jpg", "mango/mango_03s.jpg"),
]
N_VOXELS = 9


class Things:
    """Betas of eight trials in three sessions, on nine voxels, in the table format."""

    def __init__(self, root):
        self.root, rng = root / "betas_csv", np.random.default_rng(2)
        self.root.mkdir()
        self.values = rng.normal(size=(N_VOXELS, len(SHOWN)))  # voxels by trials
        self.ids = np.arange(N_VOXELS)
        self.path = self.root / "sub-01_ResponseData.h5"
        self.write()
        self.show(range(len(SHOWN)))
        self.voxels()

    def write(self, labels="pickled", beside=True, type_=np.float64, group="ResponseData", **how):
        """Lay the table out as pandas does; names of mixed columns are a pickle in an array of bytes."""
        n = len(SHOWN)
        with h5py.File(self.path, "w") as handle:
            table = handle.create_group(group)
            table.attrs["pandas_type"] = np.bytes_("frame")
            self.labels(table, "axis0", ["voxel_id", *range(n)] if labels == "pickled" else ["voxel_id", *labels])
            table["axis1"] = self.ids
            names = list(range(n)) if labels == "pickled" else list(labels)
            values = self.values if beside else np.column_stack([self.ids, self.values])
            table.create_dataset("block0_values", data=values.astype(type_), **how)
            items = names if beside else ["voxel_id", *names]
            self.labels(table, "block0_items", items, pickled=labels == "pickled")
            if beside:
                table["block1_values"] = self.ids[:, None]
                self.labels(table, "block1_items", ["voxel_id"])

    def labels(self, table, key, labels, pickled=None):
        if pickled if pickled is not None else len({type(one) for one in labels}) > 1:
            data = np.frombuffer(pickle.dumps(Dangerous(self.root / "loaded")), np.uint8)
            made = table.create_dataset(key, (1,), h5py.vlen_dtype(np.uint8))
            made[0] = data
        elif isinstance(labels[0], str):
            table[key] = np.array([one.encode() for one in labels])
        else:
            table[key] = np.array(labels)

    def show(self, order, first=0, **change):
        lines = ["trial_type,session,run,subject_id,trial_id,stimulus,concept"]
        for n in order:
            row = dict(zip(("trial_type", "session", "run", "stimulus"), SHOWN[n][:4], strict=True))
            row |= {"subject_id": 1, "trial_id": n + first, "concept": "x"} | {
                k: v for k, (m, v) in change.items() if m == n
            }
            lines.append(",".join(str(row[key]) for key in lines[0].split(",")))
        (self.root / "sub-01_StimulusMetadata.csv").write_text("\n".join(lines) + "\n")

    def voxels(self, **change):
        """Ceilings in percent; V1 of three voxels, FFA of the left of one, of the right of none."""
        rng = np.random.default_rng(3)
        self.table = {
            "voxel_id": self.ids, "subject_id": [1] * N_VOXELS, "voxel_x": rng.integers(0, 70, N_VOXELS),
            "voxel_y": rng.integers(0, 90, N_VOXELS), "voxel_z": rng.integers(0, 60, N_VOXELS),
            "nc_singletrial": [0, 1.5, 12, 3, 0, 0, 7, 0.25, 1], "nc_testset": [0, 11.8, 60.5, 20, 0, 0, 44, 0.5, 9],
            "splithalf_corrected": rng.normal(size=N_VOXELS), "prf-size": rng.normal(size=N_VOXELS),
            "V1": [1, 1, 1, 0, 0, 0, 0, 0, 0], "LO1 (prf)": [0, 0, 0, 1, 0, 0, 0, 0, 0],
            "lFFA": [0, 0, 0, 0, 0, 0, 0, 0, 1], "rFFA": [0] * N_VOXELS, "glasser-V1": [1, 1, 0, 0, 0, 0, 0, 0, 0],
        } | change  # fmt: skip
        rows = [",".join(self.table), *(",".join(map(str, row)) for row in zip(*self.table.values(), strict=True))]
        (self.root / "sub-01_VoxelMetadata.csv").write_text("\n".join(rows) + "\n")

    def read(self):
        return list(things_fmri.betas(self.root.parent, "sub-01", {}, "betas"))

    def fails(self, words, error=ValueError):
        with pytest.raises(error, match=words):
            self.read()


@pytest.fixture
def things(tmp_path):
    return Things(tmp_path)


def check(things, found):
    """Every beta under the name that the events give its picture, in the order of run and trial."""
    assert [one.session for one in found] == ["things01", "things02", "things12"]
    column = {row[4]: n for n, row in enumerate(SHOWN)}
    assert [list(one.image_ids) for one in found] == [[r[4] for r in SHOWN if r[1] == s] for s in (1, 2, 12)]
    for one in found:
        assert one.betas.dtype == np.float32 and one.run is None and one.unit == "arbitrary"
        for name, betas in zip(one.image_ids, one.betas, strict=True):
            np.testing.assert_array_equal(betas, things.values[:, column[name]].astype(np.float32))
    assert not (things.root / "loaded").exists()


TEXTS = [str(n) for n in range(len(SHOWN))]


@pytest.mark.parametrize("labels", ["pickled", range(len(SHOWN)), TEXTS])
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("type_", [np.float64, np.float32])
def test_betas_are_found_in_blocks_with_voxel_id_beside_or_among_them(things, labels, beside, type_):
    if not beside and labels != "pickled":
        labels = TEXTS  # beside the name voxel_id, other names are text, or all are pickled
    things.values = things.values.astype(np.float32)
    things.write(labels, beside, type_)
    check(things, things.read())


@pytest.mark.parametrize("how", [{}, {"chunks": (2, 3), "compression": "gzip"}, {"chunks": (4, 8)}])
@pytest.mark.parametrize("block_bytes", [frames.BLOCK_BYTES, 3 * 8 * 8, 1])
def test_the_size_of_chunks_and_of_blocks_changes_nothing(things, monkeypatch, how, block_bytes):
    monkeypatch.setattr(frames, "BLOCK_BYTES", block_bytes)
    things.write(**how)
    check(things, things.read())


def test_a_column_belongs_to_its_trial_id_whatever_the_order_of_rows(things):
    things.show([5, 0, 7, 3, 2, 6, 1, 4])
    check(things, things.read())
    order = [3, 0, 1, 2, 7, 6, 5, 4]
    things.values = things.values[:, order]
    things.write(labels=[str(n) for n in order])
    things.values = things.values[:, np.argsort(order)]
    check(things, things.read())


@pytest.mark.parametrize("labels", ["pickled", TEXTS])
@pytest.mark.parametrize("first", [1, -1])
def test_trial_ids_that_begin_at_another_number_are_refused(things, labels, first):
    things.write(labels)
    things.show(range(len(SHOWN)), first)
    lost = 8 if first == 1 else -1
    things.fails(rf"no column for 1 of the 8 trials of .*StimulusMetadata.csv, .* trial_id {lost}; .* 0 to 7")


def test_regions_places_and_ceilings_are_those_of_the_table_of_voxels(things):
    for one in things.read():
        assert {name: mask.tolist() for name, mask in one.rois.items()} == {
            name: [value == 1 for value in things.table[name]] for name in ("V1", "LO1 (prf)", "lFFA", "glasser-V1")
        }
        assert {axis: list(one.places[axis]) for axis in "ijk"} == {
            axis: list(things.table[f"voxel_{old}"]) for axis, old in zip("ijk", "xyz", strict=True)
        }
        for name in ("nc_singletrial", "nc_testset"):  # a share below 1 % is still a percentage
            np.testing.assert_allclose(one.ceilings[name], np.array(things.table[name]) / 100, rtol=1e-6)
    shares = [0.2, 0, 1, 0.5, 0, 0, 0.125, 0, 0.25]
    things.voxels(nc_testset=shares)
    np.testing.assert_allclose(things.read()[0].ceilings["nc_testset"], shares, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nc_testset": [0, 101, 0, 0, 0, 0, 0, 0, 0]}, r"line 3: nc_testset is 101, expected percent"),
        ({"nc_testset": [0, 50, 0, -1, 0, 0, 0, 0, 0]}, r"line 5: nc_testset is -1"),
        ({"V1": [0, 0, 2, 0, 0, 0, 0, 0, 0]}, r"line 4: V1 is 2, expected 0 or 1"),
        ({"voxel_x": [1, 2, 3, "x", 5, 6, 7, 8, 9]}, r"VoxelMetadata.csv \(\d+ bytes\) is no whole table"),
        ({"voxel_id": [0, 1, 2, 3, 4, 5, 6, 8, 7]}, r"voxel_id of row 8 is 7, and .*csv has 8; 2 of 9 rows differ"),
        ({"voxel_id": range(1, 10)}, r"voxel_id of row 1 is 0, and .* has 1; 9 of 9 rows differ"),
    ],
)
def test_a_table_of_voxels_that_cannot_be_is_refused_by_line(things, change, words):
    things.voxels(**change)
    things.fails(words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trial_type": (2, "catch")}, r"line 4: stimulus is 'coffee_pot_12s.jpg' in a trial of type 'catch'"),
        ({"trial_type": (2, "test")}, r"line 4: stimulus is 'coffee_pot_12s.jpg' in a trial of type 'test', expected"),
        ({"stimulus": (0, "coat_rack_13s.jpg")}, r"line 2: stimulus is 'coat_rack_13s.jpg' in a trial of type 'train'"),
        ({"stimulus": (0, "")}, r"line 2: stimulus is nan"),
        ({"trial_id": (3, 2)}, r"line 5: trial_id 2 is there twice"),
        ({"subject_id": (3, 2)}, r"is of subject 2, expected sub-01"),
        ({"session": (3, "one")}, r"StimulusMetadata.csv \(\d+ bytes\) is no whole table"),
    ],
)
def test_a_table_of_trials_that_cannot_be_is_refused_by_line(things, change, words):
    things.show(range(len(SHOWN)), **change)
    things.fails(words)


def test_files_that_differ_in_trials_or_voxels_or_are_cut_short_are_refused(things):
    things.show(range(7))
    things.fails(r"ResponseData.h5 has 9 columns \(block0 \(9, 8\), block1 \(9, 1\)\), and .*Metadata.csv 7 trials")
    things.show(range(8))
    path = things.root / "sub-01_VoxelMetadata.csv"
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:-1]))
    things.fails(r"ResponseData.h5 has 9 voxels, and .*VoxelMetadata.csv 8")
    path.write_text("".join(whole)[:-8])
    things.fails(r"VoxelMetadata.csv, line 10: lFFA is nan|VoxelMetadata.csv .* is no whole table")
    path.write_text("a,b\n1,2\n")
    things.fails(r"VoxelMetadata.csv \(8 bytes\) is no whole table: it lacks columns \['voxel_id'")
    path.write_text("".join(whole))
    things.write(type_=np.int64)
    things.fails("expected voxel_id and a column of real numbers per trial")
    things.write(group="df")
    things.fails(r"has no table 'ResponseData'; there are: \['df'\]")
    things.write()
    cut(things.path)
    things.fails(r"ResponseData.h5 \(\d+ bytes\) is no whole HDF5: .*; remove it and get it again")
    things.path.unlink()
    things.fails(r"has no sub-01_ResponseData.h5", FileNotFoundError)


def test_a_table_of_another_format_is_refused(things):
    with h5py.File(things.path, "w") as handle:
        handle.create_group("ResponseData")["table"] = np.zeros(3)
    things.fails(r"ResponseData has blocks \['table'\], expected block0_values")
    with h5py.File(things.path, "w") as handle:
        made = handle.create_dataset("ResponseData/block0_values", (1,), h5py.vlen_dtype(np.uint8))
        made[0] = np.frombuffer(pickle.dumps(Dangerous(things.root / "loaded")), np.uint8)
    things.fails(r"block0_values of /ResponseData is object of shape \(1,\), expected numbers")
    assert not (things.root / "loaded").exists()


# GOD

PREPARED = [  # DataType, Run, id as a float, name in the events (none: imagery)
    (1, 2, 1518878.005958, "n01518878_5958"),
    (1, 1, 1621127.0, None),
    (2, 2, 3767745.000109, "n03767745_109"),
    (1, 1, 2128757.00126, "n02128757_1260"),  # a zero at the end, lost in the float
    (3, 1, 1443537.022563, None),
    (2, 1, 1976957.013223, "n01976957_13223"),
    (2, 1, 3954393.010038, "n03954393_10038"),
    (1, 2, 12345678.1, "n12345678_100000"),
]
ROWS = [row for n, row in enumerate(PREPARED) if n != 1]
N_COLUMNS = 6


class God:
    """Samples out of order, of six voxels between columns of labels."""

    def __init__(self, root):
        self.root, self.path = root, root / "prepared/Subject3.h5"
        self.path.parent.mkdir()
        self.write(ROWS)

    def write(self, rows, key="stimulus_id", type_=np.float64, drop=(), **change):
        self.rows = rows
        self.voxels = np.random.default_rng(4).normal(size=(len(rows), N_COLUMNS))
        labels = np.array([[kind, run, number] for kind, run, number, _ in rows])
        data = np.column_stack([labels[:, :1], self.voxels, labels[:, 1:]])
        only = dict.fromkeys(range(9))
        inside = {n: 1 for n in range(1, 7)}
        self.meta = {
            "DataType": {0: 1}, "Run": {7: 1}, key: {8: 1}, "VoxelData": inside,
            "voxel_x": {n: n - 3.5 for n in inside}, "voxel_y": {n: n * 2.0 for n in inside},
            "voxel_z": {n: -n for n in inside}, "VolInds": {n: 100 + n for n in inside},
            "ROI_V1": {1: 1, 2: 1}, "ROI_HVC": {4: 1} | {n: 0 for n in (1, 2, 3)}, "ROI_FFA": {n: 0 for n in inside},
        } | change  # fmt: skip
        self.meta = {name: row for name, row in self.meta.items() if name not in drop}
        value = np.array([[(only | row)[n] for n in range(9)] for row in self.meta.values()], dtype=float)
        with h5py.File(self.path, "w") as handle:
            handle["dataset"] = data.astype(type_)
            handle["metadata/key"] = [name.encode() for name in self.meta]
            handle["metadata/description"] = ["" for _ in self.meta]
            handle["metadata/value"] = value

    def read(self):
        return list(god.betas(self.root, "sub-03", {}, "prepared"))

    def fails(self, words, error=ValueError):
        with pytest.raises(error, match=words):
            self.read()


@pytest.fixture
def prepared(tmp_path):
    return God(tmp_path)


@pytest.mark.parametrize("key", ["stimulus_id", "Label"])
def test_samples_come_training_first_by_run_under_the_names_of_the_events(prepared, key):
    prepared.write(ROWS, key)
    (found,) = prepared.read()
    order = [2, 0, 6, 4, 5, 1]  # places in ROWS: training run 1, 2, 2; test run 1, 1, 2
    assert list(found.image_ids) == [ROWS[n][3] for n in order]
    np.testing.assert_array_equal(found.betas, prepared.voxels[order].astype(np.float32))
    assert (found.session, found.run, found.unit, found.betas.dtype) == (None, None, "arbitrary", np.float32)
    assert {name: mask.tolist() for name, mask in found.rois.items()} == {
        "V1": [True, True, False, False, False, False],
        "HVC": [False, False, False, True, False, False],
    }
    assert found.places["x"].tolist() == [n - 3.5 for n in range(1, 7)]
    assert found.places["z"].tolist() == [-n for n in range(1, 7)] and set(found.places) == {"x", "y", "z"}
    assert god.files_needed(prepared.root, "sub-03", {}, "prepared") == ["prepared/Subject3.h5"]


def test_where_labels_and_ids_are_both_there_ids_name_the_pictures(prepared):
    prepared.write(ROWS, Label={7: 1})
    assert prepared.read()[0].image_ids[0] == "n02128757_1260"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            (2, 1, 1443537.022564, None),
            r"sample 1: stimulus_id is 1443537.022564, read as n01443537_22564, .* test; .*50",
        ),
        ((2, 1, 1518878.005958, None), r"read as n01518878_5958, and the sample is of test; expected one of the 50"),
        ((1, 1, 1443537.022563, None), r"n01443537_22563, and the sample is of training; expected .* another category"),
        ((1, 1, 1443537.000001, None), "n01443537_1, and the sample is of training"),
        ((1, 1, 1621127.0, None), "is 1621127.000000, read as n01621127_0"),
        ((1, 1, np.nan, None), "is nan, read as no name"),
        ((1, 1, -3.5, None), "is -3.500000, read as no name"),
        ((4, 1, 1518878.005958, None), r"sample 1: DataType is 4 and Run 1, expected 1 \(training\), 2 \(test\) or 3"),
        ((1, 0, 1518878.005958, None), "DataType is 1 and Run 0"),
        ((1, np.nan, 1518878.005958, None), "DataType is 1 and Run nan"),
    ],
)
def test_ids_of_no_picture_and_samples_of_no_kind_are_refused_by_sample(prepared, row, words):
    prepared.write([row, *ROWS])
    prepared.fails(words)


def test_ids_in_single_precision_are_refused_since_digits_are_lost(prepared):
    prepared.write(ROWS, type_=np.float32)
    prepared.fails(r"dataset is float32 of shape \(7, 9\), expected float64")


@pytest.mark.parametrize("key", ["DataType", "Run", "stimulus_id", "VoxelData", "voxel_y"])
def test_a_key_that_is_missing_is_named_with_those_there_are(prepared, key):
    prepared.write(ROWS, drop=[key])
    prepared.fails(rf"Subject3.h5 (has no key '{key}'|lacks voxel_x, voxel_y or voxel_z); there are: .*VolInds")


def test_files_of_another_layout_or_cut_short_are_refused(prepared):
    prepared.write(ROWS, Run={6: 1, 7: 1})
    prepared.fails("2 columns belong to 'Run', expected one")
    prepared.write(ROWS, VoxelData={})
    prepared.fails("no column belongs to 'VoxelData'")
    prepared.write(ROWS)
    with h5py.File(prepared.path, "a") as handle:
        del handle["metadata/key"]
        handle["metadata/key"] = [b"DataType", b"DataType"]
    prepared.fails(r"metadata/value is \(11, 9\) for 1 different keys and 9 columns")
    with h5py.File(prepared.path, "a") as handle:
        del handle["metadata/key"]
        made = handle.create_dataset("metadata/key", (1,), h5py.vlen_dtype(np.uint8))
        made[0] = np.frombuffer(pickle.dumps(Dangerous(prepared.root / "loaded")), np.uint8)
    prepared.fails("metadata/key is object, expected text")
    assert not (prepared.root / "loaded").exists()
    with h5py.File(prepared.path, "w") as handle:
        handle["dataSet"] = np.zeros((2, 2))
    prepared.fails(r"lacks \['dataset', 'metadata/key', 'metadata/value'\]; there are: \['dataSet'\]")
    prepared.write(ROWS)
    cut(prepared.path)
    prepared.fails(r"Subject3.h5 \(\d+ bytes\) is no whole HDF5")
    prepared.path.write_bytes(b"<html>")
    prepared.fails(r"Subject3.h5 \(6 bytes\) is no whole HDF5")
    (prepared.root / "Subject3.h5").touch()
    prepared.fails("has two files Subject3.h5")


@pytest.mark.parametrize("plugin", [bold5000, god, things_fmri])
def test_recordings_and_subjects_that_are_not_there_are_named(plugin, tmp_path):
    recording, subject = plugin.FACTS["beta_recordings"][0], plugin.FACTS["subjects"][0]
    with pytest.raises(ValueError, match="no subject 'sub-99'"):
        plugin.betas(tmp_path, "sub-99", {}, recording)
    for wrong in ("betas-mni", next(iter(plugin.FACTS["recordings"]))):
        with pytest.raises(ValueError, match=f"recording '?{wrong}"):
            plugin.betas(tmp_path, subject, {}, wrong)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} has no "):
        next(plugin.betas(tmp_path, subject, {}, recording))
