"""Splits: what crosses, what is counted, what is refused."""

import numpy as np
import pandas as pd
import pytest

from boldflow.core.splits import assignment


def trials_of(images, subject="s1", per_run=4):
    n = len(images)
    return pd.DataFrame(
        {
            "subject": subject,
            "session": "01",
            "run": [f"{i // per_run + 1:02d}" for i in range(n)],
            "trial": [i % per_run + 1 for i in range(n)],
            "image_id": list(images),
            "usable": True,
        }
    )


RULE = {"test": "repeated", "min_repeats": 2, "val_fraction": 0.0, "seed": 33}


def same(images):
    return {name: name for name in images}


def test_every_presentation_of_a_repeated_picture_is_tested_the_first_one_too():
    trials = trials_of("abcdaefgahij")
    split = assignment.make_split(trials, same("abcdefghij"), RULE, "image")
    tested = split.merge(trials)[lambda t: t["part"] == "test"]
    assert list(tested["image_id"]) == ["a", "a", "a"]


def test_a_duplicate_under_another_name_goes_to_the_same_side():
    trials = trials_of("abcdaefgxhij")
    groups = assignment.duplicate_groups("abcdefghijx", [("x", "a"), ("h", "x")])
    split = assignment.make_split(trials, groups, RULE, "image").merge(trials)
    assert set(split.loc[split["part"] == "test", "image_id"]) == {"a", "x", "h"}
    assert groups["h"] == "a"


def test_what_one_subject_saw_twice_is_tested_in_all():
    trials = pd.concat([trials_of("aabc"), trials_of("abcdaa"[:4], "s2")])
    split = assignment.make_split(trials, same("abcd"), RULE, "image").merge(trials)
    assert set(split.loc[split["part"] == "test", "image_id"]) == {"a"}


def test_each_run_is_tested_once_and_never_trains_its_own_fold():
    trials = trials_of([f"b{i}" for i in range(12)])
    split = assignment.make_split(trials, {}, RULE | {"test": "run"}, "run")
    assert split["fold"].nunique() == 3
    tests = split[split["part"] == "test"]
    assert sorted(zip(tests["run"], tests["trial"], strict=True)) == sorted(
        zip(trials["run"], trials["trial"], strict=True)
    )
    assert (tests.groupby("fold").size() == 4).all()


def test_leaving_runs_out_where_pictures_repeat_over_runs_drops_their_training_copies():
    trials = trials_of("abcdaefghijk")
    split = assignment.make_split(trials, same("abcdefghijk"), RULE | {"test": "run"}, "image").merge(trials)
    fold = split[split["fold"] == 0]
    assert fold.loc[(fold["image_id"] == "a") & (fold["run"] == "02"), "part"].tolist() == ["drop"]


def test_validation_takes_whole_runs_and_no_picture_of_training():
    images = [f"i{n}" for n in range(40)]
    images[30] = images[3]
    rule = {"test": "repeated", "min_repeats": 3, "val_fraction": 0.25, "seed": 1}
    trials = pd.concat([trials_of(images), trials_of(["t", "t", "t", "u"], "s1", 4).assign(run="99")])
    split = assignment.make_split(trials, same([*images, "t", "u"]), rule, "image").merge(trials)
    by_part = split.groupby("part")["image_id"].agg(set)
    assert not by_part["train"] & by_part["val"] and len(by_part["val"])
    val_runs = set(split.loc[split["part"] == "val", "run"])
    assert "train" not in set(split.loc[split["run"].isin(val_runs), "part"])


def test_unusable_trials_are_dropped_and_counted():
    trials = trials_of("aabcdefg").assign(usable=[True] * 7 + [False])
    split = assignment.make_split(trials, same("abcdefg"), RULE, "image")
    counts = assignment.summary(split)
    assert counts["trials"]["s1"] == {"drop": 1, "test": 2, "train": 5}
    assert counts["folds"] == 1


