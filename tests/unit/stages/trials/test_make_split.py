"""The split's stage where no pictures are at hand: names group, and the sidecar says that nothing else did."""

import json

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import sidecars, tables
from boldflow.core.responses import cleaning
from boldflow.runs.checksums import of_subject
from boldflow.settings import read_entry
from boldflow.stages.trials import _duplicates, make_split

ONE, COPY, OTHER = "COCO_train2014_000000000001.jpg", "coco/000000000001.jpg", "COCO_train2014_000000000002.jpg"
RULE = {"test": "repeated", "min_repeats": 2, "val_fraction": 0, "against": ["god"], "seed": 33}
RULE |= {"name": "repeated", "temporal_leak": "refused"}
FACTS = {"images": True, "split_unit": "image"}


def run(folder, images, rule=RULE, usable=None, response="", every_s=10.0):
    n = len(images)
    trials = pd.DataFrame(
        {
            "subject": "sub-1", "session": "01", "run": "01", "trial": range(1, n + 1), "image_id": images,
            "usable": usable or [True] * n,
            "onset_s": [every_s * k for k in range(n)],
        }
    )  # fmt: skip
    tables.write(folder / "trials.parquet", trials, {"data": "d"})
    make_split.run(
        trials=[str(folder / "trials.parquet")],
        packs=[],
        tables_=[],
        split=str(folder / "split.parquet"),
        sidecar=str(folder / "split.json"),
        dataset="bold5000",
        dataset_settings=json.dumps({"name": "bold5000", "plugin": "bold5000"}),
        settings=json.dumps(rule),
        response=json.dumps(response) if response else "",
        facts=json.dumps(FACTS | {"tr_s": 2.0}),
        code="{}",
    )
    split = tables.read(folder / "split.parquet").merge(trials, on=["subject", "session", "run", "trial"])
    return split, sidecars.read(folder / "split.json")


def test_pictures_with_one_coco_number_are_one_picture(tmp_path):
    split, note = run(tmp_path, [ONE, OTHER, "a.jpg", COPY])
    assert split.loc[split["part"] == "test", "image_id"].tolist() == [ONE, COPY]
    assert note["duplicate_groups"] == [[f"bold5000/{ONE}", f"bold5000/{COPY}"]]
    assert [overlap["found_by"] for overlap in note["overlaps"]] == ["COCO number"]
    assert note["grouping"] == "identity" and note["grouped_by"] == ["image_id", "COCO number"]
    assert note["not_compared_with"] == ["god"] and note["published"] is None


def test_a_label_carries_the_coco_number_of_pictures_with_other_names():
    """As NSD's pictures are called by their row in the brick."""
    images = {"bold5000": [ONE, OTHER, "rep_a.jpg"], "nsd": ["nsd-00000", "nsd-00001", "nsd-00002"]}
    table = pd.DataFrame({"image_id": images["nsd"], "label_coco_id": ["7", "1", None]})
    bold5000 = pd.DataFrame({"image_id": images["bold5000"]})
    overlaps = _duplicates.same_names(_duplicates.Stimuli(images, {"bold5000": bold5000, "nsd": table}, {}))
    assert overlaps == [_duplicates.Overlap("bold5000", ONE, "nsd", "nsd-00001", "COCO number")]
    assert _duplicates.same_names(_duplicates.Stimuli(images, {}, {})) == []


def test_the_published_rule_stands_beside_the_mended_one(tmp_path):
    first = make_split._named({"test": "named", "names": "repeated-113"}, "bold5000", pd.DataFrame())[0]
    assert first.startswith("COCO_train2014_")
    copy = f"coco/{first.split('_')[2]}"
    split, note = run(tmp_path, [first, OTHER, copy], RULE | {"test": "named", "names": "repeated-113"})
    assert split["part"].tolist() == ["test", "train", "test"]
    published = note["published"]
    assert published["test_set"] == "repeated-113" and published["pictures"] == 113 and not published["same"]
    assert len(published["never_shown"]) == 112 and first not in published["never_shown"]
    assert published["mended"] == [{"image_id": copy, "part": "test", "trials": 1}]


