"""Simulated BOLD of trials in fast succession whose betas are known: plain cells, and worlds meant to be hard."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, stats

from boldflow.core.responses import hrf

N_COMPONENTS = 4  # of noise that vertices have in common
# Of the plain cells: with these, means over the window, LSS and ridge follow the truth as they did in the simulation in
# which GLMsingle was first measured (docs/betas.md); neither that nor the prediction was looked at for it.
DECAY, COMMON_SD = 0.5, 1.3
STRONG = 0.2  # least signal, over noise, of a vertex that counts
RARE_PARTS = 3  # every third picture is a test picture


@dataclass(frozen=True)
class World:
    """What is simulated; times are seconds, ``common`` is a share of the noise variance, ``signal`` scales responses.

    ``mixed_signs``: mean responses of either sign. ``whole_event``: responses of a family of which no method knows
    anything, one per event whatever its duration. ``slow``: a part of the noise decays by .9 a volume, another part in
    each vertex, and common components are 15. ``smooth``: latency and strength have a neighbourhood. ``spikes``,
    ``motion`` and ``growing``: single loud volumes, jumps of the head, noise whose s.d. triples within a run.
    """

    name: str
    tr_s: float = 2.0
    gap_s: float = 4.0
    common: float = 0.6
    signal: float = 1.0
    shown_s: float = 2.0
    n_runs: int = 6
    n_trials: int = 40
    n_repeats: int = 3
    n_vertices: int = 400
    silent: float = 0.3
    mixed_signs: bool = False
    whole_event: bool = False
    slow: bool = False
    smooth: bool = False
    spikes: bool = False
    motion: bool = False
    growing: bool = False


@dataclass(frozen=True)
class Recording:
    """A simulated subject.

    ``series`` per run (n_volumes, n_vertices) float32; ``onsets_s`` and ``pictures`` per run (n_trials,); ``betas`` the
    truth, (n_all_trials, n_vertices); ``is_strong`` and ``is_silent`` bool (n_vertices,).
    """

    world: World
    series: list[np.ndarray]
    onsets_s: list[np.ndarray]
    pictures: list[np.ndarray]
    betas: np.ndarray
    is_strong: np.ndarray
    is_silent: np.ndarray
    motion: list[np.ndarray] = field(default_factory=list)

    @property
    def is_test(self) -> np.ndarray:
        """Trials of test pictures, bool (n_all_trials,)."""
        return np.asarray(np.concatenate(self.pictures) % RARE_PARTS == 0)


def simulate(world: World, seed: int) -> Recording:
    """Simulate a subject."""
    rng = np.random.default_rng([11, seed])
    n_all, n_vertices = world.n_runs * world.n_trials, world.n_vertices
    strength = world.signal * _strengths(world, rng)  # (n_vertices,), 0 where silent
    pictures = rng.permutation(np.arange(n_all) % max(1, n_all // world.n_repeats)).reshape(world.n_runs, -1)
    mean = rng.choice([-1.0, 1.0], n_vertices) if world.mixed_signs else 1.0
    effects = rng.normal(size=(pictures.max() + 1, n_vertices))[pictures.ravel()]
    betas = strength * (mean + 0.8 * effects + 0.6 * rng.normal(size=(n_all, n_vertices)))
    kernels = _responses(world, rng)
    onsets = 6 + world.gap_s * np.arange(world.n_trials)
    n_volumes = round((6 + world.gap_s * world.n_trials + 14) / world.tr_s)
    series, motion = [], []
    for run in range(world.n_runs):
        in_run = slice(run * world.n_trials, (run + 1) * world.n_trials)
        signal = np.stack(
            [
                _design(world, onsets, n_volumes, kernel) @ betas[in_run, vertex]
                for vertex, kernel in enumerate(kernels)
            ],
            axis=1,
        )
        noise, moved = _noise(world, n_volumes, rng)
        series.append((1000 + 10 * (signal + noise)).astype(np.float32))
        motion.append(moved)
    is_silent = strength == 0
    everyone = [onsets] * world.n_runs
    is_strong = strength > STRONG * world.signal
    return Recording(world, series, everyone, list(pictures), betas, is_strong, is_silent, motion)


def _strengths(world: World, rng: np.random.Generator) -> np.ndarray:
    """S.d. of responses over that of noise, (n_vertices,)."""
    strength = _map(world, rng)
    level = stats.norm.cdf(strength)
    return np.where(level < world.silent, 0.0, 0.15 + 0.6 * (level - world.silent) / max(1 - world.silent, 1e-9))


def _map(world: World, rng: np.random.Generator) -> np.ndarray:
    """Standard normal numbers over vertices, with a neighbourhood where the world has one."""
    values = rng.normal(size=world.n_vertices)
    if world.smooth:
        values = ndimage.gaussian_filter1d(values, 8, mode="wrap")
        values /= values.std()
    return np.asarray(values)


def _responses(world: World, rng: np.random.Generator) -> list[np.ndarray]:
    """Give each vertex its response, of peak 1 at the world's duration."""
    latency, width = _map(world, rng), rng.uniform(0.8, 1.25, world.n_vertices)
    step = world.tr_s / hrf.OVERSAMPLING
    kernels = []
    for shift, dispersion in zip(latency, width, strict=True):
        if world.whole_event:
            time = np.arange(0, hrf.LENGTH_S, step)
            rise, fall = 3.5 + 0.7 * shift, 8.5 + shift
            kernel = (
                stats.logistic.cdf(time, rise, 0.7 * dispersion)
                - 1.25 * stats.logistic.cdf(time, fall, 1.1 * dispersion)
                + 0.25 * stats.logistic.cdf(time, 19, 2.0)
            )
            kernel -= kernel[0]
            shown = 1
        else:
            kernel = hrf.double_gamma(world.tr_s, float(np.clip(6 + shift, 3.5, 9)), dispersion)
            shown = max(1, round(world.shown_s / step))
        sums = np.concatenate([np.zeros(shown), np.cumsum(kernel)])
        kernels.append(kernel / (sums[shown:] - sums[:-shown]).max())
    return kernels


