"""Pictures that come twice, and splits that were tampered with: rows 5 and 6."""

import io
import os

import pytest
from PIL import Image

from boldflow.artifacts.store import sidecars, tables

pytestmark = pytest.mark.end_to_end
PICTURES = "resources/clones/sim-tiny/stimuli"
STUDY = ("--config", "study=demo-tiny")
RESULT = "results/sim-tiny/{}/bold-4to10s-fsaverage5/gabor/dummy/repeated"
SPLIT = "results/sim-tiny/splits/repeated.parquet"


def reencoded(content, quality):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_copies_of_test_pictures_never_train_and_are_listed(study):
    """Under training pictures' names: a JPEG of a test picture, and another test picture as it is. Then a second data
    set with the same pictures."""
    study.plant(f"{PICTURES}/face_train-001.png", reencoded(study.read(f"{PICTURES}/face_test-001.png"), 70))
    study.plant(f"{PICTURES}/object_train-002.png", study.read(f"{PICTURES}/object_test-002.png"))
    tiny = "{plugin: sim, n_runs: 4, n_train_images: 48, n_test_images: 12, voxel_mm: 6.0, image_size: 64}"
    study.edit("config/config.yaml", f"  sim-tiny: {tiny}\n", f"  sim-tiny: {tiny}\n  sim-twin: {tiny}\n")
    rule = "  repeated: {test: repeated, min_repeats: 2}\n"
    study.edit(
        "config/config.yaml",
        rule,
        rule + rule.replace("repeated:", "against:").replace("2}", "2, against: [sim-twin]}"),
    )
    against = "results/sim-tiny/splits/against"
    study.snakemake(SPLIT, f"{against}.parquet", "-R", "pack_stimuli", *STUDY)

    note = sidecars.read(study.folder / SPLIT.replace(".parquet", ".json"))
    listed = {(o["image_id"], o["other_image_id"]): o["found_by"] for o in note["overlaps"]}
    assert listed == {
        ("face_train-001.png", "face_test-001.png"): "perceptual hash and aligned correlation",
        ("object_train-002.png", "object_test-002.png"): "pixels",
    }
    split = tables.read(study.folder / SPLIT)
    seen = [tables.read(study.folder / f"results/sim-tiny/sub-0{k}/trials.parquet") for k in (1, 2, 3)]
    for trials in seen:
        own = trials.merge(split, on=["subject", "session", "run", "trial"])
        parts = own.groupby("image_id")["part"].agg(set)
        copies = ["face_train-001.png", "object_train-002.png", "face_test-001.png", "object_test-002.png"]
        assert all(parts[name] == {"test"} for name in copies), "a copy goes where its original is"
        units = own.groupby("part")["unit"].agg(set)
        assert not units["train"] & units["test"]

    across = [
        o for o in sidecars.read(study.folder / f"{against}.json")["overlaps"] if o["other_dataset"] == "sim-twin"
    ]
    twins = {o["image_id"] for o in across if o["image_id"] == o["other_image_id"] and o["found_by"] == "pixels"}
    assert len(twins) == 58, "all pictures but the two that were replaced"
    assert {"face_train-001.png", "object_train-002.png"} <= {o["image_id"] for o in across}

    study.mend()
    study.snakemake(SPLIT, "-R", "pack_stimuli", *STUDY)
    assert study.read(SPLIT) == (study.whole / SPLIT).read_bytes()


def test_a_split_in_which_a_picture_crosses_is_refused_by_training_and_by_scoring(study):
    file = study.folder / SPLIT
    was, whole = file.stat(), file.read_bytes()
    split, sidecar = tables.read(file), tables.sidecar(file)
    name = split.loc[split["part"] == "test", "unit"].iloc[0]
    one = split.index[(split["unit"] == name) & (split["subject"] == "sub-03")][0]
    split.loc[one, "part"] = "train"
    tables.write(file, split, sidecar)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    train, score = f"{RESULT.format('sub-01')}/predictions.npy", f"{RESULT.format('sub-02')}/scores.parquet"
    said = f"ValueError: 1 units are both in train and in test, the first are {name} (fold 0)"
    study.fails(train, score, says=[f"train_model: {said}", f"score_model: {said}"])
    file.write_bytes(whole)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    study.completes(train, score)
