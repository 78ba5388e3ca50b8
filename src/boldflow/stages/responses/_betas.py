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
    betas, units, widths = _collected(runs, table, usable, inside, subject)
    if len(units) != 1:
        raise ValueError(f"{subject}: betas come in several units: {sorted(units)}")
    betas.bad = _why_masked(betas.values, usable, reasons)
    betas.note = {"units": UNITS[units.pop()], "transductive": max(widths, key=WIDTHS.index)}
    _check_repeats(betas, table[usable], usable, subject)
    if entry.get("zscore") == "session":
        _standardise(betas, table, usable, parts)
    return betas


def _collected(
    runs: Iterator[BetaRun], table: pd.DataFrame, usable: np.ndarray, inside: np.ndarray, subject: str
) -> tuple[Betas, set[str], set[str]]:
    """Put all records into one table; give their units, and what their values have seen of test trials."""
    betas: Betas | None = None
    units: set[str] = set()
    widths: set[str] = set()
    has_betas = np.zeros(len(table), dtype=bool)  # (n_trials,)
    for record in tqdm(runs, desc="read betas", unit="file"):
        trial_rows = np.flatnonzero(usable & _of(table, record))
        _check_names(record, table["image_id"].to_numpy()[trial_rows], subject)
        if has_betas[trial_rows].any():
            raise ValueError(f"{subject}: {_where(record)} gives betas of trials that an earlier record has given")
        if record.betas.shape[1] != len(inside):
            raise ValueError(
                f"{subject}: {_where(record)} has {record.betas.shape[1]} columns, the ones before {len(inside)}"
            )
        if betas is None:
            betas = _empty(record, len(table), inside)
        for trials, columns, block in blocks_of(record.betas, inside):
            _enter(betas.values, trial_rows[trials], columns, block)
        _check_scale(record, betas.values, trial_rows, subject)
        units.add(record.unit)
        widths.add(record.transductive)
        has_betas[trial_rows] = True
    assert betas is not None  # there is a record
    if len(units) == 1:
        _check_all(table, usable, has_betas, subject)
    return betas, units, widths


def _check_all(table: pd.DataFrame, usable: np.ndarray, has_betas: np.ndarray, subject: str) -> None:
    """Refuse usable trials, (n_trials,) bool, that no record gave betas of."""
    without_betas = table[usable & ~has_betas]
    if len(without_betas):
        first_trials = [
            f"session {r.session}, run {r.run}, trial {r.trial}" for r in without_betas.head(FIRST).itertuples()
        ]
        raise ValueError(
            f"{subject}: {len(without_betas)} of {usable.sum()} usable trials have no betas: {'; '.join(first_trials)}"
        )


def opened(runs: Iterator[BetaRun], subject: str) -> tuple[BetaRun, Iterator[BetaRun]]:
    """Give the first record, and all of them, the first one included.

    Raises
    ------
    ValueError
        If there are none.
    """
    first_record = next(runs, None)
    if first_record is None:
        raise ValueError(f"{subject} has no betas")
    return first_record, itertools.chain([first_record], runs)


