"""What of measured responses a model could explain: signal and noise variance from repeats, and noise ceilings.

Trials come first everywhere; ceilings are shares of variance, as the project's protocols define them.
"""

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


def explained_share(r: np.ndarray, variance: np.ndarray, signal: np.ndarray, n_images: int) -> float:
    """Share of a region's signal variance that a model explains, from sums over vertices.

    Parameters
    ----------
    r : array of shape (n_vertices,)
        Pearson correlation over the scored rows.
    variance : array of shape (n_vertices,)
        Variance of the scored rows (sample variance over images).
    signal : array of shape (n_vertices,)
        Signal variance, untruncated.
    n_images : int
        Scored rows.

    Returns
    -------
    float
        Sum of [r^2 - (1 - r^2) / (N - 2)] * var(y), over the sum of signal; NaN where that sum is not positive.

    Raises
    ------
    ValueError
        If there are fewer than three images.
    """
    if n_images < 3:
        raise ValueError(f"the share explained needs three images or more, found {n_images}")
    signal_sum = signal.sum()
    if not signal_sum > 0:
        return float("nan")
    return float((((r**2) - (1 - r**2) / (n_images - 2)) * variance).sum() / signal_sum)
