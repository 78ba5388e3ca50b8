"""What of measured responses a model could explain: signal and noise variance from repeats, and noise ceilings.

Trials come first everywhere; ceilings are shares of variance, as the project's protocols define them.
"""

from dataclasses import dataclass

import numpy as np

from boldflow.core.averaging import average_by


def variance_components(responses: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate signal and noise variance from repeated images, by pooled one-way analysis of variance.

    Parameters
    ----------
    responses : array of shape (n_trials, n_vertices)
    image : int array of shape (n_trials,)
        Which image each trial showed; numbers of repeats may differ.

    Returns
    -------
    signal, noise : array of shape (n_vertices,)
        Variances, not truncated: signal may be negative. NaN where no image is repeated or there is one image.

    Notes
    -----
    noise = MSW; signal = (MSB - MSW) / n0 with n0 = (N - sum n_i^2 / N) / (I - 1).
    """
    images, index, n_repeats = np.unique(image, return_inverse=True, return_counts=True)
    n_trials, n_images = len(image), len(images)
    if n_images < 2 or n_trials == n_images:
        undefined = np.full(responses.shape[1], np.nan)
        return undefined, undefined.copy()
    centred = responses - responses.mean(axis=0, dtype=np.float64)  # (n_trials, n_vertices)
    image_means = average_by(centred, index, n_images)  # (n_images, n_vertices)
    within_squares = (centred**2).sum(axis=0) - n_repeats @ image_means**2  # (n_vertices,)
    between_squares = n_repeats @ image_means**2  # (n_vertices,)
    noise = within_squares / (n_trials - n_images)
    n_typical = (n_trials - (n_repeats**2).sum() / n_trials) / (n_images - 1)  # presentations of an image
    return (between_squares / (n_images - 1) - noise) / n_typical, noise


@dataclass(frozen=True)
class Repeats:
    """What variance components under any weighting of the images need.

    ``means`` (n_images, n_vertices): about the mean of all trials; ``within`` (n_images, n_vertices): sum of squares of
    an image's trials about their mean; ``counts`` (n_images,): trials of each image.
    """

    means: np.ndarray
    within: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, responses: np.ndarray, image: np.ndarray) -> "Repeats":
        """Sum up responses (n_trials, n_vertices) to images numbered from 0, (n_trials,)."""
        counts = np.bincount(image)
        values = responses - responses.mean(axis=0, dtype=np.float64)  # (n_trials, n_vertices)
        means = average_by(values, image, len(counts))
        squares = average_by(values**2, image, len(counts))
        return cls(means, np.maximum(squares - means**2, 0) * counts[:, None], counts)

    def components(self, weights: np.ndarray, columns: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Give signal and noise variance under weights (n_draws, n_images), as ``variance_components``.

        Returns
        -------
        signal, noise : array of shape (n_draws, n_vertices)
            NaN in draws in which no image is repeated, or in which there is one.
        """
        means, within = self.means[:, columns], self.within[:, columns]
        of_images = weights * self.counts  # (n_draws, n_images)
        n_trials, n_images = of_images.sum(axis=1, keepdims=True), weights.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            between = of_images @ means**2 - (of_images @ means) ** 2 / n_trials
            noise = weights @ within / (n_trials - n_images)
            typical = (n_trials - of_images @ self.counts[:, None] / n_trials) / (n_images - 1)
            signal = (between / (n_images - 1) - noise) / typical
        is_estimated = (n_trials > n_images) & (n_images > 1)
        return np.where(is_estimated, signal, np.nan), np.where(is_estimated, noise, np.nan)


def noise_ceiling(signal: np.ndarray, noise: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Largest share of variance that any model could explain of the scored rows.

    Parameters
    ----------
    signal, noise : array of shape (n_vertices,)
        Variance components; a negative signal counts as 0.
    repeats : array of shape (n_scored,)
        Trials averaged in each scored row.

    Returns
    -------
    array of shape (n_vertices,)
        signal / (signal + noise * mean(1 / repeats)), from 0 to 1; 0 where both are 0, NaN where they are unknown.

    Raises
    ------
    ValueError
        If a number of repeats is below 1.
    """
    if len(repeats) == 0 or np.min(repeats) < 1:
        raise ValueError(f"repeats must be 1 or more, found {np.min(repeats) if len(repeats) else 'none'}")
    positive_signal = np.maximum(signal, 0)
    row_variance = positive_signal + noise * np.mean(1 / np.asarray(repeats, dtype=np.float64))
    return np.divide(
        positive_signal, row_variance, out=np.where(np.isnan(row_variance), np.nan, 0.0), where=row_variance > 0
    )


def pooled_ceiling(signal: np.ndarray, noise: np.ndarray, repeats: np.ndarray) -> float:
    """Noise ceiling of a region: variances summed over its vertices, untruncated.

    A mean of ``noise_ceiling`` over vertices is too high wherever signal is weak, since negative estimates count as 0
    there; the ratio of sums is not.

    Parameters
    ----------
    signal, noise : array of shape (n_vertices,)
        Variance components, untruncated.
    repeats : array of shape (n_scored,)
        Trials averaged in each scored row.

    Returns
    -------
    float
        Share of variance; the region's ceiling is 0 where the sum of signal is negative.
    """
    return float(noise_ceiling(np.array([signal.sum()]), np.array([noise.sum()]), repeats)[0])


def correlation_ceiling(signal: np.ndarray, noise: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Correlation that a noise-free prediction reaches in the mean, for a mean over vertices.

    The square root of an estimated noise ceiling is too low: the ratio of the variances is (1 / F has the mean
    n / (n - 2)), and so is the mean of a square root. Both are corrected to second order.

    Parameters
    ----------
    signal, noise : array of shape (n_vertices,)
        Variance components from the repeats of the scored images, untruncated.
    repeats : array of shape (n_scored,)
        Trials averaged in each scored row; more than five rows.

    Returns
    -------
    array of shape (n_vertices,), 0 to 1

    Notes
    -----
    Simulated, 24 images x 4 and 113 x 3: the mean over 100 vertices is within .01 of what the noise-free response
    reaches where at most 5 % of the vertices show no signal; the plain root is up to .03 too low.
    """
    between, within = len(repeats) - 1, int(np.sum(repeats)) - len(repeats)  # degrees of freedom
    noise_of_means = noise * np.mean(1 / np.asarray(repeats, dtype=np.float64))
    plain = 1 - noise_of_means / (signal + noise_of_means)
    share = np.clip(1 - (1 - plain) * (between - 2) / between, 0, 1)
    variance = (1 - share) ** 2 * 2 * (within + between - 2) / (within * (between - 4))
    return np.clip(np.sqrt(share) + variance / (8 * np.maximum(share, np.sqrt(variance)) ** 1.5), 0, 1)


def split_variance(total: np.ndarray, ncsnr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the variance of single trials into signal and noise by a published ratio.

    The noise ceiling of means of n trials is then ncsnr^2 / (ncsnr^2 + 1 / n), whatever the variance; the variance
    weighs the vertices of a region.

    Parameters
    ----------
    total : array of shape (n_vertices,)
        Variance over single trials.
    ncsnr : array of shape (n_vertices,)
        Standard deviation of the signal over that of the noise of single trials.

    Returns
    -------
    signal, noise : array of shape (n_vertices,)

    Raises
    ------
    ValueError
        If a ratio is negative or not finite.

    Notes
    -----
    Allen et al. 2022, Nat. Neurosci. 25, 116-126, Methods, noise ceiling.
    """
    is_wrong = ~(np.isfinite(ncsnr) & (ncsnr >= 0))
    if is_wrong.any():
        raise ValueError(
            f"{is_wrong.sum()} of {ncsnr.size} ncsnr are no ratio of two spreads, the first is {ncsnr[is_wrong][0]}"
        )
    squared_ratio = np.square(ncsnr, dtype=np.float64)  # (n_vertices,)
    noise = total / (1 + squared_ratio)
    return squared_ratio * noise, noise
