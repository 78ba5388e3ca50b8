"""Lining up trials, responses, features and the split of one subject: what training and scoring share."""

from collections.abc import Sequence
from dataclasses import dataclass

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
        chosen = (self.split["fold"] == fold) & self.split["part"].isin(parts)
        return self.split.loc[chosen, "row"].to_numpy()


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
    values = arrays.read(responses)
    if check_length and len(values) != len(table):
        raise ValueError(f"{responses} has {len(values)} rows, {trials} {len(table)}")
    names = tables.read(str(index))["image_id"] if index else pd.Series(table["image_id"].unique())
    table = table.assign(picture=_rows_of_pictures(table, names, trials, index), row=np.arange(len(table)))
    parts = _parts_of(split, table, trials, subject)
    if not features:
        return Aligned(table, values, np.empty((len(names), 0), dtype=np.float32), parts)
    described = arrays.read(str(features), ndim=2)  # (n_images, n_features)
    if len(described) != len(names):
        raise ValueError(f"{features} has {len(described)} rows, {index} names {len(names)} pictures: one for each")
    bands = tuple(Band(**band) for band in tables.sidecar(str(index)).get("bands", []))
    return Aligned(table, values, described, parts, bands)


def _rows_of_pictures(table: pd.DataFrame, names: pd.Series, trials: str, index: str | list[str]) -> np.ndarray:
    """Find the row of the features of each trial's picture, (n_trials,)."""
    if names.duplicated().any():
        raise ValueError(f"{index} names picture {names[names.duplicated()].iloc[0]!r} twice; each has one row")
    order = pd.Series(range(len(names)), index=names)
    lost = table.loc[~table["image_id"].isin(order.index), "image_id"].unique()
    if len(lost):
        raise ValueError(f"{len(lost)} images of {trials} are not in {index}, the first are {list(lost[:5])}")
    return order.loc[table["image_id"]].to_numpy()


def _parts_of(split: str, table: pd.DataFrame, trials: str, subject: str) -> pd.DataFrame:
    """Read the subject's rows of a split, with the row of each trial in its table."""
    whole = tables.read(split)
    assignment.check_no_crossing(whole)
    rows = table[[*assignment.TRIAL, "row"]]
    parts = whole[whole["subject"] == subject].merge(rows, on=assignment.TRIAL, how="left")
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

    Raises
    ------
    ValueError
        If subjects have different folds: no model could be of all.
    """
    if not responses:
        return [align_pictures(str(features), str(index), trials, split, subjects)]
    each = zip(responses, trials, subjects, strict=True)
    aligned = [align(values, features, index, table, split, subject) for values, table, subject in each]
    folds = [data.n_folds for data in aligned]
    if len(set(folds)) > 1:
        raise ValueError(f"{split} has {folds} folds for {list(subjects)}: pooled subjects must have the same ones")
    return aligned


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
    values, names = arrays.read(features, ndim=2), tables.read(index)["image_id"]
    seen = []
    for subject, path in zip(subjects, trials, strict=True):
        data = align(features, features, index, path, split, subject, check_length=False)
        picture = data.trials["picture"].to_numpy()[data.split["row"]]
        seen.append(data.split.assign(picture=picture).drop_duplicates(["fold", "picture"]))
    parts = pd.concat(seen, ignore_index=True).drop_duplicates(["fold", "picture"]).sort_values(["fold", "picture"])
    shown = np.unique(parts["picture"])
    row = pd.Series(range(len(shown)), index=shown)
    table = pd.DataFrame({"session": "01", "run": "01", "trial": np.arange(1, len(shown) + 1)})
    table = table.assign(image_id=names.to_numpy()[shown], picture=shown, row=np.arange(len(shown)))
    columns = ["subject", "fold", "row", "unit", "part"]
    by_row = parts.assign(row=row.loc[parts["picture"]].to_numpy(), subject=NOBODY)[columns].reset_index(drop=True)
    return Aligned(table, np.asarray(values[shown]), np.empty((len(names), 0), np.float32), by_row)


def test_set(data: Aligned, has_images: bool) -> tuple[TestSet, np.ndarray, np.ndarray]:
    """Collect the test trials of all folds.

    Returns
    -------
    (TestSet, image_id of each test image, rows of the test trials in the trial table)
    """
    rows = [data.rows(fold, "test") for fold in range(data.n_folds)]
    fold = np.repeat(np.arange(data.n_folds), [len(r) for r in rows])
    where = np.concatenate(rows)
    name = data.trials["image_id"].to_numpy()[where]
    image, keys = pd.factorize(pd.MultiIndex.from_arrays([fold, name]))
    first = np.unique(image, return_index=True)[1]
    units = data.split.drop_duplicates("row").set_index("row")["unit"].loc[where].to_numpy()
    # without pictures the unit of the split is the run, and the bootstrap resamples blocks
    unit = pd.factorize(units[first] if has_images else np.arange(len(keys)))[0]
    return TestSet(fold, image, fold[first], unit), name[first], where


test_set.__test__ = False  # type: ignore[attr-defined]  # pytest: a name, not a test


def regions_of(places: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the regions of a response's vertices as masks (n_vertices,): "all" first, then those that are not empty."""
    regions = {"all": np.ones(len(places), dtype=bool)}
    regions |= {n.removeprefix("roi_"): places[n].to_numpy() for n in places if n.startswith("roi_")}
    return {name: mask for name, mask in regions.items() if mask.any()}


def smallest_region(places: pd.DataFrame) -> np.ndarray:
    """Name the smallest region that holds each of a response's vertices, (n_vertices,); empty where none does."""
    names = [name for name in places if name.startswith("roi_")]
    roi = np.full(len(places), "", dtype=object)
    for name in sorted(names, key=lambda n: -int(places[n].sum())):
        roi[places[name].to_numpy()] = name.removeprefix("roi_")
    return roi
