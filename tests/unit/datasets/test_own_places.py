"""Where the volumes of a folder of one's own lie: orientation codes, names of spaces, numbers of axes."""

import json

import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.formats import bids, regions
from boldflow.vocabulary import spaces
from tests.made.own_bids import SHAPE, OwnFolder

SURFACE = {"space": "fsaverage5"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    def make(**changes):
        folder = OwnFolder(tmp_path / f"made{len(list(tmp_path.iterdir()))}", **changes)
        monkeypatch.chdir(folder.work)
        return folder

    return make


def coded(sform, qform):
    def change(values, header):
        header["sform_code"], header["qform_code"] = sform, qform
        return values

    return change


def test_volumes_without_orientation_codes_have_no_place_on_a_surface(own):
    folder = own()
    folder.edit_images("*.nii.gz", coded(0, 0))
    with pytest.raises(ValueError) as error:
        folder.responses(SURFACE)
    words = ("run-01", "preproc_bold.nii.gz has sform_code 0 and qform_code 0", "fslcpgeom", "space native")
    assert all(word in str(error.value) for word in words)
    responses, _ = folder.responses()  # voxels need no place
    np.testing.assert_allclose(responses[:10], folder.windows(1), atol=1e-4)


def test_a_later_run_without_codes_is_seen_too(own):
    folder = own()
    folder.edit_images("*run-02*.nii.gz", coded(0, 0))
    with pytest.raises(ValueError, match=r"run-02\S* has sform_code 0 and qform_code 0"):
        folder.responses(SURFACE)


@pytest.mark.parametrize("codes", [(0, 4), (4, 0), (1, 1), (2, 0), (0, 0)])
def test_one_code_is_enough(tmp_path, codes):
    image = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.diag([2, 2, 2, 1.0]))
    image.header["sform_code"], image.header["qform_code"] = codes
    assert bool(bids.unplaced("x.nii", image)) == (not any(codes))


def test_a_mask_without_codes_beside_bold_with_codes_is_told_as_that(own):
    folder = own()
    folder.edit_images("*brain_mask.nii.gz", coded(0, 0))
    with pytest.raises(ValueError, match=r"(?s)lie differently: .*brain_mask.nii.gz has sform_code 0 and qform_code 0"):
        folder.responses()


def test_a_region_on_a_surface_comes_from_a_volume_whose_place_is_known(tmp_path):
    image = nib.Nifti1Image(np.ones(SHAPE, np.uint8), None)
    image.to_filename(tmp_path / "region.nii.gz")
    assert "sform_code 0" in regions.read(tmp_path / "region.nii.gz", "volume").unplaced
    nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.diag([2, 2, 2, 1.0])).to_filename(tmp_path / "placed.nii.gz")
    assert not regions.read(tmp_path / "placed.nii.gz", "volume").unplaced


def test_templates_of_adults_are_known_by_name(own):
    folder = own(space="MNI152NLin6Asym_res-2")
    assert folder.responses(SURFACE, space="MNI152NLin6Asym_res-2")[0].shape[1] > 10_000
    named = ("MNI152NLin2009cSym", "MNI152NLin2009bAsym", "MNI152Lin", "MNI305", "MNI152NLin6Sym", "IXI549Space")
    assert {spaces.kind_of(space) for space in named} == {"MNI"}


@pytest.mark.parametrize(
    "space", ["MNIPediatricAsym_cohort-3", "MNIInfant_cohort-1", "MNI152Infant", "Talairach", "T1w"]
)
def test_other_spaces_are_refused_for_a_surface_with_those_that_fit(own, space):
    folder = own(space=space)
    kind = "native" if space == "T1w" else space.split("_")[0]
    with pytest.raises(ValueError, match=rf"needs BOLD in MNI space, found '{kind}'; .* MNI152NLin2009cAsym.*MNI305"):
        folder.responses(SURFACE, space=space)
    assert folder.responses(space=space)[0].shape == (20, int(np.prod(SHAPE)))


