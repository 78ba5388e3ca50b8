"""Contrastive losses and ranks in a batch against loops over trials."""

import math

import numpy as np
import pytest
import torch

from boldflow.core.networks import losses
from boldflow.core.scores import metrics

N, D = 9, 5


def made(seed=0, n_seeds=2):
    rng = np.random.default_rng(seed)
    predicted, targets = rng.normal(size=(n_seeds, N, D)), rng.normal(size=(N, D))
    groups = np.array([0, 1, 2, 0, 3, 1, 4, 0, 5])
    return tuple(torch.from_numpy(one) for one in (predicted, targets, groups))


def by_hand(x, y, groups, scale, normalise, symmetric, masked):
    """One trial after the other, with math alone."""

    def score(i, j):
        product = sum(float(a) * float(b) for a, b in zip(x[i], y[j], strict=True))
        length = {"none": [], "y": [y[j]], "xy": [y[j], x[i]]}[normalise]
        for one in length:
            product /= 1e-15 + math.sqrt(sum(float(a) ** 2 for a in one))
        return float(scale) * product

    def lost(i, forward):
        others = [j for j in range(N) if j == i or not (masked and groups[i] == groups[j])]
        values = [score(i, j) if forward else score(j, i) for j in others]
        return math.log(sum(math.exp(v) for v in values)) - score(i, i)

    directions = [True, False] if symmetric else [True]
    return sum(lost(i, forward) for i in range(N) for forward in directions) / (N * len(directions))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("normalise", ["y", "xy", "none"])
def test_the_loss_is_that_of_a_loop_over_trials(normalise, symmetric, masked):
    predicted, targets, groups = made()
    scale = torch.tensor([1.0, 2.5], dtype=torch.float64)
    contrast = losses.Contrast(normalise, symmetric, masked)
    found = losses.clip_loss(predicted, targets, groups, scale, contrast)
    for seed in range(2):
        wanted = by_hand(predicted[seed], targets, groups, scale[seed], normalise, symmetric, masked)
        assert found[seed].item() == pytest.approx(wanted, rel=1e-12)


def test_the_mixture_goes_from_the_contrast_alone_to_the_squared_error_alone():
    predicted, targets, groups = made()
    scale = torch.ones(2, dtype=torch.float64)
    found = [losses.mixed_loss(predicted, targets, groups, scale, losses.Contrast(mse=s)) for s in (0.0, 0.3, 1.0)]
    squared = ((predicted.numpy() - targets.numpy()) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(found[2].numpy(), squared)
    np.testing.assert_allclose(found[1].numpy(), 0.7 * found[0].numpy() + 0.3 * squared)


def test_an_unknown_way_to_normalise_is_refused():
    predicted, targets, _ = made()
    with pytest.raises(ValueError, match="normalise must be y, xy or none, not 'x'"):
        losses.scores(predicted, targets, "x")


@pytest.mark.parametrize("masked", [False, True])
def test_ranks_in_a_batch_are_counted(masked):
    """Witness: Python loops over candidates, on scores with many ties."""
    rng = np.random.default_rng(1)
    found, groups = torch.from_numpy(rng.integers(0, 4, (2, N, N)).astype(float)), made()[2]
    left_out = losses.same_picture(groups) if masked else None
    above, tied, size = losses.batch_ranks(found, left_out)
    for seed in range(2):
        for i in range(N):
            counted = [j for j in range(N) if j == i or not (masked and groups[i] == groups[j])]
            own = found[seed, i, i]
            higher = sum(bool(found[seed, i, j] > own) for j in counted)
            level = sum(bool(found[seed, i, j] == own) for j in counted)
            assert (above[seed, i], tied[seed, i], size[seed, i]) == (higher, level, len(counted))
            for k in (1, 5, 20):
                wanted = min(max((k - higher) / level, 0), 1)
                assert losses.top_k(above, tied, k)[seed, i].item() == pytest.approx(wanted)


def test_places_among_all_trials_are_those_of_the_scored_metric(monkeypatch):
    """Witness: the project's own metric on the same gallery; in blocks of queries too."""
    predicted, targets, groups = made()
    ranked = [metrics.ranks(metrics.identification_scores(p, targets.numpy()), np.arange(N)) for p in predicted.numpy()]
    wanted = [metrics.inverse_normalised_rank(one).mean() for one in ranked]
    for block in (losses.BLOCK, 2):
        monkeypatch.setattr(losses, "BLOCK", block)
        found = losses.inverse_normalised_ranks(predicted, targets, groups, masked=False)
        np.testing.assert_allclose(found.numpy(), wanted)


def test_a_place_without_another_candidate_is_chance():
    predicted, targets, _ = made()
    found = losses.inverse_normalised_ranks(predicted, targets, torch.zeros(N, dtype=torch.int64), masked=True)
    assert found.tolist() == [0.5, 0.5]
