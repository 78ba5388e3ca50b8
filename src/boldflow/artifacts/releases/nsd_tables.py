"""Tables of the Natural Scenes Dataset: the design, each subject's behaviour, the pictures' table, names of regions.

All numbers in these files begin at 1; rows of the picture brick, and the ``nsdId`` of the pictures' table, at 0.
Here a picture is its row of the brick.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from boldflow.artifacts.formats import events, matlab

N_SHARED = 1000  # pictures that all subjects were to see: the first of each subject's list
REPEATS = 3  # showings of each picture
# Published test sets: of the shared pictures, those shown three times within the first sessions, and how many they are.
# The order is one for all subjects: 40 sessions whole, 37 when four subjects' last sessions were held back, 30 of all
# eight subjects.
TEST_SESSIONS = {"shared-1000": (40, 1000), "shared-982": (37, 982), "shared-515": (30, 515)}
SESSION_TRIALS, ALL_TRIALS = 750, 30000  # of the experiment as published
WHOLE = ("SESSION", "RUN", "TRIAL", "73KID", "10KID")
# Behaviour that trial tables keep, by its column in the file.
BEHAVIOUR = {
    "ISOLD": "behaviour_is_old", "ISCORRECT": "behaviour_is_correct", "RT": "behaviour_rt_ms",
    "CHANGEMIND": "behaviour_changed_mind", "ISOLDCURRENT": "behaviour_is_old_in_session",
    "ISCORRECTCURRENT": "behaviour_is_correct_in_session", "BUTTON": "behaviour_button",
    "MISSINGDATA": "behaviour_is_missing",
}  # fmt: skip
DAY_S = 86400.0
JOINED = ("prf-visualrois", "Kastner2015")  # sets whose areas come in a ventral and a dorsal half: V1v, V1d
NONE = "none"  # the category of a picture without any
TRUTH = {"true": True, "1": True, "false": False, "0": False}
CATEGORY = re.compile(r"[a-z]+( [a-z]+)*")  # as COCO writes them: person, dining table
SHOWN = 5  # offenders that an error names


@dataclass(frozen=True)
class Design:
    """The order of pictures: ``order`` (n_trials,) places in a subject's list, from 0, the same for all subjects.

    ``pictures`` (n_subjects, n_list) rows of the brick, each subject's list; its first ``len(shared)`` are ``shared``.
    """

    order: np.ndarray
    pictures: np.ndarray
    shared: np.ndarray

    def shown(self, number: int) -> np.ndarray:
        """Rows of the brick in the order in which subject ``number`` (from 1) saw them, (n_trials,)."""
        pictures: np.ndarray = self.pictures[number - 1][self.order]
        return pictures


def design(path: str | Path) -> Design:
    """Read nsd_expdesign.mat.

    Raises
    ------
    ValueError
        If the file is not whole, lacks an array, or its numbers do not fit each other; says what was found.
    """
    path = Path(path)
    array_names = ("masterordering", "subjectim", "sharedix")
    array_of_name = matlab.read(path, array_names)
    order, pictures, shared = (array_of_name[name].astype(np.int64) for name in array_names)
    order, shared = order.ravel(), shared.ravel()
    if order.min() < 1 or pictures.min() < 1 or order.max() > pictures.shape[1]:
        raise ValueError(
            f"{path}: masterordering runs from {order.min()} to {order.max()}, subjectim from {pictures.min()} with "
            f"{pictures.shape[1]} pictures a subject; numbers begin at 1 and point into that list"
        )
    if not (pictures[:, : len(shared)] == shared).all():
        raise ValueError(f"{path}: the first {len(shared)} pictures of each subject's list are not sharedix")
    return Design(order - 1, pictures - 1, shared - 1)


def responses(path: str | Path, subject: str, plan: Design, sessions: list[int]) -> pd.DataFrame:
    """Read a subject's responses.tsv, after comparing it with the design.

    Parameters
    ----------
    path : str or Path
    subject : str
        Such as subj01.
    plan : Design
    sessions : list of int
        Those to keep, from 1; the file may have fewer.

    Returns
    -------
    DataFrame
        session, run, trial (int, from 1), onset_s (s after the run's first picture), picture (row of the brick),
        place (of the trial in its session, from 0) and the columns of ``BEHAVIOUR`` that the file has, float.

    Raises
    ------
    ValueError
        If the table is not as it should be, or shows other pictures than the design; names the first lines, both
        pictures and the likely cause.
    """
    path = Path(path)
    behaviour_columns = [name for name in BEHAVIOUR if name in events.header(path)]
    table = events.read(path, ["SUBJECT", "TIME", *WHOLE], [], behaviour_columns)
    int_columns = table[list(WHOLE)].astype(np.int64)
    subject_number = int(subject.removeprefix("subj"))
    _check_rows(path, table, int_columns, subject_number)
    _compare(path, int_columns, plan, subject_number)
    trial_rows = pd.DataFrame(
        {
            "session": int_columns["SESSION"], "run": int_columns["RUN"], "trial": int_columns["TRIAL"],
            "picture": int_columns["73KID"] - 1, "place": int_columns.groupby("SESSION").cumcount(),
        }
    )  # fmt: skip
    elapsed_days = table["TIME"] - table.groupby(["SESSION", "RUN"])["TIME"].transform("first")
    trial_rows["onset_s"] = (elapsed_days * DAY_S).round(3)
    for name in behaviour_columns:
        trial_rows[BEHAVIOUR[name]] = _numbers(path, table, name)
    return trial_rows[trial_rows["session"].isin(sessions)].reset_index(drop=True)


def _check_rows(path: Path, table: pd.DataFrame, int_columns: pd.DataFrame, subject_number: int) -> None:
    """Refuse rows of another subject, and rows that are not in the order of acquisition."""
    foreign_rows = table[table["SUBJECT"] != subject_number]
    if len(foreign_rows):
        row = foreign_rows.iloc[0]
        raise ValueError(f"{path}, line {row['in_line']} is of subject {row['SUBJECT']:g}, expected {subject_number}")
    trial_keys = list(int_columns[["SESSION", "RUN", "TRIAL"]].itertuples(index=False, name=None))
    first_backwards = next((n for n in range(1, len(trial_keys)) if trial_keys[n] <= trial_keys[n - 1]), None)
    if first_backwards is not None:
        raise ValueError(
            f"{path}, line {first_backwards + 2}: session, run and trial are {trial_keys[first_backwards]} after "
            f"{trial_keys[first_backwards - 1]}; rows must be in the order of acquisition: were sessions or rows "
            "shuffled?"
        )


def _numbers(path: Path, table: pd.DataFrame, name: str) -> np.ndarray:
    """Read a column in which a trial may say nothing (NaN): no button was pressed, or nothing had been shown before."""
    numbers = pd.to_numeric(table[name].replace("", "NaN"), errors="coerce").to_numpy(dtype=float)
    wrong_rows = table[np.isnan(numbers) & ~table[name].str.lower().isin(("", "nan"))]
    if len(wrong_rows):
        row = wrong_rows.iloc[0]
        raise ValueError(f"{path}, line {row['in_line']}: {name} must be a number or NaN, not {row[name]!r}")
    return numbers


def _compare(path: Path, int_columns: pd.DataFrame, plan: Design, subject_number: int) -> None:
    """Refuse trials whose pictures are not those of the design."""
    n_trials = len(int_columns)
    if n_trials > len(plan.order):
        raise ValueError(f"{path} has {n_trials} trials, the design {len(plan.order)}")
    shown_rows, planned_rows = int_columns["73KID"].to_numpy() - 1, plan.shown(subject_number)[:n_trials]
    for name, shown_numbers, planned_numbers in (
        ("73KID", shown_rows, planned_rows),
        ("10KID", int_columns["10KID"].to_numpy() - 1, plan.order[:n_trials]),
    ):
        wrong_trials = np.flatnonzero(shown_numbers != planned_numbers)
        if not len(wrong_trials):
            continue
        examples = ", ".join(
            f"line {n + 2}: {shown_numbers[n] + 1}, design {planned_numbers[n] + 1}" for n in wrong_trials[:SHOWN]
        )
        raise ValueError(
            f"{path}: {name} of {len(wrong_trials)} of {n_trials} trials is not the design's ({examples}); "
            f"{_cause(shown_numbers, planned_numbers, int_columns['SESSION'].to_numpy())}"
        )


def _cause(shown_numbers: np.ndarray, planned_numbers: np.ndarray, session: np.ndarray) -> str:
    """Say what most likely happened to a list of pictures that is not the design's."""
    offsets = shown_numbers - planned_numbers
    if len(offsets) and (offsets == offsets[0]).all():
        return f"all are off by {offsets[0]:+d}: ids count from 1 here, from 0 in the brick"
    for shift in (1, -1):
        if (np.roll(planned_numbers, shift) == shown_numbers)[1:-1].mean() > 0.9:
            return f"they are those of the trial {'before' if shift > 0 else 'after'}: rows are shifted by one"
    shown_sessions = [
        frozenset(shown_numbers[session == session_number].tolist()) for session_number in np.unique(session)
    ]
    planned_sessions = [
        frozenset(planned_numbers[session == session_number].tolist()) for session_number in np.unique(session)
    ]
    if shown_sessions != planned_sessions and sorted(map(sorted, shown_sessions)) == sorted(
        map(sorted, planned_sessions)
    ):
        return "each session is there at another place: sessions were shuffled"
    return "is it another subject's file, or another design?"


def test_sets(plan: Design) -> dict[str, np.ndarray]:
    """Find the pictures of the published test sets.

    Returns
    -------
    dict of arrays of rows of the brick, sorted
        By name: shared pictures that are shown three times within the first 40, 37 or 30 sessions.

    Raises
    ------
    ValueError
        If the published order gives other counts than the published.

    Notes
    -----
    Allen et al. 2022, Nat. Neurosci. 25, 116-126: 1,000 shared pictures, 515 seen three times by all eight subjects.
    982: those that subjects 1, 2, 5 and 7 had seen three times in the 37 sessions that were released first.
    """
    sets = {}
    is_published = len(plan.order) == ALL_TRIALS
    session_length = (
        SESSION_TRIALS if is_published else len(plan.order) / 40
    )  # a shorter order is cut in the same shares
    for name, (n_sessions, n_pictures) in TEST_SESSIONS.items():
        early_order = plan.order[: round(n_sessions * session_length)]
        n_shown = np.bincount(early_order[early_order < len(plan.shared)], minlength=len(plan.shared))
        sets[name] = np.sort(plan.shared[n_shown >= REPEATS])
        if is_published and len(sets[name]) != n_pictures:
            raise ValueError(
                f"test set {name} has {len(sets[name])} pictures by this design, published are {n_pictures}"
            )
    return sets


test_sets.__test__ = False  # type: ignore[attr-defined]  # pytest: a name, not a test


def picture_name(row: int) -> str:
    """Name a picture by its row of the brick, such as nsd-00013."""
    return f"nsd-{row:05d}"


def coco_labels(held: dict[str, float]) -> dict[str, str]:
    """Label a picture by the area of each category of COCO in it.

    Returns
    -------
    dict
        category (the largest), categories (names joined by +), person (person, or none).
    """
    return {
        "category": max(sorted(held), key=held.__getitem__, default=NONE),
        "categories": "+".join(sorted(held)) or NONE,
        "person": "person" if "person" in held else NONE,
    }


def coco_ids(path: str | Path) -> pd.Series:
    """Read the COCO id of each picture from nsd_stim_info_merged.csv.

    Returns
    -------
    Series of int
        By row of the brick.

    Raises
    ------
    ValueError
        If the table lacks a column, or a picture comes twice.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, usecols=["nsdId", "cocoId"], dtype=np.int64)
    except (ValueError, OSError) as error:  # also where the columns are not there
        raise ValueError(f"{path} is no table with whole numbers in nsdId and cocoId: {error}") from None
    ids = pd.Series(table["cocoId"].to_numpy(), index=table["nsdId"].to_numpy())
    repeated_ids = ids.index[ids.index.duplicated()]
    if len(repeated_ids):
        raise ValueError(f"{path}: nsdId {repeated_ids[0]} is there twice")
    return ids


def region_names(path: str | Path) -> dict[int, str]:
    """Read the numbers and names of a set of regions (FreeSurfer's colour table: number, name, colours).

    Returns
    -------
    dict
        Without 0, which is no region.

    Raises
    ------
    ValueError
        If a line does not begin with a number and a name, or names come twice; names file and line.
    """
    path = Path(path)
    names: dict[int, str] = {}
    for line_number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or not words[0].isdigit():
            raise ValueError(f"{path}, line {line_number}: {line!r}, expected a number and a name")
        if words[1] in names.values() or int(words[0]) in names:
            raise ValueError(f"{path}, line {line_number}: {words[0]} {words[1]} is there already")
        if int(words[0]):
            names[int(words[0])] = words[1]
    return names


def named_regions(name: str, values: np.ndarray, regions: dict[int, str]) -> dict[str, np.ndarray]:
    """Tell the regions of a set of numbered places apart.

    Parameters
    ----------
    name : str
        Of the set, such as floc-bodies.
    values : array of shape (n_places,)
        The number of each place's region, 0 or less where there is none.
    regions : dict
        Names by number.

    Returns
    -------
    dict of bool arrays of shape (n_places,)
        The whole set by its name, each region as ``floc-bodies-EBA``, and areas whose halves are regions.
    """
    masks = {name: values > 0}
    for number, region in regions.items():
        mask = values == number
        masks[f"{name}-{region}"] = mask
        if name in JOINED and region[-1] in "vd" and region[:-1]:
            joined_name = f"{name}-{region[:-1]}"
            masks[joined_name] = masks.get(joined_name, False) | mask
    return masks


def shared_pictures(path: str | Path) -> pd.Series:
    """Read from nsd_stim_info_merged.csv which pictures all subjects were to see.

    Returns
    -------
    Series of bool
        By row of the brick.

    Raises
    ------
    ValueError
        If the table lacks nsdId or shared1000, one is not what it should be, or a picture comes twice.
    """
    shared_text = _by_picture(path, "shared1000")
    is_shared = shared_text.str.strip().str.lower().map(TRUTH)
    if is_shared.isna().any():
        row = is_shared.index[is_shared.isna()][0]
        raise ValueError(f"{path}: shared1000 of nsdId {row} is {shared_text[row]!r}, expected True or False")
    return is_shared.astype(bool)


def categories(path: str | Path) -> pd.Series:
    """Read the categories of COCO in each picture from a table of the user's, CSV with nsdId and categories.

    Returns
    -------
    Series of tuples of str
        By row of the brick, sorted, each category once. In the file they are separated by ``+``, ``,`` or ``;``, and
        may be written as a Python list of texts is; nothing (or none) is a picture without any.

    Raises
    ------
    ValueError
        If the table lacks a column, a picture comes twice, or a name cannot be one of COCO's; names the picture.
    """
    categories_text = _by_picture(path, "categories")
    names_of_picture = categories_text.str.split(r"[+,;]").map(
        lambda parts: sorted({part.strip(" []'\"") for part in parts} - {"", NONE})
    )
    for row, names in names_of_picture.items():
        unknown_names = [name for name in names if not CATEGORY.fullmatch(name)]
        if unknown_names:
            raise ValueError(
                f"{path}: categories of nsdId {row} are {categories_text[row]!r}, and {unknown_names[0]!r} is no "
                "category of COCO; expected such as person+dining table"
            )
    return names_of_picture.map(tuple)


def _by_picture(path: str | Path, column: str) -> pd.Series:
    """Read one column as text, by row of the brick."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: correct its path in the catalogue entry")
    try:
        table = pd.read_csv(path, usecols=["nsdId", column], dtype={"nsdId": np.int64, column: str}, na_filter=False)
    except (ValueError, OSError) as error:  # also where the columns are not there
        raise ValueError(f"{path} is no table with whole numbers in nsdId and texts in {column}: {error}") from None
    texts = pd.Series(table[column].to_numpy(dtype=object), index=table["nsdId"].to_numpy())
    repeated_ids = texts.index[texts.index.duplicated()]
    if len(repeated_ids):
        raise ValueError(f"{path}: nsdId {repeated_ids[0]} is there twice")
    return texts
