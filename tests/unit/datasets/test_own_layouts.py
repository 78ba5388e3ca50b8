"""Trees as versions of fMRIPrep lay them out: names, companions, and much beside that is no part of what is read."""

import shutil

import numpy as np
import pytest

from tests.made.layouts import NAMES, lay_out
from tests.made.own_bids import MIDDLE, OwnFolder

CLEANED = {"confounds": ["motion6", "csf-wm"]}


@pytest.fixture
def laid_out(tmp_path, monkeypatch):
    def make(version, **changes):
        folder = OwnFolder(tmp_path / "made", **changes)
        monkeypatch.chdir(folder.work)
        lay_out(folder, version)
        return folder

    return make


@pytest.mark.parametrize("version", NAMES)
def test_each_layout_gives_the_responses_that_were_planted(laid_out, version):
    folder = laid_out(version)
    responses, note = folder.responses()
    expected = np.concatenate([folder.windows(run) for run in (1, 2)])
    np.testing.assert_allclose(responses, expected, atol=1e-4)
    assert note["volume_times"][0]["offset_s"] == 0 and note["tr_s"] == 2.0
    cleaned, _ = folder.responses(CLEANED)
    assert np.isfinite(cleaned).all() and 0.8 < np.corrcoef(cleaned.ravel(), expected.ravel())[0, 1] < 1


@pytest.mark.parametrize("version", NAMES)
def test_each_layout_states_the_times_of_its_volumes(laid_out, version):
    folder = laid_out(version, delay_s=1.0)
    for path in [*folder.prep.glob("*preproc_bold.json"), *folder.prep.glob("*_preproc.json")]:
        path.write_text('{"RepetitionTime": 2.0, "SliceTimingCorrected": true, "StartTime": 1.0}')
    _, note = folder.responses()
    assert [(row["offset_s"], row["by"]) for row in note["volume_times"]] == [(MIDDLE["StartTime"], "StartTime")]


def test_derivatives_below_a_folder_of_their_own_and_sessions_are_read(laid_out):
    """As before 21.0, in out/fmriprep; and with sessions, whose runs begin anew."""
    folder = laid_out("20.2")
    for session, run in (("a", "1"), ("b", "2")):
        for base, pattern in ((folder.raw, f"*run-0{run}*"), (folder.prep, f"*run-{run}*")):
            target = base.parent / f"ses-{session}/func"
            target.mkdir(parents=True)
            for path in sorted(base.glob(pattern)):
                name = path.name.replace("sub-01_", f"sub-01_ses-{session}_")
                path.rename(target / name.replace(f"run-0{run}", "run-01").replace(f"run-{run}", "run-1"))
    shutil.move(folder.folder / "derivatives/fmriprep", folder.folder / "derivatives/out/fmriprep")
    responses, _ = folder.responses(derivatives="derivatives/out/fmriprep")
    np.testing.assert_allclose(responses, np.concatenate([folder.windows(run) for run in (1, 2)]), atol=1e-4)
    trials, _ = folder.trials(derivatives="derivatives/out/fmriprep")
    assert trials[["session", "run"]].drop_duplicates().to_numpy().tolist() == [["a", "01"], ["b", "01"]]
