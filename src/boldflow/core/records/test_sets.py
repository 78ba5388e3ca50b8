"""The trials on which a model is tested."""

from dataclasses import dataclass

import numpy as np

from boldflow.core.averaging import about_means, average_by, groups_of


@dataclass(frozen=True)
class TestSet:
    """Test trials of one subject over all folds, trials in the order of fold, then acquisition.

    ``fold``, ``image`` (n_trials,): fold, and image numbered from 0 (an image tested in two folds counts in each).
    ``image_fold``, ``unit`` (n_images,): fold of each image and its bootstrap unit, numbered from 0.
    """

    fold: np.ndarray
    image: np.ndarray
    image_fold: np.ndarray
    unit: np.ndarray
    __test__ = False  # pytest: a name, not a test

    @property
    def n_images(self) -> int:
        """Number of test images."""
        return len(self.image_fold)

    @property
    def n_units(self) -> int:
        """Number of bootstrap units."""
        return int(self.unit.max()) + 1

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.image_fold))

    def about_folds(self, values: np.ndarray, fold: np.ndarray | None = None) -> np.ndarray:
        """Take values of images, or of rows of a ``fold`` each, about their folds' means where there are several."""
        if self.n_folds == 1:
            return values
        return about_means(values, groups_of(self.image_fold if fold is None else fold))

    @property
    def repeats(self) -> np.ndarray:
        """Test trials of each image, (n_images,)."""
        return np.bincount(self.image, minlength=self.n_images)

    def views(self, predicted: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Give (view, predictions, image of each): every trial a query, and repeats of an image averaged.

        Where nothing is repeated both views are one, called trial.
        """
        views = [("trial", predicted, self.image)]
        if self.n_images < len(self.image):
            averaged = average_by(predicted, self.image, self.n_images)
            views.append(("image", averaged, np.arange(self.n_images)))
        return views
