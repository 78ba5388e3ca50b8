"""Files that are cut short, and a disk that is full: rows 12 and 20."""

import pytest

pytestmark = pytest.mark.end_to_end
RESULT = "results/sim-tiny/{}/bold-4to10s-fsaverage5"
LABELS = f"{RESULT}/labels/ridge/repeated"
DUMMY = f"{RESULT}/gabor/dummy/repeated"


def test_files_cut_short_are_refused_with_name_and_bytes(study):
    study.edit("config/config.yaml", "  gabor: {}\n", "  gabor: {}\n  gabor-again: {plugin: gabor}\n")
    files = {
        "results/sim-tiny/stimuli.h5": "HDF5",
        "results/sim-tiny/sub-01/trials.parquet": "Parquet",
        f"{RESULT.format('sub-02')}/responses.npy": ".npy",
        f"{DUMMY.format('sub-03')}/model.safetensors": "safetensors",
    }
    says = []
    for path, kind in files.items():
        content = study.read(path)[: -len(study.read(path)) // 3]
        study.plant(path, content)
        says.append(f"{path} ({len(content)} bytes) is not whole {kind}: ")
    targets = [
        f"{LABELS.format('sub-01')}/predictions.npy",
        f"{LABELS.format('sub-02')}/predictions.npy",
        f"{DUMMY.format('sub-03')}/scores.parquet",
    ]
    again = "results/sim-tiny/features/gabor-again.npy"
    study.fails(again, *targets, says=says)
    study.mend()
    study.completes(*targets)


def test_a_full_disk_leaves_no_half_file_and_says_what_is_free(study):
    """Files may grow to 200 kB: the responses of a subject, a model's weights and the pictures are larger."""
    responses = f"{RESULT.format('sub-01')}/responses.npy"
    weights = f"{LABELS.format('sub-02')}/model.safetensors"
    study.fails(
        responses,
        weights,
        says=[f"while writing {responses}: ", f"while writing {weights}: ", "bytes are free there"],
        largest=200_000,
    )
    study.completes(responses, weights)
    pictures = "results/sim-tiny/stimuli.h5"
    study.fails(pictures, says=[f"while writing {pictures}: ", "bytes are free there"], largest=200_000)
    study.completes(pictures)
