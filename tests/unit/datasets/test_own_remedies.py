"""Files of one's own that are not there, or do not say what is asked: the remedy works for a folder of the user's."""

import re

import numpy as np
import pandas as pd
import pytest

from boldflow.core.responses import cleaning, confounds
from tests.made.own_bids import OwnFolder

KEY = "MD5E-s120--0123456789abcdef0123456789abcdef"


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = OwnFolder(tmp_path / "made")
    monkeypatch.chdir(folder.work)
    return folder


def to_pointer(path):
    """An annexed file that was committed unlocked and whose content is absent."""
    path.unlink()
    path.write_text(f"/annex/objects/{KEY}{path.suffix}\n")


def to_dangling(path):
    path.unlink()
    path.symlink_to(f"../../.git/annex/objects/aa/bb/{KEY}/{KEY}")


@pytest.mark.parametrize("absent", [to_pointer, to_dangling])
@pytest.mark.parametrize(
    "pattern", ["*run-02_events.tsv", "*run-01*_bold.nii.gz", "*run-02*_bold.json", "*mask.nii.gz", "*timeseries.tsv"]
)
def test_annexed_content_that_is_absent_is_told_with_datalad(own, absent, pattern):
    paths = own.files(pattern)
    for path in paths:
        absent(path)
    with pytest.raises(FileNotFoundError) as error:
        own.responses({"confounds": ["motion6"]})
    below = paths[0].relative_to(own.folder).as_posix()
    assert f"content absent: {own.folder} has {len(paths)} of " in str(error.value)
    assert f"datalad get {below}" in str(error.value)
    assert f"cd {own.folder}" in str(error.value) and "snakemake" not in str(error.value)


@pytest.mark.parametrize("absent", [to_pointer, to_dangling])
def test_content_that_was_dropped_since_is_told_with_datalad(own, absent):
    from boldflow.stages.fetch._arrival import open_dataset

    own.responses()
    path = own.files("*run-01*_bold.nii.gz")[0]
    absent(path)
    with pytest.raises(
        FileNotFoundError, match=rf"content absent: .*{path.name} .*datalad get sub-01/|datalad get deriv"
    ):
        open_dataset(str(own.work / "dataset.json"), str(own.work / "subject.json"))
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"no such file: .*{path.name}; put it back, or leave it out and run: "
    ):
        open_dataset(str(own.work / "dataset.json"), str(own.work / "subject.json"))


def test_a_link_that_leads_nowhere_else_is_a_missing_file(own):
    path = own.files("*run-01_events.tsv")[0]
    path.unlink()
    path.symlink_to("/nowhere/at/all.tsv")
    with pytest.raises(FileNotFoundError, match=rf"lacks 1 of 2 files: .*{path.name}"):
        own.trials()


def spoil_first(own, column, text, row=0):
    for path in own.files("*timeseries.tsv"):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        table.loc[row, column] = text
        table.to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize(("column", "group"), [("csf", "csf-wm"), ("white_matter", "csf-wm"), ("trans_x", "motion6")])
@pytest.mark.parametrize("text", ["n/a", ""])
def test_a_first_row_that_says_nothing_is_refused_where_the_column_is_no_difference(own, column, group, text):
    spoil_first(own, column, text)
    said = (
        rf"run 01: confound {column} has no number at volume 1 of 60: write one .* {column} is none\), or leave {group}"
    )
    with pytest.raises(ValueError, match=said):
        own.responses({"confounds": [group]})
    with pytest.raises(ValueError, match=said):
        own.responses({"kind": "glm", "method": "lsa", "confounds": [group]})


def test_a_table_of_confounds_that_is_no_text_is_named(own):
    path = own.files("*timeseries.tsv")[0]
    path.write_bytes(path.read_bytes().replace(b"csf", b"c\xe9f"))
    with pytest.raises(ValueError, match=rf"{path.name}: byte 0xe9 at \d+ is no UTF-8 text"):
        own.responses({"confounds": ["motion6"]})


def test_a_last_row_that_says_nothing_is_refused(own):
    spoil_first(own, "csf", "n/a", row=59)
    with pytest.raises(
        ValueError, match=r"csf has no number at volume 60 of 60: write one into the table, or leave csf-wm"
    ):
        own.responses({"confounds": ["csf-wm"]})


@pytest.mark.parametrize("name", ["framewise_displacement", "FramewiseDisplacement"])
def test_the_first_displacement_is_nought(name):
    moved = np.array([np.nan, 0.3, 0.1])
    np.testing.assert_array_equal(confounds.displacement({name: moved}), [0.0, 0.3, 0.1])


@pytest.mark.parametrize(
    ("name", "is_difference"),
    [
        *((name, True) for name in ("framewise_displacement", "rmsd", "dvars", "std_dvars", "non-stdDVARS")),
        *((name, True) for name in ("trans_x_derivative1", "csf_derivative1_power2", "global_signal_derivative1")),
        *((name, False) for name in ("csf", "trans_x", "trans_x_power2", "a_comp_cor_00", "cosine00", "tcompcor")),
    ],
)
def test_differences_are_known_by_name(name, is_difference):
    assert bool(confounds.DIFFERENCES.fullmatch(name)) == is_difference


def test_a_regressor_of_some_hundreds_leaves_nothing_of_itself():
    """What a 0 in its first row did: a spike, and next to all of the confound stayed in the voxel."""
    rng = np.random.default_rng(0)
    csf = 700 + 2 * np.cumsum(rng.normal(size=200))
    voxel = 1000 + 0.8 * csf[:, None] + rng.normal(size=(200, 1))
    table = {"csf": csf, "white_matter": rng.normal(size=200)}
    cleaned = cleaning.regress_and_standardise(voxel, confounds.regressors(table, ["csf-wm"]))
    assert abs(np.corrcoef(cleaned[:, 0], csf)[0, 1]) < 1e-8
    with pytest.raises(ValueError, match="confound csf has no number at volume 1 of 200"):
        confounds.regressors(table | {"csf": np.r_[np.nan, csf[1:]]}, ["csf-wm"])


def test_messages_of_files_of_ones_own_never_speak_of_making_them_again(own):
    for pattern in ("*run-01_events.tsv", "*run-01*_bold.json", "*run-01*_bold.nii.gz", "*run-01*mask.nii.gz"):
        (path,) = own.files(pattern)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2].replace(b"\t", b" "))
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            own.responses()
        assert path.name in str(error.value) and not re.search(r"snakemake\b.* -f ", str(error.value))
        path.write_bytes(content)
