"""Splits: which trials train, validate, test; no picture with its duplicates ever on both sides.

A split is a table with a row per trial and fold: subject, session, run, trial, fold (int from 0), unit (the picture's
duplicate group, or the run) and part ("train", "val", "test" or "drop").
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from sklearn.model_selection import GroupKFold

TRIAL = ["subject", "session", "run", "trial"]
COLUMNS = [*TRIAL, "fold", "unit", "part"]


def duplicate_groups(image_ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join pictures that are the same into groups.

    Parameters
    ----------
    image_ids : iterable of str
    pairs : iterable of (str, str)
        Pictures found to be the same.

    Returns
    -------
    dict
        image_id -> name of its group, the group's first image_id in alphabetical order.
    """
    ids = list(image_ids)
    disjoint_set = DisjointSet(ids)
    for image_id, other_id in pairs:
        disjoint_set.merge(image_id, other_id)
    group_of = {image_id: min(group) for group in disjoint_set.subsets() for image_id in group}
    return {image_id: group_of[image_id] for image_id in ids}


def make_split(
    trials: pd.DataFrame, groups: dict[str, str], rule: Mapping[str, Any], unit: str, names: Iterable[str] = ()
) -> pd.DataFrame:
    """Split the trials of a data set by a rule of the catalogue.

    Parameters
    ----------
    trials : DataFrame
        Of all subjects: subject, session, run, trial, image_id, usable.
    groups : dict
        image_id -> duplicate group, of all stimuli. A picture of unusable trials alone may lack one.
    rule : dict
        ``test`` ("repeated": pictures that some subject saw at least ``min_repeats`` times; "named": those of
        ``names``; both with all their presentations; "run": each run in turn, one fold a run; "runs": a share of each
        subject's runs, ``test_fraction``; "folds": each of ``n_folds`` parts of the units in turn), ``min_repeats``,
        ``test_fraction``, ``n_folds``, ``val_fraction`` (share of the runs that are not test, per subject), ``seed``,
        ``concept`` (regular expression whose first group is the concept in an image_id; pictures of a tested concept
        do not train).
    unit : {"image", "run"}
        What never crosses from train to test.
    names : iterable of str
        The pictures of a published test set, for the rule "named".

    Returns
    -------
    DataFrame with ``COLUMNS``, sorted by fold, subject, session, run, trial.

    Raises
    ------
    ValueError
        If the rule finds nothing to test or to train on, or does not suit the unit; if a usable trial's picture is no
        stimulus.
    """
    trials = trials.sort_values(TRIAL, kind="stable").reset_index(drop=True)
    run = trials["subject"] + "|" + trials["session"] + "|" + trials["run"]
    units = trials["image_id"].map(groups) if unit == "image" else run
    lost_images = trials.loc[units.isna() & trials["usable"], "image_id"].unique()
    if len(lost_images):
        lost_text = f"{len(lost_images)} images of the trial table are no stimuli (of which there are {len(groups)})"
        close_names = [difflib.get_close_matches(str(name), groups, n=1) for name in lost_images[:5]]
        nearest_text = f"; the nearest known are {[names[0] if names else None for names in close_names]}"
        raise ValueError(
            f"{lost_text}, the first are {list(lost_images[:5])}{nearest_text if any(close_names) else ''}"
        )
    units = units.fillna(trials["image_id"])  # such as catch trials, which are dropped
    test_masks = _tests(trials, units, run, rule, set(names))
    fold_splits = [_one_fold(trials, units, run, is_test, rule, fold) for fold, is_test in enumerate(test_masks)]
    split = pd.concat(fold_splits, ignore_index=True)
    check_no_crossing(split)
    return split