def test_a_planted_crossing_is_refused_by_name():
    split = assignment.make_split(trials_of("aabc"), same("abc"), RULE, "image")
    split.loc[1, "part"] = "train"
    with pytest.raises(ValueError, match=r"1 units are both in train and in test, the first are a \(fold 0\)"):
        assignment.check_no_crossing(split)


def test_an_image_that_is_no_stimulus_is_refused_by_name():
    with pytest.raises(ValueError, match=r"1 images .* no stimuli .*, the first are \['z'\]"):
        assignment.make_split(trials_of("aabz"), same("ab"), RULE, "image")


def test_nothing_repeated_is_refused():
    with pytest.raises(ValueError, match="no picture was shown 2 times"):
        assignment.make_split(trials_of("abcd"), same("abcd"), RULE, "image")


def test_a_subject_without_training_trials_is_refused():
    with pytest.raises(ValueError, match="leaves s1 no train trials"):
        assignment.make_split(trials_of("aabb"), same("ab"), RULE, "image")


def test_order_of_rows_does_not_matter():
    trials = trials_of("abcdaefgahij")
    shuffled = trials.iloc[np.random.default_rng(0).permutation(len(trials))]
    pd.testing.assert_frame_equal(
        assignment.make_split(trials, same("abcdefghij"), RULE, "image"),
        assignment.make_split(shuffled, same("abcdefghij"), RULE, "image"),
    )


NAMED = {"test": "named", "names": "published", "val_fraction": 0.0, "seed": 33}


def test_named_pictures_are_tested_wherever_they_are_shown_and_copies_of_them_too():
    trials = pd.concat([trials_of("abcdae"), trials_of("xbcd", "s2")])
    groups = assignment.duplicate_groups("abcdex", [("x", "a")])
    split = assignment.make_split(trials, groups, NAMED, "image", ["a", "zz"]).merge(trials)
    assert sorted(split.loc[split["part"] == "test", "image_id"]) == ["a", "a", "x"]
    changed = assignment.mended(trials, split.drop(columns=["image_id", "usable"]), ["a", "zz"])
    assert changed.to_dict(orient="records") == [{"image_id": "x", "part": "test", "trials": 1}]


def test_names_that_nobody_saw_are_refused():
    with pytest.raises(ValueError, match="none of the 2 pictures of 'published' is shown to any subject"):
        assignment.make_split(trials_of("abcd"), same("abcd"), NAMED, "image", ["y", "z"])


def test_a_tested_concept_trains_nowhere_and_names_without_one_stay():
    images = ["dog/1", "dog/2", "cat/1", "cat/2", "axe", "dog/1"]
    trials = trials_of(images)
    rule = NAMED | {"concept": "^([^/]+)/"}
    split = assignment.make_split(trials, same(images), rule, "image", ["dog/1"]).merge(trials)
    assert dict(zip(split["image_id"], split["part"], strict=True)) == {
        "dog/1": "test", "dog/2": "drop", "cat/1": "train", "cat/2": "train", "axe": "train",
    }  # fmt: skip
    with pytest.raises(
        ValueError, match=r"concept '\^n\(.\)' matches no test picture; the first are \['dog/1', 'dog/1'\]"
    ):
        assignment.make_split(trials, same(images), NAMED | {"concept": "^n(.)"}, "image", ["dog/1"])


def test_a_share_of_each_subjects_runs_is_tested_and_its_pictures_train_in_nobody():
    trials = pd.concat([trials_of([f"i{n}" for n in range(40)]), trials_of([f"i{n}" for n in range(20, 60)], "s2")])
    rule = {"test": "runs", "test_fraction": 0.2, "val_fraction": 0.0, "seed": 1}
    split = assignment.make_split(trials, same([f"i{n}" for n in range(60)]), rule, "image").merge(trials)
    tested = split[split["part"] == "test"]
    runs = tested.groupby("subject")["run"].nunique()
    assert (runs >= 2).all() and set(split["fold"]) == {0}
    assert not set(tested["image_id"]) & set(split.loc[split["part"] == "train", "image_id"])
    again = assignment.make_split(trials, same([f"i{n}" for n in range(60)]), rule, "image").merge(trials)
    pd.testing.assert_frame_equal(split, again)
    other = assignment.make_split(trials, same([f"i{n}" for n in range(60)]), rule | {"seed": 2}, "image").merge(trials)
    assert not (other["part"] == split["part"]).all()


