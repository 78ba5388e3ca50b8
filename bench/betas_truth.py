"""Single-trial betas against the truth of simulated BOLD: best linear unbiased prediction, GLMsingle, ridge, windows.

All data are simulated. Each method's number is the mean, over vertices with signal, of the correlation of its betas
with those that were put in; methods are compared on the same subjects (seeds). GLMsingle 1.2 (type D, on volumes
interpolated to half the repetition time) runs in an environment of its own and is told which trials show one picture;
ours is told nothing (label-free), or nothing in the windows of test trials (strict).
"""

import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
from scipy import stats

from bench import _beta_methods, _lines
from bench._glmsingle import GlmSingle
from bench._lines import Line
from bench._rapid_bold import Recording, World, simulate
from boldflow.core.compute import fixed_threads

table = _lines.table
NAME = "betas-truth"
PLAIN = tuple(
    World(f"TR {tr_s:g}, {gap_s:g} s, common {common:g}", tr_s, gap_s, common)
    for tr_s in (2.0, 1.6)
    for gap_s in (4.0, 8.0)
    for common in (0.6, 0.0)
)
_STRANGE = World("", slow=True, whole_event=True)
HARD = (
    replace(_STRANGE, name="hard A", tr_s=1.6),
    replace(_STRANGE, name="hard B", silent=0.0),
    replace(_STRANGE, name="hard C", tr_s=1.6, mixed_signs=True, signal=0.6),
    replace(_STRANGE, name="hard D", gap_s=8.0, silent=0.0, signal=2.0),
    replace(_STRANGE, name="hard E", mixed_signs=True, signal=2.5),
)
OTHER = (
    World("neighbourhood", smooth=True),
    World("spikes", spikes=True),
    World("motion", motion=True),
    World("growing noise", growing=True),
    World("few trials", n_runs=3, n_trials=12, n_repeats=2),
    World("long events", gap_s=22.5, shown_s=12.0, n_trials=9, n_runs=10),
)
METHODS = {
    "window": _beta_methods.window,
    "LSS": _beta_methods.lss,
    "LSA": _beta_methods.lsa,
    "ridge": _beta_methods.ridge,
    "strict": partial(_beta_methods.predicted, strict=True),
    "label-free": partial(_beta_methods.predicted, strict=False),
}
OURS = ("strict", "label-free")
PEER, PEER_HALVED = "GLMsingle D", "GLMsingle D, TR/2"
GAIN, LEAST_GAIN, RETEST, COST = 1.10, 1.05, 0.02, 0.25
FULL_SIZE = World("20,484 vertices, 12 runs x 300", n_vertices=20_484, n_runs=12, gap_s=14.0, n_trials=41)
MOST_GIB = 4.0
Scores = dict[str, float]  # by method, and "METHOD, silent" and "METHOD, CPU s"


def run(quick: bool = False) -> list[Line]:
    """Simulate, estimate, compare.

    Parameters
    ----------
    quick : bool
        Two seeds of two plain cells and a hard one, instead of ten of all; nothing of full size.

    Returns
    -------
    list of Line
    """
    worlds = (*PLAIN[:2], HARD[0]) if quick else (*PLAIN, *HARD, *OTHER)
    scores = measured(worlds, range(2 if quick else 10))
    return [*lines(scores), *([] if quick else [full_size()])]


def measured(worlds: Iterable[World], seeds: Sequence[int]) -> dict[World, list[Scores]]:
    """Score all methods on each world and seed, GLMsingle on plain and hard ones; means are printed as they come."""
    peer, scores = GlmSingle(), {}
    print(f"| world | {' | '.join((*METHODS, PEER, PEER_HALVED))} |")
    for world in worlds:
        scores[world] = [_scores(simulate(world, seed), None if world in OTHER else peer) for seed in seeds]
        print(f"| {world.name} | {' | '.join(_cells(scores[world]))} |", flush=True)
    return scores


def lines(scores: Mapping[World, list[Scores]]) -> list[Line]:
    """Hold the numbers against what is promised."""
    made: list[Line] = []
    for ours in OURS:
        judged = {world: of_seeds for world, of_seeds in scores.items() if world not in OTHER}
        gains = np.mean([_ratios(of_seeds, ours, PEER_HALVED) for of_seeds in judged.values()], axis=0)  # (n_seeds,)
        made.append(_line(f"{ours} over {PEER_HALVED}", "mean of plain and hard", gains, GAIN, np.inf))
        low = stats.t.interval(0.95, len(gains) - 1, gains.mean(), stats.sem(gains))[0]
        made.append(replace(made[-1], cell="the same, lower bound", value=float(low), low=LEAST_GAIN))
        for world, of_seeds in scores.items():
            for other in (PEER_HALVED, "ridge", "window"):
                if other in of_seeds[0]:
                    made.append(_line(f"{ours} over {other}", world.name, _ratios(of_seeds, ours, other), 1.0, np.inf))
        silent = [of_seed[f"{ours}, silent"] for of_seeds in scores.values() for of_seed in of_seeds]
        silent = [retest for retest in silent if not np.isnan(retest)]
        made.append(_line(f"{ours}, retest of silent vertices", "all", np.array(silent), -RETEST, RETEST))
        costs = np.concatenate([_ratios(of_seeds, f"{ours}, CPU s", f"{PEER}, CPU s") for of_seeds in judged.values()])
        made.append(_line(f"{ours}, processor time over {PEER}", "all", costs, 0.0, COST))
    return made


