"""Variance partition: what each of several predictions that add up brings to the variance they explain together."""

import numpy as np

BLOCK = 2048  # vertices at a time: bounds memory, does not change the result


def product_measure(measured: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Split the share of variance that a sum of predictions explains into what each of them brings.

    Parameters
    ----------
    measured : array of shape (n_rows, n_vertices)
    parts : array of shape (n_parts, n_rows, n_vertices)
        Predictions that add up; all are centred over rows first.

    Returns
    -------
    array of shape (n_parts, n_vertices)
        Their sum is R^2 of the sum of the parts, 1 - |y - p|^2 / |y|^2 of centred columns; single ones may be negative.
        0 where the measured column does not vary.

    Notes
    -----
    The product measure (Hoffman 1960, Psychol. Bull. 57, 116-131) for held-out rows, (2 <y, p_b> - <p, p_b>) / <y, y>.
    """
    shares = np.zeros((len(parts), measured.shape[1]))
    for start in range(0, measured.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        y, p = measured[:, block].astype(np.float64), parts[:, :, block].astype(np.float64)
        mean_square = (y**2).mean(axis=0)
        y, p = y - y.mean(axis=0), p - p.mean(axis=1, keepdims=True)
        variance = (y**2).mean(axis=0)
        contribution = (p * (2 * y - p.sum(axis=0))).mean(axis=1)  # (n_parts, n_block)
        np.divide(contribution, variance, out=shares[:, block], where=variance > 1e-12 * mean_square)
    return shares


def pooled_product_measure(
    measured: np.ndarray, parts: np.ndarray, member: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Split the variance that predictions explain in regions, under several weightings of the rows at once.

    Parameters
    ----------
    measured : array of shape (n_rows, n_vertices)
    parts : array of shape (n_parts, n_rows, n_vertices)
    member : array of shape (n_vertices, n_regions)
        1 where a vertex is in a region.
    weights : array of shape (n_draws, n_rows)
        Counts of each row in a bootstrap draw.

    Returns
    -------
    array of shape (n_parts, n_draws, n_regions)
        As ``product_measure``, with numerators and variances summed over the vertices of a region; 0 where none varies.
    """
    weight_sum = weights.sum(axis=1, keepdims=True)  # (n_draws, 1)
    shares = np.zeros((len(parts), len(weights), member.shape[1]))
    variance = np.zeros(shares.shape[1:])
    for start in range(0, measured.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        # centred over all rows first: what a draw's own mean takes away is small, and rounds to little
        y, p = measured[:, block], parts[:, :, block]
        y, p = y - y.mean(axis=0), p - p.mean(axis=1, keepdims=True)
        joint = p.sum(axis=0)  # (n_rows, n_block)
        mean_y, mean_joint = weights @ y / weight_sum, weights @ joint / weight_sum
        variance += (weights @ y**2 / weight_sum - mean_y**2) @ member[block]
        for number, part in enumerate(p):
            mean_part = weights @ part / weight_sum
            contribution = weights @ (part * (2 * y - joint)) / weight_sum - mean_part * (2 * mean_y - mean_joint)
            shares[number] += contribution @ member[block]
    varies = variance > 1e-12 * np.maximum((measured**2).mean(axis=0) @ member, np.finfo(np.float64).tiny)
    return shares * varies / np.where(varies, variance, 1.0)
