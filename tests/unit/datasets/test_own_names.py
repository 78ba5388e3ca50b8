"""Names of files of a folder of one's own: runs as numbers, entities, what is inherited, where derivatives lie."""

import shutil

import numpy as np
import pytest

from boldflow.artifacts.formats import bids_names
from boldflow.datasets import bids
from tests.made.own_bids import OwnFolder

CLEANED = {"confounds": ["motion6"]}


@pytest.fixture
def own(tmp_path, monkeypatch):
    def make(**changes):
        folder = OwnFolder(tmp_path / f"made{len(list(tmp_path.iterdir()))}", **changes)
        monkeypatch.chdir(folder.work)
        return folder

    return make


def check(folder, response=None, **entry):
    """The responses are those of the folder as it was made."""
    responses, _ = folder.responses(response, **entry)
    expected = np.concatenate([folder.windows(run) for run in sorted(folder.bold)])
    if not response:
        np.testing.assert_allclose(responses, expected, atol=1e-4)
    assert len(responses) == len(expected)
    trials, _ = folder.trials(**entry)
    assert trials["image_id"].tolist() == [name for run in sorted(folder.shown) for name in folder.shown[run]]
    return trials


@pytest.mark.parametrize("side", ["derivatives", "raw", "raw, unpadded beyond nine"])
def test_run_1_is_run_01(own, side):
    folder = own(n_runs=12, n_trials=4) if "nine" in side else own()
    for run in folder.bold:
        for path in (folder.prep if side == "derivatives" else folder.raw).glob(f"*_run-{run:02d}_*"):
            path.rename(path.with_name(path.name.replace(f"run-{run:02d}", f"run-{run}")))
    trials = check(folder)
    assert trials["run"].unique().tolist() == [
        f"{run:02d}" if side == "derivatives" else str(run) for run in folder.bold
    ]
    check(folder, CLEANED)


@pytest.mark.parametrize("pattern", ["*_events.tsv", "*preproc_bold.nii.gz"])
def test_run_1_beside_run_01_are_two_files_for_one_run(own, pattern):
    folder = own()
    folder.rename("run-01", "run-1", pattern, copy=True)
    with pytest.raises(ValueError, match=r"two files of one session and run, \S*run-01\S* and \S*run-1_\S*: keep one"):
        folder.responses()


def test_two_acquisitions_are_told_apart_by_the_entry(own):
    folder = own()
    folder.rename("_run-", "_acq-me_run-", "sub-01_task*", copy=True)
    folder.rename("_task-look_run-", "_task-look_acq-mb_run-", "sub-01_task*")
    with pytest.raises(ValueError, match=r"two files of one session and run, .*entities: \{acq: 'mb' or 'me'\}\)"):
        folder.responses()
    check(folder, entities={"acq": "mb"})
    check(folder, CLEANED, entities={"acq": ["me"]})


def test_runs_that_are_numbered_within_acquisitions_are_all_read_where_the_entry_says_so(own):
    folder = own()
    folder.rename("_run-01", "_acq-a_run-01")
    folder.rename("_run-02", "_acq-b_run-01")
    with pytest.raises(ValueError, match=r"two files of one session and run, .*\{acq: 'a' or 'b'\}"):
        folder.responses()
    trials = check(folder, entities={"acq": ["a", "b"]})
    assert trials["run"].unique().tolist() == ["a-01", "b-01"]
    check(folder, CLEANED, entities={"acq": ["a", "b"]})


@pytest.mark.parametrize("entity", ["dir", "rec", "ce"])
def test_names_without_an_entity_are_chosen_by_nothing(own, entity):
    folder = own()
    folder.rename("_run-", f"_{entity}-x_run-", "sub-01_task*", copy=True)
    with pytest.raises(ValueError, match=rf"entities: \{{{entity}: 'x' or ''\}}\)|\{{{entity}: '' or 'x'\}}\)"):
        folder.responses()
    check(folder, entities={entity: ""})
    check(folder, entities={entity: "x"})


@pytest.mark.parametrize("entity", ["echo", "res", "den"])
def test_files_without_echo_or_resolution_are_the_combined_ones(own, entity):
    folder = own()
    for value in (1, 2, 3):
        folder.rename("_space-", f"_{entity}-{value}_space-", "*preproc_bold.nii.gz", copy=True)
        for path in folder.files(f"*_{entity}-{value}_{entity}-*"):  # copies of copies
            path.unlink()
    check(folder)


def test_single_echoes_alone_are_chosen_by_the_entry(own):
    folder = own()
    folder.rename("_space-", "_echo-2_space-", "*preproc_bold.nii.gz", copy=True)
    folder.rename("look_run", "look_echo-1_run", "*preproc_bold.nii.gz")
    for path in folder.files("*echo-1*echo-2*"):
        path.rename(path.with_name(path.name.replace("_echo-1", "")))
    with pytest.raises(ValueError, match=r"two files of one session and run, .*\{echo: '1' or '2'\}"):
        folder.responses()
    check(folder, entities={"echo": "02"})  # an index is a number


