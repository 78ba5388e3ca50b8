"""When the volumes of a folder of one's own were taken: what sidecars state, what entries say, what says nothing."""

import logging

import numpy as np
import pytest
from nilearn.glm.first_level import FirstLevelModel, make_first_level_design_matrix, run_glm

from tests.made.own_bids import AFFINE, MIDDLE, N_VOLUMES, SHAPE, TR_S, OwnFolder

GLM = {"kind": "glm", "method": "lsa"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    def make(**changes):
        folder = OwnFolder(tmp_path / f"made{len(list(tmp_path.iterdir()))}", **changes)
        monkeypatch.chdir(folder.work)
        return folder

    return make


def closeness(one, other, n_runs=2):
    """Mean over runs and voxels of the correlation over trials: betas are scaled run by run."""
    pairs = zip(np.split(one, n_runs), np.split(other, n_runs), strict=True)
    return np.mean([np.corrcoef(a[:, k], b[:, k])[0, 1] for a, b in pairs for k in range(one.shape[1])])


def by_nilearn(folder, offset_s):
    """Betas of each trial of each run, from nilearn's own design at the right times, (n_trials, n_voxels)."""
    import pandas as pd

    betas = []
    for run in folder.bold:
        names = [f"t{k:02d}" for k in range(len(folder.onsets_s))]
        events = pd.DataFrame({"onset": folder.onsets_s, "duration": 1.0, "trial_type": names})
        frames_s = TR_S * np.arange(N_VOLUMES) + offset_s
        design = make_first_level_design_matrix(frames_s, events, hrf_model="spm", drift_model="cosine", high_pass=0.01)
        _, fits = run_glm(folder.bold[run].astype(float), design.to_numpy(), noise_model="ols")
        betas.append(next(iter(fits.values())).theta[[list(design.columns).index(name) for name in names]])
    return np.concatenate(betas)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("slot_s", [4.0, 6.0])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_betas_are_nilearns_at_the_times_that_sidecars_state(own, slot_s, share):
    n_trials = 24 if slot_s == 4 else 18
    folder = own(slot_s=slot_s, n_trials=n_trials, delay_s=share * TR_S, noise=0.5)
    folder.edit_sidecars(SliceTimingCorrected=True, StartTime=share * TR_S)
    betas, note = folder.responses(GLM)
    expected = by_nilearn(folder, share * TR_S)
    assert closeness(betas, expected) > 0.9999
    assert abs(closeness(betas, folder.truth()) - closeness(expected, folder.truth())) < 0.005
    assert note["volume_times"] == [{"offset_s": share * TR_S, "by": "StartTime", "runs": ["01/01", "01/02"]}]


@pytest.mark.filterwarnings("ignore")
def test_a_first_level_model_of_nilearns_with_its_slice_time_ref_gives_the_same(own):
    import nibabel as nib
    import pandas as pd

    folder = own(delay_s=1.0, n_runs=1, slot_s=6.0, n_trials=18)
    folder.edit_sidecars(**MIDDLE)
    betas, _ = folder.responses(GLM)
    names = [f"t{k:02d}" for k in range(18)]
    events = pd.DataFrame({"onset": folder.onsets_s, "duration": 1.0, "trial_type": names})
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    how = {
        "hrf_model": "spm",
        "drift_model": "cosine",
        "high_pass": 0.01,
        "noise_model": "ols",
        "signal_scaling": False,
    }
    model = FirstLevelModel(
        t_r=TR_S, slice_time_ref=0.5, mask_img=mask, smoothing_fwhm=None, minimize_memory=False, **how
    )
    model.fit(folder.files("*preproc_bold.nii.gz")[0], events=events)
    maps = [model.compute_contrast(name, output_type="effect_size").get_fdata() for name in names]
    assert closeness(betas, np.stack([values.ravel() for values in maps]), 1) > 0.9999


def test_windows_begin_at_the_volume_that_lies_nearest_in_time(own):
    folder = own(delay_s=1.5)
    folder.edit_sidecars(SliceTimingCorrected=True, StartTime=1.5)
    responses, note = folder.responses()
    expected = np.concatenate([folder.windows(run, offset_s=1.5) for run in (1, 2)])
    np.testing.assert_allclose(responses, expected, atol=1e-4)
    assert not np.allclose(expected, np.concatenate([folder.windows(run) for run in (1, 2)]), atol=0.1)
    assert note["volume_times"][0]["offset_s"] == 1.5


def test_each_run_has_its_own_start_time(own):
    folder = own()
    first, second = folder.files("*_bold.json")
    first.write_text('{"RepetitionTime": 2.0, "StartTime": 1.5}')
    second.write_text('{"RepetitionTime": 2.0}')
    responses, note = folder.responses()
    expected = np.concatenate([folder.windows(1, offset_s=1.5), folder.windows(2)])
    np.testing.assert_allclose(responses, expected, atol=1e-4)
    assert [(row["offset_s"], row["by"], row["runs"]) for row in note["volume_times"]] == [
        (1.5, "StartTime", ["01/01"]),
        (0.0, "nothing stated: 0", ["01/02"]),
    ]


def test_an_entry_says_what_no_sidecar_states(own):
    folder = own()
    stated = own()
    stated.edit_sidecars(StartTime=1.5)
    expected, _ = stated.responses()
    responses, note = folder.responses(slice_time_ref=0.75)
    np.testing.assert_array_equal(responses, expected)
    assert note["volume_times"][0]["by"] == "slice_time_ref"


def test_correction_without_start_time_is_told_once_in_log_and_sidecar(own, caplog):
    folder = own()
    folder.edit_sidecars(SliceTimingCorrected=True)
    with caplog.at_level(logging.WARNING):
        _, note = folder.responses()
    told = [record.getMessage() for record in caplog.records if "SliceTimingCorrected" in record.getMessage()]
    assert len(told) == 1 and "set slice_time_ref: 0.5" in told[0] and "run 01" in told[0]
    assert note["volume_times"][0]["by"] == "nothing stated: 0, though SliceTimingCorrected is true"
    caplog.clear()
    _, note = folder.responses(slice_time_ref=0.5)
    assert not caplog.records and note["volume_times"][0]["offset_s"] == 1.0


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"StartTime": 969}, r"sub-01, session 01, run 01: the sidecar states StartTime 969, expected .* to the repet"),
        ({"StartTime": -1.0}, "states StartTime -1, expected seconds from 0"),
        ({"StartTime": "1.0"}, r"_bold.json states StartTime '1.0', expected seconds"),
        ({"StartTime": True}, "states StartTime True, expected seconds"),
        ({"RepetitionTime": "2"}, r"_bold.json states RepetitionTime '2', expected seconds"),
        ({"RepetitionTime": 2000}, r"repetition times disagree \(header: 2 s, sidecar: 2000 s, facts: 2 s\)"),
        ({"VolumeTiming": [0, 2, 5, 7]}, r"VolumeTiming \[0, 2, 5, 7\]: volumes at irregular times are not read"),
        ({"VolumeTiming": [0, 3, 6]}, r"disagree \(header: 2 s, sidecar: 2 s, VolumeTiming: 3 s, facts: 2 s\)"),
    ],
)
def test_times_that_cannot_be_are_refused(own, stated, said):
    folder = own()
    folder.edit_sidecars(**stated)
    with pytest.raises(ValueError, match=said):
        folder.responses()