def full_size() -> Line:
    """Give the minutes that betas of a subject of full size take; peak memory of this process stands in the cell."""
    recording = _full_size_noise()
    start = time.process_time()
    with fixed_threads(1):
        _beta_methods.predicted(recording, strict=True)
    minutes = (time.process_time() - start) / 60
    scale = 1 if sys.platform == "darwin" else 1024
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**30
    line = _line("strict, processor minutes", f"{FULL_SIZE.name}, {gib:.1f} GiB", np.array([minutes]), 0.0, np.inf)
    return replace(line, high=line.value if gib <= MOST_GIB else 0.0)


def _full_size_noise() -> Recording:
    """A subject of full size; what the numbers are makes no difference to time and memory."""
    rng = np.random.default_rng(0)
    world = FULL_SIZE
    onsets = 6 + world.gap_s * np.arange(world.n_trials)
    series = [1000 + rng.standard_normal((300, world.n_vertices), dtype=np.float32) for _ in range(world.n_runs)]
    pictures = [np.arange(world.n_trials) for _ in series]
    nothing = np.zeros(0)
    return Recording(world, series, [onsets] * world.n_runs, pictures, nothing, nothing, nothing)


def _scores(recording: Recording, peer: GlmSingle | None) -> Scores:
    scores: Scores = {}
    for name, method in METHODS.items():
        start = time.process_time()
        with fixed_threads(1):
            betas = method(recording)
        scores |= _scored(name, recording, betas, time.process_time() - start)
    if peer is None:
        return scores
    estimates = peer.estimate(recording)
    scores |= _scored(PEER, recording, estimates.betas, estimates.cpu_s)
    return scores | _scored(PEER_HALVED, recording, estimates.halved_betas, estimates.halved_cpu_s)


def _scored(name: str, recording: Recording, betas: np.ndarray, cpu_s: float) -> Scores:
    strong = recording.is_strong
    r = float(_correlations(betas[:, strong], recording.betas[:, strong]).mean())
    test = recording.is_test
    r_test = float(_correlations(betas[test][:, strong], recording.betas[test][:, strong]).mean())
    return {
        name: r,
        f"{name}, test": r_test,
        f"{name}, silent": _retest(recording, betas[:, recording.is_silent]),
        f"{name}, CPU s": cpu_s,
    }


def _cells(of_seeds: list[Scores]) -> list[str]:
    """Give r over all trials / over test trials / retest of silent vertices, processor seconds; means over seeds."""
    cells = []
    for name in (*METHODS, PEER, PEER_HALVED):
        if name in of_seeds[0]:
            parts = (name, f"{name}, test", f"{name}, silent", f"{name}, CPU s")
            r, r_test, silent, cpu_s = (np.mean([of_seed[part] for of_seed in of_seeds]) for part in parts)
            retest = "-" if np.isnan(silent) else f"{silent:+.3f}"
            cells.append(f"{r:.3f} / {r_test:.3f} / {retest}, {cpu_s:.1f}")
    return cells


def _retest(recording: Recording, betas: np.ndarray) -> float:
    """Correlate presentations of the same pictures; the mean over pairs and vertices, NaN where there is no vertex."""
    if not betas.shape[1]:
        return float("nan")
    order = np.argsort(np.concatenate(recording.pictures), kind="stable")
    by_picture = betas[order].reshape(-1, recording.world.n_repeats, betas.shape[1])
    pairs = combinations(range(recording.world.n_repeats), 2)
    return float(np.mean([_correlations(by_picture[:, one], by_picture[:, other]).mean() for one, other in pairs]))


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.asarray((x * y).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0)))


def _ratios(of_seeds: list[Scores], method: str, other: str) -> np.ndarray:
    return np.array([of_seed[method] / of_seed[other] for of_seed in of_seeds])


def _line(line: str, cell: str, values: np.ndarray, low: float, high: float) -> Line:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return Line(line, cell, 11, len(values), float(np.mean(values)), error, low, high, NAME)
