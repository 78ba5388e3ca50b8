"""Published betas are lined up with the trial table by name, never by place alone, and refused where they cannot be."""

import numpy as np
import pandas as pd
import pytest

from boldflow.core.records.runs import BetaRun
from boldflow.stages.responses import _betas
from boldflow.stages.responses.project_responses import BAD

N_COLUMNS = 7


@pytest.fixture
def table():
    """Two sessions of six trials; the third of each is not usable."""
    rows = [(s, r, t) for s in ("01", "02") for r in ("01", "02") for t in (1, 2, 3)]
    found = pd.DataFrame(rows, columns=["session", "run", "trial"])
    return found.assign(image_id=[f"p{n}.jpg" for n in range(12)], usable=[n % 6 != 2 for n in range(12)])


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((12, N_COLUMNS)).astype(np.float32) * 2 + 1


def record(table, values, where, unit="percent", **changes):
    here = where & table["usable"].to_numpy()
    parts = {"image_ids": table["image_id"].to_numpy()[here], "betas": values[here]}
    places = {"i": np.arange(N_COLUMNS)}
    return BetaRun(**{"session": None, "run": None, "unit": unit, "places": places, **parts, **changes})


def sessions(table, values, **changes):
    labels = ("01", "02")
    return [record(table, values, (table["session"] == s).to_numpy(), session=s, **changes) for s in labels]


def read(records, table, parts=None, **entry):
    _, found = _betas.opened(iter(records), "sub-x")
    return _betas.read(found, table, "sub-x", entry, parts, BAD, np.ones(N_COLUMNS, bool))


def test_values_come_to_their_trials_whatever_the_order_of_sessions(table, values):
    whole = [record(table, values, np.ones(12, bool))]
    for records in (sessions(table, values), sessions(table, values)[::-1], whole):
        found = read(records, table)
        usable = table["usable"].to_numpy()
        np.testing.assert_array_equal(found.values[usable], values[usable])
        assert not found.values[~usable].any() and (found.bad == "").all()
        assert found.note == {"units": "percent signal change", "transductive": "session"}


class Unread:
    """Betas that are read in pieces, and only those wanted."""

    def __init__(self, betas):
        self.betas, self.shape, self.given = betas, betas.shape, 0

    def blocks(self, wanted):
        wanted = np.flatnonzero(wanted)
        for trials in (slice(0, 2), slice(2, len(self.betas))):
            for columns in (np.arange(0, len(wanted), 2), np.arange(1, len(wanted), 2)):
                values = self.betas[trials, wanted[columns]]
                self.given += values.size
                yield trials, columns, values


def test_unread_betas_are_those_read_and_no_more_is_read_than_the_region(table, values):
    inside = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    usable, lazy = table["usable"].to_numpy(), []
    for one in sessions(table, values):
        lazy.append(Unread(one.betas))
        lazy[-1] = BetaRun(one.session, None, one.image_ids, lazy[-1], "percent", one.places)
    found, wanted = (
        _betas.read(iter(some), table, "sub-x", {}, None, BAD, inside) for some in (lazy, sessions(table, values))
    )
    np.testing.assert_array_equal(found.values, wanted.values)
    np.testing.assert_array_equal(found.values[usable], values[usable][:, inside])
    assert found.places["i"].tolist() == [0, 2, 3, 6] and sum(one.betas.given for one in lazy) == usable.sum() * 4


def swapped(table, values):
    one, other = sessions(table, values)
    change = {"unit": "percent", "places": one.places}
    return [
        BetaRun("01", None, other.image_ids, other.betas, **change),
        BetaRun("02", None, one.image_ids, one.betas, **change),
    ]


def shifted(table, values):
    """Names of the pictures that follow: what an id counted from 1 reads as one counted from 0."""
    whole = record(table, values, np.ones(12, bool))
    return [record(table, values, np.ones(12, bool), image_ids=np.roll(whole.image_ids, -1))]


