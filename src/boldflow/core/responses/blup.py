"""Single-trial betas by best linear unbiased prediction (BLUP), averaged over what cannot be known.

The model of a run, for a vertex: series = nuisance + trials @ betas + noise. Betas are random, about a mean of the run
that is random too; noise has a stationary covariance. Unknown are the haemodynamic response, the variance of betas over
that of noise, and the variance of their mean; each combination on a grid has a restricted likelihood, in which nuisance
is integrated out and the noise variance is the best of each run. Betas are the average of the combinations'
predictions, weighted by their posterior, whose prior is learned over vertices. No label of any trial takes part.

Henderson 1975, Biometrics 31, 423-447 (prediction); Patterson and Thompson 1971, Biometrika 58, 545-554 (likelihood).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular, toeplitz

from boldflow.core.responses import glm

# Variance of betas over that of noise, times the mean squared length of a run's regressors.
VARIANCE_RATIOS = np.array([0.0, *(0.01 * 3000 ** (np.arange(9) / 8))])
MEAN_RATIOS = (3.0, 30.0)  # variance of a run's mean beta over that of betas
N_TURNS = 3  # of the learning of the prior
LEAST_PRIOR = 1e-6  # of a combination: none is ruled out by other vertices


class Noise(NamedTuple):
    """Correlation of noise: ``share`` of its variance decays by ``decay`` from volume to volume, the rest is white."""

    share: float
    decay: float


@functools.cache
def noises() -> tuple[Noise, ...]:
    """Correlations among which likelihood chooses, white noise first."""
    decaying = [Noise(1.0, decay) for decay in (0.15, 0.3, 0.45, 0.6, 0.75)]
    mixed = [Noise(share, decay) for share in (0.25, 0.5, 0.75) for decay in (0.6, 0.8, 0.9, 0.95)]
    return (Noise(0.0, 0.0), *decaying, *mixed)


@dataclass(frozen=True)
class Design:
    """Of a run.

    ``trials`` (n_volumes, n_trials) per kernel, the regressors of all kernels in one unit; ``nuisance`` (n_volumes,
    n_regressors): constant, drift, confounds; ``seen`` bool (n_volumes,): the volumes that choices may see.
    """

    trials: Sequence[np.ndarray]
    nuisance: np.ndarray
    seen: np.ndarray

    def beside(self, regressors: np.ndarray) -> "Design":
        """Give the same design with further nuisance, (n_volumes, n_more)."""
        return Design(self.trials, np.hstack([self.nuisance, regressors]), self.seen)

    def of_kernel(self, kernel: int) -> "Design":
        """Give the same design with one kernel alone."""
        return Design([self.trials[kernel]], self.nuisance, self.seen)

    def every_volume(self) -> "Design":
        """Give the same design with all volumes seen."""
        return Design(self.trials, self.nuisance, np.ones(len(self.seen), dtype=bool))


@dataclass(frozen=True)
class _Modes:
    """Directions in which trials move a run, for a kernel and a mean ratio.

    ``rotation`` (rank, n_modes) leads from the kernel's own directions to these, ``power`` (n_modes,) is what a
    variance ratio of 1 adds to the noise along each, ``to_betas`` (n_trials, n_modes) leads to betas.
    """

    rotation: np.ndarray
    power: np.ndarray
    to_betas: np.ndarray

    def growth(self, variance_ratios: np.ndarray) -> np.ndarray:
        """Variance along each mode over that of noise alone, (n_ratios, n_modes)."""
        return np.asarray(1 + variance_ratios[:, None] * self.power)


class Model:
    """The linear mixed model of a run, for noise of one correlation.

    Parameters
    ----------
    design : Design
        Only the volumes that are seen are modelled.
    noise : Noise
    mean_ratios : sequence of float
    variance_ratios : array of shape (n_ratios,)

    Raises
    ------
    ValueError
        If nuisance leaves nothing of the volumes.
    """

    def __init__(
        self,
        design: Design,
        noise: Noise,
        mean_ratios: Sequence[float] = MEAN_RATIOS,
        variance_ratios: np.ndarray = VARIANCE_RATIOS,
    ) -> None:
        """Whiten the regressors and find the directions in which trials move the run."""
        self.rows, self.variance_ratios = np.flatnonzero(design.seen), variance_ratios
        self.remover, self.n_free, self.log_determinant = _remover(design, noise)  # (n_rows, n_rows)
        self.directions: list[np.ndarray] = []  # per kernel (n_rows, rank)
        self.modes: list[list[_Modes]] = []  # per kernel and mean ratio
        for trials in design.trials:
            unit = max(glm.unit(trials), np.finfo(float).tiny)
            whitened = self.remover @ trials[self.rows] / np.sqrt(unit)  # (n_rows, n_trials)
            directions, lengths, right_vectors = np.linalg.svd(whitened, full_matrices=False)
            in_rank = lengths > glm.RANK * max(lengths.max(initial=0), 1.0)
            self.directions.append(directions[:, in_rank])
            self.modes.append([_modes(lengths[in_rank], right_vectors[in_rank], ratio, unit) for ratio in mean_ratios])

    def log_likelihoods(self, series: np.ndarray) -> np.ndarray:
        """Give the restricted log likelihood of each combination, the noise variance being the best of the run.

        Parameters
        ----------
        series : array of shape (n_volumes, n_vertices)
            The whole run.

        Returns
        -------
        float64 array of shape (n_kernels, n_mean_ratios, n_variance_ratios, n_vertices)
            Up to a constant that depends neither on the combination nor on the noise.
        """
        shape = (len(self.modes), len(self.modes[0]), len(self.variance_ratios), series.shape[1])
        values = np.empty(shape)
        for columns in glm.blocks(series.shape[1]):
            self._fill(values[..., columns], series[:, columns])
        return values

    def betas(self, series: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        """Predict the betas of the run's trials, averaged over combinations.

        Parameters
        ----------
        series : array of shape (n_volumes, n_vertices)
        posterior : array of shape (n_kernels, n_mean_ratios, n_variance_ratios, n_vertices)
            Weights of sum 1 over the combinations.

        Returns
        -------
        float64 array of shape (n_trials, n_vertices)
            In units of series and regressors, about the mean response of the run, which is left out.
        """
        estimates = np.empty((self.modes[0][0].to_betas.shape[0], series.shape[1]))
        for columns in glm.blocks(series.shape[1]):
            estimates[:, columns] = self._predict(series[:, columns], posterior[..., columns])
        return estimates

    def residual(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whiten seen volumes and take nuisance out, (n_rows, n_vertices), and sum the squares, (n_vertices,)."""
        values = series[self.rows].astype(np.float64)
        whitened = self.remover @ (values - values[0])  # the baseline is much larger than what is looked for
        return whitened, (whitened**2).sum(axis=0)

    def _fill(self, values: np.ndarray, series: np.ndarray) -> None:
        """Write log likelihoods of some vertices."""
        residual, squares = self.residual(series)
        for kernel, directions in enumerate(self.directions):
            loadings = directions.T @ residual  # (rank, n_vertices)
            for number, modes in enumerate(self.modes[kernel]):
                growth = modes.growth(self.variance_ratios)
                explained = (1 / growth - 1) @ (modes.rotation.T @ loadings) ** 2  # (n_ratios, n_vertices)
                values[kernel, number] = -0.5 * self.n_free * np.log((explained + squares) / self.n_free)
                values[kernel, number] -= 0.5 * np.log(growth).sum(axis=1)[:, None]
        values -= 0.5 * self.log_determinant

    def _predict(self, series: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        """Predict betas of some vertices, (n_trials, n_vertices)."""
        residual, _ = self.residual(series)
        estimates = np.zeros((self.modes[0][0].to_betas.shape[0], series.shape[1]))
        for kernel, directions in enumerate(self.directions):
            loadings = directions.T @ residual
            for number, modes in enumerate(self.modes[kernel]):
                shrinkage = self.variance_ratios[:, None] / modes.growth(self.variance_ratios)  # (n_ratios, n_modes)
                gains = shrinkage.T @ posterior[kernel, number]  # (n_modes, n_vertices)
                estimates += modes.to_betas @ (gains * (modes.rotation.T @ loadings))
        return estimates


def gains(model: Model, series: np.ndarray) -> np.ndarray:
    """Give log likelihoods less that of no response, float32: their sums over runs stay small.

    Parameters
    ----------
    model : Model
    series : array of shape (n_volumes, n_vertices)

    Returns
    -------
    float32 array of shape (n_kernels, n_mean_ratios, n_variance_ratios, n_vertices)
    """
    values = np.empty((len(model.modes), len(model.modes[0]), len(model.variance_ratios), series.shape[1]), np.float32)
    for columns in glm.blocks(series.shape[1]):
        log_likelihoods = model.log_likelihoods(series[:, columns])
        values[..., columns] = log_likelihoods - log_likelihoods[0, 0, 0]  # the first variance ratio is 0
    return values


def log_marginal(log_likelihoods: np.ndarray) -> np.ndarray:
    """Log of the mean likelihood over combinations, (n_vertices,); the last axis is that of vertices."""
    flat = log_likelihoods.reshape(-1, log_likelihoods.shape[-1])
    peak = flat.max(axis=0)
    return np.asarray(np.log(np.exp(flat - peak).mean(axis=0)) + peak)


def posterior(log_likelihoods: np.ndarray, kernel_prior: np.ndarray | None = None) -> np.ndarray:
    """Weigh combinations in each vertex, by its likelihoods and by how often they hold over all vertices.

    Parameters
    ----------
    log_likelihoods : array of shape (..., n_vertices)
        The last axis is that of vertices, the others are those of combinations, kernels first.
    kernel_prior : array of shape (n_kernels,), optional
        Probability of each kernel where the learning begins; by default all alike.

    Returns
    -------
    array of the same shape and type
        Of sum 1 in each vertex.

    Notes
    -----
    Empirical Bayes: the prior of a combination is its mean posterior over vertices. It takes only a few turns of
    expectation maximisation, so that it stays smooth; where data say little it stays near to where it began.
    """
    flat = log_likelihoods.reshape(-1, log_likelihoods.shape[-1])
    likelihoods = np.exp(flat - flat.max(axis=0))
    prior = _first_prior(log_likelihoods.shape[:-1], kernel_prior).astype(likelihoods.dtype)
    for _ in range(N_TURNS):
        evidence = prior @ likelihoods  # (n_vertices,)
        prior = prior * (likelihoods @ (1 / evidence)) / flat.shape[1] + LEAST_PRIOR
    likelihoods *= prior[:, None]
    likelihoods /= likelihoods.sum(axis=0)
    return np.asarray(likelihoods.reshape(log_likelihoods.shape))


def _first_prior(shape: tuple[int, ...], kernel_prior: np.ndarray | None) -> np.ndarray:
    """Spread a prior of kernels evenly over their combinations, (n_combinations,) of sum 1."""
    if kernel_prior is None:
        return np.full(int(np.prod(shape)), 1 / np.prod(shape))
    n_each = int(np.prod(shape[1:]))
    return np.repeat(kernel_prior / kernel_prior.sum() / n_each, n_each)


def _remover(design: Design, noise: Noise) -> tuple[np.ndarray, int, float]:
    """Give the matrix that whitens the seen volumes and takes nuisance out, what is left of them, a log determinant."""
    nuisance = glm.basis(design.nuisance[design.seen])  # (n_rows, rank)
    whitener, log_determinant = _whitener(noise, design.seen.tobytes())
    whitened_nuisance, triangle = np.linalg.qr(whitener @ nuisance)
    log_determinant += 2 * float(np.log(np.abs(np.diag(triangle))).sum())
    remover = whitener - whitened_nuisance @ (whitened_nuisance.T @ whitener)
    return remover, len(whitener) - nuisance.shape[1], log_determinant


@functools.lru_cache(maxsize=64)
def _whitener(noise: Noise, seen: bytes) -> tuple[np.ndarray, float]:
    """Invert the root of the noise's correlation at seen volumes, (n_rows, n_rows), with its log determinant."""
    rows = np.frombuffer(seen, dtype=bool)
    lags = np.arange(len(rows))
    correlation = toeplitz(noise.share * noise.decay**lags + (1 - noise.share) * (lags == 0))[rows][:, rows]
    root = np.linalg.cholesky(correlation)
    whitener = solve_triangular(root, np.eye(len(root)), lower=True)
    return whitener, 2 * float(np.log(np.diag(root)).sum())


def _modes(lengths: np.ndarray, right_vectors: np.ndarray, mean_ratio: float, unit: float) -> _Modes:
    """Diagonalise what betas of a common random mean add to the noise.

    ``lengths`` (rank,) and ``right_vectors`` (rank, n_trials) are of the whitened regressors in units of ``unit``.
    """
    in_mean = lengths * right_vectors.sum(axis=1)  # (rank,): the mean response
    power, rotation = np.linalg.eigh(np.diag(lengths**2) + mean_ratio * np.outer(in_mean, in_mean))
    to_betas = (right_vectors.T * lengths) @ rotation / np.sqrt(unit)
    return _Modes(rotation, np.maximum(power, 0.0), to_betas)
