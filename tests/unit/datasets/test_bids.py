"""A folder of one's own: the tree that sim writes is read as any BIDS folder, and gives what sim gives."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow import catalogue, registry
from boldflow.datasets import bids, sim
from tests.conftest import ROOT

SMALL = {"n_runs": 2, "n_train_images": 12, "n_test_images": 6, "n_test_repeats": 2, "voxel_mm": 8.0, "image_size": 32}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A plain copy of a simulated data set, with all content, in which nothing is a link."""
    workspace = tmp_path_factory.mktemp("own")
    origin = sim.source({"name": "sim", **SMALL}, workspace).url
    folder = workspace / "mine"
    shutil.copytree(origin, folder, symlinks=False, ignore=shutil.ignore_patterns(".git", ".datalad"))
    return folder


def entry(folder, **more):
    keys = {"folder": str(folder), "derivatives": "derivatives/preproc", "subjects": ["sub-01", "sub-02"], "tr_s": 2.0}
    config = {"datasets": {"mine": {"plugin": "bids", "image_column": "stim_file", **keys, **more}}}
    return catalogue.settings(config, registry.read_schemas(ROOT / "workflow" / "schemas"), "datasets", "mine")


def test_trials_and_runs_are_those_of_the_data_sets_own_plug_in(tree):
    mine = entry(tree)
    assert bids.source(mine, "unused").kind == "folder"
    pd.testing.assert_frame_equal(bids.trials(tree, "sub-01", mine), sim.trials(tree, "sub-01", SMALL))
    pairs = list(zip(bids.runs(tree, "sub-01", mine, "bold"), sim.runs(tree, "sub-01", SMALL, "bold"), strict=True))
    assert len(pairs) == 2
    for run, same in pairs:
        assert (run.session, run.run, run.space, run.tr_s) == (same.session, same.run, same.space, same.tr_s)
        np.testing.assert_array_equal(run.bold, same.bold)
        np.testing.assert_array_equal(run.mask, same.mask)


def test_runs_are_what_nibabel_reads_of_the_files(tree):
    """The witness shares no code with the reader: it scales all volumes at once."""
    files = sorted((tree / "derivatives/preproc/sub-01").rglob("*_bold.nii.gz"))
    for run, path in zip(bids.runs(tree, "sub-01", entry(tree), "bold"), files, strict=True):
        np.testing.assert_array_equal(run.bold, np.asarray(nib.load(path).dataobj, dtype=np.float32))


def test_events_of_other_kinds_are_no_trials(tree):
    every = bids.trials(tree, "sub-01", entry(tree))
    kinds = {"trial_type": ["face", "scene"]}
    trials = bids.trials(tree, "sub-01", entry(tree, events_where=kinds))
    expected = every[every["image_id"].str.startswith(("face_", "scene_"))]
    assert 0 < len(trials) < len(every)
    assert (
        trials[["run", "onset_s", "image_id"]].to_numpy().tolist()
        == expected[["run", "onset_s", "image_id"]].to_numpy().tolist()
    )
    with pytest.raises(
        ValueError, match=r"sub-01: no event has a trial_type of \['fase'\] \(events_where\); found \['"
    ):
        bids.trials(tree, "sub-01", entry(tree, events_where={"trial_type": ["fase"]}))


def test_what_is_needed_is_there(tree):
    mine = entry(tree)
    assert len(bids.files_needed(tree, "dataset", mine)) == 4  # events of two runs of two subjects
    needed = bids.files_needed(tree, "sub-02", mine)
    assert sorted(path.rsplit("_", 1)[1] for path in needed) == ["bold.json"] * 2 + ["bold.nii.gz"] * 2 + [
        "mask.nii.gz"
    ]
    assert all((tree / path).is_file() and "sub-02" in path for path in needed)


@pytest.mark.parametrize("how", ["path", "name", "stem"])
def test_pictures_go_by_the_name_that_events_use(tree, how):
    names = {picture.image_id for picture in bids.stimuli(tree / "stimuli", entry(tree, image_name=how))}
    shown = set(bids.trials(tree, "sub-01", entry(tree))["image_id"])
    assert names == ({name.removesuffix(".png") for name in shown} if how == "stem" else shown)
    assert {picture.labels["folder"] for picture in bids.stimuli(tree / "stimuli", entry(tree))} == {"stimuli"}
    below = {picture.image_id for picture in bids.stimuli(tree, entry(tree, image_name=how))}
    assert below == ({f"stimuli/{name}" for name in shown} if how == "path" else names)