REFUSED = {
    "swapped sessions": (swapped, "5 of 5 betas are of other pictures .*place 1: betas p6.jpg, trials p0.jpg"),
    "ids shifted by one": (shifted, "10 of 10 betas are of other pictures .*place 1: betas p1.jpg, trials p0.jpg"),
    "a session too few": (
        lambda *x: sessions(*x)[:1],
        "5 of 10 usable trials have no betas: session 02, run 01, trial 1",
    ),
    "a session twice": (lambda *x: [*sessions(*x), sessions(*x)[0]], "that an earlier record has given"),
    "too few rows": (
        lambda t, v: [record(t, v, np.arange(12) < 11)],
        "the record of all trials has 9 betas, and the trial table 10 usable trials",
    ),
    "names of other length": (
        lambda t, v: [record(t, v, np.ones(12, bool), image_ids=np.array(["p0.jpg"]))],
        "has 10 betas and 1 names of pictures",
    ),
    "not divided by 300": (
        lambda t, v: sessions(t, v * 300),
        r"standard deviation over trials of \d+.*plausible is 0.02 to 30; .* not divided by 300",
    ),
    "divided twice": (lambda t, v: sessions(t, v / 300), "divided by 300 that were percent already"),
    "another unit": (
        lambda t, v: [sessions(t, v)[0], sessions(t, v, unit="z")[1]],
        r"several units: \['percent', 'z'\]",
    ),
    "other columns": (
        lambda t, v: [sessions(t, v)[0], record(t, v[:, :3], (t["session"] == "02").to_numpy(), session="02")],
        "session 02 has 3 columns, the ones before 7",
    ),
    "nothing": (lambda t, v: [], "sub-x has no betas"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_both_sides(table, values, case):
    make, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        read(make(table, values), table)


def test_columns_without_signal_are_masked_with_the_reason(table, values):
    values[3, 1], values[:, 4], values[7, 5] = np.nan, 2.5, np.inf
    found = read(sessions(table, values), table)
    assert found.bad.tolist() == ["", BAD[0], "", "", BAD[1], BAD[0], ""]
    values[:6, 2] = 1.0  # constant in one session alone: fine as published, not to be divided by its spread
    assert read(sessions(table, values), table).bad[2] == ""
    assert read(sessions(table, values), table, zscore="session").bad[2] == BAD[1]


def test_sessions_are_standardised_over_all_trials_or_training_trials(table, values):
    usable = table["usable"].to_numpy()
    found = read(sessions(table, values), table, zscore="session")
    for session in ("01", "02"):
        here = usable & (table["session"] == session).to_numpy()
        wanted = (values[here] - values[here].mean(axis=0)) / values[here].std(axis=0, ddof=1)
        np.testing.assert_allclose(found.values[here], wanted, atol=1e-5)
    assert found.note["transductive"] == "session" and found.note["statistics"] == "all trials"
    part = np.where(np.arange(12) < 5, "train", "test")  # the second session has no training trial
    parts = table[["session", "run", "trial"]].assign(onset_s=0.0, part=part)
    found = read(sessions(table, values), table, parts, zscore="session")
    fitted, here = usable & (part == "train"), usable & (table["session"] == "01").to_numpy()
    wanted = (values[here] - values[fitted].mean(axis=0)) / values[fitted].std(axis=0, ddof=1)
    np.testing.assert_allclose(found.values[here], wanted, atol=1e-5)
    assert found.note["sessions_without_training_trials"] == ["02"] and found.note["transductive"] == "session"
    changed = values.copy()
    changed[part == "test"] += 3
    one, other = (read(sessions(table, v), table, parts, zscore="session").values for v in (values, changed))
    np.testing.assert_array_equal(one[fitted], other[fitted])  # test trials have no part in it


@pytest.mark.parametrize(("unit", "seen"), [("percent", "session"), ("z", "session"), ("arbitrary", "run")])
def test_the_sidecar_says_over_what_published_values_were_fitted_or_scaled(table, values, unit, seen):
    """Z-scores as published are over all trials of a session, and scaling by training trials does not undo that."""
    records = sessions(table, values, unit=unit, transductive=seen)
    assert read(records, table).note["transductive"] == seen
    part = np.where(np.arange(12) % 6 < 5, "train", "test")
    parts = table[["session", "run", "trial"]].assign(onset_s=0.0, part=part)
    assert read(records, table, parts, zscore="session").note["transductive"] == seen
    assert read(records, table, zscore="session").note["transductive"] == "session"


N_PICTURES, N_SESSIONS = 40, 3


def repeated(seed, signal, exchanged=()):
    """Each picture once per session, and betas whose sessions were exchanged."""
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(N_PICTURES) for _ in range(N_SESSIONS)])
    betas = signal * rng.normal(size=(N_PICTURES, 60))[order] + rng.normal(size=(N_SESSIONS, N_PICTURES, 60))
    places = np.arange(N_SESSIONS)
    places[list(exchanged)] = places[list(exchanged)[::-1]]
    labels = [f"{n:02d}" for n in range(1, N_SESSIONS + 1)]
    names = [[f"p{k}" for k in row] for row in order]
    table = pd.DataFrame({"session": np.repeat(labels, N_PICTURES), "run": "01", "image_id": np.concatenate(names)})
    table = table.assign(trial=np.tile(np.arange(N_PICTURES), N_SESSIONS), usable=True)
    runs = [
        BetaRun(label, None, np.array(row), betas[place].astype(np.float32), "percent", {"i": np.arange(60)})
        for label, row, place in zip(labels, names, places, strict=True)
    ]
    return _betas.read(iter(runs), table, "sub-x", {}, None, BAD, np.ones(60, bool))


def test_exchanged_files_of_sessions_are_refused_by_what_repeats_of_pictures_say():
    words = r"sub-x: betas of session 01 agree .* of session 03 \(r 0\.\d+ above chance, \d+ .*the files .* exchanged"
    with pytest.raises(ValueError, match=words):
        repeated(0, 1.0, exchanged=(0, 2))
    found = repeated(0, 1.0).note["agreement_of_repeats"]
    assert list(found) == ["01", "02", "03"] and min(found.values()) > 0.3


def test_sessions_without_signal_are_not_called_exchanged():
    for seed in range(10):
        assert max(repeated(seed, 0.0).note["agreement_of_repeats"].values()) < 0.2


def test_columns_that_are_not_wanted_are_left_out(table, values):
    inside = np.arange(N_COLUMNS) % 2 == 0
    found = _betas.read(iter(sessions(table, values)), table, "sub-x", {}, None, BAD, inside)
    usable = table["usable"].to_numpy()
    np.testing.assert_array_equal(found.values[usable], values[usable][:, inside])
    assert found.places["i"].tolist() == [0, 2, 4, 6]
