"""What all vertices share in betas by best linear unbiased prediction: the noise's correlation, and noise regressors.

Chosen by likelihood on a sample of vertices and, where a response names its split, on volumes outside the windows of
trials that do not train. Noise regressors are the leading components of vertices without a response, as in GLMdenoise
(Kay et al. 2013, Front. Neurosci. 7, 247); how many is told by the likelihood of the other vertices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boldflow.core.responses import blup, glm
from boldflow.core.responses.blup import Design, Model, Noise

MOST_COMPONENTS = 12
VOLUMES_PER_COMPONENT = 10  # free volumes that a run needs for each component it may get
LEAST_VERTICES = 60  # below this no noise regressors are looked for
N_SAMPLED = 2000  # vertices from which noise and the number of components are chosen
EVIDENCE = 6.0  # of a response: the least gain in log likelihood of a vertex that is no part of the pool
POOL_SHARES = (0.05, 0.3)  # least and largest share of vertices in the pool
LEAST_POOL = 20  # vertices
COMPONENT_VARIANCE = 0.1  # of a component's weights, over the noise variance, at components of s.d. 1
COUNTING_RATIOS = np.array([0.0, 0.03, 0.1, 0.3, 1.0, 3.0])
COUNTING_MEAN_RATIO = 3.0


@dataclass(frozen=True)
class Choice:
    """What vertices share.

    ``noise`` is its correlation; ``kernel`` the most probable one; ``pool`` (n_vertices,) bool, of the sample: vertices
    without a response; ``n_components`` is the number of noise regressors.
    """

    noise: Noise
    kernel: int
    pool: np.ndarray
    n_components: int


def choose(
    designs: Sequence[Design], series: Sequence[np.ndarray], kernel: int, kernel_prior: np.ndarray | None = None
) -> Choice:
    """Choose what vertices share, from a sample of them.

    Parameters
    ----------
    designs : sequence of Design
        Of the runs from which may be chosen.
    series : sequence of array of shape (n_volumes, n_vertices)
        The same runs, in the same order; vertices in random order.
    kernel : int
        The response from which the search begins, a canonical one.
    kernel_prior : array of shape (n_kernels,), optional
        As for ``blup.posterior``.

    Returns
    -------
    Choice
    """
    first = [values[:, :N_SAMPLED] for values in series]
    noise = likeliest_noise([design.of_kernel(kernel) for design in designs], first)
    log_likelihoods = total_log_likelihoods(designs, series, noise)
    kernel = int(blup.posterior(log_likelihoods, kernel_prior).sum(axis=(1, 2, 3)).argmax())
    pool = without_response(log_likelihoods)
    del log_likelihoods
    of_kernel = [design.of_kernel(kernel) for design in designs]
    n_most = most_components(designs) if len(pool) >= LEAST_VERTICES else 0
    n_components = 0
    if n_most:
        parts = [components(design, values[:, pool], n_most) for design, values in zip(designs, series, strict=True)]
        others = [values[:, ~pool][:, :N_SAMPLED] for values in series]
        n_components = number_of_components(of_kernel, parts, others, noise)
        of_kernel = [design.beside(part[:, :n_components]) for design, part in zip(of_kernel, parts, strict=True)]
    return Choice(likeliest_noise(of_kernel, first), kernel, pool, n_components)


def likeliest_noise(designs: Sequence[Design], series: Sequence[np.ndarray]) -> Noise:
    """Give the correlation of noise under which the series of all vertices are most likely, of ``blup.noises()``."""

    def evidence(noise: Noise) -> float:
        ratios = blup.VARIANCE_RATIOS[::2]
        return float(blup.log_marginal(total_log_likelihoods(designs, series, noise, ratios)).sum())

    return max(blup.noises(), key=evidence)


def total_log_likelihoods(
    designs: Sequence[Design],
    series: Sequence[np.ndarray],
    noise: Noise,
    variance_ratios: np.ndarray = blup.VARIANCE_RATIOS,
) -> np.ndarray:
    """Add up the log likelihoods of runs, (n_kernels, n_mean_ratios, n_variance_ratios, n_vertices)."""
    models = (Model(design, noise, variance_ratios=variance_ratios) for design in designs)
    return np.asarray(sum(model.log_likelihoods(values) for model, values in zip(models, series, strict=True)))


def without_response(log_likelihoods: np.ndarray) -> np.ndarray:
    """Mark the vertices in which trials explain next to nothing, bool (n_vertices,)."""
    gain = log_likelihoods.max(axis=(0, 1, 2)) - log_likelihoods[0, 0, 0]  # variance ratio 0: no response
    least, most = POOL_SHARES
    low, high = np.quantile(gain, [min(1.0, max(least, LEAST_POOL / len(gain))), most])
    return np.asarray(gain <= max(low, min(EVIDENCE, high)))


def most_components(designs: Sequence[Design]) -> int:
    """Give the largest number of noise regressors that each of the runs has seen volumes for."""
    spare = min(int(design.seen.sum()) - glm.basis(design.nuisance[design.seen]).shape[1] for design in designs)
    return max(0, min(MOST_COMPONENTS, spare // VOLUMES_PER_COMPONENT))


def components(design: Design, pool_series: np.ndarray, n_components: int) -> np.ndarray:
    """Give the leading time courses of a run's vertices without a response.

    Parameters
    ----------
    design : Design
    pool_series : array of shape (n_volumes, n_pool)
    n_components : int

    Returns
    -------
    array of shape (n_volumes, n_components)
        Of mean square 1 over the seen volumes; fewer where vertices or volumes are fewer. Patterns over vertices, means
        and scales come from the seen volumes alone: what the others hold changes no seen value.
    """
    seen, nuisance = design.seen, design.nuisance / np.maximum(np.abs(design.nuisance).max(axis=0), 1e-300)
    values = pool_series.astype(np.float64)
    values -= values[seen][0]
    weights = np.linalg.lstsq(nuisance[seen], values[seen], rcond=glm.RANK)[0]
    residual = values - nuisance @ weights  # (n_volumes, n_pool)
    sd = residual[seen].std(axis=0)
    residual = residual[:, sd > 0] / sd[sd > 0]
    _, lengths, patterns = np.linalg.svd(residual[seen], full_matrices=False)
    in_rank = (lengths > glm.RANK * lengths.max(initial=0))[:n_components]
    leading = patterns[:n_components][in_rank].T / lengths[:n_components][in_rank]
    return np.asarray(residual @ leading * np.sqrt(seen.sum()))


def number_of_components(
    designs: Sequence[Design], regressors: Sequence[np.ndarray], series: Sequence[np.ndarray], noise: Noise
) -> int:
    """Give the number of noise regressors under which the series are most likely.

    Parameters
    ----------
    designs : sequence of Design
        With one kernel.
    regressors : sequence of array of shape (n_volumes, n_most)
    series : sequence of array of shape (n_volumes, n_vertices)
        Vertices with a response.
    noise : Noise

    Returns
    -------
    int
        From 0 on. Regressors are random effects here, so that the likelihood compares numbers of them: as nuisance
        each would change the data that it is a likelihood of.
    """
    n_most = min(part.shape[1] for part in regressors)
    totals = np.zeros((n_most + 1, len(COUNTING_RATIOS), series[0].shape[1]))
    for design, part, values in zip(designs, regressors, series, strict=True):
        counting = _Counting(design, part[:, :n_most], noise)
        totals += counting.log_likelihoods(values)
    return int(totals.max(axis=1).sum(axis=1).argmax())


class _Counting:
    """The model of a run with 0, 1, 2, ... noise regressors as random effects beside trials of one kernel."""

    def __init__(self, design: Design, regressors: np.ndarray, noise: Noise) -> None:
        self.model = Model(design, noise, mean_ratios=(COUNTING_MEAN_RATIO,), variance_ratios=COUNTING_RATIOS)
        modes = self.model.modes[0][0]
        # (n_rows, n_modes): what a variance ratio of 1 adds, as columns
        self.response = self.model.directions[0] @ (modes.rotation * np.sqrt(modes.power))
        self.regressors = np.sqrt(COMPONENT_VARIANCE) * self.model.remover @ regressors[self.model.rows]

    def log_likelihoods(self, series: np.ndarray) -> np.ndarray:
        """Give them by number of regressors and variance ratio, (n_most + 1, n_ratios, n_vertices)."""
        residual, squares = self.model.residual(series)
        effects = np.hstack([self.response, self.regressors])
        products, loadings = effects.T @ effects, effects.T @ residual
        n_response, n_most = self.response.shape[1], self.regressors.shape[1]
        values = np.empty((n_most + 1, len(COUNTING_RATIOS), series.shape[1]))
        for number in range(n_most + 1):
            used = slice(n_response + number)
            for row, ratio in enumerate(COUNTING_RATIOS):
                scale = np.concatenate([np.full(n_response, np.sqrt(ratio)), np.ones(number)])
                power, vectors = np.linalg.eigh(scale[:, None] * products[used, used] * scale)
                power = np.maximum(power, 0.0)
                along = (vectors.T * scale) @ loadings[used]  # (n_effects, n_vertices)
                left = squares - (1 / (1 + power)) @ along**2
                values[number, row] = -0.5 * self.model.n_free * np.log(left / self.model.n_free)
                values[number, row] -= 0.5 * np.log1p(power).sum()
        return values