def test_an_entry_that_contradicts_the_sidecar_is_refused(own):
    folder = own()
    folder.edit_sidecars(**MIDDLE)
    with pytest.raises(
        ValueError, match=r"StartTime 1 s; entry: slice_time_ref 0 of 2 s, 0 s\); leave out slice_time_r"
    ):
        folder.responses(slice_time_ref=0)


def silent_header(value):
    def change(values, header):
        header["pixdim"][4] = value
        return values

    return change


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0])
def test_a_header_that_states_no_repetition_time_is_no_statement(own, value):
    folder = own()
    expected, _ = folder.responses()
    folder.edit_images("*preproc_bold.nii.gz", silent_header(value))
    np.testing.assert_array_equal(folder.responses()[0], expected)
    folder.edit_sidecars(RepetitionTime=None)  # the entry alone is left
    np.testing.assert_array_equal(folder.responses()[0], expected)


def test_a_header_that_states_another_repetition_time_is_refused(own):
    folder = own()
    folder.edit_images("*preproc_bold.nii.gz", silent_header(1.0))
    with pytest.raises(ValueError, match=r"disagree \(header: 1 s, sidecar: 2 s, facts: 2 s\)"):
        folder.responses()


@pytest.mark.parametrize("content", ['{"RepetitionTime": null, "StartTime": null}', '{"TaskName": "look"}', "{}"])
def test_a_sidecar_without_a_key_states_nothing_of_it(own, content):
    folder = own()
    expected, _ = folder.responses()
    for path in folder.files("*_bold.json"):
        path.write_text(content)
    responses, note = folder.responses()
    np.testing.assert_array_equal(responses, expected)
    assert note["volume_times"][0]["by"] == "nothing stated: 0"


def test_a_byte_order_mark_is_no_part_of_any_table_or_sidecar(own):
    folder = own()
    cleaned = {"confounds": ["motion6"]}
    folder.edit_sidecars(**MIDDLE)
    expected, _ = folder.responses(cleaned)
    for path in [*folder.files("*.json"), *folder.files("*.tsv")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(folder.responses(cleaned)[0], expected)


def test_a_sidecar_that_is_cut_off_is_refused_with_a_remedy_for_the_users_own_file(own):
    folder = own()
    path = folder.files("*_bold.json")[0]
    path.write_text('{"RepetitionTime": 2.0, ')
    with pytest.raises(ValueError) as error:  # when the files are looked into
        folder.responses()
    assert path.name in str(error.value) and "snakemake" not in str(error.value)


def test_sidecars_are_inherited_and_the_nearest_one_wins(own):
    folder = own(delay_s=1.0)
    for path in folder.files("*_bold.json"):
        path.unlink()
    base = folder.folder / "derivatives/fmriprep"
    (base / "task-look_bold.json").write_text('{"RepetitionTime": 2.0, "StartTime": 0.0, "SliceTimingCorrected": true}')
    (base / "task-rest_bold.json").write_text('{"RepetitionTime": 9.0}')
    (folder.prep / "sub-01_task-look_run-1_bold.json").write_text('{"StartTime": 1.0}')
    _, note = folder.responses()
    assert [(row["offset_s"], row["runs"]) for row in note["volume_times"]] == [(1.0, ["01/01"]), (0.0, ["01/02"])]