def apart(split: pd.DataFrame, times: pd.Series, least_apart: float, what: str) -> pd.DataFrame:
    """Drop training and validation trials that lie close to a test trial of their run.

    Parameters
    ----------
    split : DataFrame
        From ``make_split``.
    times : Series of int or float
        When each trial is, indexed by ``TRIAL``: its onset in volumes or in seconds.
    least_apart : float
        Trials nearer than this to a test trial are dropped, in the unit of ``times``.
    what : str
        What is kept apart, in words, for an error: "windows of 4 volumes".

    Returns
    -------
    DataFrame
        The split, with part "drop" for those trials.

    Raises
    ------
    ValueError
        If that leaves a subject without training trials in a fold.
    """
    trial_times = times.loc[pd.MultiIndex.from_frame(split[TRIAL])].to_numpy()  # (n_rows,)
    is_dropped = np.zeros(len(split), dtype=bool)
    part = split["part"].to_numpy()
    for rows in split.groupby(["fold", *TRIAL[:3]], sort=False).indices.values():
        test_times = np.sort(trial_times[rows[part[rows] == "test"]])  # (n_tests,)
        if not len(test_times):
            continue
        train_rows = rows[np.isin(part[rows], ("train", "val"))]
        test_index = np.searchsorted(test_times, trial_times[train_rows]).clip(1, len(test_times)) - 1
        next_index = np.minimum(test_index + 1, len(test_times) - 1)
        near_times = np.stack([test_times[test_index], test_times[next_index]])  # (2, n_trains)
        is_dropped[train_rows] = (np.abs(near_times - trial_times[train_rows]) < least_apart).any(axis=0)
    assigned = split.assign(part=np.where(is_dropped, "drop", part))
    for (fold, subject), parts in assigned.groupby(["fold", "subject"])["part"]:
        if "train" not in set(parts):
            raise ValueError(
                f"{what} leave {subject} no training trials in fold {fold}: all lie too close to a test trial; "
                "take a shorter time apart, a shorter window, or betas"
            )
    return assigned


def check_no_crossing(split: pd.DataFrame) -> None:
    """Refuse a split in which a unit is on both sides of train (or val) and test in any fold.

    Raises
    ------
    ValueError
        Names the first five units that cross.
    """
    undropped = split[split["part"] != "drop"]
    is_test = undropped["part"] == "test"
    n_sides = is_test.groupby([undropped["fold"], undropped["unit"]]).nunique()
    crossing = n_sides[n_sides > 1]
    if len(crossing):
        units_text = [f"{name} (fold {fold})" for fold, name in crossing.index[:5]]
        raise ValueError(f"{len(crossing)} units are both in train and in test, the first are {', '.join(units_text)}")


def concepts(image_ids: pd.Series, pattern: str) -> pd.Series:
    """Read the concept of each picture from its name.

    Parameters
    ----------
    image_ids : Series of str
    pattern : str
        Regular expression; its first group is the concept.

    Returns
    -------
    Series of str
        Missing where a name does not match: such a picture shares its concept with no other.
    """
    return image_ids.str.extract(pattern, expand=True)[0]


