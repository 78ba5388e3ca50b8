"""Sums of squares and products of columns under weights of the rows, about the means of the rows' folds."""

from dataclasses import dataclass

import numpy as np

from boldflow.core.averaging import about_means, groups_of

FLAT = 1e-12  # of the mean square: what rounding leaves of a constant column is no variance
ROUNDING = 1e-26  # of the square of the values themselves: averages of a constant differ in their last bits


@dataclass(frozen=True)
class Moments:
    """Sums under each weighting, (n_draws, n_columns), each value about its fold's mean.

    ``squares_x``, ``squares_y``, ``products``; ``varies_x``, ``varies_y``: whether the column varies in that draw.
    """

    squares_x: np.ndarray
    squares_y: np.ndarray
    products: np.ndarray
    varies_x: np.ndarray
    varies_y: np.ndarray

    @property
    def varies(self) -> np.ndarray:
        """Whether both columns vary, (n_draws, n_columns)."""
        return np.asarray(self.varies_x & self.varies_y)

    def correlation(self) -> np.ndarray:
        """Pearson r, (n_draws, n_columns); 0 where a column does not vary: a constant prediction explains nothing."""
        squares = np.where(self.varies, self.squares_x * self.squares_y, 1.0)
        return np.where(self.varies, self.products / np.sqrt(squares), 0.0)


def moments(x: np.ndarray, y: np.ndarray, weights: np.ndarray, fold: np.ndarray | None = None) -> Moments:
    """Sum squares and products of columns under several weightings of the rows at once.

    Rows of different folds are predicted by different models. About the mean of all rows correlations are negative
    without any signal: the mean of a fold's training rows is high where that of its test rows is low.

    Parameters
    ----------
    x, y : array of shape (n_rows, n_columns)
    weights : array of shape (n_draws, n_rows)
        Counts of each row in a draw.
    fold : int array of shape (n_rows,), optional
    """
    folds = groups_of(fold)
    raw_x, raw_y = _mean_square(x), _mean_square(y)
    x, y = about_means(x, folds), about_means(y, folds)
    squares_x, squares_y, products = weights @ x**2, weights @ y**2, weights @ (x * y)
    for rows in folds:
        size = weights[:, rows].sum(axis=1, keepdims=True)
        scaled = weights[:, rows] / np.sqrt(np.where(size > 0, size, 1.0))
        mean_x, mean_y = scaled @ x[rows], scaled @ y[rows]
        squares_x -= mean_x**2
        squares_y -= mean_y**2
        products -= mean_x * mean_y
    n_rows = weights.sum(axis=1, keepdims=True)
    floor_x = n_rows * np.maximum(FLAT * _mean_square(x), ROUNDING * raw_x)
    floor_y = n_rows * np.maximum(FLAT * _mean_square(y), ROUNDING * raw_y)
    return Moments(squares_x, squares_y, products, squares_x > floor_x, squares_y > floor_y)


def degrees_of_freedom(weights: np.ndarray, fold: np.ndarray | None = None) -> np.ndarray:
    """Rows in each draw less the folds that are in it, (n_draws,)."""
    if fold is None:
        return np.asarray(weights.sum(axis=1) - 1)
    n_folds = sum((weights[:, fold == number].sum(axis=1) > 0).astype(float) for number in np.unique(fold))
    return np.asarray(weights.sum(axis=1) - n_folds)


def _mean_square(z: np.ndarray) -> np.ndarray:
    mean: np.ndarray = np.einsum("ij,ij->j", z, z, dtype=np.float64) / max(len(z), 1)
    return mean
