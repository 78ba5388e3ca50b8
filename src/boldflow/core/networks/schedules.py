"""Learning rates as functions of the step: no progress of theirs has to be kept."""

import math

FIRST, LAST = 25.0, 1e4  # of one cycle: max over first rate, first over last rate (torch's defaults)
MOMENTUM = (0.85, 0.95)  # of one cycle: at the highest rate, and at both ends (torch's defaults)
NAMES = ("onecycle", "cosine", "constant")


def rate(name: str, step: int, n_steps: int, highest: float, warm_up: float) -> tuple[float, float | None]:
    """Give the learning rate of a step, and the first momentum where the schedule moves it.

    Parameters
    ----------
    name : {"onecycle", "cosine", "constant"}
        onecycle: along half a cosine from ``highest`` / 25 to ``highest``, then down to that start / 10,000, while
        Adam's first momentum goes from .95 to .85 and back, as in torch's ``OneCycleLR``. cosine: up in a straight
        line, then down along half a cosine to 0. constant: ``highest`` after the warm-up.
    step : int
        From 0.
    n_steps : int
    highest : float
    warm_up : float
        Share of the steps until the highest rate.

    Returns
    -------
    (rate, momentum or None)

    Raises
    ------
    ValueError
        If there is no such schedule, or no such step.

    Notes
    -----
    Smith and Topin 2019, Proc. SPIE 11006; Loshchilov and Hutter 2017, ICLR.
    """
    if not 0 <= step < n_steps:
        raise ValueError(f"step must be from 0 to {n_steps - 1}, not {step}")
    if name == "onecycle":
        return _one_cycle(step, n_steps, highest, warm_up)
    if name not in NAMES:
        raise ValueError(f"no schedule {name!r}; there are: {', '.join(NAMES)}")
    n_rising = warm_up * n_steps
    if step < n_rising:
        return highest * (step + 1) / (math.floor(n_rising) + 1), None
    if name == "constant":
        return highest, None
    return _between(highest, 0.0, (step - n_rising) / max(n_steps - n_rising, 1)), None


def _one_cycle(step: int, n_steps: int, highest: float, warm_up: float) -> tuple[float, float]:
    turn_step, last_step = warm_up * n_steps - 1, n_steps - 1
    start_rate, (low_momentum, high_momentum) = highest / FIRST, MOMENTUM
    if step <= turn_step:
        share_done = step / turn_step if turn_step else 1.0
        return _between(start_rate, highest, share_done), _between(high_momentum, low_momentum, share_done)
    share_done = (step - turn_step) / (last_step - turn_step)
    return _between(highest, start_rate / LAST, share_done), _between(low_momentum, high_momentum, share_done)


def _between(start: float, end: float, share_done: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share_done))