def mended(trials: pd.DataFrame, split: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Compare a split by names with the published one, in which all pictures that are not named train.

    Parameters
    ----------
    trials : DataFrame
        As for ``make_split``.
    split : DataFrame
        Made by the rule "named".
    names : iterable of str
        The pictures of the published test set.

    Returns
    -------
    DataFrame
        image_id, part, trials: pictures that would train as published, and here are tested (copies of a test picture)
        or dropped (of a tested concept), with their number of usable trials; sorted.
    """
    joined_trials = split.merge(trials[[*TRIAL, "image_id", "usable"]], on=TRIAL)
    changed_trials = joined_trials[
        joined_trials["usable"]
        & ~joined_trials["image_id"].isin(set(names))
        & joined_trials["part"].isin(("test", "drop"))
    ]
    return changed_trials.groupby(["image_id", "part"]).size().rename("trials").reset_index()


def _tests(
    trials: pd.DataFrame, units: pd.Series, run: pd.Series, rule: Mapping[str, Any], image_ids: set[str]
) -> list[pd.Series]:
    """Which trials each fold tests."""
    if rule["test"] == "repeated":
        return [_repeated(trials, units, rule["min_repeats"])]
    if rule["test"] == "named":
        is_named = trials["image_id"].isin(image_ids)
        if not is_named.any():
            raise ValueError(f"none of the {len(image_ids)} pictures of {rule['names']!r} is shown to any subject")
        return [units.isin(set(units[is_named]))]
    if rule["test"] == "runs":
        rng = np.random.default_rng(rule["seed"])
        test_runs = [_some(np.unique(runs), rule["test_fraction"], rng) for _, runs in run.groupby(trials["subject"])]
        return [run.isin(np.concatenate(test_runs))]
    if rule["test"] == "folds":
        return _folds(trials["usable"], units, rule["n_folds"], rule["seed"])
    run_number = run.groupby(trials["subject"]).transform(lambda runs: runs.factorize()[0])
    return [run_number == fold for fold in range(int(run_number.max()) + 1)]


def _folds(is_usable: pd.Series, units: pd.Series, n_folds: int, seed: int) -> list[pd.Series]:
    """Deal the units of usable trials into folds of equal size."""
    names = np.unique(units[is_usable])
    if len(names) < n_folds:
        raise ValueError(f"{len(names)} pictures or runs cannot be dealt into {n_folds} folds; choose fewer")
    dealt = GroupKFold(n_folds, shuffle=True, random_state=seed).split(names, groups=names)
    return [units.isin(set(names[test])) for _, test in dealt]


def _repeated(trials: pd.DataFrame, units: pd.Series, min_repeats: int) -> pd.Series:
    n_shown = trials[trials["usable"]].groupby(["subject", units]).size()
    frequent_units = set(n_shown[n_shown >= min_repeats].index.get_level_values(1))
    if not frequent_units:
        raise ValueError(f"no picture was shown {min_repeats} times to any subject; most often: {int(n_shown.max())}")
    return units.isin(frequent_units)


def _some(runs: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(runs, max(1, round(fraction * len(runs))), replace=False)


def _one_fold(
    trials: pd.DataFrame, units: pd.Series, run: pd.Series, is_test: pd.Series, rule: Mapping[str, Any], fold: int
) -> pd.DataFrame:
    part = pd.Series(np.where(is_test, "test", "train"), index=trials.index)
    # a unit that is tested anywhere trains nowhere, nor does another picture of a tested concept
    part[~is_test & (units.isin(set(units[is_test])) | _of_tested_concept(trials, is_test, rule))] = "drop"
    if rule["val_fraction"] > 0:
        for subject, runs in run[part == "train"].groupby(trials["subject"]):
            rng = np.random.default_rng([rule["seed"], fold])
            in_val_run = run.isin(_some(np.unique(runs), rule["val_fraction"], rng)) & (trials["subject"] == subject)
            in_val = in_val_run & (part == "train")
            part[in_val] = "val"
            # what is validated on does not train: the same picture in another run of this subject is left out
            shares_unit = (trials["subject"] == subject) & (part == "train") & units.isin(set(units[in_val]))
            part[shares_unit] = "drop"
    part[~trials["usable"]] = "drop"
    for subject in trials["subject"].unique():
        present_parts = set(part[trials["subject"] == subject])
        if not {"train", "test"} <= present_parts:
            missing_parts = sorted({"train", "test"} - present_parts)
            n_tested = int((units.isin(set(units[is_test])) & ~is_test & (trials["subject"] == subject)).sum())
            reason_text = f"; {n_tested} of its other trials show what that fold tests" if n_tested else ""
            raise ValueError(
                f"fold {fold} leaves {subject} no {' and no '.join(missing_parts)} trials{reason_text} "
                f"(rule {dict(rule)})"
            )
    return trials[TRIAL].assign(fold=fold, unit=units, part=part)[COLUMNS]


def _of_tested_concept(trials: pd.DataFrame, is_test: pd.Series, rule: Mapping[str, Any]) -> pd.Series:
    if not rule.get("concept"):
        return pd.Series(False, index=trials.index)
    concept_of_trial = concepts(trials["image_id"], rule["concept"])
    tested_concepts = set(concept_of_trial[is_test].dropna())
    if not tested_concepts:
        raise ValueError(
            f"concept {rule['concept']!r} matches no test picture; "
            f"the first are {list(trials['image_id'][is_test][:5])}"
        )
    return concept_of_trial.isin(tested_concepts)


def summary(split: pd.DataFrame) -> dict[str, Any]:
    """Count trials by subject and part (summed over folds), units by part, and folds."""
    counts = pd.crosstab(split["subject"], split["part"])
    units = split.groupby("part")["unit"].nunique()
    return {
        "folds": int(split["fold"].max()) + 1,
        "trials": {str(s): {str(p): int(n) for p, n in row.items()} for s, row in counts.iterrows()},
        "units": {str(name): int(n) for name, n in units.items()},
    }
