"""Lining up trials, responses, features and the split of one subject: what training and scoring share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, tables
from boldflow.core.records.test_sets import TestSet
from boldflow.core.records.training import Band
from boldflow.core.splits import assignment


@dataclass(frozen=True)
class Aligned:
    """Trials of one subject and fold-wise parts.

    ``trials`` has a row per trial in the order of ``responses``, with ``picture``, the row of ``features`` that
    belongs to it. ``split`` has the subject's rows of the split with ``row``, the trial's row. ``bands`` says which
    columns of ``features`` come from which feature, where several were joined.
    """

    trials: pd.DataFrame
    responses: np.ndarray
    features: np.ndarray
    split: pd.DataFrame
    bands: tuple[Band, ...] = ()

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.split["fold"].max()) + 1

    def rows(self, fold: int, *parts: str) -> np.ndarray:
        """Rows of the trials of a fold that are in one of ``parts``, in the order of the split."""
        in_parts = (self.split["fold"] == fold) & self.split["part"].isin(parts)
        return self.split.loc[in_parts, "row"].to_numpy()


NOBODY = "none"  # in a subject's place: codes of pictures alone


def align(
    responses: str,
    features: str | list[str],
    index: str | list[str],
    trials: str,
    split: str,
    subject: str,
    check_length: bool = True,
) -> Aligned:
    """Read what belongs to one subject and line it up; ``features`` and ``index`` are empty where a model has none.

    ``check_length``: whether responses must have a row per trial.

    Raises
    ------
    ValueError
        If responses and trials differ in length, an image has no features, or the split lacks trials.
    """
    table = tables.read(trials)
    response_rows = arrays.read(responses)
    if check_length and len(response_rows) != len(table):
        raise ValueError(f"{responses} has {len(response_rows)} rows, {trials} {len(table)}")
    image_ids = tables.read(str(index))["image_id"] if index else pd.Series(table["image_id"].unique())
    table = table.assign(picture=_rows_of_pictures(table, image_ids, trials, index), row=np.arange(len(table)))
    parts = _parts_of(split, table, trials, subject)
    if not features:
        return Aligned(table, response_rows, np.empty((len(image_ids), 0), dtype=np.float32), parts)
    feature_rows = arrays.read(str(features), ndim=2)  # (n_images, n_features)
    if len(feature_rows) != len(image_ids):
        raise ValueError(
            f"{features} has {len(feature_rows)} rows, {index} names {len(image_ids)} pictures: one for each"
        )
    bands = tuple(Band(**band) for band in tables.sidecar(str(index)).get("bands", []))
    return Aligned(table, response_rows, feature_rows, parts, bands)


def _rows_of_pictures(table: pd.DataFrame, image_ids: pd.Series, trials: str, index: str | list[str]) -> np.ndarray:
    """Find the row of the features of each trial's picture, (n_trials,)."""
    if image_ids.duplicated().any():
        raise ValueError(f"{index} names picture {image_ids[image_ids.duplicated()].iloc[0]!r} twice; each has one row")
    row_of_picture = pd.Series(range(len(image_ids)), index=image_ids)
    missing_ids = table.loc[~table["image_id"].isin(row_of_picture.index), "image_id"].unique()
    if len(missing_ids):
        raise ValueError(
            f"{len(missing_ids)} images of {trials} are not in {index}, the first are {list(missing_ids[:5])}"
        )
    return row_of_picture.loc[table["image_id"]].to_numpy()


def _parts_of(split: str, table: pd.DataFrame, trials: str, subject: str) -> pd.DataFrame:
    """Read the subject's rows of a split, with the row of each trial in its table."""
    split_table = tables.read(split)
    assignment.check_no_crossing(split_table)
    trial_rows = table[[*assignment.TRIAL, "row"]]
    parts = split_table[split_table["subject"] == subject].merge(trial_rows, on=assignment.TRIAL, how="left")
    if parts["row"].isna().any() or parts.groupby("fold").size().ne(len(table)).any():
        raise ValueError(f"{split} and {trials} do not list the same trials of {subject}; make the split again")
    return parts.sort_values(["fold", "row"]).astype({"row": int})


def align_all(
    responses: Sequence[str],
    features: str | list[str],
    index: str | list[str],
    trials: Sequence[str],
    split: str,
    subjects: Sequence[str],
) -> list[Aligned]:
    """Read what belongs to each of some subjects; as ``align``. Without responses: what belongs to the pictures.

    What one subject is validated on trains no other: validation runs are each subject's own, pictures are not.

    Raises
    ------
    ValueError
        If subjects have different folds: no model could be of all.
    """
    if not responses:
        return [align_pictures(str(features), str(index), trials, split, subjects)]
    subject_paths = zip(responses, trials, subjects, strict=True)
    aligned = [
        align(responses_path, features, index, trials_path, split, subject)
        for responses_path, trials_path, subject in subject_paths
    ]
    n_folds = [data.n_folds for data in aligned]
    if len(set(n_folds)) > 1:
        raise ValueError(f"{split} has {n_folds} folds for {list(subjects)}: pooled subjects must have the same ones")
    return _validated_apart(aligned) if len(aligned) > 1 else aligned