def test_pictures_of_trials_that_are_not_usable_are_dropped(tmp_path):
    split, note = run(tmp_path, [ONE, ONE, OTHER, "catch.jpg"], usable=[True, True, True, False])
    assert split["part"].tolist() == ["test", "test", "train", "drop"]
    assert note["counts"]["trials"] == {"sub-1": {"drop": 1, "test": 2, "train": 1}}


def test_nothing_repeated_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no picture was shown 2 times"):
        run(tmp_path, [ONE, OTHER])


@pytest.mark.parametrize(("every_s", "parts"), [(10.0, "train train test test"), (4.0, "train drop test test")])
def test_windows_that_overlap_a_test_trials_leave_training_and_are_counted(tmp_path, every_s, parts):
    """Windows of four volumes of 2 s: trials 10 s apart share none, trials 4 s apart do."""
    response = {"name": "bold-2to9s", "start_s": 2.0, "duration_s": 7.0}
    split, note = run(tmp_path, [OTHER, "a.jpg", ONE, ONE], response=response, every_s=every_s)
    assert split["part"].tolist() == parts.split()
    assert note["windows"] == {"of": "bold-2to9s", "start_s": 2.0, "n_volumes": 4}
    assert note["dropped_for_overlap"] == {"sub-1": parts.count("drop")}
    assert note["counts"]["trials"]["sub-1"]["test"] == 2
    _, plain = run(tmp_path, [OTHER, "a.jpg", ONE, ONE], every_s=every_s)
    assert "windows" not in plain and "dropped_for_overlap" not in plain


def test_windows_share_no_volume_wherever_volumes_lie_within_the_tr():
    """Witness: the volumes of each window at 40 offsets, as responses cut them; trials at any times."""
    tr_s, rng = 2.0, np.random.default_rng(8)
    trials = pd.DataFrame({"subject": "sub-1", "session": "1", "run": "1", "trial": range(400)})
    trials["onset_s"] = np.sort(rng.uniform(0, 4000, 400)).round(2)
    part = np.where(rng.random(400) < 0.1, "test", "train")
    table = trials.drop(columns="onset_s").assign(fold=0, unit="u", part=part)
    entry = {"name": "bold", "start_s": 4.0, "duration_s": 6.0}
    apart, _ = make_split._apart(trials, table, entry, tr_s)
    shares_some = np.zeros(400, dtype=bool)
    for offset_s in np.linspace(0, tr_s, 40, endpoint=False):
        first = cleaning.first_volumes(trials["onset_s"], 4.0, tr_s, offset_s)
        shares_some |= (np.abs(first[:, None] - first[part == "test"]) < 3).any(axis=1)
    kept, dropped = (apart["part"] == name for name in ("train", "drop"))
    assert not (kept & shares_some).any() and 30 < dropped.sum() < 150
    assert (dropped & ~shares_some).sum() <= 2, "hardly any is dropped for nothing: 40 offsets are not all"


def test_a_subject_that_is_added_leaves_the_checksums_of_the_others(tmp_path):
    """And they are those of the table that lies beside, by which a job knows that nothing has changed for it."""
    images = ["a.jpg", "b.jpg", "a.jpg", "c.jpg"]
    _, before = run(tmp_path, images)
    first = tables.read(tmp_path / "trials.parquet")
    tables.write(tmp_path / "more.parquet", first.assign(subject="sub-2"), {"data": "d"})
    make_split.run(
        trials=[str(tmp_path / "trials.parquet"), str(tmp_path / "more.parquet")],
        packs=[], tables_=[], split=str(tmp_path / "split.parquet"), sidecar=str(tmp_path / "split.json"),
        dataset="bold5000", dataset_settings=json.dumps({"name": "bold5000", "plugin": "bold5000"}),
        settings=json.dumps(RULE), response="", facts=json.dumps(FACTS | {"tr_s": 2.0}), code="{}",
    )  # fmt: skip
    after = sidecars.read(tmp_path / "split.json")
    assert set(after["rows_by_subject"]) == {"sub-1", "sub-2"}
    assert after["rows_by_subject"]["sub-1"] == before["rows_by_subject"]["sub-1"]
    assert after["table_sha256"] != before["table_sha256"]
    assert of_subject(tmp_path / "split.parquet", "sub-1") == before["rows_by_subject"]["sub-1"]