def test_events_without_a_picture_are_no_trials(tree, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(tree / "sub-01", folder / "sub-01")
    path = next(folder.rglob("*run-01_events.tsv"))
    lines = path.read_text().splitlines()
    cells = lines[1].split("\t")
    cells[lines[0].split("\t").index("stim_file")] = "n/a"
    path.write_text("\n".join([lines[0], "\t".join(cells), *lines[2:]]))
    trials = bids.trials(folder, "sub-01", entry(folder))
    assert len(trials) == len(bids.trials(tree, "sub-01", entry(tree))) - 1


def test_a_column_or_a_folder_that_is_not_there_is_named(tree, tmp_path):
    with pytest.raises(ValueError, match=r"_events.tsv, line 1 lacks columns \['picture'\]; there are: .*stim_file"):
        bids.trials(tree, "sub-01", entry(tree, image_column="picture"))
    with pytest.raises(FileNotFoundError, match=r"folder of data set mine does not exist: .*nowhere"):
        bids.source(entry(tmp_path / "nowhere"), "unused")
    with pytest.raises(FileNotFoundError, match=r"derivatives/fmriprep/sub-01/func/.*space-MNI152NLin2009cAsym_desc"):
        bids.files_needed(tree, "sub-01", entry(tree, derivatives="derivatives/fmriprep"))


def test_sizes_are_counted_in_the_folder(tree):
    sizes = bids.sizes(entry(tree), "bold")
    of_subject = sizes.subjects["sub-02"]
    assert (of_subject.fetch, of_subject.n_trials, of_subject.n_runs, sizes.n_images) == (0, 24, 2, 18)
    assert of_subject.n_volumes == next(sim.runs(tree, "sub-02", SMALL, "bold")).bold.shape[3]


def test_an_entry_without_what_it_must_say_stops_at_parse():
    from jsonschema import Draft202012Validator

    schemas = registry.read_schemas(ROOT / "workflow" / "schemas")
    schema = registry.entry_schema(schemas, "datasets", "bids")
    missing = [error.message for error in Draft202012Validator(schema).iter_errors({"plugin": "bids", "tr_s": 2})]
    assert sorted(missing) == [f"'{key}' is a required property" for key in ("folder", "image_column", "subjects")]
    config = {"datasets": {"mine": {"plugin": "bids", "subjects": ["sub-9"], "tr_s": 1.5}}}
    assert catalogue.dataset_facts(config, "mine").tr_s == 1.5
    assert catalogue.subjects(config, "mine") == ["sub-9"]


@pytest.fixture
def own(tree, tmp_path):
    """A copy to be spoilt."""
    shutil.copytree(tree, tmp_path / "own")
    return tmp_path / "own"


def spread(own, what, old, new):
    """Copy files under names in which a word is another."""
    for path in sorted(path for path in own.rglob(what) if path.is_file() and old in path.name):
        shutil.copy(path, path.with_name(path.name.replace(old, new)))


def task_of(own):
    name = next(own.rglob("sub-01*_events.tsv")).name
    return next(part for part in name.split("_") if part.startswith("task-"))


def test_a_run_at_rest_has_no_events_and_no_part(own):
    before = bids.files_needed(own, "sub-01", entry(own))
    spread(own, "sub-01*_desc-*", task_of(own), "task-rest")
    assert bids.files_needed(own, "sub-01", entry(own)) == before
    assert len(list(bids.runs(own, "sub-01", entry(own), "bold"))) == 2


def test_two_tasks_of_one_run_label_are_told_apart_by_the_entry(own):
    task = task_of(own)
    spread(own, "sub-01*", task, "task-other")
    with pytest.raises(ValueError, match=r"two files of one session and run, .*_events.tsv and .*keys task and space"):
        bids.trials(own, "sub-01", entry(own))
    mine = entry(own, task=task.removeprefix("task-"))
    assert len(bids.trials(own, "sub-01", mine)) == len(bids.trials(own, "sub-02", entry(own)))
    assert len(list(bids.runs(own, "sub-01", mine, "bold"))) == 2


def test_an_empty_mask_is_named(own):
    path = next(own.rglob("sub-01*mask.nii.gz"))
    image = nib.Nifti1Image.from_filename(path)
    nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine).to_filename(path)
    with pytest.raises(ValueError, match=rf"{path.name} is an empty mask"):
        list(bids.runs(own, "sub-01", entry(own), "bold"))


def test_a_space_may_name_its_resolution(own):
    spread(own, "sub-01*space-*", "_desc-", "_res-2_desc-")
    space = entry(own)["space"]
    assert len(list(bids.runs(own, "sub-01", entry(own, space=f"{space}_res-2"), "bold"))) == 2
    assert len(list(bids.runs(own, "sub-01", entry(own), "bold"))) == 2
