"""Learning rates as functions of the step."""

import numpy as np
import pytest
import torch

from boldflow.core.networks import schedules


@pytest.mark.parametrize(("n_steps", "share"), [(40, 0.1), (77, 0.3), (2400, 0.1), (13, 0.25)])
def test_one_cycle_is_torchs(n_steps, share):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1e-3)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-4, total_steps=n_steps, pct_start=share)
    for step in range(n_steps):
        rate, momentum = schedules.rate("onecycle", step, n_steps, 2e-4, share)
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        assert momentum == pytest.approx(optimiser.param_groups[0]["betas"][0], rel=1e-9)
        parameter.grad = torch.zeros(1)
        optimiser.step()
        if step < n_steps - 1:
            theirs.step()


@pytest.mark.parametrize("n_steps", [1, 2, 5, 10])
def test_a_few_steps_have_rates_too(n_steps):
    """torch divides by zero where the turn falls on the first step."""
    for name in schedules.NAMES:
        rates = [schedules.rate(name, step, n_steps, 1e-4, 0.1)[0] for step in range(n_steps)]
        assert np.isfinite(rates).all() and 0 < max(rates) <= 1e-4 and min(rates) >= 0


def test_the_cosine_goes_up_in_a_line_and_down_to_nothing():
    rates = np.array([schedules.rate("cosine", step, 100, 1.0, 0.1)[0] for step in range(100)])
    np.testing.assert_allclose(np.diff(rates[:10]), np.diff(rates[:10])[0])
    np.testing.assert_allclose(rates[10:], 0.5 * (1 + np.cos(np.pi * np.arange(90) / 90)))
    assert rates.argmax() == 10


def test_what_is_no_schedule_and_no_step_is_refused():
    with pytest.raises(ValueError, match="no schedule 'square'; there are: onecycle, cosine, constant"):
        schedules.rate("square", 0, 10, 1.0, 0.1)
    with pytest.raises(ValueError, match="step must be from 0 to 9, not 10"):
        schedules.rate("cosine", 10, 10, 1.0, 0.1)
