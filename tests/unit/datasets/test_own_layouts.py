"""Trees as versions of fMRIPrep lay them out: names, companions, and much beside that is no part of what is read."""

import shutil

import numpy as np
import pytest

from tests.made.own_bids import MIDDLE, OwnFolder

CLEANED = {"confounds": ["motion6", "csf-wm"]}
SPACE = "_space-MNI152NLin2009cAsym"
# Of each version: what a name is called there, and what lies beside.
NAMES = {
    "1.1": {
        f"{SPACE}_desc-preproc_bold": f"_bold{SPACE}_preproc",
        f"{SPACE}_desc-brain_mask": f"_bold{SPACE}_brainmask",
        "_desc-confounds_timeseries": "_bold_confounds",
    },
    "1.5": {"_desc-confounds_timeseries": "_desc-confounds_regressors"},
    "20.2": {"run-0": "run-"},
    "21.0": {"run-0": "run-"},
    "23.2": {},
    "24.1": {},
    "25.2": {f"{SPACE}_desc": f"{SPACE}_res-2_desc"},
}
OLD_COLUMNS = {
    "framewise_displacement": "FramewiseDisplacement", "trans_x": "X", "trans_y": "Y", "trans_z": "Z", "rot_x": "RotX",
    "rot_y": "RotY", "rot_z": "RotZ", "csf": "CSF", "white_matter": "WhiteMatter",
}  # fmt: skip
BESIDE = {
    "1.1": ["bold_space-fsaverage5.L.func.gii", "bold_space-T1w_preproc.nii.gz", "bold_AROMAnoiseICs.csv"],
    "1.5": ["space-T1w_desc-preproc_bold.nii.gz", "desc-MELODIC_mixing.tsv", "space-fsaverage5_hemi-L.func.gii"],
    "20.2": [
        "space-T1w_boldref.nii.gz",
        "space-fsLR_den-91k_bold.dtseries.nii",
        "space-fsLR_den-91k_bold.dtseries.json",
    ],
    "21.0": [
        "from-scanner_to-T1w_mode-image_xfm.txt",
        "space-MNI152NLin6Asym_desc-preproc_bold.nii.gz",
        "desc-aseg_dseg.tsv",
    ],
    "23.2": ["hemi-L_space-fsaverage5_bold.func.gii", "hemi-L_space-fsaverage5_bold.json", "desc-hmc_boldref.nii.gz"],
    "24.1": ["echo-1_desc-preproc_bold.nii.gz", "desc-coreg_boldref.json", "space-boldref_desc-brain_mask.nii.gz"],
    "25.2": [f"space-{s}_bold.nii.gz" for s in ("T1w_desc-preproc", "MNI152NLin2009cAsym_res-1_desc-brain")],
}


@pytest.fixture
def laid_out(tmp_path, monkeypatch):
    def make(version, **changes):
        folder = OwnFolder(tmp_path / "made", **changes)
        monkeypatch.chdir(folder.work)
        for old, new in NAMES[version].items():
            for path in sorted(folder.prep.glob(f"*{old}*")):
                path.rename(path.with_name(path.name.replace(old, new)))
        if version == "1.1":
            for path in folder.prep.glob("*_bold_confounds.tsv"):
                header, *rows = path.read_text().splitlines()
                path.write_text("\n".join(["\t".join(OLD_COLUMNS[name] for name in header.split("\t")), *rows]) + "\n")
        for run in ("run-1", "run-2") if "run-0" in NAMES[version] else ("run-01", "run-02"):
            for name in BESIDE[version]:
                (folder.prep / f"sub-01_task-look_{run}_{name}").write_bytes(
                    b"{}" if name.endswith("json") else b"other"
                )
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
