"""Trials of the same picture agree across sessions; what chance gives is known from names that are moved."""

import numpy as np
import pytest

from boldflow.core.responses import repeats

N_PICTURES, N_SESSIONS, N_COLUMNS = 60, 4, 150


def scanned(seed, signal=1.0, offset=5.0):
    """Every picture once in each session, in another order, with its pattern, noise, and each session's own level."""
    rng = np.random.default_rng(seed)
    pattern = signal * rng.normal(size=(N_PICTURES, N_COLUMNS))
    image = np.concatenate([rng.permutation(N_PICTURES) for _ in range(N_SESSIONS)])
    session = np.repeat(np.arange(N_SESSIONS), N_PICTURES)
    level = offset * rng.normal(size=(N_SESSIONS, N_COLUMNS))
    return pattern[image] + rng.normal(size=(len(image), N_COLUMNS)) + level[session], image, session


def test_agreement_is_the_correlation_that_repeats_must_have_whatever_a_sessions_level():
    """By hand: a trial is S + N, the mean of three others S + N / sqrt 3, so r = S^2 / sqrt((S^2 + 1)(S^2 + 1/3))."""
    values, image, session = scanned(0, signal=0.8)
    trials = repeats.patterns(values, session)
    power = 0.8**2
    wanted = power / np.sqrt((power + 1) * (power + 1 / 3))
    for one in range(N_SESSIONS):
        found = repeats.agreement(trials, image, session, one)
        assert found.r == pytest.approx(wanted, abs=0.03) and found.z > 20


def test_without_signal_it_is_chance():
    found = []
    for seed in range(25):
        values, image, session = scanned(seed, signal=0.0)
        trials = repeats.patterns(values, session)
        found += [repeats.agreement(trials, image, session, one).z for one in range(N_SESSIONS)]
    assert np.abs(found).max() < 5 and 0.7 < np.std(found) < 1.4


def test_sessions_whose_pictures_are_exchanged_agree_with_each_others_and_not_with_their_own():
    values, image, session = scanned(1, signal=0.5)
    trials = repeats.patterns(values, session)
    exchanged = image.reshape(N_SESSIONS, -1)[[1, 0, 2, 3]].ravel()
    z = [repeats.agreement(trials, exchanged, session, one).z for one in range(N_SESSIONS)]
    assert max(z[:2]) < 3 and min(z[2:]) > 6
    assert repeats.agreement(trials, image, session, 0).z > 6


def test_nothing_is_said_of_few_repeats_and_silent_columns_and_trials_do_no_harm():
    values, image, session = scanned(2)
    values[5] = 0.0
    values[:, 3] = 7.0
    trials = repeats.patterns(values, session)
    assert np.isfinite(trials).all() and not trials[:, 3].any()
    few = np.where(session == 0, image + N_PICTURES * (image >= repeats.LEAST - 1), image)
    assert repeats.agreement(trials, few, session, 0) is None
    assert repeats.agreement(trials, few, session, 1) is not None