def test_pictures_of_unusable_trials_need_not_be_stimuli():
    trials = trials_of("aabcz").assign(usable=[True] * 4 + [False])
    split = assignment.make_split(trials, same("abc"), RULE, "image").merge(trials)
    assert split.loc[split["image_id"] == "z", "part"].tolist() == ["drop"]


@pytest.mark.parametrize("n_volumes", [1, 2, 4, 7])
def test_training_trials_that_share_a_volume_with_a_test_trial_are_dropped(n_volumes):
    """Witness: sets of volumes, trial against trial."""
    rng = np.random.default_rng(n_volumes)
    keys = [(s, "01", r, t) for s in "ab" for r in ("1", "2", "3") for t in range(20)]
    table = pd.DataFrame(keys, columns=assignment.TRIAL).assign(fold=0, unit="u")
    table["part"] = rng.choice(["train", "val", "test", "drop"], len(table), p=[0.6, 0.15, 0.1, 0.15])
    table.loc[table["run"] == "3", "part"] = "train"  # a run without test trials keeps all
    first = pd.Series(np.sort(rng.integers(0, 90, len(table))), index=pd.MultiIndex.from_frame(table[assignment.TRIAL]))
    first = first.sample(frac=1, random_state=0)
    found = assignment.apart(table, first, n_volumes, "windows")
    volumes = [set(range(first[tuple(key)], first[tuple(key)] + n_volumes)) for key in table[assignment.TRIAL].values]
    run = (table["subject"] + table["run"]).tolist()
    for k, part in enumerate(table["part"]):
        tests = [volumes[j] for j in range(len(table)) if run[j] == run[k] and table["part"][j] == "test"]
        shares = part in ("train", "val") and any(volumes[k] & one for one in tests)
        assert found["part"][k] == ("drop" if shares else part)
    assert (found["part"] != table["part"]).any()


def test_windows_that_leave_nothing_to_train_on_are_refused():
    table = pd.DataFrame([("a", "01", "1", t, 0, "u", "test" if t == 2 else "train") for t in range(4)])
    table.columns = assignment.COLUMNS
    first = pd.Series(range(4), index=pd.MultiIndex.from_frame(table[assignment.TRIAL]))
    with pytest.raises(ValueError, match="windows of 3 volumes leave a no training trials in fold 0"):
        assignment.apart(table, first, 3, "windows of 3 volumes")


def test_folds_deal_pictures_with_their_duplicates_evenly_and_test_each_once():
    images = [f"{k:02d}.png" for k in range(23) for _ in range(2)]
    groups = same(images) | {"01.png": "00.png"}
    rule = RULE | {"test": "folds", "n_folds": 5}
    split = assignment.make_split(trials_of(images), groups, rule, "image")
    tested = split[split["part"] == "test"]
    assert tested.groupby(["run", "trial"]).size().eq(1).all() and len(tested) == len(images)
    sizes = tested.groupby("fold")["unit"].nunique()
    assert len(sizes) == 5 and sizes.max() - sizes.min() <= 1
    assert tested.groupby("unit")["fold"].nunique().eq(1).all() and "01.png" not in set(tested["unit"])
    again = assignment.make_split(trials_of(images), groups, rule | {"seed": 1}, "image")
    assert not again["part"].equals(split["part"])


def test_more_folds_than_pictures_are_refused():
    with pytest.raises(ValueError, match="3 pictures or runs cannot be dealt into 5 folds"):
        assignment.make_split(trials_of(list("abc")), same("abc"), RULE | {"test": "folds", "n_folds": 5}, "image")
