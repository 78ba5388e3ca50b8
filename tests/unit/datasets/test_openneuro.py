"""Data sets of OpenNeuro on small trees of their layouts: quirks are read as meant, contradictions refused by line."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldflow.datasets import bold5000, god, nod, things_fmri
from tests.made.surfaces import icosphere, jittered, turned, write_sphere, write_time_series

COLUMNS = ["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]


def write(path, header, rows, end="\n", mark=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header), *("\t".join(map(str, row)) for row in rows)]
    path.write_bytes((mark + end.join([*lines, ""])).encode())
    return path


def image(path, values, affine=None, tr_s=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nib.Nifti1Image(np.asarray(values, dtype=np.float32), np.eye(4) if affine is None else affine)
    if tr_s:
        made.header.set_zooms((*made.header.get_zooms()[:3], tr_s))
        made.header.set_xyzt_units("mm", "sec")
    made.to_filename(path)


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), shade, dtype=np.uint8)).save(path)


# BOLD5000

HEAD = ["onset", "duration", "Subj", "Sess", "Run", "Trial", "ImgName", "ImgType", "StimOn(s)", "stim_file"]


def five_events(root, session, run, names, subject="sub-CSI1", **change):
    rows = [
        [6 + 10 * k, 1, 1, int(session), int(run), k + 1, name, "coco", 6 + 10 * k, name]
        for k, name in enumerate(names)
    ]
    for column, (row, value) in change.items():
        rows[row][HEAD.index(column)] = value
    where = root / subject / f"ses-{session}" / "func"
    return write(where / f"{subject}_ses-{session}_task-5000scenes_run-{run}_events.tsv", HEAD, rows, "\r\n")


@pytest.fixture
def five(tmp_path):
    five_events(tmp_path, "01", "01", ["a.jpg", "b.jpg"])
    five_events(tmp_path, "01", "03", ["c.jpg", "a.jpg"])  # run 2 is missing
    five_events(tmp_path, "02", "01", ["a.jpg"])
    anatomy = tmp_path / "sub-CSI1" / "ses-16" / "anat"  # no functional runs in the last session
    anatomy.mkdir(parents=True)
    (anatomy / "sub-CSI1_ses-16_T1w.nii.gz").touch()
    write(tmp_path / "sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-localizer_events.tsv", ["onset"], [[1]])
    return tmp_path


def test_runs_that_are_missing_and_sessions_without_runs_are_no_trials(five):
    found = bold5000.trials(five, "sub-CSI1", {})
    assert list(found.columns) == COLUMNS
    assert found[["session", "run", "trial", "image_id"]].values.tolist() == [
        ["01", "01", 1, "a.jpg"],
        ["01", "01", 2, "b.jpg"],
        ["01", "03", 1, "c.jpg"],
        ["01", "03", 2, "a.jpg"],
        ["02", "01", 1, "a.jpg"],
    ]
    assert found["onset_s"].tolist() == [6, 16, 6, 16, 6] and found["usable"].all()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("Sess", 1, "Sess is 1, expected 2"),
        ("Run", 9, "Run is 9, expected 4"),
        ("Trial", 1, "Trial is 1, expected 2"),
        ("stim_file", "z.jpg", "stim_file is 'z.jpg', expected 'y.jpg'"),
    ],
)
def test_a_row_that_contradicts_its_file_is_refused_by_line(five, column, value, words):
    five_events(five, "02", "04", ["x.jpg", "y.jpg"], **{column: (1, value)})
    with pytest.raises(ValueError, match=rf"ses-02_task-5000scenes_run-04_events.tsv, line 3: {words}; 1 of 7"):
        bold5000.trials(five, "sub-CSI1", {})


def test_subjects_recordings_and_events_that_are_not_there_are_named(five):
    with pytest.raises(ValueError, match=r"no subject 'sub-1'; there are: sub-CSI1, sub-CSI2"):
        bold5000.trials(five, "sub-1", {})
    with pytest.raises(FileNotFoundError, match="sub-CSI2"):
        bold5000.trials(five, "sub-CSI2", {})
    with pytest.raises(ValueError, match="no recording 'bold-mni'; there are: bold-fsnative"):
        bold5000.files_needed(five, "sub-CSI1", {}, "bold-mni")


@pytest.fixture
def volumes(five):
    """Two runs whose brain masks differ by a voxel, ROI masks of three names, two of them one region."""
    rng = np.random.default_rng(0)
    (five / "task-5000scenes_bold.json").write_text('{"RepetitionTime": 2}')
    here = five / "derivatives/fmriprep/sub-CSI1/ses-01/func"
    for number, run in enumerate(("01", "03")):
        stem = f"sub-CSI1_ses-01_task-5000scenes_run-{run}_bold"
        image(here / f"{stem}_space-T1w_preproc.nii.gz", rng.normal(size=(3, 4, 5, 6)), tr_s=2.0)
        mask = np.ones((3, 4, 5))
        mask[number, 0, 0] = 0
        image(here / f"{stem}_space-T1w_brainmask.nii.gz", mask)
        (here / f"{stem}_confounds.tsv").write_text("CSF\n0\n")
    for name, place in (("LHLO", (2, 0, 0)), ("RHLO", (2, 1, 0)), ("RHRRSC", (2, 2, 2))):
        values = np.zeros((3, 4, 5))
        values[place] = 1
        image(five / f"derivatives/spm/sub-CSI1/sub-CSI1_mask-{name}.nii.gz", values)
    return five


def test_volumes_share_the_voxels_that_every_runs_mask_holds(volumes):
    found = list(bold5000.runs(volumes, "sub-CSI1", {}, "bold-T1w"))
    assert [(run.session, run.run, run.space) for run in found] == [("01", "01", "native"), ("01", "03", "native")]
    assert all(run.mask.sum() == 58 and run.tr_s == {"header": 2.0, "sidecar": 2.0} for run in found)
    assert found[0].bold.shape == (3, 4, 5, 6)
    needed = bold5000.files_needed(volumes, "sub-CSI1", {}, "bold-T1w")
    assert len(needed) == 2 * 3 + 3 and all((volumes / path).is_file() for path in needed)


def test_regions_have_one_name_whatever_a_subjects_files_call_them(volumes):
    found = bold5000.rois(volumes, "sub-CSI1", "native", {})
    assert set(found) == {"LOC", "LH-LOC", "RH-LOC", "RSC", "RH-RSC"}
    assert {name: int(mask.sum()) for name, mask in found.items()} == {
        "LOC": 2, "LH-LOC": 1, "RH-LOC": 1, "RSC": 1, "RH-RSC": 1,
    }  # fmt: skip
    assert all(mask.shape == (58,) for mask in found.values())
    assert bold5000.rois(volumes, "sub-CSI1", "fsaverage5", {}) == {}


def test_masks_on_another_grid_than_the_bold_are_refused(volumes):
    image(volumes / "derivatives/spm/sub-CSI1/sub-CSI1_mask-RHOPA.nii.gz", np.ones((3, 4, 6)))
    with pytest.raises(ValueError, match=r"RHOPA.nii.gz is \(3, 4, 6\) voxels, .*brainmask.nii.gz \(3, 4, 5\)"):
        bold5000.rois(volumes, "sub-CSI1", "native", {})


BOLD = "derivatives/fmriprep/sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-5000scenes_run-{}_bold_{}"
SURFACES = BOLD.format("{}", "space-fsnative.{}.func.gii")
SPHERE = "derivatives/freesurfer/sub-CSI1/surf/{}h.sphere.reg"


@pytest.fixture
def on_surface(five):
    """Two runs on hemispheres of unlike size, as fMRIPrep and FreeSurfer write them; (root, planted values)."""
    rng = np.random.default_rng(0)
    (five / "task-5000scenes_bold.json").write_text('{"RepetitionTime": 2}')
    planted = {}
    for side, order in (("L", 2), ("R", 3)):
        points, faces = icosphere(order)
        write_sphere(five / SPHERE.format(side.lower()), jittered(turned(points, order), 0, 0.2), faces)
        for run in ("01", "03"):
            planted[side, run] = rng.normal(size=(6, len(points))).astype(np.float32)
            write_time_series(five / SURFACES.format(run, side), planted[side, run])
            (five / BOLD.format(run, "confounds.tsv")).write_text("CSF\n0\n")
    return five, planted


def test_values_on_surfaces_are_those_of_the_files_with_spheres_of_the_same_vertices(on_surface):
    root, planted = on_surface
    found = list(bold5000.runs(root, "sub-CSI1", {}, "bold-fsnative"))
    assert [(run.session, run.run) for run in found] == [("01", "01"), ("01", "03")]
    for run in found:
        for side, values, sphere in zip("LR", run.bold, run.spheres, strict=True):
            np.testing.assert_array_equal(values, planted[side, run.run])
            np.testing.assert_allclose(np.linalg.norm(sphere.vertices, axis=1), 100, rtol=1e-5)
            assert values.shape[1] == len(sphere.vertices) and sphere.faces.max() == len(sphere.vertices) - 1
        assert run.tr_s == {"sidecar": 2.0, "left header": 2.0, "right header": 2.0}
    needed = bold5000.files_needed(root, "sub-CSI1", {}, "bold-fsnative")
    assert len(needed) == 2 * 3 + 2 and all((root / path).is_file() for path in needed)


@pytest.mark.parametrize(("stated", "read"), [("2.0", 2.0), ("1500.0", 1.5), ("0.000000", None), (None, None)])
def test_the_repetition_time_of_a_surface_file_is_in_milliseconds_or_seconds_or_not_told(on_surface, stated, read):
    root, planted = on_surface
    write_time_series(root / SURFACES.format("01", "L"), planted["L", "01"], stated)
    assert next(bold5000.runs(root, "sub-CSI1", {}, "bold-fsnative")).tr_s.get("left header") == read


def test_surface_files_that_do_not_belong_together_or_are_not_whole_are_refused(on_surface):
    root, planted = on_surface

    def fails(words, error=ValueError):
        with pytest.raises(error, match=words):
            list(bold5000.runs(root, "sub-CSI1", {}, "bold-fsnative"))

    left, right = (root / SURFACES.format("03", side) for side in "LR")
    write_time_series(left, planted["L", "03"][:5])
    fails(r"run-03_bold_space-fsnative.L.func.gii has 5 volumes, .*R.func.gii 6: get the shorter one again")
    write_time_series(left, planted["R", "03"])
    fails(r"run-03_bold_space-fsnative.L.func.gii has 642 vertices, the registered sphere of sub-CSI1 162")
    write_time_series(left, [planted["L", "03"][0], planted["R", "03"][0]])
    fails(r"L.func.gii: volume 2 of 2 has 642 vertices, the first 162")
    write_time_series(left, [])
    fails("L.func.gii has no values; expected an array per volume")
    write_time_series(left, planted["L", "03"], "two")
    fails("L.func.gii states TimeStep 'two', expected a number")
    left.write_bytes(right.read_bytes()[:5000])
    fails(r"L.func.gii \(5000 bytes\) is no whole GIFTI: .*; remove it and get it again")
    right.unlink()
    fails("R.func.gii|L.func.gii", (FileNotFoundError, ValueError))
    sphere = root / SPHERE.format("l")
    whole = sphere.read_bytes()
    sphere.write_bytes(whole[:-100])
    fails(rf"lh.sphere.reg \({len(whole) - 100} bytes\) is no whole surface: 162 vertices and 320 triangles need")
    sphere.write_bytes(b"<html>")
    fails("lh.sphere.reg .6 bytes. is no surface of FreeSurfer: it begins with b'<ht'")


def test_presented_pictures_are_found_in_the_unpacked_archive(tmp_path):
    below = tmp_path / "BOLD5000_Stimuli/Scene_Stimuli"
    picture(below / "Presented_Stimuli/COCO/COCO_train2014_000000000001.jpg", 50)
    picture(below / "Presented_Stimuli/ImageNet/n01_1.JPEG")
    picture(below / "Original_Images/COCO/COCO_train2014_000000000001.jpg")
    found = list(bold5000.stimuli(tmp_path, {}))
    assert [(one.image_id, one.labels["source"]) for one in found] == [
        ("COCO_train2014_000000000001.jpg", "coco"),
        ("n01_1.JPEG", "imagenet"),
    ]
    assert found[0].pixels.shape == (4, 6, 3) and abs(int(found[0].pixels.mean()) - 50) <= 2
    for place in (below, below / "Presented_Stimuli"):
        assert len(bold5000.files_needed(place, "stimuli", {})) == 2
    with pytest.raises(FileNotFoundError, match=r"one folder Presented_Stimuli .*found none"):
        bold5000.files_needed(below / "Original_Images", "stimuli", {})


# GOD

GOD_HEAD = ["onset", "duration", "trial_no", "event_type", "stimulus_id", "stimulus_name"]


def god_events(root, session, run, rows, task="perception"):
    where = root / "sub-01" / f"ses-{session}" / "func"
    return write(where / f"sub-01_ses-{session}_task-{task}_run-{run}_events.tsv", GOD_HEAD, rows)


def block(onset, name, number="1.5"):
    return [onset, 9, 2, "stimulus", number, name]


REST = [0, 33, 1, "rest", "n/a", "n/a"]


@pytest.fixture
def god_root(tmp_path):
    # float stimulus_ids that a reader of numbers would take for one another
    god_events(
        tmp_path,
        "perceptionTest01",
        "01",
        [REST, block(33, "n01443537_22560", "1443537.02256"), [60, 6, 3, "rest", "n/a", "n/a"]],
    )
    rows = [REST, block(33, "n02_3"), block(42, "n02_3"), block(51, "n03_1"), block(60, "n02_3")]
    god_events(tmp_path, "perceptionTraining01", "01", rows)
    god_events(tmp_path, "perceptionTraining01", "02", [REST, block(33, "n02_3")])
    god_events(tmp_path, "imageryTest01", "01", [[0, 3, 1, "cue", "n/a", "n/a"]], "imagery")
    return tmp_path


def test_blocks_are_known_by_name_and_one_back_repeats_are_not_usable(god_root):
    found = god.trials(god_root, "sub-01", {})
    assert found[["session", "run", "trial", "image_id", "usable"]].values.tolist() == [
        ["perceptionTraining01", "01", 1, "n02_3", True],
        ["perceptionTraining01", "01", 2, "n02_3", False],
        ["perceptionTraining01", "01", 3, "n03_1", True],
        ["perceptionTraining01", "01", 4, "n02_3", True],  # again, but not at once
        ["perceptionTraining01", "02", 1, "n02_3", True],  # the run before ended with it
        ["perceptionTest01", "01", 1, "n01443537_22560", True],
    ]


@pytest.mark.parametrize(
    "row", [[33, 9, 2, "cue", "1", "n1_1"], [33, 9, 2, "stimulus", "1", "n/a"], [33, 9, 2, "rest", "1", "n1_1"]]
)
def test_a_block_that_is_neither_picture_nor_rest_is_refused_by_line(god_root, row):
    god_events(god_root, "perceptionTest01", "02", [REST, row])
    with pytest.raises(ValueError, match=r"perceptionTest01_task-perception_run-02_events.tsv, line 3: event_type is"):
        god.trials(god_root, "sub-01", {})


def test_visual_cortex_is_the_mask_and_its_areas_are_joined(god_root):
    (god_root / "task-perception_bold.json").write_text('{"RepetitionTime": 3}')
    here = "derivatives/preproc-spm/output/sub-01/ses-perceptionTest01/func"
    stem = f"{here}/sub-01_ses-perceptionTest01_task-perception_run-01_bold_preproc.nii.gz"
    image(god_root / stem, np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5), tr_s=3.0)
    training = stem.replace("perceptionTest01", "perceptionTraining01")
    image(god_root / training, np.zeros((2, 3, 4, 5)), tr_s=3.0)
    for number, name in enumerate(("LH_V1d", "LH_V1v", "RH_V1d", "RH_hV4")):
        values = np.zeros((2, 3, 4))
        values[0, 0, number] = 1
        image(god_root / f"sourcedata/sub-01/anat/sub-01_mask_{name}.nii.gz", values)
    found = list(god.runs(god_root, "sub-01", {}, "bold-preproc-spm"))
    assert [run.session for run in found] == ["perceptionTraining01", "perceptionTest01"]
    assert found[1].mask.sum() == 4 and found[1].tr_s == {"header": 3.0, "sidecar": 3.0}
    regions = god.rois(god_root, "sub-01", "native", {})
    assert {name: mask.tolist() for name, mask in regions.items()} == {
        "V1": [True, True, True, False],
        "LH-V1": [True, True, False, False],
        "RH-V1": [False, False, True, False],
        "V4": [False, False, False, True],
        "RH-V4": [False, False, False, True],
    }
    with pytest.raises(NotImplementedError, match="bold-preproc-spm"):
        next(god.runs(god_root, "sub-01", {}, "bold-raw"))


def test_pictures_of_god_are_named_as_events_name_them(tmp_path):
    picture(tmp_path / "training/n02_3.JPEG")
    picture(tmp_path / "test/n01443537_22560.JPEG")
    found = {one.image_id: one.labels["category"] for one in god.stimuli(tmp_path, {})}
    assert found == {"n02_3": "n02", "n01443537_22560": "n01443537"}
    picture(tmp_path / "again/n02_3.png")
    with pytest.raises(ValueError, match=r"two pictures 'n02_3': again/n02_3.png and training/n02_3.JPEG"):
        list(god.stimuli(tmp_path, {}))


# THINGS

THINGS_HEAD = ["onset", "duration", "trial_type", "test_image_nr", "file_path"]


def things_events(root, rows):
    where = root / "sub-01/ses-things01/func"
    return write(where / "sub-01_ses-things01_task-things_run-01_events.tsv", THINGS_HEAD, rows, mark="\ufeff")


def test_catch_trials_are_listed_and_not_usable(tmp_path):
    things_events(
        tmp_path,
        [
            [3, 0.5, "exp", "n/a", "dog/dog_12s.jpg"],
            [7.5, 0.5, "catch", "n/a", "catch008.jpg"],
            [12, 0.5, "test", 3, "axe/axe_14n.jpg"],
        ],
    )
    found = things_fmri.trials(tmp_path, "sub-01", {})
    assert found["image_id"].tolist() == ["dog/dog_12s.jpg", "catch008.jpg", "axe/axe_14n.jpg"]
    assert found["usable"].tolist() == [True, False, True] and found["trial"].tolist() == [1, 2, 3]
    things_events(tmp_path, [[3, 0.5, "train", "n/a", "dog/dog_12s.jpg"]])
    with pytest.raises(ValueError, match=r"line 2: trial_type is 'train', expected \['exp', 'test', 'catch'\]"):
        things_fmri.trials(tmp_path, "sub-01", {})


def test_pictures_of_things_are_named_by_object_and_file(tmp_path):
    picture(tmp_path / "THINGS/object_images/dog/dog_12s.jpg")
    found = list(things_fmri.stimuli(tmp_path, {}))
    assert [(one.image_id, one.labels) for one in found] == [("dog/dog_12s.jpg", {"concept": "dog"})]
    (tmp_path / "THINGS/object_images/dog/dog_12s.jpg").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"dog_12s.jpg \(6 bytes\) is no whole picture"):
        list(things_fmri.stimuli(tmp_path, {}))


def test_raw_bold_is_fetched_and_not_read(tmp_path):
    with pytest.raises(NotImplementedError, match="plug-in bids"):
        things_fmri.runs(tmp_path, "sub-01", {}, "bold-raw")
    with pytest.raises(ValueError, match="no recording 'bold'"):
        things_fmri.files_needed(tmp_path, "sub-01", {}, "bold")


# NOD

NOD = {"name": "nod", "tasks": ["imagenet", "coco"]}


def nod_events(root, subject, session, task, run, column, names):
    rows = [[3 * k + 0.01, 0.5, 5, name] for k, name in enumerate(names)]
    where = root / subject / f"ses-{session}/func"
    write(
        where / f"{subject}_ses-{session}_task-{task}_run-{run}_events.tsv",
        ["onset", "duration", "trial_type", column],
        rows,
    )


@pytest.fixture
def nod_root(tmp_path):
    nod_events(tmp_path, "sub-01", "imagenet02", "imagenet", "01", "stim_file", ["imagenet/n1/n1_2.JPEG"])
    nod_events(tmp_path, "sub-01", "imagenet01", "imagenet", "10", "stim_file", ["imagenet/n1/n1_1.JPEG"])
    nod_events(
        tmp_path, "sub-01", "coco", "coco", "01", "condition", ["coco/000000000009.jpg", "n/a", "coco/000000000025.jpg"]
    )
    nod_events(tmp_path, "sub-10", "imagenet01", "imagenet", "01", "stim_file", ["imagenet/n2/n2_1.JPEG"])
    return tmp_path


def test_coco_runs_name_pictures_in_another_column_and_blanks_are_no_trials(nod_root):
    found = nod.trials(nod_root, "sub-01", NOD)
    assert found[["session", "run", "trial", "image_id"]].values.tolist() == [
        ["imagenet01", "10", 1, "imagenet/n1/n1_1.JPEG"],
        ["imagenet02", "01", 1, "imagenet/n1/n1_2.JPEG"],
        ["coco", "01", 1, "coco/000000000009.jpg"],
        ["coco", "01", 2, "coco/000000000025.jpg"],
    ]
    assert len(nod.trials(nod_root, "sub-10", NOD)) == 1  # who saw no COCO
    assert len(nod.trials(nod_root, "sub-01", NOD | {"tasks": ["coco"]})) == 2
    with pytest.raises(ValueError, match="sub-10 of nod has no runs of"):
        nod.trials(nod_root, "sub-10", NOD | {"tasks": ["coco"]})


def test_pictures_inside_are_named_as_events_name_them(nod_root):
    picture(nod_root / "stimuli/imagenet/n1/n1_1.JPEG")
    picture(nod_root / "stimuli/coco/000000000009.jpg")
    picture(nod_root / "stimuli/floc/face.jpg")
    found = {one.image_id: one.labels["source"] for one in nod.stimuli(nod_root, NOD)}
    assert found == {"imagenet/n1/n1_1.JPEG": "imagenet", "coco/000000000009.jpg": "coco"}


def test_the_commit_is_the_one_that_was_cloned_first(tmp_path, monkeypatch):
    from boldflow.artifacts.arrival import origins

    monkeypatch.delenv(origins.VARIABLE, raising=False)
    assert nod.source(NOD, tmp_path).commit is None
    origins.pin(tmp_path, "nod", "a" * 40)
    origins.pin(tmp_path, "nod", "b" * 40)
    assert nod.source(NOD, tmp_path).commit == "a" * 40
    assert nod.source(NOD | {"name": "other"}, tmp_path).commit is None


def test_sizes_of_nod_say_that_nobody_counted_them():
    found = nod.sizes(NOD, "bold-T1w")
    assert not found.verified and len(found.subjects) == 30
    assert found.subjects["sub-01"].n_trials == 5200 and found.subjects["sub-30"].n_trials == 1000
    assert sum(one.n_runs for one in found.subjects.values()) == 660


@pytest.mark.parametrize("plugin", [bold5000, god, things_fmri])
def test_sources_are_pinned_and_name_no_place_of_this_machine(plugin, monkeypatch, tmp_path):
    from boldflow.artifacts.arrival import origins

    accession = plugin.FACTS["source"]["accession"]
    monkeypatch.delenv(origins.VARIABLE, raising=False)
    found = plugin.source({}, tmp_path)
    assert found.kind == "datalad" and found.commit == plugin.FACTS["source"]["commit"] and len(found.commit) == 40
    assert found.url == f"https://github.com/OpenNeuroDatasets/{accession}.git"
    assert found.public_url.format(path="a/b") == f"https://s3.amazonaws.com/openneuro.org/{accession}/a/b"
    (tmp_path / f"{accession}.bundle").touch()
    monkeypatch.setenv(origins.VARIABLE, str(tmp_path))
    here = plugin.source({}, tmp_path)
    assert here.url == str(tmp_path / f"{accession}.bundle") and str(tmp_path) not in here.origin
    monkeypatch.setenv(origins.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=rf"nowhere.* neither {accession}.bundle nor {accession}"):
        plugin.source({}, tmp_path)


def test_trial_tables_are_tables_of_the_contract(five, god_root, nod_root):
    tables = [
        bold5000.trials(five, "sub-CSI1", {}),
        god.trials(god_root, "sub-01", {}),
        nod.trials(nod_root, "sub-10", NOD),
    ]
    for table in tables:
        assert list(table.columns) == COLUMNS and isinstance(table, pd.DataFrame)
        assert table["usable"].dtype == bool and table["trial"].dtype.kind == "i"