def _design(world: World, onsets: np.ndarray, n_volumes: int, kernel: np.ndarray) -> np.ndarray:
    shown = 0.0 if world.whole_event else world.shown_s
    return hrf.regressors(onsets, np.full(len(onsets), shown), n_volumes, world.tr_s, kernel)


def _noise(world: World, n_volumes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise of s.d. about 1 with drift, (n_volumes, n_vertices), and the motion in it, (n_volumes, 6)."""
    n_vertices = world.n_vertices
    decay = 0.9 if world.slow else DECAY
    share = rng.uniform(0.2, 0.8, n_vertices) if world.slow else np.ones(n_vertices)
    own = np.sqrt(share) * _decaying(n_volumes, n_vertices, decay, rng)
    own = own + np.sqrt(1 - share) * rng.normal(size=own.shape)
    n_common = 15 if world.slow else N_COMPONENTS
    sizes = 1 / np.arange(1, n_common + 1) if world.slow else np.ones(n_common)
    weights = rng.normal(size=(n_common, n_vertices)) * (sizes / np.sqrt((sizes**2).sum()))[:, None]
    together = _decaying(n_volumes, n_common, 0.8, rng) @ weights
    if world.slow:  # common noise takes the place of own noise, elsewhere it comes on top
        noise = np.sqrt(1 - world.common) * own + np.sqrt(world.common) * together
    else:
        noise = own + COMMON_SD * np.sqrt(world.common) * together
    if world.growing:
        noise *= np.linspace(0.5, 1.5, n_volumes)[:, None]
    if world.spikes:
        loud = rng.random(n_volumes) < 0.02
        noise[loud] += 6 * rng.normal(size=(int(loud.sum()), 1)) * (0.5 + rng.random(n_vertices))
    moved = np.zeros((n_volumes, 6))
    if world.motion:
        jumps = (rng.random((n_volumes, 6)) < 0.01) * rng.normal(size=(n_volumes, 6))
        moved = jumps.cumsum(axis=0) + 0.05 * rng.normal(size=(n_volumes, 6))
        noise += 1.2 * moved @ rng.normal(size=(6, n_vertices))
    time = np.arange(n_volumes) / n_volumes
    drift = np.stack([np.cos(np.pi * time * k) / k for k in (1, 2, 3)], axis=1) @ rng.normal(size=(3, n_vertices))
    return noise + drift, moved


def _decaying(n_volumes: int, n_series: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary series of unit variance whose correlation decays from volume to volume."""
    innovations = np.sqrt(1 - decay**2) * rng.normal(size=(n_volumes, n_series))
    innovations[0] = rng.normal(size=n_series)
    values = np.empty_like(innovations)
    values[0] = innovations[0]
    for volume in range(1, n_volumes):
        values[volume] = decay * values[volume - 1] + innovations[volume]
    return values