def _validated_apart(aligned: Sequence[Aligned]) -> list[Aligned]:
    """Drop training trials of units that any subject is validated on in that fold."""
    parts = pd.concat([data.split for data in aligned])
    validated = pd.MultiIndex.from_frame(parts.loc[parts["part"] == "val", ["fold", "unit"]])
    apart = []
    for data in aligned:
        is_shared = pd.MultiIndex.from_frame(data.split[["fold", "unit"]]).isin(validated)
        part = np.where(is_shared & (data.split["part"] == "train"), "drop", data.split["part"])
        apart.append(replace(data, split=data.split.assign(part=part)))
    return apart


def align_pictures(features: str, index: str, trials: Sequence[str], split: str, subjects: Sequence[str]) -> Aligned:
    """Line pictures up as if each were a trial whose response is its features.

    Parameters
    ----------
    features, index, split : paths
    trials : path of the trial table of each of ``subjects``

    Returns
    -------
    Aligned
        A row per picture that any subject saw, in the order of the features. Its part of a fold is that of its first
        trial of the first subject who saw it: validation runs are a subject's own, test pictures are everyone's.

    Raises
    ------
    ValueError
        As ``align``.
    """
    feature_rows, image_ids = arrays.read(features, ndim=2), tables.read(index)["image_id"]
    subject_parts = []
    for subject, path in zip(subjects, trials, strict=True):
        data = align(features, features, index, path, split, subject, check_length=False)
        picture = data.trials["picture"].to_numpy()[data.split["row"]]
        subject_parts.append(data.split.assign(picture=picture).drop_duplicates(["fold", "picture"]))
    parts = (
        pd.concat(subject_parts, ignore_index=True)
        .drop_duplicates(["fold", "picture"])
        .sort_values(["fold", "picture"])
    )
    picture_rows = np.unique(parts["picture"])
    row_of_picture = pd.Series(range(len(picture_rows)), index=picture_rows)
    table = pd.DataFrame({"session": "01", "run": "01", "trial": np.arange(1, len(picture_rows) + 1)})
    table = table.assign(
        image_id=image_ids.to_numpy()[picture_rows], picture=picture_rows, row=np.arange(len(picture_rows))
    )
    columns = ["subject", "fold", "row", "unit", "part"]
    picture_split = parts.assign(row=row_of_picture.loc[parts["picture"]].to_numpy(), subject=NOBODY)[
        columns
    ].reset_index(drop=True)
    return Aligned(
        table, np.asarray(feature_rows[picture_rows]), np.empty((len(image_ids), 0), np.float32), picture_split
    )


def test_set(data: Aligned, has_images: bool) -> tuple[TestSet, np.ndarray, np.ndarray]:
    """Collect the test trials of all folds.

    Returns
    -------
    (TestSet, image_id of each test image, rows of the test trials in the trial table)
    """
    fold_rows = [data.rows(fold, "test") for fold in range(data.n_folds)]
    fold = np.repeat(np.arange(data.n_folds), [len(rows) for rows in fold_rows])
    test_rows = np.concatenate(fold_rows)
    image_id = data.trials["image_id"].to_numpy()[test_rows]
    image, image_keys = pd.factorize(pd.MultiIndex.from_arrays([fold, image_id]))
    first_trials = np.unique(image, return_index=True)[1]
    trial_unit = data.split.drop_duplicates("row").set_index("row")["unit"].loc[test_rows].to_numpy()
    # without pictures the unit of the split is the run, and the bootstrap resamples blocks
    image_unit = pd.factorize(trial_unit[first_trials] if has_images else np.arange(len(image_keys)))[0]
    return TestSet(fold, image, fold[first_trials], image_unit), image_id[first_trials], test_rows


test_set.__test__ = False  # type: ignore[attr-defined]  # pytest: a name, not a test


def regions_of(places: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the regions of a response's vertices as masks (n_vertices,): "all" first, then those that are not empty."""
    regions = {"all": np.ones(len(places), dtype=bool)}
    regions |= {n.removeprefix("roi_"): places[n].to_numpy() for n in places if n.startswith("roi_")}
    return {name: mask for name, mask in regions.items() if mask.any()}


def smallest_region(places: pd.DataFrame) -> np.ndarray:
    """Name the smallest region that holds each of a response's vertices, (n_vertices,); empty where none does."""
    columns = [column for column in places if column.startswith("roi_")]
    roi = np.full(len(places), "", dtype=object)
    for column in sorted(columns, key=lambda n: -int(places[n].sum())):
        roi[places[column].to_numpy()] = column.removeprefix("roi_")
    return roi