def blocks_of(betas: np.ndarray | LazyBetas, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Give some columns of betas in pieces, whether they were read or not; see ``records.LazyBetas``."""
    if not isinstance(betas, np.ndarray):
        yield from betas.blocks(chosen)
        return
    columns = np.flatnonzero(chosen)
    step = max(1, BLOCK_VALUES // max(1, betas.shape[0]))
    for start in range(0, len(columns), step):
        block_columns = columns[start : start + step]
        yield slice(None), np.arange(start, start + len(block_columns)), betas[:, block_columns]


def _empty(first_record: BetaRun, n_trials: int, inside: np.ndarray) -> Betas:
    tables = (pd.DataFrame(arrays, index=range(len(inside))) for arrays in (first_record.places, first_record.ceilings))
    places, ceilings = (table[inside].reset_index(drop=True) for table in tables)
    values = np.zeros((n_trials, int(inside.sum())), dtype=np.float32)
    return Betas(values, np.empty(0, dtype=object), places, ceilings, {})


def _enter(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, block: np.ndarray) -> None:
    """Put betas into their rows and columns; neighbours by slices, which is several times faster."""
    at_rows, at_columns = _slice(rows), _slice(columns)
    if isinstance(at_rows, slice) or isinstance(at_columns, slice):
        values[at_rows, at_columns] = block
    else:
        values[rows[:, None], columns] = block


def _few(n_columns: int, n_rows: int) -> Iterator[slice]:
    """Cut columns into pieces that stay in the processor's cache."""
    step = max(1, CACHED_VALUES // max(1, n_rows))
    return (slice(start, min(n_columns, start + step)) for start in range(0, n_columns, step))


def _slice(indices: np.ndarray) -> slice | np.ndarray:
    consecutive = len(indices) and (np.diff(indices) == 1).all()
    return slice(int(indices[0]), int(indices[-1]) + 1) if consecutive else indices


def _of(table: pd.DataFrame, record: BetaRun) -> np.ndarray:
    """Mark the trials of a record's session and run, (n_trials,) bool."""
    in_record = np.ones(len(table), dtype=bool)
    for key, value in (("session", record.session), ("run", record.run)):
        if value is not None:
            in_record &= (table[key] == value).to_numpy()
    return in_record


def _where(record: BetaRun) -> str:
    labels = (("session", record.session), ("run", record.run))
    phrases = [f"{key} {value}" for key, value in labels if value is not None]
    return ", ".join(phrases) or "the record of all trials"


def _check_names(record: BetaRun, shown_ids: np.ndarray, subject: str) -> None:
    image_ids = np.asarray(record.image_ids)
    if len(image_ids) != record.betas.shape[0]:
        raise ValueError(
            f"{subject}: {_where(record)} has {record.betas.shape[0]} betas and {len(image_ids)} names of pictures"
        )
    if len(image_ids) != len(shown_ids):
        raise ValueError(
            f"{subject}: {_where(record)} has {len(image_ids)} betas, and the trial table {len(shown_ids)} usable "
            "trials there"
        )
    wrong_rows = np.flatnonzero(image_ids != shown_ids)
    if len(wrong_rows):
        examples = "; ".join(
            f"place {row + 1}: betas {image_ids[row]}, trials {shown_ids[row]}" for row in wrong_rows[:FIRST]
        )
        raise ValueError(
            f"{subject}: {_where(record)}: {len(wrong_rows)} of {len(image_ids)} betas are of other pictures than the "
            f"trial table says ({examples}); sessions may be swapped or ids shifted"
        )


def _check_scale(record: BetaRun, values: np.ndarray, rows: np.ndarray, subject: str) -> None:
    """Refuse values that cannot be in their unit, with the likely cause; ``rows`` of ``values`` are the record's."""
    if record.unit not in PLAUSIBLE or len(rows) < 2:
        return
    low, high = PLAUSIBLE[record.unit]
    sampled = values[_slice(rows), :: max(1, values.shape[1] // SCALED)]  # (n_rows, n_sampled)
    with np.errstate(invalid="ignore"):
        sds = sampled.std(axis=0, ddof=1, dtype=np.float64)  # (n_sampled,)
    sds = sds[np.isfinite(sds) & (sds > 0)]
    if not len(sds):
        return  # masked as constant or not finite, and counted there
    median_sd = float(np.median(sds))
    if low <= median_sd <= high:
        return
    cause = ""
    if low <= median_sd / SCALE <= high:
        cause = f"; {median_sd / SCALE:.3g} would be: integer betas that were not divided by {SCALE:.0f}?"
    elif low <= median_sd * SCALE <= high:
        cause = f"; {median_sd * SCALE:.3g} would be: betas divided by {SCALE:.0f} that were percent already?"
    raise ValueError(
        f"{subject}: {_where(record)}: betas in {UNITS[record.unit]} have a standard deviation over trials of "
        f"{median_sd:.3g} (median of columns), plausible is {low:g} to {high:g}{cause}"
    )


def _why_masked(values: np.ndarray, usable: np.ndarray, reasons: tuple[str, str]) -> np.ndarray:
    usable_rows = np.flatnonzero(usable)
    finite, constant = np.ones((2, values.shape[1]), dtype=bool)  # (n_columns,) each
    step = max(1, CACHED_VALUES // values.shape[1])
    for start in range(0, len(usable_rows), step):
        block = values[_slice(usable_rows[start : start + step])]
        finite &= np.isfinite(block).all(axis=0)
        constant &= (block == values[usable_rows[0]]).all(axis=0)
    return np.where(~finite, reasons[0], np.where(constant, reasons[1], "")).astype(object)


def _check_repeats(betas: Betas, usable_trials: pd.DataFrame, usable: np.ndarray, subject: str) -> None:
    """Refuse sessions whose betas agree with another session's pictures, and note how far they agree with their own."""
    columns = np.flatnonzero(betas.bad == "")
    n_compared = min(len(columns), int(np.clip(COMPARED_VALUES // len(usable_trials), *COMPARED)))
    columns = columns[np.unique(np.linspace(0, len(columns) - 1, n_compared).astype(int))]
    session, sessions = pd.factorize(usable_trials["session"])  # (n_usable,), (n_sessions,)
    image = pd.factorize(usable_trials["image_id"])[0]  # (n_usable,)
    if len(sessions) < 2 or not len(columns) or len(np.unique(image)) == len(image):
        return
    patterns = repeats.patterns(betas.values[:, columns][usable], session)  # (n_usable, n_compared)
    agreements = {
        session_number: repeats.agreement(patterns, image, session, session_number)
        for session_number in range(len(sessions))
    }
    low_agreements = {
        session_number: agreement
        for session_number, agreement in agreements.items()
        if agreement is not None and agreement.z < OWN_Z
    }
    if len(sessions) > NULL_SESSIONS and 2 * len(low_agreements) >= len(sessions):
        low_agreements = {}
    for session_number, other_number in itertools.permutations(low_agreements, 2):
        exchanged_image = _exchanged(image, session, session_number, other_number)
        other_agreement = (
            None if exchanged_image is None else repeats.agreement(patterns, exchanged_image, session, session_number)
        )
        if other_agreement is not None and other_agreement.z >= OTHER_Z:
            own_agreement = low_agreements[session_number]
            raise ValueError(
                f"{subject}: betas of session {sessions[session_number]} agree with other sessions' betas of the same "
                f"pictures if they are taken for those of session {sessions[other_number]} (r {other_agreement.r:.3f} "
                f"above chance, {other_agreement.z:.0f} standard deviations), and not as they are named (r "
                f"{own_agreement.r:.3f}, {own_agreement.z:.1f}): were the files of these sessions exchanged? get both "
                "again"
            )
    rounded_r = {
        str(sessions[session_number]): round(a.r, 4) for session_number, a in agreements.items() if a is not None
    }
    betas.note |= {"agreement_of_repeats": rounded_r}


def _exchanged(image: np.ndarray, session: np.ndarray, session_number: int, other_number: int) -> np.ndarray | None:
    """Exchange the pictures of two sessions' trials, (n_usable,); None where they have not as many."""
    own_rows, other_rows = np.flatnonzero(session == session_number), np.flatnonzero(session == other_number)
    if len(other_rows) != len(own_rows):
        return None
    exchanged_image = image.copy()
    exchanged_image[own_rows], exchanged_image[other_rows] = image[other_rows], image[own_rows]
    return exchanged_image


def _standardise(betas: Betas, table: pd.DataFrame, usable: np.ndarray, parts: pd.DataFrame | None) -> None:
    """Bring each session to mean 0 and standard deviation 1, in place; what is constant in one session is masked."""
    is_training = usable if parts is None else usable & parts["part"].isin(("train", "val")).to_numpy()  # (n_trials,)
    untrained_sessions = []
    for session, rows in table.groupby("session", sort=False).indices.items():
        session_rows = rows[usable[rows]]  # rows of the session's usable trials
        if not len(session_rows):
            continue
        reference_rows = session_rows[is_training[session_rows]]
        if len(reference_rows) < 2:
            untrained_sessions.append(str(session))
            reference_rows = session_rows
        session_index, reference_index = _slice(session_rows), _slice(reference_rows)
        for columns in _few(betas.values.shape[1], len(session_rows)):
            reference, block = betas.values[reference_index, columns], betas.values[session_index, columns]
            betas.values[session_index, columns], constant = cleaning.standardise_by(block, reference)
            bad = betas.bad[columns]
            betas.bad[columns] = np.where((bad == "") & constant, "constant", bad)
    betas.note["units"] += ", then z-score per session (sample standard deviation)"
    betas.note["statistics"] = "all trials" if parts is None else "training and validation trials"
    own_width = "session" if parts is None or untrained_sessions else "none"
    betas.note["transductive"] = max(own_width, betas.note["transductive"], key=WIDTHS.index)
    if parts is not None:
        betas.note["sessions_without_training_trials"] = untrained_sessions
