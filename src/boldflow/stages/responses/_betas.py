"""Responses from published single-trial betas: lined up with the trial table, standardised, never imputed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.core.records.runs import BetaRun, LazyBetas
from boldflow.core.responses import cleaning, repeats
from boldflow.settings import Entry

# Standard deviation over trials, median over columns, that can be: (least, most) by unit.
PLAUSIBLE = {"percent": (0.02, 30.0), "z": (0.1, 10.0)}
SCALE = 300.0  # by which NSD's integer betas are to be divided
UNITS = {"percent": "percent signal change", "z": "z-score as published", "arbitrary": "as published, unit not stated"}
BLOCK_VALUES = 1 << 24  # values (trials times columns) that are read at a time
CACHED_VALUES = 1 << 18  # values that are worked on at a time: in double precision they stay in the processor's cache
SCALED = 1000  # columns from which the scale of a record is seen, at most
FIRST = 5  # offenders that are named
WIDTHS = ("none", "run", "session")  # of what a value has seen of test trials, the widest last
# Sessions whose repeats agree less than this with their own pictures, and more than that with another session's, are
# refused (standard deviations over shuffles); what lies between tells nothing.
OWN_Z, OTHER_Z = 3.0, 6.0
COMPARED_VALUES, COMPARED = 10_000_000, (300, 2000)  # from which agreement is computed: in all, and columns
NULL_SESSIONS = 8  # of more sessions than this, half or more that agree with nothing say that there is nothing to find


@dataclass
class Betas:
    """Betas in the order of the trial table, 0 where a trial is not usable.

    ``values`` (n_trials, n_columns) float32; ``bad`` (n_columns,) why a column is masked, or nothing; ``places`` and
    ``ceilings`` have a row per column; ``note`` is for the sidecar.
    """

    values: np.ndarray
    bad: np.ndarray
    places: pd.DataFrame
    ceilings: pd.DataFrame
    note: dict[str, Any]


def read(
    runs: Iterator[BetaRun],
    table: pd.DataFrame,
    subject: str,
    entry: Entry,
    parts: pd.DataFrame | None,
    reasons: tuple[str, str],
    inside: np.ndarray,
) -> Betas:
    """Take the betas of all usable trials of a subject.

    Parameters
    ----------
    runs : from the data set's plug-in
    table : the trial table
    subject : the subject, for messages
    entry : the response's settings
    parts : a row per trial with session, run, trial and its part of the split, where statistics come from training
        trials; None where they come from all
    reasons : words for columns that are not finite, and constant
    inside : bool array (n_columns,) of the records' columns that are taken

    Raises
    ------
    ValueError
        If names of pictures are not those of the trial table, trials are given twice or not at all, records differ in
        columns, values cannot be in their unit, or a session's agree with the pictures of another one; shows both
        sides.
    """
    usable = table["usable"].to_numpy(dtype=bool)
    made, units, widths = _collected(runs, table, usable, inside, subject)
    if len(units) != 1:
        raise ValueError(f"{subject}: betas come in several units: {sorted(units)}")
    made.bad = _why_masked(made.values, usable, reasons)
    made.note = {"units": UNITS[units.pop()], "transductive": max(widths, key=WIDTHS.index)}
    _check_repeats(made, table[usable], usable, subject)
    if entry.get("zscore") == "session":
        _standardise(made, table, usable, parts)
    return made


def _collected(
    runs: Iterator[BetaRun], table: pd.DataFrame, usable: np.ndarray, inside: np.ndarray, subject: str
) -> tuple[Betas, set[str], set[str]]:
    """Put all records into one table; give their units, and what their values have seen of test trials."""
    made: Betas | None = None
    units: set[str] = set()
    widths: set[str] = set()
    has_betas = np.zeros(len(table), dtype=bool)  # (n_trials,)
    for record in tqdm(runs, desc="read betas", unit="file"):
        rows = np.flatnonzero(usable & _of(table, record))
        _check_names(record, table["image_id"].to_numpy()[rows], subject)
        if has_betas[rows].any():
            raise ValueError(f"{subject}: {_where(record)} gives betas of trials that an earlier record has given")
        if record.betas.shape[1] != len(inside):
            raise ValueError(
                f"{subject}: {_where(record)} has {record.betas.shape[1]} columns, the ones before {len(inside)}"
            )
        if made is None:
            made = _empty(record, len(table), inside)
        for trials, columns, values in blocks_of(record.betas, inside):
            _enter(made.values, rows[trials], columns, values)
        _check_scale(record, made.values, rows, subject)
        units.add(record.unit)
        widths.add(record.transductive)
        has_betas[rows] = True
    assert made is not None  # there is a record
    if len(units) == 1:
        _check_all(table, usable, has_betas, subject)
    return made, units, widths


def _check_all(table: pd.DataFrame, usable: np.ndarray, has_betas: np.ndarray, subject: str) -> None:
    """Refuse usable trials, (n_trials,) bool, that no record gave betas of."""
    lacking = table[usable & ~has_betas]
    if len(lacking):
        first = [f"session {r.session}, run {r.run}, trial {r.trial}" for r in lacking.head(FIRST).itertuples()]
        raise ValueError(f"{subject}: {len(lacking)} of {usable.sum()} usable trials have no betas: {'; '.join(first)}")


def opened(runs: Iterator[BetaRun], subject: str) -> tuple[BetaRun, Iterator[BetaRun]]:
    """Give the first record, and all of them, the first one included.

    Raises
    ------
    ValueError
        If there are none.
    """
    first = next(runs, None)
    if first is None:
        raise ValueError(f"{subject} has no betas")
    return first, itertools.chain([first], runs)


def blocks_of(betas: np.ndarray | LazyBetas, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Give some columns of betas in pieces, whether they were read or not; see ``records.LazyBetas``."""
    if not isinstance(betas, np.ndarray):
        yield from betas.blocks(chosen)
        return
    columns = np.flatnonzero(chosen)
    step = max(1, BLOCK_VALUES // max(1, betas.shape[0]))
    for start in range(0, len(columns), step):
        some = columns[start : start + step]
        yield slice(None), np.arange(start, start + len(some)), betas[:, some]


def _empty(first: BetaRun, n_trials: int, inside: np.ndarray) -> Betas:
    tables = (pd.DataFrame(arrays, index=range(len(inside))) for arrays in (first.places, first.ceilings))
    places, ceilings = (table[inside].reset_index(drop=True) for table in tables)
    values = np.zeros((n_trials, int(inside.sum())), dtype=np.float32)
    return Betas(values, np.empty(0, dtype=object), places, ceilings, {})


def _enter(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, some: np.ndarray) -> None:
    """Put betas into their rows and columns; neighbours by slices, which is several times faster."""
    at_rows, at_columns = _slice(rows), _slice(columns)
    if isinstance(at_rows, slice) or isinstance(at_columns, slice):
        values[at_rows, at_columns] = some
    else:
        values[rows[:, None], columns] = some


def _few(n_columns: int, n_rows: int) -> Iterator[slice]:
    """Cut columns into pieces that stay in the processor's cache."""
    step = max(1, CACHED_VALUES // max(1, n_rows))
    return (slice(start, min(n_columns, start + step)) for start in range(0, n_columns, step))


def _slice(places: np.ndarray) -> slice | np.ndarray:
    ordered = len(places) and (np.diff(places) == 1).all()
    return slice(int(places[0]), int(places[-1]) + 1) if ordered else places


def _of(table: pd.DataFrame, record: BetaRun) -> np.ndarray:
    """Mark the trials of a record's session and run, (n_trials,) bool."""
    inside = np.ones(len(table), dtype=bool)
    for key, value in (("session", record.session), ("run", record.run)):
        if value is not None:
            inside &= (table[key] == value).to_numpy()
    return inside


def _where(record: BetaRun) -> str:
    labels = (("session", record.session), ("run", record.run))
    words = [f"{key} {value}" for key, value in labels if value is not None]
    return ", ".join(words) or "the record of all trials"


def _check_names(record: BetaRun, shown: np.ndarray, subject: str) -> None:
    names = np.asarray(record.image_ids)
    if len(names) != record.betas.shape[0]:
        raise ValueError(
            f"{subject}: {_where(record)} has {record.betas.shape[0]} betas and {len(names)} names of pictures"
        )
    if len(names) != len(shown):
        raise ValueError(
            f"{subject}: {_where(record)} has {len(names)} betas, and the trial table {len(shown)} usable trials there"
        )
    wrong = np.flatnonzero(names != shown)
    if len(wrong):
        first = "; ".join(f"place {n + 1}: betas {names[n]}, trials {shown[n]}" for n in wrong[:FIRST])
        raise ValueError(
            f"{subject}: {_where(record)}: {len(wrong)} of {len(names)} betas are of other pictures than the trial "
            f"table says ({first}); sessions may be swapped or ids shifted"
        )


def _check_scale(record: BetaRun, values: np.ndarray, rows: np.ndarray, subject: str) -> None:
    """Refuse values that cannot be in their unit, with the likely cause; ``rows`` of ``values`` are the record's."""
    if record.unit not in PLAUSIBLE or len(rows) < 2:
        return
    low, high = PLAUSIBLE[record.unit]
    some = values[_slice(rows), :: max(1, values.shape[1] // SCALED)]  # (n_rows, n_some)
    with np.errstate(invalid="ignore"):
        spread = some.std(axis=0, ddof=1, dtype=np.float64)  # (n_some,)
    spread = spread[np.isfinite(spread) & (spread > 0)]
    if not len(spread):
        return  # masked as constant or not finite, and counted there
    typical = float(np.median(spread))
    if low <= typical <= high:
        return
    cause = ""
    if low <= typical / SCALE <= high:
        cause = f"; {typical / SCALE:.3g} would be: integer betas that were not divided by {SCALE:.0f}?"
    elif low <= typical * SCALE <= high:
        cause = f"; {typical * SCALE:.3g} would be: betas divided by {SCALE:.0f} that were percent already?"
    raise ValueError(
        f"{subject}: {_where(record)}: betas in {UNITS[record.unit]} have a standard deviation over trials of "
        f"{typical:.3g} (median of columns), plausible is {low:g} to {high:g}{cause}"
    )


def _why_masked(values: np.ndarray, usable: np.ndarray, reasons: tuple[str, str]) -> np.ndarray:
    rows = np.flatnonzero(usable)
    finite, constant = np.ones((2, values.shape[1]), dtype=bool)  # (n_columns,) each
    step = max(1, CACHED_VALUES // values.shape[1])
    for start in range(0, len(rows), step):
        some = values[_slice(rows[start : start + step])]
        finite &= np.isfinite(some).all(axis=0)
        constant &= (some == values[rows[0]]).all(axis=0)
    return np.where(~finite, reasons[0], np.where(constant, reasons[1], "")).astype(object)


def _check_repeats(made: Betas, shown: pd.DataFrame, usable: np.ndarray, subject: str) -> None:
    """Refuse sessions whose betas agree with another session's pictures, and note how far they agree with their own."""
    columns = np.flatnonzero(made.bad == "")
    n_compared = min(len(columns), int(np.clip(COMPARED_VALUES // len(shown), *COMPARED)))
    columns = columns[np.unique(np.linspace(0, len(columns) - 1, n_compared).astype(int))]
    session, names = pd.factorize(shown["session"])  # (n_usable,), (n_sessions,)
    image = pd.factorize(shown["image_id"])[0]  # (n_usable,)
    if len(names) < 2 or not len(columns) or len(np.unique(image)) == len(image):
        return
    trials = repeats.patterns(made.values[:, columns][usable], session)  # (n_usable, n_compared)
    agreements = {number: repeats.agreement(trials, image, session, number) for number in range(len(names))}
    doubtful = {
        number: agreement for number, agreement in agreements.items() if agreement is not None and agreement.z < OWN_Z
    }
    if len(names) > NULL_SESSIONS and 2 * len(doubtful) >= len(names):
        doubtful = {}
    for number, other in itertools.permutations(doubtful, 2):
        changed = _exchanged(image, session, number, other)
        better = None if changed is None else repeats.agreement(trials, changed, session, number)
        if better is not None and better.z >= OTHER_Z:
            named = doubtful[number]
            raise ValueError(
                f"{subject}: betas of session {names[number]} agree with other sessions' betas of the same pictures if "
                f"they are taken for those of session {names[other]} (r {better.r:.3f} above chance, {better.z:.0f} "
                f"standard deviations), and not as they are named (r {named.r:.3f}, {named.z:.1f}): were the files of "
                "these sessions exchanged? get both again"
            )
    rounded = {str(names[number]): round(a.r, 4) for number, a in agreements.items() if a is not None}
    made.note |= {"agreement_of_repeats": rounded}


def _exchanged(image: np.ndarray, session: np.ndarray, number: int, other: int) -> np.ndarray | None:
    """Exchange the pictures of two sessions' trials, (n_usable,); None where they have not as many."""
    mine, theirs = np.flatnonzero(session == number), np.flatnonzero(session == other)
    if len(theirs) != len(mine):
        return None
    changed = image.copy()
    changed[mine], changed[theirs] = image[theirs], image[mine]
    return changed


def _standardise(made: Betas, table: pd.DataFrame, usable: np.ndarray, parts: pd.DataFrame | None) -> None:
    """Bring each session to mean 0 and standard deviation 1, in place; what is constant in one session is masked."""
    training = usable if parts is None else usable & parts["part"].isin(("train", "val")).to_numpy()  # (n_trials,)
    without = []
    for session, rows in table.groupby("session", sort=False).indices.items():
        here = rows[usable[rows]]  # rows of the session's usable trials
        if not len(here):
            continue
        fitted = here[training[here]]
        if len(fitted) < 2:
            without.append(str(session))
            fitted = here
        at, measured = _slice(here), _slice(fitted)
        for columns in _few(made.values.shape[1], len(here)):
            some, all_ = made.values[measured, columns], made.values[at, columns]
            made.values[at, columns], constant = cleaning.standardise_by(all_, some)
            bad = made.bad[columns]
            made.bad[columns] = np.where((bad == "") & constant, "constant", bad)
    made.note["units"] += ", then z-score per session (sample standard deviation)"
    made.note["statistics"] = "all trials" if parts is None else "training and validation trials"
    ours = "session" if parts is None or without else "none"
    made.note["transductive"] = max(ours, made.note["transductive"], key=WIDTHS.index)
    if parts is not None:
        made.note["sessions_without_training_trials"] = without