def test_another_rule_is_another_split_for_all_subjects(tmp_path):
    _, before = run(tmp_path, ["a.jpg", "b.jpg", "a.jpg", "c.jpg"])
    _, after = run(tmp_path, ["a.jpg", "b.jpg", "a.jpg", "c.jpg"], RULE | {"seed": 99})
    assert before["rows_by_subject"] != after["rows_by_subject"]


def blocked(folder, block, whole_runs=False, **rule):
    """Faces and houses, two runs of 24 pictures that come in blocks; a third of the pictures is shown again."""
    shown = [f"{kind}-{k:02d}.png" for k in range(0, 24, block) for kind in ("face", "house") for _ in range(block)]
    images = [f"{name[:-4]}-{n}.png" for n, name in enumerate(shown)]
    images = images[:24] + images[:8] + images[24:]
    names = sorted(set(images))
    stimuli = pd.DataFrame({"image_id": names, "label_kind": [name.split("-")[0] for name in names]})
    rows = pd.DataFrame({"subject": "s", "session": "1", "run": "1", "trial": range(len(images)), "image_id": images})
    table = pd.DataFrame({"part": ["test", "train"] * 28, "fold": 0}).iloc[: len(rows)]
    table = pd.concat([rows[["subject", "session", "run"]], table], axis=1)
    if whole_runs:
        table = table.assign(part="train")
    pictures = _duplicates.Stimuli({"made": names}, {"made": stimuli}, {})
    entry = read_entry(json.dumps(RULE | rule | {"section": "splits", "rule": "make_split"}))
    return make_split._label_in_blocks(rows.assign(usable=True), table, entry, pictures, "image")


def test_categories_in_blocks_within_runs_that_are_split_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(ValueError, match=r"share their kind .* comes in blocks.*test: run.*temporal_leak to accepted"):
        blocked(tmp_path, 6)
    assert "comes in blocks" in blocked(tmp_path, 6, temporal_leak="accepted")["temporal_leak"]


def test_categories_that_take_turns_are_no_blocks(tmp_path):
    assert blocked(tmp_path, 1) == {}


def test_runs_that_stay_whole_may_have_blocks_and_the_label_is_noted(tmp_path):
    whole = blocked(tmp_path, 6, whole_runs=True)
    assert whole == {"label_in_blocks": "kind"}
    assert blocked(tmp_path, 1, whole_runs=True) == {}


@pytest.mark.parametrize(("apart_s", "parts"), [(4.0, "train train test test"), (4.1, "train drop test test")])
def test_trials_close_in_time_to_a_test_trial_leave_training_and_are_counted(tmp_path, apart_s, parts):
    split, note = run(tmp_path, [OTHER, "a.jpg", ONE, ONE], RULE | {"apart_s": apart_s}, every_s=4.0)
    assert split["part"].tolist() == parts.split()
    assert note["apart_s"] == apart_s and note["dropped_in_time"] == {"sub-1": parts.count("drop")}


def test_trials_without_onsets_cannot_be_kept_apart_in_time(tmp_path):
    with pytest.raises(ValueError, match=r"apart_s: 4 of 4 trials have no onset.*whole runs"):
        run(tmp_path, [OTHER, "a.jpg", ONE, ONE], RULE | {"apart_s": 2.0}, every_s=float("nan"))
    with pytest.raises(ValueError, match="40 s between onsets leave sub-1 no training trials in fold 0"):
        run(tmp_path, [OTHER, "a.jpg", ONE, ONE], RULE | {"apart_s": 40.0})


def test_what_is_dropped_in_time_is_counted_by_class():
    rows = pd.DataFrame({"subject": "s", "session": "1", "run": "1", "trial": range(5), "onset_s": [0, 3, 6, 20, 23.0]})
    rows = rows.assign(image_id=["f1", "h1", "f2", "h2", "f3"])
    table = rows[["subject", "session", "run", "trial"]].assign(
        fold=0, part=["train", "train", "test", "train", "train"]
    )
    labels = pd.DataFrame({"kind": {"f1": "face", "f2": "face", "f3": "face", "h1": "house", "h2": "house"}})
    apart, note = make_split._apart_in_time(rows, table, 6.5, labels)
    assert apart["part"].tolist() == ["drop", "drop", "test", "train", "train"]
    assert note["dropped_by_class"] == {"kind": {"face": 1, "house": 1}}