def test_a_space_that_the_derivatives_lack_is_refused_with_those_there_are(own):
    folder = own()
    folder.rename("_space-MNI152NLin2009cAsym_", "_space-T1w_", "*run-02*", copy=True)
    with pytest.raises(FileNotFoundError, match=r"MNI152NLin6Asym_desc.* in spaces \['MNI152NLin2009cAsym', 'T1w'\]"):
        folder.responses(space="MNI152NLin6Asym")
    with pytest.raises(FileNotFoundError, match="has neither"):
        folder.responses(space="MNI152NLin2009c")  # a part of a name is none


def test_spaces_of_the_subject_are_native():
    assert {spaces.kind_of(space) for space in ("T1w", "func", "boldref", "T1w_res-2")} == {"native"}
    assert spaces.kind_of("MNI152NLin2009cAsym_res-native") == "MNI"


@pytest.mark.parametrize("more", [(1,), (1, 1)])
def test_further_axes_of_length_one_are_dropped(own, more):
    folder = own()
    expected, _ = folder.responses()
    folder.edit_images("*brain_mask.nii.gz", lambda values, header: values.reshape(*values.shape, *more))
    np.testing.assert_array_equal(folder.responses()[0], expected)
    folder.edit_images("*preproc_bold.nii.gz", lambda values, header: values.reshape(*values.shape, *more))
    np.testing.assert_array_equal(folder.responses()[0], expected)


@pytest.mark.parametrize(
    ("pattern", "change", "said"),
    [
        (
            "*run-02*preproc_bold.nii.gz",
            lambda v, h: v[..., 0],
            r"run-02\S* has 3 axes, of shape \(5, 5, 4\); expected BO",
        ),
        (
            "*run-01*preproc_bold.nii.gz",
            lambda v, h: v[:, :, :, None],
            r"run-01\S* has 5 axes, of shape \(5, 5, 4, 1, 60",
        ),
        ("*run-02*mask.nii.gz", lambda v, h: np.stack([v, v], -1), r"mask.nii.gz has 4 axes, of shape \(5, 5, 4, 2\)"),
        (
            "*run-01*mask.nii.gz",
            lambda v, h: v[..., 0],
            r"mask.nii.gz has 2 axes, of shape \(5, 5\); expected one volume",
        ),
        ("*run-01*preproc_bold.nii.gz", lambda v, h: v[..., :1], r"run 01: a run of 1 volumes cannot be detrended"),
    ],
)
def test_other_numbers_of_axes_are_refused_with_the_files_name(own, pattern, change, said):
    folder = own()
    folder.edit_images(pattern, change)
    with pytest.raises(ValueError, match=said):
        folder.responses()


def test_another_plug_in_looks_at_axes_too(tmp_path):
    """The simulated study's mask, as one of a folder of one's own."""
    from boldflow.datasets.sim import reading
    from boldflow.datasets.sim.layout import BOLD_FOLDER

    folder = tmp_path / BOLD_FOLDER.format(subject="sub-01")
    folder.mkdir(parents=True)
    stem = "sub-01_ses-01_task-x_run-01_"
    nib.Nifti1Image(np.ones((*SHAPE, 2), np.uint8), np.eye(4)).to_filename(folder / f"{stem}mask.nii.gz")
    nib.Nifti1Image(np.ones(SHAPE, np.float32), np.eye(4)).to_filename(folder / f"{stem}bold.nii.gz")
    (folder / f"{stem}bold.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    with pytest.raises(ValueError, match=r"mask.nii.gz has 4 axes"):
        next(reading.bold_runs(tmp_path, "sub-01"))
    nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)).to_filename(folder / f"{stem}mask.nii.gz")
    with pytest.raises(ValueError, match=r"bold.nii.gz has 3 axes, of shape \(5, 5, 4\); expected BOLD"):
        next(reading.bold_runs(tmp_path, "sub-01"))


def test_a_volume_is_read_with_the_values_it_had_before_axes_were_dropped(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    nib.Nifti1Image(values.reshape(3, 4, 5, 6, 1), np.eye(4)).to_filename(tmp_path / "bold.nii.gz")
    np.testing.assert_array_equal(bids.bold(tmp_path / "bold.nii.gz")[1], values)
