"""What a split leaves out, and which pictures count as one though their pixels differ, is told with the reason."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from boldflow import catalogue
from boldflow.artifacts.store import sidecars, tables
from boldflow.core.splits import assignment, left_out
from boldflow.provenance import canonical
from boldflow.stages.trials import make_split
from boldflow.stages.trials._duplicates import ALIKE
from tests.made import own_folder
from tests.made.features import SCHEMAS

FACTS = {"images": True, "split_unit": "image", "tr_s": 2.0}


def split(folder, images, rule, packs=(), runs=2):
    n = len(images)
    trials = pd.DataFrame(
        {
            "subject": "sub-01", "session": "01", "run": [f"{1 + k * runs // n:02d}" for k in range(n)],
            "trial": range(1, n + 1), "image_id": images, "usable": [name != "bad" for name in images],
            "onset_s": [10.0 * k for k in range(n)],
        }
    )  # fmt: skip
    tables.write(folder / "trials.parquet", trials, {"data": "d"})
    entry = catalogue.handed({"splits": {"mine": rule}}, SCHEMAS, "splits", "mine", "make_split")
    make_split.run(
        trials=[str(folder / "trials.parquet")], packs=list(packs[:1]), tables_=list(packs[1:]),
        split=str(folder / "split.parquet"), sidecar=str(folder / "split.json"), dataset="mine",
        dataset_settings=canonical({"name": "mine", "plugin": "bids"}), settings=canonical(entry), response="",
        facts=json.dumps(FACTS), code="{}",
    )  # fmt: skip
    return sidecars.read(folder / "split.json")


def test_trials_of_other_runs_that_show_a_tested_picture_are_told(tmp_path, caplog):
    """As with test: run on pictures that both runs show: half of all trials are in no part."""
    images = [*"abcdefghijkl", *"abcdefmnopqr"] * 2
    with caplog.at_level(logging.WARNING):
        note = split(tmp_path, images, {"test": "run"}, runs=4)
    assert note["dropped"] == {"sub-01": {left_out.TESTED: 4 * 24}} and note["counts"]["folds"] == 4
    assert f"24 of 48 trials of sub-01 are in no part (mean of 4 folds): {left_out.TESTED}" in caplog.text


@pytest.mark.parametrize(
    ("images", "rule", "expected"),
    [
        (["a", "a", "b", "bad", "c"], {"test": "repeated"}, {left_out.UNUSABLE: 1}),
        (
            ["dog/1", "dog/1", "dog/2", "cat/1", "cow/1"],
            {"test": "repeated", "concept": "^([^/]+)/"},
            {left_out.CONCEPT: 1},
        ),
    ],
)
def test_other_reasons_are_told_apart(tmp_path, images, rule, expected):
    assert split(tmp_path, images, rule)["dropped"] == {"sub-01": expected}


def test_a_picture_that_is_validated_on_does_not_train_and_that_is_told():
    rng = np.random.default_rng(0)
    images = [*"tt", *rng.permutation(list("abcdefgh")), *"tt", *rng.permutation(list("abcdefgh"))]
    trials = pd.DataFrame(
        {"subject": "s", "session": "01", "run": ["1"] * 10 + ["2"] * 10, "trial": range(20), "image_id": images}
    ).assign(usable=True)
    trials.loc[20] = ["s", "01", "3", 21, "z", True]
    rule = {"test": "repeated", "min_repeats": 3, "val_fraction": 0.3, "seed": 1}
    table = assignment.make_split(trials, {name: name for name in images} | {"z": "z"}, rule, "image")
    counts = left_out.counts(table, left_out.reasons(trials, table, rule, "image"))
    assert counts == ({"s": {left_out.VALIDATED: 8}} if (table["part"] == "drop").any() else {})


def words(folder, texts):
    """Small letters on grey: a hash joins what the eye tells apart."""
    for text in texts:
        image = Image.new("RGB", (256, 256), (128, 128, 128))
        ImageDraw.Draw(image).text((120, 120), text, fill=(0, 0, 0))
        image.save(folder / f"{text}.png")


@pytest.mark.parametrize("duplicates", ["alike", "identical"])
def test_pictures_that_look_alike_and_differ_are_told_and_may_be_kept_apart(tmp_path, monkeypatch, caplog, duplicates):
    monkeypatch.chdir(tmp_path)
    mine = own_folder.make(tmp_path / "mine", ("cat.png", "car.png", "copy.png", "else.png"))
    words(mine / "stimuli", ["cat", "car"])
    (mine / "stimuli/copy.png").write_bytes((mine / "stimuli/cat.png").read_bytes())
    config = own_folder.entry(mine)
    own_folder.fetch(config)
    own_folder.fetch_pictures(config)
    packs = own_folder.pack(config)
    images = ["cat.png", "cat.png", "car.png", "else.png", "copy.png"]
    with caplog.at_level(logging.WARNING):
        note = split(tmp_path, images, {"test": "repeated", "duplicates": duplicates}, packs)
    is_alike = duplicates == "alike"
    group = {"mine/cat.png", "mine/copy.png", *(["mine/car.png"] if is_alike else [])}
    assert [set(names) for names in note["duplicate_groups"]] == [group]
    assert note["alike"] == ([["car.png", "cat.png"], ["car.png", "copy.png"]] if is_alike else [])
    assert ("2 pairs of pictures count as one though their pixels differ" in caplog.text) == is_alike
    assert (ALIKE in note["grouped_by"]) == is_alike