def test_phase_images_are_no_bold(own):
    folder = own()
    folder.rename("_space-", "_part-phase_space-", "*preproc_bold.nii.gz", copy=True)
    folder.rename("01_space-", "01_part-mag_space-", "*preproc_bold.nii.gz")
    check(folder)


def test_sessions_and_runs_are_chosen_by_entities_too(own):
    folder = own()
    trials, _ = folder.trials(entities={"run": "1"})
    assert trials["run"].unique().tolist() == ["01"]
    responses, _ = folder.responses(entities={"run": "1"})
    np.testing.assert_allclose(responses, folder.windows(1), atol=1e-4)


@pytest.mark.parametrize("name", ["fmriprep_space-MNI", "prep_run-7_echo-1_task-rest", "a [b] (c)"])
def test_what_folders_are_called_is_no_entity(own, name):
    folder = own()
    (folder.folder / "derivatives/fmriprep").rename(folder.folder / f"derivatives/{name}")
    check(folder, CLEANED, derivatives=f"derivatives/{name}")


@pytest.mark.parametrize("place", ["absolute", "relative", "linked", "same"])
def test_derivatives_lie_where_the_entry_says(own, place):
    folder = own()
    prep, outside = folder.folder / "derivatives/fmriprep", folder.home / "elsewhere"
    if place == "same":
        shutil.copytree(prep, folder.folder, dirs_exist_ok=True)
        shutil.rmtree(folder.folder / "derivatives")
        derivatives = "."
    else:
        prep.rename(outside)
        derivatives = {"absolute": str(outside), "relative": "../elsewhere", "linked": str(folder.home / "link")}[place]
        (folder.home / "link").symlink_to(outside)
    check(folder, CLEANED, derivatives=derivatives)


def test_files_that_are_not_compressed_are_read(own):
    import gzip

    folder = own()
    for path in folder.files("*.nii.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    check(folder, CLEANED)


@pytest.mark.parametrize("place", [".", "sub-01"])
def test_a_table_of_a_folder_above_is_of_all_runs_below(own, place):
    folder = own()
    folder.shown[2] = folder.shown[1]
    first, second = folder.files("*_events.tsv")
    first.rename(folder.folder / place / ("task-look_events.tsv" if place == "." else "sub-01_task-look_events.tsv"))
    second.unlink()
    trials = check(folder)
    assert trials["run"].unique().tolist() == ["01", "02"]


def test_a_table_of_several_acquisitions_is_of_each_that_the_entry_chooses(own):
    folder = own()
    folder.shown[2] = folder.shown[1]
    folder.rename("_run-02", "_acq-b_run-01", "sub-01_task-look_run-02_[ds]*")
    folder.rename("_run-01", "_acq-a_run-01", "sub-01_task-look_run-01_[ds]*")
    folder.files("*run-02_events.tsv")[0].unlink()
    trials = check(folder, entities={"acq": ["a", "b"]})
    assert trials["run"].unique().tolist() == ["a-01", "b-01"]
    with pytest.raises(ValueError, match=r"two files of one session and run, .*\{acq: 'a' or 'b'\}"):
        folder.responses()


def test_the_table_that_lies_nearest_to_a_run_is_its_own(own):
    folder = own()
    first, second = folder.files("*_events.tsv")
    shutil.copy(first, folder.folder / "task-look_events.tsv")
    check(folder)
    second.unlink()
    folder.shown[2] = folder.shown[1]
    check(folder)


def test_an_inherited_table_without_any_run_is_refused(own):
    folder = own()
    first, second = folder.files("*_events.tsv")
    first.rename(folder.folder / "task-look_events.tsv")
    second.unlink()
    shutil.rmtree(folder.prep)
    with pytest.raises(FileNotFoundError, match=r"task-look_events.tsv is of several runs of sub-01, and deriv"):
        bids.trials(folder.folder, "sub-01", folder.entry())


def test_confounds_are_the_tables_of_their_run_under_either_name(own):
    folder = own()
    folder.rename("confounds_timeseries", "confounds_regressors")
    check(folder, CLEANED)
    folder.rename("run-02_desc-confounds", "run-2_desc-confounds")
    check(folder, CLEANED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-1_task-x_run-001_bold.nii.gz", {"sub": "1", "task": "x", "run": "1"}),
        ("prep_space-T1w/sub-1_echo-02_bold.json", {"sub": "1", "echo": "2"}),
        ("sub-01_ses-01_dir-AP_part-mag_bold.nii", {"sub": "01", "ses": "01", "dir": "AP", "part": "mag"}),
        ("dataset_description.json", {}),
    ],
)
def test_entities_are_those_of_the_files_name(name, expected):
    assert bids_names.entities(name) == expected
