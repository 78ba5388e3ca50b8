"""Lines of `truth` for p by refits: studies without signal, whose noise knows time."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import signal as filters

from bench import _lines
from bench._lines import Line
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import statistics
from boldflow.core.scores.encoding import EncodingScorer

N_RUNS, N_BLOCKS, IN_BLOCK, N_VERTICES = 6, 4, 4, 5
PER_RUN = N_BLOCKS * IN_BLOCK
RUN = np.repeat(np.arange(N_RUNS), PER_RUN)
N_REFITS, PENALTY = 99, 10.0
BAND = (0.03, 0.07)
TEST = TestSet(RUN, np.arange(len(RUN)), RUN, np.arange(len(RUN)))
Permute = Callable[[np.random.Generator], np.ndarray]  # gives the trial whose label each trial gets


def lines(seed: int, quick: bool) -> Iterator[Line]:
    """Count p <= .05 where labels come in random order or in blocks, each run left out in turn."""
    for name, rho, blocked in (("random", 0.0, False), ("AR .5", 0.5, False), ("AR .9", 0.9, False)):
        yield _line(name, rho, blocked, seed, quick)
    for rho in (0.5, 0.9):
        yield _line(f"in blocks, AR {rho:g}, whole runs trade", rho, True, seed, quick)


def _line(name: str, rho: float, blocked: bool, seed: int, quick: bool) -> Line:
    rng = np.random.default_rng([seed, round(10 * rho), int(blocked)])
    is_significant = []
    for _ in range(60 if quick else 1000):
        labels = np.concatenate([_order(blocked, rng) for _ in range(N_RUNS)])
        noise = filters.lfilter([1], [1, -rho], rng.normal(size=(N_RUNS, 30 + PER_RUN, N_VERTICES)), axis=1)[:, 30:]
        permute = _by_runs if blocked else _within_runs
        is_significant.append(_p(np.eye(N_BLOCKS)[labels], noise.reshape(len(RUN), N_VERTICES), permute, rng) <= 0.05)
    return _lines.share("p by refits <= .05", name, seed, is_significant, BAND, quick)


def _order(blocked: bool, rng: np.random.Generator) -> np.ndarray:
    """Labels of a run, (PER_RUN,)."""
    blocks = np.repeat(rng.permutation(N_BLOCKS), IN_BLOCK)
    return blocks if blocked else rng.permutation(blocks)


def _within_runs(rng: np.random.Generator) -> np.ndarray:
    return statistics.permute_within(np.arange(len(RUN)), RUN, rng)


def _by_runs(rng: np.random.Generator) -> np.ndarray:
    return statistics.trade_runs(RUN, rng)


def _p(features: np.ndarray, responses: np.ndarray, permute: Permute, rng: np.random.Generator) -> float:
    """Refit under permuted labels, N_REFITS times."""
    scorer = EncodingScorer(TEST, responses, {"all": np.ones(N_VERTICES, dtype=bool)})
    null = np.array([_r(scorer, features[permute(rng)], responses) for _ in range(N_REFITS)])
    return statistics.permutation_p(_r(scorer, features, responses), null)


def _r(scorer: EncodingScorer, features: np.ndarray, responses: np.ndarray) -> float:
    """Mean r of a ridge, each run left out in turn."""
    predicted = np.empty_like(responses)
    for run in range(N_RUNS):
        train = run != RUN
        mean_x, mean_y = features[train].mean(axis=0), responses[train].mean(axis=0)
        x = features[train] - mean_x
        weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ (responses[train] - mean_y))
        predicted[~train] = (features[~train] - mean_x) @ weights + mean_y
    return float(scorer.correlation(predicted).mean())
