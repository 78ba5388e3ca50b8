"""Averages of rows that share a key: repeats of a picture, subjects who saw it."""

from collections.abc import Sequence

import numpy as np


def average_by(values: np.ndarray, index: np.ndarray, n: int) -> np.ndarray:
    """Average rows of the same index.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
    index : int array of shape (n_rows,), from 0 to n - 1, each present
    n : int

    Returns
    -------
    array of shape (n, n_columns), float64
    """
    member = np.zeros((n, len(index)))
    member[index, np.arange(len(index))] = 1
    mean: np.ndarray = member @ values.astype(np.float64) / member.sum(axis=1, keepdims=True)
    return mean


def groups_of(index: np.ndarray | None) -> list[slice | np.ndarray]:
    """Give the rows of each value of an index, (n_rows,), in ascending order; all rows where there is no index."""
    return [slice(None)] if index is None else [np.flatnonzero(index == number) for number in np.unique(index)]


def about_means(values: np.ndarray, groups: Sequence[slice | np.ndarray]) -> np.ndarray:
    """Subtract from each row, (n_rows, n_columns), the mean of its group's rows, float64."""
    centred = np.array(values, dtype=np.float64)
    for rows in groups:
        centred[rows] -= centred[rows].mean(axis=0)
    return centred


def average_over_subjects(predictions: list[np.ndarray], image_ids: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Average predictions of the same image over subjects (the view called subjects).

    Parameters
    ----------
    predictions : list of arrays of shape (n_images_of_subject, n_features)
        One row per image, repeats averaged already.
    image_ids : list of arrays of shape (n_images_of_subject,)

    Returns
    -------
    (array (n_images, n_features), array (n_images,))
        Every image that some subject saw, sorted by name; averaged over the subjects who saw it.

    Raises
    ------
    ValueError
        If an image comes twice in a subject: average its repeats first.
    """
    for number, subject_ids in enumerate(image_ids):
        if len(np.unique(subject_ids)) < len(subject_ids):
            raise ValueError(f"subject {number} has images more than once: average the repeats first")
    distinct_ids, index = np.unique(np.concatenate(image_ids), return_inverse=True)
    return average_by(np.concatenate(predictions), index, len(distinct_ids)), distinct_ids
