"""Events of a folder of one's own: filtered first, then checked; what lies outside of the scan is left out by a key."""

import logging
import re

import numpy as np
import pytest

from boldflow.artifacts.formats import bids
from boldflow.datasets import god, nod
from tests.made.own_bids import OwnFolder

WHERE = {"events_where": {"trial_type": ["image"]}}
GLM = {"kind": "glm", "method": "lss"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    def make(**changes):
        folder = OwnFolder(tmp_path / f"made{len(list(tmp_path.iterdir()))}", **changes)
        monkeypatch.chdir(folder.work)
        return folder

    return make


def with_duration(text):
    return lambda lines: [lines[0], *(re.sub(r"^(\S+)\t\S+", rf"\1\t{text}", line) for line in lines[1:])]


def responded(lines):
    """A response at the onset of every third picture, and rows without onset at the end."""
    rows = [lines[0]]
    for k, line in enumerate(lines[1:]):
        rows += [line, *([line.split("\t")[0] + "\t0.462\tresponse\tn/a"] if k % 3 == 0 else [])]
    return [*rows, "n/a\tn/a\tn/a\tn/a", "n/a\tn/a\tnote\tn/a"]


OTHERS = {
    "no onset": lambda lines: [*lines, "n/a\tn/a\tnote\tn/a"],
    "no onset, in the middle": lambda lines: [lines[0], lines[1], "\t\tnote\tn/a", *lines[2:]],
    "no number": lambda lines: [*lines, "later\tlong\tnote\tn/a"],
    "no duration": lambda lines: [lines[0], lines[1], "8.5\tn/a\tpress\tn/a", *lines[2:]],
    "a block with its first picture": lambda lines: [
        lines[0],
        re.sub(r"image\t.*", "block\tn/a", lines[1]),
        *lines[1:],
    ],
    "another kind of picture": lambda lines: [lines[0], re.sub("image", "fixation", lines[1]), *lines[1:]],
    "listed twice": lambda lines: [*lines, "3.0\t1\tpress\tn/a", "3.0\t1\tpress\tn/a"],
    "responses": responded,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_rows_say_is_not_looked_at(own, name):
    folder = own()
    expected, _ = folder.responses()
    before, _ = folder.trials()
    folder.edit_lines("*_events.tsv", OTHERS[name])
    responses, _ = folder.responses(**WHERE)
    np.testing.assert_array_equal(responses, expected)
    np.testing.assert_array_equal(folder.responses(GLM, **WHERE)[0].shape, expected.shape)
    assert folder.trials(**WHERE)[0].equals(before)
    if name != "another kind of picture":  # without a picture a row is no trial, whatever else is asked
        np.testing.assert_array_equal(folder.responses()[0], expected)


def test_what_is_left_is_checked(own):
    folder = own()
    folder.edit_lines("*run-01_events.tsv", lambda lines: [*lines, lines[-1]])
    with pytest.raises(ValueError, match=r"line 12: the event at 96 s \(line 11\) is listed twice"):
        folder.trials()
    folder = own()
    folder.edit_lines("*run-01_events.tsv", lambda lines: [*lines, lines[-1].replace("96.000", "n/a")])
    with pytest.raises(ValueError, match=r"run-01_events.tsv, line 12: onset must be a number, not 'n/a'"):
        folder.trials()
    folder = own()
    folder.edit_lines("*run-01_events.tsv", lambda lines: [lines[0], lines[1].replace("6.000", "6,000"), *lines[2:]])
    with pytest.raises(ValueError, match=r"run-01_events.tsv, line 2: onset must be a number, not '6,000'"):
        folder.trials()
    folder = own()
    folder.edit_lines("*run-01_events.tsv", lambda lines: [lines[0], lines[1].replace("1.000", "-1"), *lines[2:]])
    with pytest.raises(ValueError, match=r"trial 1 of session 01, 01 has onset 6.0 s and duration -1.0 s"):
        folder.trials()


@pytest.mark.parametrize(
    "change",
    [with_duration("n/a"), with_duration(""), lambda lines: [re.sub(r"^(\S+)\t\S+", r"\1", line) for line in lines]],
)
def test_windows_need_no_durations_and_a_linear_model_names_the_trial_that_lacks_one(own, change):
    folder = own()
    expected, _ = folder.responses()
    folder.edit_lines("*_events.tsv", change)
    np.testing.assert_array_equal(folder.responses()[0], expected)
    with pytest.raises(
        ValueError, match=r"run 01: 10 trials have no duration \(n/a\), the first is trial 1 at 6 s, and"
    ):
        folder.responses(GLM)


def shifted(lines, by):
    move = lambda line: f"{float(line.split(chr(9))[0]) + by:.3f}\t" + line.split("\t", 1)[1]  # noqa: E731
    return [lines[0], *(move(line) for line in lines[1:])]


@pytest.mark.parametrize("response", [None, GLM])
def test_trials_beyond_the_end_are_told_with_a_key_that_leaves_them_out(own, response, caplog):
    folder = own()
    folder.edit_lines(
        "*run-02_events.tsv", lambda lines: shifted(lines, 25)
    )  # the last two begin at 111 and 121 s of 120
    with pytest.raises(
        ValueError, match=r"run 02: .* at 1[12]1 s.*leave_out: \[trials_beyond_end, trials_before_start\]"
    ):
        folder.responses(response)
    with caplog.at_level(logging.WARNING):
        responses, note = folder.responses(response, leave_out=["trials_beyond_end"])
    assert "sub-01: of 20 trials are left out: 2 by trials_beyond_end" in caplog.text
    trials, table_note = folder.trials(leave_out=["trials_beyond_end"])
    assert table_note["left_out"] == {"trials_beyond_end": 2}
    assert trials["usable"].tolist() == [True] * 18 + [False] * 2 and note["trials"] == {"usable": 18, "not_usable": 2}
    assert (responses[18:] == 0).all() and (responses[:18] != 0).any(axis=1).all()


def test_how_long_a_scan_must_go_on_is_the_entrys(own):
    folder = own()
    trials, _ = folder.trials(
        leave_out=["trials_beyond_end"], scanned_after_onset_s=24.5
    )  # of 120 s, the last is at 96 s
    assert trials["usable"].tolist() == ([True] * 9 + [False]) * 2
    trials, note = folder.trials(leave_out=["trials_beyond_end"])
    assert trials["usable"].all() and "left_out" not in note


def test_an_onset_before_the_scan_is_told_with_the_onset_and_a_key_leaves_it_out(own):
    folder = own()
    folder.edit_lines("*run-01_events.tsv", lambda lines: [lines[0], re.sub("^6.000", "-9.000", lines[1]), *lines[2:]])
    with pytest.raises(ValueError, match=r"trial 1 at -9 s: volumes -2 to 0, .*leave_out: .*trials_before_start"):
        folder.responses()
    responses, _ = folder.responses(leave_out=["trials_before_start"])
    np.testing.assert_allclose(responses[1:10], folder.windows(1)[1:], atol=1e-4)
    folder.edit_lines(
        "*run-01_events.tsv", lambda lines: [lines[0], re.sub("^-9.000", "-30.000", lines[1]), *lines[2:]]
    )
    with pytest.raises(ValueError, match=r"trial 1 has onset -30 s"):
        folder.responses(GLM)
    assert (folder.responses(GLM, leave_out=["trials_before_start"])[0][1:] != 0).any(axis=1).all()


def test_a_run_without_bold_is_told_with_a_key_that_leaves_it_out(own, caplog):
    folder = own()
    for path in folder.prep.glob("*run-02*"):
        path.unlink()
    with pytest.raises(
        ValueError, match=r"without its other half .*\('01', '02'\)\]; leave_out: \[runs_without_bold\]"
    ):
        folder.responses()
    with caplog.at_level(logging.WARNING):
        responses, _ = folder.responses(leave_out=["runs_without_bold"])
    assert "10 by runs_without_bold" in caplog.text
    np.testing.assert_allclose(responses[:10], folder.windows(1), atol=1e-4)
    assert folder.trials(leave_out=["runs_without_bold"])[0]["usable"].sum() == 10


def test_a_run_without_trials_is_told_with_the_key_that_chooses_runs(own):
    folder = own()
    folder.edit_lines("*run-02_events.tsv", lambda lines: [line.replace("\timage\t", "\trest\t") for line in lines])
    with pytest.raises(
        ValueError, match=r"\('01', '02'\)\]; no event of such a run shows a picture: choose the runs .*ent"
    ):
        folder.responses(**WHERE)
    responses, _ = folder.responses(entities={"run": ["1"]}, **WHERE)
    np.testing.assert_allclose(responses, folder.windows(1), atol=1e-4)


def test_what_leaves_no_trial_is_refused(own):
    folder = own()
    with pytest.raises(ValueError, match=r"leave_out leaves none of 20 trials: \{'trials_beyond_end': 20\}"):
        folder.trials(leave_out=["trials_beyond_end"], scanned_after_onset_s=500.0)


def test_trials_left_out_hang_on_the_bold_that_there_is(own):
    """What is looked at for them is in the receipt, so that a change makes the trial table again."""
    folder = own()
    from boldflow.datasets import bids as plugin

    paths = plugin.files_needed(folder.folder, "dataset", folder.entry(leave_out=["trials_beyond_end"]))
    assert sum(path.endswith("_bold.nii.gz") for path in paths) == 2
    assert not any("_bold" in path for path in plugin.files_needed(folder.folder, "dataset", folder.entry()))


def test_events_of_the_object_dataset_at_rest_are_not_looked_at(tmp_path):
    folder = tmp_path / "sub-01/ses-perceptionTraining01/func"
    folder.mkdir(parents=True)
    rows = [
        "onset\tduration\tevent_type\tstimulus_name",
        "n/a\tn/a\trest\tn/a",
        "0\tn/a\tstimulus\ta_1",
        "0\t9\trest\tn/a",
    ]
    for part in ("perceptionTraining", "perceptionTest"):
        other = tmp_path / f"sub-01/ses-{part}01/func"
        other.mkdir(parents=True, exist_ok=True)
        (other / f"sub-01_ses-{part}01_task-perception_run-01_events.tsv").write_text("\n".join(rows))
    trials = god.trials(tmp_path, "sub-01", {})
    assert trials["onset_s"].tolist() == [0.0, 0.0] and trials["duration_s"].isna().all()


def test_events_of_the_natural_object_dataset_without_a_picture_are_not_looked_at(tmp_path):
    folder = tmp_path / "sub-10/ses-imagenet01/func"
    folder.mkdir(parents=True)
    rows = [
        "onset\tduration\tstim_file",
        "n/a\tn/a\tn/a",
        "4\t1\timagenet/a.JPEG",
        "4\t0.5\tn/a",
        "8\tn/a\timagenet/b.JPEG",
    ]
    (folder / "sub-10_ses-imagenet01_task-imagenet_run-1_events.tsv").write_text("\n".join(rows))
    trials = nod.trials(tmp_path, "sub-10", {"tasks": ["imagenet"]})
    assert trials["image_id"].tolist() == ["imagenet/a.JPEG", "imagenet/b.JPEG"] and trials["trial"].tolist() == [1, 2]


def test_rows_that_are_kept_stay_in_the_order_of_time(tmp_path):
    path = tmp_path / "x_events.tsv"
    path.write_text("onset\tstim_file\n4\tb\n0\tn/a\n2\ta\n")
    table = bids.read_runs(tmp_path, [path.name], [], [], ["stim_file"], lambda texts: texts["stim_file"] != "")
    assert table["stim_file"].tolist() == ["a", "b"] and table["in_line"].tolist() == [4, 2]


def test_a_fetch_looks_at_bold_where_trials_hang_on_it(own):
    from boldflow import catalogue
    from tests.made.own_bids import SCHEMAS

    folder = own()
    looks = [
        catalogue.patterns_reached(folder.config(leave_out=left_out), SCHEMAS, "mine", "fetch_dataset")
        for left_out in ([], ["trials_beyond_end"])
    ]
    assert set(looks[1]) - set(looks[0]) == {f"derivatives/fmriprep/sub-01/{below}func/*" for below in ("", "ses-*/")}
